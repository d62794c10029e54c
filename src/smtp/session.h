/*
 * The server's side of SMTP and LMTP: one session is one function on a fiber. It knows the protocol and
 * nothing else; what it has to ask, and where messages go, stands in a table of functions it is handed, so it
 * runs in a test as it does in the program.
 *
 * RFC 5321, 1870 (SIZE), 2033 (LMTP), 2034 (ENHANCEDSTATUSCODES), 2852 (DELIVERBY), 2920 (PIPELINING), 3030
 * (CHUNKING, BINARYMIME), 3207 (STARTTLS), 3461 (DSN), 4865 (FUTURERELEASE), 4954 (AUTH), 6152 (8BITMIME),
 * 6531 (SMTPUTF8), 6710 (MT-PRIORITY), 7504 (521, 556), 8689 (REQUIRETLS), 9422 (LIMITS).
 */
#pragma once
#include "io/stream.h"
#include "sasl/scram.h"
#include "smtp/dot.h"
#include "smtp/envelope.h"
#include "smtp/hops.h"

enum smtp_kind {
	SMTP_MX,          /* port 25 */
	SMTP_SUBMISSION,  /* port 587: needs a log-in */
	SMTP_SUBMISSIONS, /* port 465: the same; the caller started TLS */
	SMTP_LMTP,        /* a local socket */
};

/* Of a listener; immutable, shared by its sessions. */
struct smtp_config {
	enum smtp_kind kind;
	slice host;              /* our name: banner, replies, Received */
	uint64_t max_message;    /* octets, RFC 1870 */
	uint32_t max_recipients; /* a message, at most LIMIT_SMTP_RECIPIENTS */
	uint32_t max_messages;   /* a session: MAILMAX; 0: no limit */
	uint32_t max_hops;       /* Received fields; more is a loop */
	uint32_t future_s;       /* FUTURERELEASE: how far ahead, at most 999999999; 0: not offered */
	uint32_t max_errors;     /* wrong commands; one more ends the session */
	uint64_t timeout_ms; /* waiting for a command, or for the next bytes of content: RFC 5321 4.5.3.2 */
	bool starttls;       /* offered while there is no TLS */
	bool auth;           /* offered (with TLS, or see auth_plain) */
	bool auth_plain;     /* also without TLS: loopback, when the owner allows it */
	bool auth_required;  /* MAIL needs a log-in */
	bool bare_lines;     /* bare LF and CR in content are normalised, not refused: local programs only */
};
/* All of it for a listener of that kind, with the RFCs' limits. host: lives as long as the config. */
struct smtp_config smtp_config_default(enum smtp_kind kind, slice host);

struct smtp_login {
	slice mechanism; /* "PLAIN" or "LOGIN" */
	slice authzid;   /* whom to act as; empty: the user */
	slice user;      /* 1 to LIMIT_SMTP_USER bytes, valid UTF-8, no NUL */
	slice secret;    /* 1 to LIMIT_SMTP_SECRET bytes, no NUL; wiped when the call has returned */
};
enum smtp_login_verdict {
	SMTP_LOGIN_OK = 1,
	SMTP_LOGIN_BAD,  /* 535 5.7.8 whatever was wrong */
	SMTP_LOGIN_TEMP, /* 454 4.7.0 */
};

struct smtp_receipt { /* of a message taken */
	char queue_id[27];
};

/*
 * The world. ctx is the connection's own: what a function learns (the account that logged in, its ticket) it
 * keeps there. Every function may park. *e comes zeroed; its text, where one is set, is shown to the client
 * in place of the standard one, so it must be a sentence for people. A cancel shows as any failure.
 *
 * Order of calls: welcome; login; sender; recipient...; begin, write..., then end or abort; and again from
 * sender.
 */
struct smtp_server_ops {
	/* May this client talk to us at all? May be NULL. -1: ERR_DENIED is 554, all else 421 and the end. */
	PARKS int (*welcome)(void *ctx, err *e);

	/* 220 was sent and flushed: the handshake (stream_start_tls). -1 ends the session without a word. */
	PARKS int (*starttls)(void *ctx, struct stream *io, err *e);

	PARKS enum smtp_login_verdict (*login)(void *ctx, const struct smtp_login *login, err *e);

	/* After a good exchange of session.scram, in place of login: whatever else a log-in needs. */
	PARKS enum smtp_login_verdict (*scram_login)(void *ctx, err *e);

	/* MAIL, logged in or not: does the sender belong to the account, is there room for env->size more? */
	PARKS enum smtp_verdict (*sender)(void *ctx, const struct smtp_envelope *env, err *e);

	/* RCPT. `r` is not yet in the envelope. */
	PARKS enum smtp_verdict (*recipient)(
		void *ctx, const struct smtp_envelope *env, const struct smtp_recipient *r, err *e);

