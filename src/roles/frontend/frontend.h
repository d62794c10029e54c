/* What the files of the frontend role share. */
#pragma once
#include "base/settings.h"
#include "io/listen.h"
#include "io/stream.h"
#include "io/tls.h"
#include "mail/summary.h"
#include "roles/common/role.h"
#include "sasl/scram.h"
#include "smtp/session.h"

extern const struct sandbox frontend_sandbox;

#define PORTS_MAX      64
#define SPARE_BUILDERS 16

struct frontend;

struct front_port { /* a listener */
	struct frontend *f;
	struct listener *listener;
	uint32_t id;
	enum settings_protocol protocol;
	unsigned connections; /* open ones that came through it */
	bool closed;
	struct smtp_config smtp;
};

/* The name we greet with. A reload makes a new one; connections hold the one they began with. */
struct front_host {
	unsigned users;
	slice name;
	char text[256];
};

struct conn { /* a connection; lives on until its fiber ends */
	struct frontend *f;
	struct front_port *port;
	struct front_host *host;
	struct conn *next, *prev;
	struct fiber *fiber;
	struct stream *io;
	struct smtp_session *smtp; /* while it talks SMTP */
	int fd;
	bool loopback, relaying;
	char address[48]; /* the client's IP in text; empty: a local socket */
	uint8_t ip[16];   /* the same, IPv4 mapped; loopback for a local socket */
};

struct frontend {
	struct role_run *role;
	struct tls_context *tls;
	uint8_t ticket_keys[2][TLS_TICKET_KEY]; /* now, before; of `auth` */
	unsigned ticket_keys_n;
	struct front_port *ports[PORTS_MAX];
	size_t ports_n;
	struct conn *conns;
	size_t conns_n;
	uint64_t accepted, messages, logins, logins_failed;
	uint64_t full_until; /* so long nothing more is said about too many connections */
	struct fiber_signal emptied;
	struct mail_summary_builder *builders[SPARE_BUILDERS];
	unsigned builders_n;
	uint64_t in_memory; /* bytes of messages in memory files, all connections together */
	struct front_host *host;
};

/* front_tls.c */
PARKS int front_start_tls(struct conn *c, struct stream *io, err *e);
void front_certificate(struct channel_request *q, void *arg);
void front_ticket_keys(struct channel_request *q, void *arg);

/* front_login.c */
enum front_verdict { FRONT_OK = 1, FRONT_BAD, FRONT_TEMP };
struct front_login { /* what auth said */
	uint32_t account;
	uint8_t ticket[16];
};
/* text: a sentence for the client when the verdict is not FRONT_OK, at most 200 bytes and a NUL. */
PARKS enum front_verdict front_login(
	struct conn *c, slice name, slice secret, slice as, struct front_login *ret, char text[201]);

/* front_scram.c: a SCRAM log-in under way, the ctx of front_scram_ops. Zeroed but for c and who. */
struct front_scram {
	struct conn *c;
	struct front_login *who; /* filled once it was good */
	uint8_t exchange[16];
	size_t name_n;
	char name[320];
};
extern const struct sasl_scram_ops front_scram_ops;

/*
 * Gives the session to the backend: without TLS the descriptor itself, with TLS the other end of a pair, and
 * then relays until both ends are closed. tag: what the backend must answer first. 0: the session is over for
 * this role and c->io is freed; -1: nobody took it, the connection is still the caller's.
 */
PARKS int front_hand_over(struct conn *c, const struct front_login *who, slice tag, uint8_t options, err *e);

/* front_content.c: where a message gathers while it comes in */
struct front_content {
	struct frontend *f;
	struct buf memory; /* up to LIMIT_CHANNEL_INLINE */
	int file;          /* -1, or the memory file, or the lent spool file */
	bool spooled;
	uint64_t size, in_memory;
	struct mail_summary_builder *builder;
};
int front_content_begin(struct frontend *f, struct front_content *c, uint64_t announced, err *e);
PARKS int front_content_write(struct front_content *c, slice bytes, err *e);
void front_content_end(struct front_content *c); /* a zeroed one is fine */

/* front_smtp.c, front_imap.c, front_pop3.c: one connection each, from banner to end */
PARKS void front_smtp(struct conn *c);
PARKS void front_imap(struct conn *c);
PARKS void front_pop3(struct conn *c);
void front_smtp_config(const struct frontend *f, struct front_port *p);
