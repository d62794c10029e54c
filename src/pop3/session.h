/*
 * POP3 after login (RFC 1939, TRANSACTION and UPDATE): INBOX as it was at log-in; what DELE marks goes at
 * QUIT, after the commit, and only then (D14).
 *
 * The maildrop is not locked, and [IN-USE] is never said: RFC 1939 asks for a lock so that a session's
 * numbers stay true, and here each session has its own list of UIDs, made at log-in, that nothing changes.
 * Other sessions, IMAP among them, may remove messages meanwhile: RETR then says so, and QUIT removes what is
 * still there of what this session marked. UIDL is UIDVALIDITY and UID, and so outlives a restore.
 *
 * A message with 8-bit header fields is shown as it is after UTF8 (RFC 6856); to others as 7-bit text with
 * encoded words (mail/downgrade.h), or, past LIMIT_POP3_DOWNGRADE bytes, as it is. LIST and UIDL speak of the
 * message as it is stored in both cases.
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
	uint32_t newest; /* only so many of the last messages are shown; 0: all */
	uint8_t options; /* bits of pop3/text.h */
	/* results, for the log */
	uint32_t fetched, deleted;
};

/* Runs the session on the calling fiber; to end it cancel the fiber: the client is told goodbye. */
PARKS void pop3_session_run(struct pop3_session *s);
