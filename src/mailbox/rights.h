/*
 * Who may do what in a mailbox (RFC 4314). Its owner, the account it belongs to, may do everything, always.
 * Everyone else may do what was granted to him or to anyone, less what a negative entry takes from him or
 * from anyone.
 *
 * Grants name accounts by id. A new mailbox takes those of its parent, RENAME keeps them, DELETE ends them;
 * those of a removed account go with it. Only grants of this mailbox count, not those of its parents.
 */
#pragma once
#include "mailbox/mailbox.h"

enum mailbox_right {         /* the letters of RFC 4314 2.1 */
	RIGHT_LOOKUP = 1,    /* l: the mailbox is seen */
	RIGHT_READ = 2,      /* r: opened, its messages read */
	RIGHT_SEEN = 4,      /* s: \Seen */
	RIGHT_WRITE = 8,     /* w: all flags but \Seen and \Deleted */
	RIGHT_INSERT = 16,   /* i: messages come in */
	RIGHT_POST = 32,     /* p: kept, without effect */
	RIGHT_CREATE = 64,   /* k: mailboxes below it are made */
	RIGHT_REMOVE = 128,  /* x: the mailbox is deleted or renamed */
	RIGHT_DELETE = 256,  /* t: \Deleted */
	RIGHT_EXPUNGE = 512, /* e */
	RIGHT_ADMIN = 1024,  /* a: rights are seen and changed */
};
#define RIGHTS_ALL 2047u

/* RIGHT_LOOKUP and one of these: metadata is read, and one's own values are set (RFC 5464 3.3). */
#define RIGHTS_METADATA (RIGHT_READ | RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_POST)

#define RIGHTS_ANYONE 0u /* as a grantee: every account of this post house */

/* Of the system flags those that these rights let somebody change. Keywords want RIGHT_WRITE. */
uint8_t rights_flags(unsigned rights);
static inline bool rights_metadata(unsigned rights)
{
	return (rights & RIGHT_LOOKUP) && (rights & RIGHTS_METADATA);
}

struct mailbox_grant {
	uint32_t grantee;
	unsigned rights, denied; /* enum mailbox_right; denied: the negative entry */
};

/* ---- reads, on a snapshot ---- */

/* What `by` may do: RIGHTS_ALL for the owner; 0 also when the owner's account was removed. 0, -1. */
int mailbox_rights(
	struct store_snap *snap, uint32_t account, uint32_t mailbox, uint32_t by, unsigned *ret, err *e);
/* All grants of a mailbox, anyone's first, at most LIMIT_GRANTS. 0, -1. */
int mailbox_grants(struct store_snap *snap, uint32_t account, uint32_t mailbox, struct arena *a,
	struct mailbox_grant **ret, size_t *ret_n, err *e);
/*
 * The mailboxes of others that `grantee` may look up, in the form and order of mailbox_list, but without
 * their parents: row and depth, and in path the mailbox's path in its account. At most LIMIT_SHARED are
 * looked at, those shared with him before those shared with anyone. 0, -1 (ERR_LIMIT as mailbox_list).
 */
int mailbox_shared(struct store_snap *snap, uint32_t grantee, struct arena *a, struct mailbox_item **ret,
	size_t *ret_n, err *e);
/* Whether `account` shares any mailbox with `grantee` that he may look up. 1, 0, -1. */
int mailbox_shares_any(struct store_snap *snap, uint32_t account, uint32_t grantee, err *e);

/*
 * Subscriptions of an account to mailboxes of others: names, which stay whatever becomes of the mailbox.
 * They lie in the arena. At most LIMIT_FOLLOWS. 0, -1.
 */
struct mailbox_follow {
	uint32_t account; /* whose mailbox it is */
	slice path;
};
int mailbox_follows(struct store_snap *snap, uint32_t account, struct arena *a, struct mailbox_follow **ret,
	size_t *ret_n, err *e);

/* ---- changes ---- */

enum rights_op { RIGHTS_REPLACE, RIGHTS_ADD, RIGHTS_REMOVE };
struct rights_change {
	uint32_t account, mailbox;
	uint32_t by; /* as in mailbox/write.h; needs RIGHT_ADMIN */
	uint32_t grantee;
	bool denied; /* the negative entry */
	enum rights_op op;
	unsigned rights;
};
/*
 * An entry without any rights ends. ERR_MISSING: no such mailbox or grantee; ERR_DENIED: the grantee is the
 * owner; ERR_LIMIT: LIMIT_GRANTS of a mailbox, LIMIT_SHARES of an account to one grantee,
 * LIMIT_SHARES_ANYONE, LIMIT_SHARED_ANYONE of all accounts.
 */
PARKS int mailbox_rights_change(struct store *s, const struct rights_change *c, err *e);

/* Makes or ends a subscription of `by`. To make one it needs RIGHT_LOOKUP there: ERR_MISSING; ERR_LIMIT. */
PARKS int mailbox_follow_set(struct store *s, uint32_t by, uint32_t account, slice path, bool on, err *e);
