/* What the command files of the room share: the session, answers, the selected mailbox, walks over messages.
 */
#pragma once
#include "imap/args.h"
#include "imap/seqset.h"
#include "imap/session.h"
#include "imap/write.h"
#include "mail/digest.h"
#include "mail/summary.h"
#include "mailbox/rights.h"
#include "mailbox/write.h"

/* ---- the session ---- */

#define IMAP_KEYWORDS_UNTOLD UINT32_MAX /* imap_box.keywords where the client is not told of any */
struct imap_box {                       /* the selected mailbox as the client knows it */
	bool open, readonly;
	bool settled;     /* uids is the mailbox of `highest`: others may share it */
	uint32_t account; /* whose it is; s->account is who is logged in */
	uint32_t mailbox, uidvalidity;
	struct uidset uids; /* seq n is its n-th member */
	struct uidset gone; /* members of uids that are expunged, not told yet */
	uint64_t modseq;    /* changes up to here are in */
	uint64_t highest;   /* HIGHESTMODSEQ of the view */
	uint64_t told;      /* the same without what waits in `gone`: a client may come back with it */
	bool waited;        /* so the client heard of an older one */
	unsigned keywords;  /* names of the table the client was told */
	unsigned rights;    /* enum mailbox_right, as last seen: of the owner, all */
};

/* Flag changes that the client made itself and knows of: not told again. */
struct imap_quiet {
	struct uidset uids;
	uint64_t after, upto; /* modseqs in (after, upto] */
};

enum imap_compressing { IMAP_PLAIN, IMAP_COMPRESS_NEXT, IMAP_COMPRESSED };
enum imap_status { IMAP_OK, IMAP_NO, IMAP_BAD };

struct imap_session {
	struct stream *io;
	struct store *store;
	struct mailbox_codec *codec;
	struct watch_loop *watch_loop;
	const struct imap_session_config *config;
	uint32_t account; /* who is logged in */
	uint32_t errors;
	bool done, rev2; /* rev2: enabled; mailbox names are UTF-8 then (RFC 9051 5.1) */
	bool condstore;  /* FETCH responses tell UID and MODSEQ (RFC 7162 3.1, 3.2.4) */
	bool qresync;    /* VANISHED takes the place of EXPUNGE (RFC 7162 3.2.3) */
	bool utf8;       /* UTF8=ACCEPT (RFC 6855): strings and names are UTF-8, too */
	enum imap_compressing compress;
	bool uidonly; /* no message numbers, neither way (RFC 9586) */
	bool dirty;   /* the watch heard of a change */

	struct imap_box box;
	struct watch watch;
	struct imap_notify *notify; /* NOTIFY was said (RFC 5465) */
	struct uidset saved;        /* SEARCH RETURN (SAVE): "$" (RFC 5182) */

	/* of the command in hand */
	struct arena *arena;
	struct imap_reader reader;
	struct imap_command command;
	bool by_uid;
	bool by_numbers; /* a UID command that names sequence numbers all the same: no EXPUNGE */
	uint32_t cut;    /* the lowest UID it came to, when it was too many messages: imap_cut; 0: all */
	enum imap_status status;
	slice answer;
	struct imap_quiet quiet;
	struct buf out;       /* responses not written yet */
	uint64_t sent;        /* bytes of them that were */
	uint64_t progress_at; /* when it began or INPROGRESS was said */
};

/* ---- commands ---- */

/* 0: the answer is set; negative: the connection is to end. */
typedef int imap_run(struct imap_session *s, struct imap_args *a);

enum imap_verb_flag {
	IMAP_ANYTIME = 1,    /* with or without a selected mailbox */
	IMAP_SELECTED = 2,   /* only with one */
	IMAP_HAS_UID = 4,    /* also as UID <verb> */
	IMAP_ONLY_UID = 8,   /* only as UID <verb> */
	IMAP_USES_SEQS = 16, /* no EXPUNGE while it runs without UID: RFC 9051 7.5.1 */
	IMAP_WRITES = 32,    /* not in a mailbox that was opened with EXAMINE */
	IMAP_STREAMS = 64,   /* reads its last literals itself */
	IMAP_NO_NEWS = 128,  /* changes of others are not told at its end */
};