	/*
	 * Content is about to come: DATA (before 354) or the first BDAT, with at least one recipient. Here
	 * the implementer puts its own fields (smtp_received_format) in front. -1: refused (by err kind, see
	 * smtp_answer_error); neither end nor abort follows.
	 */
	PARKS int (*message_begin)(void *ctx, const struct smtp_envelope *env, err *e);

	/*
	 * The next bytes as they are to be stored: no dot-stuffing, line ends CRLF (BINARYMIME: anything).
	 * Pieces are 1 to LIMIT_STREAM_BUFFER bytes, together at most max_message. -1: the message is refused
	 * (by err kind), the session reads the rest without storing and calls message_abort at once.
	 */
	PARKS int (*message_write)(void *ctx, slice bytes, err *e);

	/*
	 * All content was given. 0: each recipient's `result` is set, and for those with SMTP_OK the message
	 * is durable; *ret names it. SMTP has one reply: it is 250 as soon as one recipient is SMTP_OK, so
	 * the implementer sees to it that the others' failure is reported by mail; when none is OK nothing
	 * was stored. LMTP answers each. -1: nothing was stored (by err kind, ERR_DENIED: 550 5.7.1 with the
	 * text).
	 */
	PARKS int (*message_end)(void *ctx, struct smtp_envelope *env, struct smtp_receipt *ret, err *e);

	/* After message_begin, in place of message_end: forget it. why: a sentence for the log. Must not
	 * fail. */
	PARKS void (*message_abort)(void *ctx, const struct smtp_envelope *env, const char *why);

	/* True: the program is going down. Asked before each command; answered with 421 4.3.2. May be NULL.
	 */
	bool (*draining)(void *ctx);
};

enum smtp_end { /* why a session ended */
	SMTP_END_QUIT,
	SMTP_END_GONE,    /* the client closed, or the connection broke */
	SMTP_END_TIMEOUT, /* 421 4.4.2 */
	SMTP_END_ERRORS,  /* too many wrong commands or log-ins, or words of another protocol: 421 4.7.0 */
	SMTP_END_DRAIN,   /* draining, or the fiber was cancelled: 421 4.3.2 */
	SMTP_END_REFUSED, /* by welcome */
	SMTP_END_TLS,     /* the handshake failed, or bytes were sent ahead of it */
};

enum smtp_stage {             /* bits, so that the verb table can hold sets of them */
	SMTP_STAGE_START = 1, /* no EHLO yet */
	SMTP_STAGE_READY = 2, /* no transaction */
	SMTP_STAGE_MAIL = 4,  /* a sender */
	SMTP_STAGE_RCPT = 8,  /* and at least one recipient */
	SMTP_STAGE_BDAT = 16, /* and at least one chunk */
	SMTP_STAGE_SHUT = 32, /* greeted with 554: only QUIT */
};

/* The content under way. */
struct smtp_intake {
	struct smtp_dot dot;
	struct smtp_hops hops;
	uint64_t size; /* octets of content so far */
	bool open;     /* message_begin was called, neither end nor abort yet */
	bool refused;  /* by what follows; the rest is read and dropped */
	uint16_t code; /* the reply to come, with its status and text */
	char status[8];
	char text[120];
};

struct smtp_session {
	/* given by the caller, who keeps them alive */
	const struct smtp_config *config;
	const struct smtp_server_ops *ops;
	void *ctx;
	struct stream *io;                  /* the caller closes it afterwards */
	slice address;                      /* the client's IP in text; empty: a local socket */
	slice name;                         /* its PTR name; empty: not known */
	const struct sasl_scram_ops *scram; /* NULL: not offered */
	void *scram_ctx;

	/* for the caller's log */
	uint32_t messages, recipients, errors, logins_failed;

	/* the session's own */
	uint8_t stage; /* enum smtp_stage */
	bool extended, authenticated, done, busy;
	bool rcpt_failed; /* a recipient of this transaction was refused */
	uint8_t end;      /* enum smtp_end */
	uint8_t helo_n;
	char helo[256];
	uint32_t transactions;   /* MAIL commands accepted */
	uint32_t refused;        /* recipients refused since the last message */
	uint32_t recipients_cap; /* room in envelope.recipients */
	struct arena *arena;     /* of the transaction */
	struct smtp_envelope envelope;
	struct smtp_intake intake;
};

/*
 * Runs a session from banner to end. The caller zeroes the struct and sets its first part; what was said is
 * flushed on return. A session that waits for a command ends with 421 4.3.2 when its fiber is cancelled, so a
 * drain cancels those for which smtp_session_idle holds and lets the others come to `draining`.
 */
PARKS enum smtp_end smtp_session_run(struct smtp_session *s);

/* True while the session is between commands and no transaction is under way. */
bool smtp_session_idle(const struct smtp_session *s);
