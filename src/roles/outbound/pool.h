/*
 * Connections to other servers: those in use are counted, those between two messages are kept for a while,
 * and who must wait for one waits in line. A server is a host name (or address) and a port. Only fibers of
 * one loop use it; nothing here connects.
 */
#pragma once
#include "io/dial.h"
#include "smtp/client.h"

struct out_pool;
struct out_server;

/* What two messages must have in common to share a connection, besides the server. */
struct out_kind {
	uint8_t tls; /* enum smtp_client_tls */
	bool demand; /* its certificate must be good */
	bool direct; /* not by a smart host */
	uint32_t route;
	char source[46]; /* the route's source address, or "" */
};

/* One connection, in the state between two transactions while it lies in the pool. */
struct out_conn {
	struct smtp_client *client;
	struct smtp_client_config config; /* the client's, and lives as long */
	struct out_server *server;
	struct out_kind kind;
	struct out_conn *next, *prev; /* among the idle ones, the longest idle first */
	uint64_t idle_since;
	bool reused; /* it has carried a message before */
	char host[256], peer[256];
	char ip[46];
	uint16_t port;
	char greeting[256]; /* what the server called itself */
	/* Told of the dialogue, too; for a test of a route. */
	void (*dialogue)(void *arg, bool out, slice line);
	void *arg;
};

struct out_pool_stats {
	size_t open, idle, waiting;
};

MUST_USE struct out_pool *out_pool_new(void);
void out_pool_free(struct out_pool *p); /* nothing may be in use */

enum out_got {
	OUT_CONNECTION, /* *ret is yours */
	OUT_PLACE,      /* connect to *ret_server; then out_pool_give a connection or out_pool_leave */
	OUT_BUSY,       /* the server's limit was reached until the deadline */
	OUT_CANCELED,
};
/* most: connections to this server, those in use and idle. First come, first served. */
PARKS enum out_got out_pool_take(struct out_pool *p, slice name, uint16_t port, const struct out_kind *kind,
	size_t most, uint64_t deadline, struct out_server **ret_server, struct out_conn **ret);
/*
 * After a message: to the next in line, or kept for LIMIT_HOST_IDLE_MS; closed when it is of no use any more
 * or has carried LIMIT_HOST_MESSAGES.
 */
PARKS void out_pool_give(struct out_pool *p, struct out_conn *c);
/* Closes a connection that broke; its place stays with the caller, who connects anew or leaves. */
struct out_server *out_pool_renew(struct out_conn *c);
void out_pool_leave(struct out_pool *p, struct out_server *s);
/* Frees a connection that never came to be, or was closed. */
void out_conn_free(struct out_conn *c);

/* The server could not be reached: until then it is tried after others. */
void out_server_down(struct out_server *s, uint64_t until);
bool out_pool_is_down(const struct out_pool *p, slice name, uint16_t port);

/* Closes what lay idle too long, forgets servers. False: nothing is left to be looked after. */
bool out_pool_sweep(struct out_pool *p);
/* From now on nothing is kept; what is idle is closed. */
void out_pool_drain(struct out_pool *p);
void out_pool_stats(const struct out_pool *p, struct out_pool_stats *ret);
