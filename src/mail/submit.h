/*
 * What a submission server does to the header of a message that a client hands in (RFC 6409 8): Bcc and
 * Resent-Bcc go, a missing Date and Message-ID come at its end. Pure and streaming, for any chunking: a line
 * of any length passes; no more than the beginning of a field name is held back.
 */
#pragma once
#include "mail/date.h"

struct mail_submit {
	uint8_t state; /* of submit.c */
	uint8_t held_n;
	uint8_t field;  /* the name that was matched */
	bool line_open; /* the last byte passed on is not an LF */
	bool has_date, has_id;
	char held[16]; /* the beginning of a line that is not decided yet */
	char date[48]; /* the fields as they would be added, without their line ends */
	char id[320];
	char added[400]; /* what next and end hand out */
};

/* id: of the message, domain: both of them make its Message-ID; at most 26 and 255 bytes, no blanks. */
void mail_submit_begin(struct mail_submit *m, slice id, slice domain, struct mail_date now);
/*
 * Takes bytes off *in and gives those to be passed on for them, perhaps none; they lie in the input or in *m
 * and are good until the next call. Call it until *in is empty.
 */
slice mail_submit_next(struct mail_submit *m, slice *in);
/* After the last byte: what is still to come, for a message that is all header. */
slice mail_submit_end(struct mail_submit *m);
