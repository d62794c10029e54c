/*
 * IMAP before login (RFC 9051 6.1, 6.2): greeting to a good LOGIN or AUTHENTICATE, in the role that strangers
 * talk to. Memory of a command is one arena of LIMIT_IMAP_LOGIN_ARENA; nothing recurses. What the world must
 * do stands in a table of functions, so a session runs in a test with made-up answers.
 */
#pragma once
#include "base/err.h"
#include "io/stream.h"
#include "sasl/scram.h"

struct imap_credentials { /* valid during the call; wiped afterwards */
	slice user, secret;
	slice authzid;         /* empty: as the user */
	const char *mechanism; /* "LOGIN", "PLAIN"... for the log */
};

struct imap_login_ops {
	/* The TLS handshake as server. 0, or a negative errno: the connection ends. NULL: TLS is not offered.
	 */
	PARKS int (*starttls)(void *ctx, struct stream *io);
	/*
	 * 0: good. -1 by kind: ERR_DENIED wrong name or secret; ERR_CONFLICT not as this authzid; ERR_TEMP,
	 * ERR_LIMIT and others: not now; ERR_CLOSED: end the connection. The error's text is for the log: the
	 * client gets ours.
	 */
	PARKS int (*login)(void *ctx, const struct imap_credentials *c, err *e);
	/*
	 * After a good login: gives the session with all that is read ahead to who runs it (imap/session.h),
	 * who answers the tag. 0: io is no longer ours. -1: still ours, answered with NO [UNAVAILABLE], and
	 * the client may try again.
	 */
	PARKS int (*handoff)(void *ctx, struct stream *io, slice tag, err *e);
};

struct imap_login_config {
	slice host;                         /* said in the greeting */
	bool allow_cleartext;               /* passwords without TLS */
	uint32_t errors_max;                /* wrong commands and passwords before BYE */
	const struct sasl_scram_ops *scram; /* NULL: not offered; a good one is followed by handoff */
	void *scram_ctx;
};

enum imap_login_end { IMAP_LOGIN_ENDED, IMAP_LOGIN_HANDED_OFF };

/* Runs on the connection's fiber. After ENDED the caller closes io; after HANDED_OFF it is no longer there.
 */
PARKS enum imap_login_end imap_login_run(struct stream *io, const struct imap_login_config *config,
	const struct imap_login_ops *ops, void *ctx);
