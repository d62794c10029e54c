/*
 * IMAP after login (RFC 3501, RFC 9051), in the role that has the store. A session is one fiber that reads
 * commands, answers from snapshots and changes by intents; none of its snapshots lives over a park.
 *
 * What a client may be told when follows RFC 9051 7.5.1: a session keeps its own view of the selected mailbox
 * (a set of UIDs), changes of others enter it from the change log between commands, and an EXPUNGE waits
 * until the command in hand allows it.
 */
#pragma once
#include "io/stream.h"
#include "mailbox/mailbox.h"
#include "mailbox/watch.h"

struct imap_session_config {   /* outlives the session */
	uint64_t message_max;  /* APPENDLIMIT (RFC 7889) */
	uint64_t silence_ms;   /* autologout; RFC 9051 5.4 wants at least 30 minutes */
	uint32_t errors_max;   /* wrong commands before BYE; a right one makes up for one */
	uint64_t keepalive_ms; /* a line to clients that wait in IDLE or by NOTIFY, that often; 0: none */
	unsigned notify_rows;  /* changes NOTIFY tells at once; 0: LIMIT_IMAP_NOTIFY_ROWS */
	int64_t progress_ms;   /* INPROGRESS that often; 0: LIMIT_IMAP_PROGRESS_MS; less: after each block */
	uint32_t messages_max; /* of one command (RFC 9738); 0: no limit, and none is announced */
	slice admin; /* a URI of who looks after the post house (RFC 5464 3.2.1.1); p == NULL: none */
};

struct imap_start {
	struct stream *io; /* the caller closes it afterwards */
	struct store *store;
	struct mailbox_codec *codec;   /* of this loop */
	struct watch_loop *watch_loop; /* NULL: the session looks for changes itself, IDLE hears of none */
	uint32_t account;
	slice tag; /* of the command that logged in, answered first; used during the first write only */
	const struct imap_session_config *config;
};

/* Runs the whole session on the calling fiber; to end it cancel the fiber: the client is told goodbye. */
PARKS void imap_session_run(const struct imap_start *start);
