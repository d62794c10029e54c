/*
 * A world for the outbound role in one process: a resolver and an auth with tables, mail servers on loopback
 * addresses, and the backend's end of the channel.
 */
#pragma once
#include "auth/key.h"
#include "roles/outbound/outbound.h"

struct world_server { /* on one loopback address; what is NULL is as a good server says it */
	const char *ip;
	const char *banner, *ehlo; /* ehlo: the extensions, a semicolon after each */
	const char *mail, *data, *end;
	unsigned hang_up_after; /* messages; then it closes without a word */
	unsigned slow_ms;       /* before it answers the content */
	bool mute;              /* takes connections and says nothing */
	bool close_at_end;      /* takes the content and closes */
	bool login;             /* demands AUTH PLAIN */
	bool tls;               /* takes STARTTLS, with a certificate for tls.test */
	bool tls_broken;        /* takes it and closes */
	/* what came */
	unsigned connections, open, most, messages, resets;
	size_t last_n;
	char last[4096];     /* the content that came last */
	char envelope[2048]; /* MAIL and RCPT commands of the last message */
};

struct world_record {
	const char *name;
	enum dns_type type;
	slice rdata;
};

struct world {
	struct role_run role;
	struct outbound out;
	struct channel *backend; /* the backend's end */
	struct world_server *servers;
	size_t servers_n;
	const struct world_record *zone;
	size_t zone_n;
	uint16_t port;
	unsigned secrets; /* asked for */
	struct key *key;
	struct buf certificate;
	struct tls_context *tls;
	void (*run)(struct world *w);
	bool done;
	struct arena *arena;
};

/* Runs w->run on a fiber in a loop of its own, with servers and zone set. */
void world_run(struct world *w);

/* A job for one recipient of the domain, to be changed before it is sent. */
struct transmit_job world_job(struct world *w, const char *sender, const char *recipient);
/* Sends it; the result lies in w->arena. -1: err. */
PARKS int world_send(
	struct world *w, const struct transmit_job *j, slice content, struct transmit_result *ret, err *e);
