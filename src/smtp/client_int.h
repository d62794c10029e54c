/* What the files of the client share. */
#pragma once
#include "io/fiber.h"
#include "smtp/client.h"

struct smtp_client {
	struct stream *io;
	const struct smtp_client_config *config;
	uint32_t extensions;
	uint32_t mechanisms; /* 1 << enum smtp_client_mechanism: what AUTH offered */
	uint64_t max_size;
	uint64_t until; /* loop_now(): the present step ends then, whatever comes; 0: each reply has its time
			 */
	uint32_t transactions;
	bool broken;  /* nothing more can be said */
	bool closing; /* the server said 421 */
	bool reset;   /* a transaction was given up: RSET goes before the next */
	bool tls_good;
	const char *tls_why;
	struct buf line; /* the command in the making; its memory serves all transactions */
};

/* ---- the dialogue: client.c ---- */

/* Gathers a command for the next flush; `shown` is what the dialogue shows when the line has a secret in it.
 */
PARKS int smtp_client_say(struct smtp_client *c, slice line, const char *shown);
/* Sees the text of each line of a reply, the status code still in it. */
typedef void smtp_client_line_fn(void *arg, unsigned index, slice text);
/*
 * Reads a whole reply in at most ms. -1: the connection is broken, and *ret (code 0) tells how. each: may be
 * NULL.
 */
PARKS int smtp_client_hear(struct smtp_client *c, enum smtp_stage_out stage, uint32_t ms,
	smtp_client_line_fn *each, void *arg, struct smtp_reply *ret);
/*
 * A command and its reply. What the server said before it was asked breaks the connection. shown: as for
 * smtp_client_say.
 */
PARKS int smtp_client_ask(struct smtp_client *c, enum smtp_stage_out stage, slice line, const char *shown,
	smtp_client_line_fn *each, void *arg, struct smtp_reply *ret);
/* Marks the connection as broken and tells why; returns -1. */
int smtp_client_break(
	struct smtp_client *c, enum smtp_stage_out stage, const char *why, struct smtp_reply *ret);
/* The same for a negative errno of the stream. */
int smtp_client_lost(struct smtp_client *c, enum smtp_stage_out stage, int error, struct smtp_reply *ret);
/* Is there anything to be read that was not asked for: bytes, or the end? Does not wait (1 ms over TLS). */
PARKS bool smtp_client_spoken(const struct smtp_client *c);
uint32_t smtp_client_ms(uint32_t configured, uint32_t standard);

#define SMTP_MS_BANNER  300000 /* RFC 5321 4.5.3.2.1 */
#define SMTP_MS_COMMAND 300000 /* .2, .3 */
#define SMTP_MS_DATA    120000 /* .4 */
#define SMTP_MS_BLOCK   180000 /* .5 */
#define SMTP_MS_END     600000 /* .6 */

/* ---- client_auth.c ---- */

uint32_t smtp_client_mechanisms(slice words); /* of an AUTH line */
/* Logs in. OK, AUTH or BROKEN. */
PARKS enum smtp_open smtp_client_login(struct smtp_client *c, struct smtp_reply *reply);

/* ---- the words of the envelope: client_words.c ---- */

/* What the server lacks, or nobody could send, for the whole message: its reply. False: nothing. */
bool smtp_client_refuses(
	const struct smtp_client *c, const struct smtp_client_message *m, bool utf8, struct smtp_reply *ret);
/* Refuses recipients that cannot be written to this server. Returns how many are left. */
size_t smtp_client_sift(const struct smtp_client *c, struct smtp_client_message *m);
/* Does the transaction need SMTPUTF8? */
bool smtp_client_utf8(const struct smtp_client_message *m);
void smtp_client_write_mail(
	const struct smtp_client *c, const struct smtp_client_message *m, bool utf8, struct buf *out);
void smtp_client_write_rcpt(const struct smtp_client *c, const struct smtp_client_rcpt *r, struct buf *out);

/* ---- replies: client_reply.c ---- */

void smtp_reply_clear(struct smtp_reply *r, enum smtp_stage_out stage);
/* Appends a line's text; *n is the length so far. */
void smtp_reply_join(struct smtp_reply *r, size_t *n, slice text);
/* A reply in the server's place, with the enhanced status code of the code's class. */
void smtp_reply_own(struct smtp_reply *r, enum smtp_stage_out stage, uint16_t code, uint8_t subject,
	uint8_t detail, const char *text);
void smtp_reply_copy(struct smtp_reply *to, const struct smtp_reply *from);