imap_run imap_cmd_capability, imap_cmd_noop, imap_cmd_logout, imap_cmd_id, imap_cmd_compress, imap_cmd_enable,
	imap_cmd_namespace, imap_cmd_idle, imap_cmd_select, imap_cmd_examine, imap_cmd_close,
	imap_cmd_unselect, imap_cmd_list, imap_cmd_lsub, imap_cmd_create, imap_cmd_delete, imap_cmd_rename,
	imap_cmd_subscribe, imap_cmd_unsubscribe, imap_cmd_status, imap_cmd_append, imap_cmd_replace,
	imap_cmd_getquota, imap_cmd_getquotaroot, imap_cmd_setquota, imap_cmd_fetch, imap_cmd_store,
	imap_cmd_search, imap_cmd_copy, imap_cmd_move, imap_cmd_expunge, imap_cmd_uid_expunge, imap_cmd_sort,
	imap_cmd_thread, imap_cmd_esearch, imap_cmd_getmetadata, imap_cmd_setmetadata, imap_cmd_setacl,
	imap_cmd_deleteacl, imap_cmd_getacl, imap_cmd_listrights, imap_cmd_myrights, imap_cmd_notify;

/* ---- answers ---- */

/* Sets the tagged answer, sent when the command has ended and changes are told. "[CODE] " belongs to the
 * text. 0. */
