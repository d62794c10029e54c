/*
 * Routes: which way mail takes to the world. Without any, straight to the recipients' servers. A route says
 * for whom it holds and which smart host takes the mail instead. Rows "Q 7 id" of the store (id: u32), and
 * "Q 7" itself for the last id given out; secrets of log-ins are kept by `auth` under the route's id.
 */
#pragma once
#include "base/arena.h"
#include "mailbox/account.h"

enum route_match {              /* in this order a message looks for its route */
	ROUTE_RECIPIENT_DOMAIN, /* "example.com", or ".example.com": it and everything below */
	ROUTE_SENDER,           /* an address */
	ROUTE_ACCOUNT,          /* who submitted it: an account's address (kept as its id) */
	ROUTE_SENDER_DOMAIN,    /* as the recipient's */
	ROUTE_DEFAULT,
};

enum route_tls { ROUTE_TLS_NONE, ROUTE_TLS_MAY, ROUTE_TLS_STARTTLS, ROUTE_TLS_IMPLICIT };

enum route_mechanism { ROUTE_MECH_ANY, ROUTE_MECH_PLAIN, ROUTE_MECH_LOGIN, ROUTE_MECH_SCRAM_SHA_256 };

enum route_flag {
	ROUTE_DIRECT =
		1, /* no smart host: straight to the recipients' servers (an exception to another route) */
	ROUTE_FALLBACK =
		2, /* straight first; by the smart host when no server can be reached (port 25 is closed) */
	ROUTE_UNVERIFIED = 4, /* the smart host's certificate need not be good */
	ROUTE_CLEAR_OK =
		8, /* the password may go without TLS: asked for by the owner, for one on a local net */
};

struct route {
	uint32_t id; /* never reused */
	enum route_match match;
	slice value; /* canonical; empty with DEFAULT; of ACCOUNT: the address for show, account is what
			counts */
	uint32_t account;
	uint8_t flags;
	slice host; /* a name or an address; empty with DIRECT */
	uint16_t port;
	enum route_tls tls;
	enum route_mechanism mechanism;
	slice user;   /* empty: no log-in */
	slice source; /* the local address to send from, "192.0.2.1" or "2001:db8::1"; empty: the system's
			 choice */
	int64_t created_us;
};

#define ROUTE_ENCODED_MAX 2048

void route_encode(struct buf *out, const struct route *r);
int route_decode(slice in, uint32_t id, struct route *ret, err *e); /* ERR_CORRUPT; slices lie in `in` */
/*
 * What a person asked for, made canonical: domains as A-labels in lower case, addresses as accounts have
 * them, a host without brackets. ERR_SYNTAX with a sentence when a field is wrong or two do not go together.
 * Slices lie in the arena or the input.
 */
MUST_USE int route_canonical(struct arena *a, const struct route *in, struct route *ret, err *e);

/* All routes, in memory; read anew after a change. */
struct routes;
/* NULL: err. On a snapshot; never parks. */
MUST_USE struct routes *routes_load(struct store_snap *snap, err *e);
void routes_free(struct routes *r);
/* Lives as long as the routes. n-th in the order in which they are tried; NULL behind the last. */
const struct route *routes_at(const struct routes *r, size_t i);
const struct route *routes_by_id(const struct routes *r, uint32_t id);

/*
 * The route of a recipient; NULL: straight, no route holds. recipient_domain and sender ("local@domain" or
 * empty) in canonical form (lower case, A-labels). A null sender (bounces) has only recipient-domain and
 * default routes. Of domains the whole name goes before ".example.com", and the longer of those first.
 */
const struct route *routes_pick(
	const struct routes *r, slice recipient_domain, slice sender, uint32_t account);

/* An id for a route that is to be added: its secret can be kept before there is a row that would use it. */
PARKS int route_id_new(struct store *s, uint32_t *ret_id, err *e);
/*
 * Under r->id of route_id_new; r in any form that route_canonical takes. ERR_EXISTS: a route for the same
 * match and value; ERR_SYNTAX with a sentence; ERR_LIMIT (LIMIT_ROUTES).
 */
PARKS int route_add(struct store *s, const struct route *r, err *e);
PARKS int route_remove(struct store *s, uint32_t id, err *e); /* ERR_MISSING */
