/*
 * Digests (mail/digest.h) of the messages of a walk: those that are kept, and of messages that have none yet
 * new ones, made of their summaries and then kept for the next time.
 */
#pragma once
#include "imap/session_int.h"
#include "mailbox/digest.h"

struct imap_digests {                    /* of one command; a zeroed one is ready */
	struct mailbox_digest_scan scan; /* on the snapshot in hand, */
	bool open;                       /* when this is set; */
	bool usable;                     /* it has a secret, and it is ours */
	bool has_secret;
	uint64_t secret[2];
	struct mail_digest_room room;
	struct mailbox_digests made;
	bool kept, off; /* some were written; no more are */
};

/* Fills item->digest, in the snapshot; may load the summary. 1, 0 the message is gone, -1. */
int imap_digests_load(struct imap_digests *d, struct imap_walk *w, struct imap_item *item, err *e);
/* Before a snapshot ends. */
void imap_digests_close(struct imap_digests *d);
/*
 * Outside of snapshots, between blocks and (last) at the end: writes what was made, if it is worth a flush.
 * It is a cache: when that fails nobody needs to know.
 */
PARKS void imap_digests_keep(struct imap_digests *d, struct imap_session *s, bool last);
void imap_digests_free(struct imap_digests *d);
