/* How much of a message goes into its reply texts. Private to the room. */
#pragma once
#include "mail/imaptext.h"

struct mail_imap_limits {
	uint32_t addresses; /* in one envelope */
	uint32_t string;    /* octets of one string */
	uint32_t params;    /* of one field */
	bool nested;        /* envelopes of messages inside */
};

extern const struct mail_imap_limits mail_imap_full;

void mail_imap_envelope_within(struct buf *out, const struct mail_envelope *v, struct arena *scratch,
	const struct mail_imap_limits *limits);
void mail_imap_structure_within(struct buf *out, const struct mail_mime *m, bool extended,
	struct arena *scratch, const struct mail_imap_limits *limits);
