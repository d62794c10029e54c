/*
 * POP3 before login (RFC 1939, AUTHORIZATION state): greeting, CAPA, USER/PASS, AUTH with PLAIN and
 * SCRAM-SHA-256 (RFC 5034), STLS (RFC 2595), UTF8 and LANG (RFC 6856), QUIT. Runs in the frontend with small
 * fixed memory; the logged-in session goes to the backend (pop3/session.h).
 */
#pragma once
#include "base/err.h"
#include "io/stream.h"
#include "sasl/scram.h"

struct pop3_credentials { /* wiped after the call */
	slice user, secret, authzid;
};

struct pop3_login_ops {
	/* The TLS handshake; 0 or a negative errno, which ends the session. NULL: TLS is not offered. */
	PARKS int (*starttls)(void *ctx, struct stream *io);
	/* 0, or -1: ERR_DENIED a wrong name or password, anything else: try later. The text may be shown. */
	PARKS int (*login)(void *ctx, const struct pop3_credentials *c, err *e);
	/* Gives the logged-in session away with what is read ahead; the backend answers "+OK". options: bits
	 * of pop3/text.h for it. 0: io is no longer ours. */
	PARKS int (*handoff)(void *ctx, struct stream *io, uint8_t options, err *e);
};

struct pop3_login_config {
	slice host;
	bool allow_cleartext; /* passwords without TLS */
	uint32_t errors_max;  /* wrong commands and log-ins before the session is closed */
	uint64_t timeout_ms;
	const struct sasl_scram_ops *scram; /* NULL: not offered; a good one is followed by handoff */
	void *scram_ctx;
};

/* Returns true when the session was handed over (io is gone); else io is the caller's to close. */
PARKS bool pop3_login_run(struct stream *io, const struct pop3_login_config *config,
	const struct pop3_login_ops *ops, void *ctx);
