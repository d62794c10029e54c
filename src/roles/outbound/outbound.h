/* What the files of the outbound role share. */
#pragma once
#include "dns/mx.h"
#include "io/tls.h"
#include "limits.h"
#include "roles/common/role.h"
#include "roles/common/transmit.h"
#include "roles/outbound/pool.h"

#define OUT_TRIES        5      /* addresses that are tried at one go: RFC 5321 5.1 wants at least two */
#define OUT_STAGGER_MS   250    /* RFC 8305 5 */
#define OUT_DNS_MS       30000  /* for the answers to one question */
#define OUT_DNS_ASKERS   64     /* messages that ask the DNS at once: the resolver takes LIMIT_DNS_ASKED */
#define OUT_WAIT_MS      20000  /* in line for a connection to a server at its limit */
#define OUT_TRY_MS       600000 /* after that no other server is tried */
#define OUT_DOWN_MS      60000  /* a server that did not answer is tried after others */
#define OUT_CLOSED_AFTER 3      /* domains in a row of which no server could be reached: port 25 is closed */
#define OUT_CLOSED_MS    600000 /* and is not tried again for so long */

struct out_work { /* a question of the backend that is being answered */
	struct out_work *next, *prev;
	struct fiber *fiber;
	uint64_t until; /* it is cancelled then, whatever it waits for */
	bool amid;      /* a message is being sent */
	bool overdue;
};

struct outbound {
	struct role_run *role;
	struct out_pool *pool;
	int roots;                  /* the file of the roots, open for reading; -1: none */
	struct tls_context *tls[2]; /* by demand; made at the first use */
	bool making_tls;
	struct fiber_signal tls_made;
	struct out_work *works; /* under way */
	size_t works_n;
	struct fiber_signal emptied;
	size_t resolving;
	struct fiber_signal resolved;
	size_t converted; /* bytes of messages brought to 7 bits that are in memory */
	bool minding;
	uint64_t sent, deferred, failed; /* recipients */
	uint64_t direct_last, direct_closed_until;
	unsigned direct_missed; /* domains in a row that could not be reached */
};

/* ---- tls.c ---- */

/* Before the sandbox stands: the file is opened, and read when it is first needed. */
void out_roots_open(struct outbound *o);
/* NULL: err. Lives as long as the process. */
PARKS struct tls_context *out_tls(struct outbound *o, bool demand, err *e);

/* ---- connect.c ---- */

struct out_want {   /* a connection that is asked for */
	slice name; /* of the server */
	uint16_t port;
	struct out_kind kind;
	const struct dial_address *v;
	size_t n;
	slice user, secret;
	uint8_t mechanism; /* enum smtp_client_mechanism */
	bool clear_ok;
	void (*dialogue)(void *arg, bool out, slice line);
	void *arg;
};

enum out_reached {
	OUT_OPEN,
	OUT_NOT_REACHED, /* no connection */
	OUT_REFUSED,     /* as enum smtp_open from here on */
	OUT_TLS_FAILED,
	OUT_AUTH_FAILED,
	OUT_BROKEN,
	OUT_OURSELVES, /* we talked to ourselves */
};
/*
 * Connects to the first address that answers and greets. *ret_used: how many of the addresses were tried.
 * Opportunistic TLS that fails is followed by a second connection without. On failure *reply says what was
 * said or broke, and ip (46 bytes) who was talked to; "" nobody.
 */
PARKS enum out_reached out_connect(struct outbound *o, const struct out_want *want, struct out_server *server,
	struct out_conn **ret, size_t *ret_used, struct smtp_reply *reply, char *ip);

/* A reply of our own: code 0 for what broke, else with its enhanced status. */
void out_reply(struct smtp_reply *r, enum smtp_stage_out stage, uint16_t code, uint8_t subject,
	uint8_t detail, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* ---- way.c ---- */

struct out_way { /* where to, and how */
	bool relay;
	bool implicit; /* the domain itself, for want of an MX */
	uint16_t port;
	struct out_kind kind;
	slice domain;
	struct dns_mx_host *hosts;
	size_t n;
};
/* false: there is none, and *reply (code 0: try later) says why. */
PARKS bool out_way_direct(struct outbound *o, const struct transmit_job *j, struct arena *a,
	struct out_way *ret, struct smtp_reply *reply);
bool out_way_relay(
	const struct transmit_job *j, struct arena *a, struct out_way *ret, struct smtp_reply *reply);
/*
 * Addresses of one of its hosts. NULL: none, *reply says why (code 0: try later), or the fiber is cancelled.
 */
PARKS const struct dial_address *out_way_addresses(struct outbound *o, const struct out_way *w, slice host,
	struct arena *a, size_t *ret_n, struct smtp_reply *reply);

/* ---- work.c ---- */

/* until: loop_now(). False: we are ending. */
bool out_work_begin(struct outbound *o, struct out_work *w, uint64_t until);
void out_work_end(struct outbound *o, struct out_work *w);
/* Cancels those that are not amid a message, or all of them. */
void out_work_cancel(struct outbound *o, bool all);
/* The secret of the route's log-in; wipe it after use. -1: err. */
PARKS int out_secret(struct outbound *o, uint32_t route, char ret[LIMIT_SECRET], size_t *ret_n, err *e);

/* ---- content.c ---- */

struct out_content { /* a message's bytes */
	slice body;
	slice mapped;                        /* body, when it is a mapping */
	struct buf seven;                    /* the same brought to 7 bits, when it had to be */
	bool eight_bit, header_utf8, binary; /* what it needs; mail/downgrade.h */
};
/* Takes what came with the message; closes its descriptor. -1: err; what it is is the backend's fault. */
MUST_USE int out_content_take(const struct msg_transmit *m, struct out_content *ret, err *e);
/* needs: of the job; 255: the content is looked at. */
PARKS void out_content_look(struct out_content *c, uint8_t needs);
/* Fills c->seven. -1: err (ERR_LIMIT: such a message cannot be converted; ERR_TEMP: not now). */
PARKS MUST_USE int out_content_convert(struct outbound *o, struct out_content *c, err *e);
void out_content_end(struct outbound *o, struct out_content *c);

/* ---- send.c ---- */

struct out_sending { /* one job on its way */
	struct outbound *o;
	struct out_work work;
	struct transmit_job job;
	struct out_content content;
	struct arena *arena;
	struct transmit_result result;
	struct smtp_client_rcpt *rcpts; /* of the transaction under way */
	size_t *places;                 /* of each: its place in the job */
	size_t n;
	struct smtp_reply useless; /* why the transaction came to nothing: OUT_SENT_NEXT, OUT_SENT_STALE */
	struct smtp_reply reply;   /* why no server so far was of use: the reason that counts most */
	bool soft;                 /* one of those might do later */
	bool talked;               /* a server said something */
	char host[256], ip[46], tls[64];
	uint64_t began;
	size_t tries; /* left */
};

enum out_sent {
	OUT_SENT_DONE,  /* every recipient has its outcome */
	OUT_SENT_NEXT,  /* the server said or did nothing that counts, or is not for this message: the next */
	OUT_SENT_STALE, /* the same, over a connection that lay idle: it had gone */
};
/* One transaction; the connection stays the caller's. */
PARKS enum out_sent out_send(struct out_sending *s, struct out_conn *c);
/* The outcome of all recipients that have none yet. */
void out_outcome_all(struct out_sending *s, enum transmit_outcome outcome, const struct smtp_reply *r);

/* ---- transmit.c, test.c ---- */

void out_on_transmit(struct channel_request *q, void *arg);
void out_on_route_test(struct channel_request *q, void *arg);
