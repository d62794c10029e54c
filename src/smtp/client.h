/*
 * The client's side of SMTP and LMTP: greets, secures and logs in on a connection, then carries out
 * transactions. It knows the protocol and nothing else: who connects, which host, and what becomes of a
 * recipient afterwards is the caller's business. Nothing the server says is trusted: lines, replies and
 * waiting are bounded (limits.h), a reply before its command and a malformed one end the connection.
 *
 * RFC 5321, 1870 (SIZE), 2033 (LMTP), 2034, 2852 (DELIVERBY), 2920 (PIPELINING), 3030 (CHUNKING,
 * BINARYMIME), 3207, 3461 (DSN), 4954 (AUTH), 4865 is not passed on, 6152 (8BITMIME), 6531 (SMTPUTF8), 6710
 * (MT-PRIORITY), 8689 (REQUIRETLS).
 */
#pragma once
#include "base/buf.h"
#include "io/stream.h"
#include "smtp/envelope.h"

enum smtp_extension { /* bits: what EHLO offered */
	SMTP_EXT_PIPELINING = 1,
	SMTP_EXT_SIZE = 2,
	SMTP_EXT_STARTTLS = 4,
	SMTP_EXT_8BITMIME = 8,
	SMTP_EXT_BINARYMIME = 16,
	SMTP_EXT_CHUNKING = 32,
	SMTP_EXT_SMTPUTF8 = 64,
	SMTP_EXT_DSN = 128,
	SMTP_EXT_DELIVERBY = 256,
	SMTP_EXT_MT_PRIORITY = 512,
	SMTP_EXT_REQUIRETLS = 1024,
	SMTP_EXT_ENHANCED = 2048, /* ENHANCEDSTATUSCODES */
	SMTP_EXT_AUTH = 4096,
};

enum smtp_stage_out { /* where in the dialogue something was said or broke */
	SMTP_AT_CONNECT,
	SMTP_AT_BANNER,
	SMTP_AT_EHLO,
	SMTP_AT_STARTTLS,
	SMTP_AT_AUTH,
	SMTP_AT_MAIL,
	SMTP_AT_RCPT,
	SMTP_AT_DATA, /* the 354, or the first BDAT */
	SMTP_AT_END,  /* the reply to the whole content: from the last byte sent until it came, the outcome is
			 unknown */
};

#define SMTP_REPLY_TEXT 512

/* What a server said, or what broke in its place (code 0). Text: UTF-8 without control characters, the lines
 * of a reply joined by blanks, the enhanced status code taken off; cut at SMTP_REPLY_TEXT - 1 bytes. */
struct smtp_reply {
	uint16_t code;     /* 200 to 599; 0: no reply, `text` says what broke */
	uint8_t stage;     /* enum smtp_stage_out */
	uint8_t status[3]; /* enhanced status code, RFC 3463; all 0: none (subject and detail over 255: none)
			    */
	bool own;          /* the code is a finding of our own: the server was not asked, or did not say it */
	bool unknown;      /* code 0 at SMTP_AT_END: the server may have taken it (D4) */
	char text[SMTP_REPLY_TEXT];
};

enum smtp_client_tls {
	SMTP_TLS_NONE,
	SMTP_TLS_MAY,  /* STARTTLS when offered; when the handshake fails: SMTP_OPEN_TLS, connect again with
			  NONE  if you wish */
	SMTP_TLS_MUST, /* STARTTLS or no mail */
	SMTP_TLS_IMPLICIT, /* TLS from the first byte */
};

enum smtp_client_mechanism { SMTP_MECH_ANY, SMTP_MECH_PLAIN, SMTP_MECH_LOGIN, SMTP_MECH_SCRAM_SHA_256 };

struct smtp_client_config {
	slice host; /* our name, for EHLO */
	slice peer; /* the server's name: SNI and certificate; empty: an address literal */
	bool lmtp;
	enum smtp_client_tls tls;
	/* A context that demands a good certificate (tls_client_context_new with roots) makes a bad one
	 * SMTP_OPEN_TLS. */
	struct tls_context *tls_context;
	/* Log-in: empty user: none. The secret goes out only over TLS, or to a loopback peer when `clear_ok`.
	 */
	slice user, secret;
	enum smtp_client_mechanism mechanism; /* ANY: SCRAM-SHA-256, PLAIN, LOGIN in this order as offered */
	bool clear_ok;
	/* How long each step may take, ms: RFC 5321 4.5.3.2; 0 in a field: that section's minimum. */
	uint32_t banner_ms, command_ms, data_ms, block_ms, end_ms;
	/*
	 * Told of every line that goes and comes, for `route test`; secrets are shown as ****. May be NULL.
	 * out: we said it. Content is not shown.
	 */
	void (*dialogue)(void *arg, bool out, slice line);
	void *arg;
};