int imap_answer(struct imap_session *s, enum imap_status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int imap_bad_args(struct imap_session *s, const struct imap_args *a);
/*
 * NO with the code that fits, in words for a person; what is our own fault names no details. 0; a negative
 * errno when the error means that the connection ended.
 */
int imap_answer_err(struct imap_session *s, const err *e);
/* The negative errno a session ends with for an error. */
int imap_end_of(const err *e);

/* Writes what is gathered in s->out. 0 or a negative errno. */
PARKS int imap_send(struct imap_session *s);

/* ---- mailboxes ---- */

/*
 * Where a mailbox name leads, whether there is such a mailbox or not. Changes are asked for by account and
 * path; what is shown to the client has the name.
 */
struct imap_place {
	uint32_t account; /* 0: the name can be none: it is too long, bad modified UTF-7, nobody's, ... */
	bool others; /* in the namespace of the other accounts, whether there is such an account or not */
	slice path;  /* in that account, UTF-8, "INBOX" in this case */
	slice name;  /* as clients know it, UTF-8 */
};
/*
 * A mailbox name argument. False: *a has the reason. A name that can be none is no syntax error: it leads
 * nowhere, and the command answers as for a mailbox that does not exist.
 */
bool imap_take_mailbox(struct imap_session *s, struct imap_args *a, struct imap_place *ret);
/* The same for a name that is UTF-8 already. */
struct imap_place imap_place_of(struct imap_session *s, slice name);
/*
 * The mailbox there, one that is \Noselect too. 1; 0 there is none, or none that the session may know of; -1,
 * ERR_NOPERM: it lacks one of the rights `need`.
 */
int imap_place_find(struct imap_session *s, struct store_snap *snap, const struct imap_place *place,
	unsigned need, struct mailbox_row *ret, err *e);
/* The id of a mailbox that can hold messages, on a snapshot of its own. 1, 0, -1. */
int imap_place_id(
	struct imap_session *s, const struct imap_place *place, unsigned need, uint32_t *ret_id, err *e);

/* A flag list "(\Seen $x)" or, bare, without parentheses. Keywords go into the arena. */
struct imap_flags {
	uint8_t system;
	slice *keywords;
	size_t n;
};
bool imap_take_flags(struct imap_args *a, bool bare, struct imap_flags *ret);
/* STATUS attributes (RFC 9051 6.3.11). */
bool imap_take_status_items(struct imap_args *a, unsigned *ret);
/* Uses numbers of the row only. */
PARKS void imap_write_status(
	struct imap_session *s, slice path, const struct mailbox_row *row, unsigned items);
/* The same where the client did not name the items: HIGHESTMODSEQ enables nothing then. */
void imap_status_line(struct imap_session *s, slice path, const struct mailbox_row *row, unsigned items);
enum imap_status_item { /* bits of items: places in the table of folder.c */
	IMAP_STATUS_MESSAGES = 1,
	IMAP_STATUS_UIDNEXT = 4,
	IMAP_STATUS_UIDVALIDITY = 8,
	IMAP_STATUS_UNSEEN = 16,
	IMAP_STATUS_HIGHESTMODSEQ = 128,
};
/* What stands in the parentheses of a LIST response. */
void imap_write_list_attributes(struct buf *out, const struct mailbox_item *item, bool subscribed);
/* FLAGS and PERMANENTFLAGS of the selected mailbox. */
void imap_write_flag_lists(struct imap_session *s, const struct mailbox_row *row);

/* ---- the selected mailbox ---- */

struct imap_walk;
struct imap_item;

/* Tells the lists of flags again when the mailbox has got keywords the client was not told of. */
void imap_box_keywords(struct imap_session *s, const struct mailbox_row *row);

/* Opens it in s->box, which is closed. 1 open, 0 there is none, -1. *ret_first_unseen: sequence number or 0.
 */
PARKS int imap_box_open(struct imap_session *s, uint32_t account, uint32_t mailbox, bool readonly,
	uint32_t *ret_first_unseen, err *e);
void imap_box_close(struct imap_session *s);
/* Its row. 0: it was deleted, or the session may not read it any more; one of the same name and id that was
 * made since, with another UIDVALIDITY, is not it. */
int imap_box_row(struct imap_session *s, struct store_snap *snap, struct mailbox_row *ret, err *e);
/*
 * Brings the view up to date and tells the client; without `expunges` those wait. Where the mailbox was
 * deleted none is open afterwards, and unless this session did it s->done is set and BYE said. 0, a negative
 * errno: the end.
 */
PARKS int imap_box_news(struct imap_session *s, bool expunges);
/* That, and what else NOTIFY asked for. */
PARKS int imap_news(struct imap_session *s, bool expunges);
/* The client itself expunged these: told with the next EXPUNGEs, also where it wants no news. 0, -ENOMEM. */
int imap_box_expunged(struct imap_session *s, const struct uidset *uids);
/*
 * Waits for input, tells meanwhile what the client listens for. After patience_ms of silence nothing but the
 * session's struct and its view is kept. 0 or a negative errno.
 */
PARKS int imap_wait(struct imap_session *s, uint64_t patience_ms);

/* "* n FETCH (", or "* uid UIDFETCH (" (RFC 9586 3.3). */
void imap_write_fetch(struct imap_session *s, const struct imap_item *item);
/* One "* n FETCH (UID u FLAGS (...))": the `now` of a walk. */
int imap_tell_flags(struct imap_walk *w, struct imap_item *item, err *e);

/* The UIDs that a set means in the selected mailbox, by s->by_uid. 0; 1: answered with BAD or NO. */
int imap_resolve(struct imap_session *s, const struct imap_seqset *set, struct uidset *ret);

/* The view of a mailbox that is opened: another session's, and then settled, or still empty. */
void imap_view_begin(struct imap_session *s, const struct mailbox_row *row);
/* Reads its UIDs in steps. What has changed since the view's modseq may be in or not. 0, -1. */
PARKS int imap_view_read(struct imap_session *s, err *e);
/* The view has caught up: it may be shared from here on, and becomes another's that is the same. */
void imap_view_settle(struct imap_session *s);

/* Amid a long response: when much is gathered it is sent, and others have their turn. 0, a negative errno. */
PARKS int imap_breathe(struct imap_session *s);

/* More messages than one command works on. */
bool imap_over_limit(const struct imap_session *s, const struct uidset *uids);
/* Leaves the highest UIDs of the set, as many as one command works on; the answer tells. 0, -1: no memory. */
int imap_cut(struct imap_session *s, struct uidset *uids);
/* The same of those that are \Deleted, which are left of the set then: UID EXPUNGE counts no others. 0, -1.
 */
PARKS int imap_cut_deleted(struct imap_session *s, struct uidset *uids, err *e);
/* The answer where all or nothing is done. It names the lowest UID that would do, of uids if any. 0. */
int imap_answer_over_limit(struct imap_session *s, const struct uidset *uids);
/* What the answer says of a cut: an untagged one in front of it, or the code of the tagged one. */
void imap_write_cut(struct imap_session *s, bool tagged);

/* Says how far a long command is (RFC 9585), now and then; between blocks of work. */
void imap_progress(struct imap_session *s, uint32_t done, uint32_t total);

/* ---- walks ---- */

enum imap_need {
	IMAP_NEED_MESSAGE = 1,
	IMAP_NEED_SUMMARY = 2,
	IMAP_NEED_BLOB = 4,
	IMAP_NEED_SAVED = 8,
	IMAP_NEED_FRONT = 16,  /* of the summary only envelope, flags and size, and only in `now` */
	IMAP_NEED_DIGEST = 32, /* only where imap_walk.digests is set */
};

struct imap_item {
	struct mailbox_entry entry;
	uint32_t seq;
	struct mailbox_message message; /* with NEED_MESSAGE or NEED_BLOB; places are not valid */
	struct mail_summary summary;    /* with NEED_SUMMARY; in the walk's arena */
	struct mail_digest digest;      /* with NEED_DIGEST */
	slice digest_record;            /* where it lies */
	int64_t saved_us;               /* with NEED_SAVED: when it came into this mailbox; 0: not known */
	struct store_blob blob;
	bool has_blob, has_summary;
};

struct imap_walk {
	struct imap_session *s;
	const struct uidset *uids;
	unsigned needs; /* loaded of every message, before `now` */
	slice keywords; /* the mailbox's keyword names of the block in hand; valid in `later` too */
	/* In the snapshot, must not park. 1: done with it, 0: keep it for `later`, -1. */
	int (*now)(struct imap_walk *w, struct imap_item *item, err *e);
	/* Outside of any snapshot, may park. 0, -1. NULL: `now` never says 0. */
	int (*later)(struct imap_walk *w, struct imap_item *item, err *e);
	void *arg;
	struct store_snap *snap;               /* the one of the block in hand, for imap_walk_load */
	struct mailbox_summary_scan summaries; /* on it */
	bool summaries_open;
	struct imap_digests *digests; /* the caller's; NULL: NEED_DIGEST is not asked for */
	uint32_t missing;             /* UIDs that had no entry any more */
	uint32_t damaged;             /* messages left out because their data failed its check */
	struct arena *arena;          /* of the block in hand */
};

/* For `now`: loads more of the message. 1, 0 it is not there any more, -1. */
int imap_walk_load(struct imap_walk *w, struct imap_item *item, unsigned needs, err *e);
/* Block by block, a snapshot each; sends s->out in between. 0, -1. */
PARKS int imap_walk_run(struct imap_walk *w, err *e);
/* The answer after a walk that did not fail: OK with `done`, or NO when messages were missing or damaged. */
int imap_answer_walk(struct imap_session *s, const struct imap_walk *w, const char *done);

/* The client knows of this change: takes over a->ret_changed, frees the other set. */
void imap_quiet_set(struct imap_session *s, struct store_flags *a);
