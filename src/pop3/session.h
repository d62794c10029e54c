/*
 * POP3 after login (RFC 1939, TRANSACTION and UPDATE): INBOX as it was at log-in; what DELE marks goes at
 * QUIT, after the commit, and only then (D14). A second session of the account is no error: both see their
 * own list, and QUIT removes what is still there. UIDL is the message's id.
 */
#pragma once
#include "io/stream.h"
#include "store/store.h"

struct pop3_session {
	struct stream *io; /* stays the caller's */
	struct store *store;
	uint32_t account;
	uint32_t errors_max;
	uint64_t timeout_ms;
	/* results, for the log */
	uint32_t fetched, deleted;
};

/* Runs the session on the calling fiber; to end it cancel the fiber: the client is told goodbye. */
PARKS void pop3_session_run(struct pop3_session *s);