enum smtp_open {
	SMTP_OPEN_OK,
	SMTP_OPEN_REFUSED, /* banner, EHLO, MUST without STARTTLS: reply tells */
	SMTP_OPEN_TLS,     /* STARTTLS refused or the handshake or certificate failed: reply.text tells */
	SMTP_OPEN_AUTH,    /* the log-in was refused, or no mechanism fits */
	SMTP_OPEN_BROKEN,  /* the connection ended, timed out or spoke no SMTP */
};

struct smtp_client; /* one connection */

/*
 * Greets on a fresh connection. Takes the stream over in any case. *ret: a client in the state between
 * transactions when SMTP_OPEN_OK, else NULL and the connection is closed. *reply: what was said last.
 * The config and what it points to must outlive the client.
 */
PARKS enum smtp_open smtp_client_open(struct stream *io, const struct smtp_client_config *config,
	struct smtp_client **ret, struct smtp_reply *reply);
/* QUIT (not waited for longer than 2 s), closes, frees. NULL is fine. */
PARKS void smtp_client_quit(struct smtp_client *c);
void smtp_client_drop(struct smtp_client *c); /* closes at once, frees; NULL is fine */

uint32_t smtp_client_extensions(const struct smtp_client *c); /* enum smtp_extension */
uint64_t smtp_client_max_size(const struct smtp_client *c);   /* of SIZE; 0: none said */
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", or NULL; verified: the certificate is good for `peer` by our roots. */
const char *smtp_client_tls_info(const struct smtp_client *c, bool *ret_verified);
/* Why it is not verified, a sentence for a log; "" when it is. Lives for ever. */
const char *smtp_client_tls_why(const struct smtp_client *c);
uint32_t smtp_client_transactions(const struct smtp_client *c);
/* May another transaction go over it? False after anything broke, after 421, or when something came unasked
 * (bytes, or the end). PARKS for at most 1 ms, over TLS. */
PARKS bool smtp_client_usable(const struct smtp_client *c);

struct smtp_client_rcpt {
	slice address;           /* "local@domain" as SMTP writes it, without brackets */
	slice original;          /* ORCPT "type;address" decoded; empty: none */
	uint8_t notify;          /* enum smtp_notify */
	struct smtp_reply reply; /* out: of RCPT when that refused it, else of the content. LMTP: its own. */
};

struct smtp_client_message {
	slice sender;      /* "local@domain", empty for <> */
	slice envelope_id; /* ENVID, decoded; empty: none */
	enum smtp_ret ret;
	enum smtp_body body; /* what the content needs; 7BIT: nothing */
	bool smtputf8;       /* an address or header needs SMTPUTF8 */
	bool require_tls;    /* REQUIRETLS: pass it on; the caller saw to the rest */
	bool has_by;         /* DELIVERBY */
	int64_t by_seconds;  /* what is left */
	char by_mode;        /* 'R' or 'N' */
	bool by_trace;
	int8_t priority; /* MT-PRIORITY -9 to 9; 0: not said */
	/* The content: head goes out before body (Delivered-To and such; each line with its CRLF), both may
	 * be empty. Bare CR and LF are sent as CRLF; a last line without an end gets one. 8-bit content for a
	 * server without 8BITMIME must have been converted (mail/downgrade.h). */
	slice head, content;
	uint64_t size; /* for SIZE=; about right is enough */
	struct smtp_client_rcpt *rcpts;
	size_t n;
};

/*
 * One transaction. Every recipient's reply is set: 2xx taken; 4xx, 5xx refused (by RCPT, MAIL or the
 * content's reply alike); code 0: broken, with the stage. With PIPELINING the envelope goes out at once, with
 * CHUNKING too the content goes with it (BDAT) when it is small. Size over SIZE is 552 5.3.4 of our own
 * (stage MAIL) and the server is not asked. SMTPUTF8, BINARYMIME or REQUIRETLS that the server lacks:
 * 550 5.6.7, 5.6.3 (554), 5.7.30 of our own. DSN parameters, BY and MT-PRIORITY are sent only where offered.
 * After a refused transaction RSET is sent in time. 0, or -1 when the connection is of no use any more.
 */
PARKS int smtp_client_send(struct smtp_client *c, struct smtp_client_message *m);
/* RSET before a connection that lay idle is used again: is it alive? 0 or -1. */
PARKS int smtp_client_reset(struct smtp_client *c);

/* ---- parsing a reply, pure; for tests and fuzzing ---- */

/*
 * One line "250-text" without its end. 1: last line, 0: more follow, -1: no reply line. *code in: 0 for the
 * first line, else what all lines must say.
 */
int smtp_reply_line(slice line, uint16_t *code, slice *ret_text);
/* Takes "5.1.1 " off the front of a text when its class fits the code. */
bool smtp_reply_status(slice *text, uint16_t code, uint8_t ret_status[3]);
