/*
 * NOTIFY (RFC 5465): what a client wants to hear of, parsed; and telling it. A session watches its account,
 * and those of others whose mailboxes are meant, as a whole and reads the change rows since it last did, a
 * block of them on a snapshot. It remembers nothing of mailboxes that are not selected: what is told of one
 * is read from its row at that time, so that changes melt together while the client is slow to read.
 */
#pragma once
#include "imap/fetch.h"
#include "imap/session_int.h"
#include "limits.h"
#include "mailbox/change.h"

/* ---- what is asked for ---- */

enum notify_event { /* RFC 5465 5 */
	NOTIFY_NEW = 1,
	NOTIFY_EXPUNGE = 2,
	NOTIFY_FLAGS = 4,
	NOTIFY_ANNOTATION = 8,
	NOTIFY_NAME = 16,
	NOTIFY_SUBSCRIPTION = 32,
	NOTIFY_METADATA = 64,
	NOTIFY_SERVER_METADATA = 128,
};
#define NOTIFY_MESSAGES (NOTIFY_NEW | NOTIFY_EXPUNGE | NOTIFY_FLAGS | NOTIFY_ANNOTATION)

enum notify_filter { /* RFC 5465 6 */
	NOTIFY_SELECTED,
	NOTIFY_SELECTED_DELAYED,
	NOTIFY_INBOXES,
	NOTIFY_PERSONAL,
	NOTIFY_SUBSCRIBED,
	NOTIFY_SUBTREE,
	NOTIFY_MAILBOXES,
};

struct notify_name {
	struct imap_place place;
	bool all_others; /* "Other Users", below which are all that others share */
	struct notify_name *next;
};

struct notify_group { /* of mailboxes other than the selected one */
	enum notify_filter filter;
	struct notify_name *names; /* of SUBTREE and MAILBOXES */
	unsigned events;           /* 0: NONE, which takes these mailboxes out of other groups */
	struct notify_group *next;
};

struct notify_spec {
	bool none;   /* NOTIFY NONE */
	bool status; /* STATUS of the mailboxes at once */
	bool has_selected, delayed;
	unsigned selected;  /* events of the selected mailbox */
	bool has_fetch;     /* MessageNew says what to fetch of new messages there */
	struct fetch fetch; /* RFC 9051 fetch-att */
	struct notify_group *groups;
	unsigned n;       /* groups and names; the caller has a limit for them */
	bool unsupported; /* an event is named that is not known here: NO [BADEVENT] */
};

/*
 * NOTIFY's arguments; names and lists lie in s->arena. False: a->why, BAD. Only s->arena and what says how
 * names are written are used of the session.
 */
bool imap_take_notify(struct imap_session *s, struct imap_args *a, struct notify_spec *ret);
/* "BADEVENT (MessageNew ...)": the events that are known. */
void imap_write_badevent(struct buf *out);

/* ---- the session's side ---- */

struct imap_notify;
void imap_notify_free(struct imap_notify *n); /* NULL is fine */
/* NOTIFY in whatever form was said and holds: the client listens all the time. */
bool imap_notify_listens(const struct imap_session *s);
/* Events of the selected mailbox that the client wants to hear of: all, as long as NOTIFY was not said. */
unsigned imap_notify_selected(const struct imap_session *s);
/* Whether an EXPUNGE may be told between two commands. */
bool imap_notify_expunges(const struct imap_session *s);
/* Fetches of new messages what MessageNew asked for. 0 or a negative errno. */
PARKS int imap_notify_fetch(struct imap_session *s, const struct uidset *uids);
/* Tells what happened elsewhere than in the selected mailbox. 0 or a negative errno: the end. */
PARKS int imap_notify_news(struct imap_session *s);

/*
 * Changes of our own are not told. Around the intents of one command: `begin` before, `end` behind, with the
 * mailbox that they are about.
 */
void imap_notify_own_begin(struct imap_session *s, uint32_t account);
void imap_notify_own_end(struct imap_session *s, uint32_t mailbox);
/* The same for an intent that said its MODSEQ (0: nothing changed). */
void imap_notify_own(struct imap_session *s, uint32_t account, uint64_t modseq);
/* Whether a change of that MODSEQ is our own. */
bool imap_notify_is_own(const struct imap_session *s, uint32_t account, uint32_t mailbox, uint64_t modseq);

/* ---- whose changes are followed (notify_owners.c) ---- */

/* The session's own account, and those whose mailboxes are meant. */
#define NOTIFY_ACCOUNTS (1 + LIMIT_IMAP_NOTIFY_OWNERS)

/* Whether mailboxes of others can be meant. */
bool imap_notify_of_others(const struct notify_spec *spec);
/* Names of levels above others' mailboxes, which are none themselves, find what is below them. 0, -1. */
int imap_notify_resolve(struct imap_session *s, struct notify_spec *spec, err *e);
/* The accounts, the session's own first. 1; 0: more than NOTIFY_ACCOUNTS; -1. */
int imap_notify_accounts(struct imap_session *s, const struct notify_spec *spec, struct store_snap *snap,
	uint32_t ret[static NOTIFY_ACCOUNTS], unsigned *ret_n, err *e);

/* ---- telling (notify_tell.c) ---- */

struct notify_touched { /* a mailbox of the rows in hand */
	uint32_t mailbox;
	unsigned kinds; /* 1 << enum change_kind */
	bool listed;    /* a LIST response told how it is */
	slice path;     /* that it had when it was removed: of others' */
};

struct notify_block { /* rows of one snapshot */
	struct imap_session *s;
	const struct notify_spec *spec;
	struct store_snap *snap;
	uint32_t account;
	struct arena *arena;
	slice gone; /* the last name told to be none any more */
	struct notify_touched *touched;
	size_t n, max;

	/* what the session sees of others, read where it is needed */
	struct arena *names;
	struct mailbox_item *shared;
	struct mailbox_follow *follows;
	size_t n_shared, n_follows;
};

/* Takes a row in: writes LIST and METADATA responses at once, remembers what STATUS has to tell. 0, -1. */
int imap_notify_take(struct notify_block *b, struct change *c, err *e);
/* Writes STATUS of the mailboxes touched. 0, -1. */
int imap_notify_statuses(struct notify_block *b, err *e);
/*
 * What is told at once (RFC 5465 3.1): which mailboxes are \NoAccess and, if that is asked for, STATUS of
 * those with events of messages. 0, -1.
 */
int imap_notify_first(struct notify_block *b, err *e);
