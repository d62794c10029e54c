/* NOTIFY (RFC 5465): the command, what the session keeps of it, reading the change rows. */
#include "imap/notify.h"
#include "io/fiber.h"
#include "limits.h"
#include <errno.h>
#include <stdlib.h>

#define BLOCK_ROWS    1024  /* change rows a snapshot; a modseq is never split */
#define BLOCK_TOUCHED 128   /* mailboxes */
#define SEND_AT       65536 /* bytes of responses */
#define OWN           8     /* ranges of our own changes that are remembered */

struct own {
	uint32_t account, mailbox; /* mailbox 0: all */
	uint64_t after, upto;
};

struct imap_notify {
	struct imap_session *s;
	struct arena *arena; /* what the spec names */
	struct notify_spec spec;
	struct watch watch;
	uint64_t modseq; /* told up to here */
	bool dirty;
	struct own own[OWN];
	unsigned own_at;
	struct own under_way;
};

static void changed(struct watch *w, uint32_t mailbox, uint64_t modseq)
{
	struct imap_notify *n = (void *)((char *)w - offsetof(struct imap_notify, watch));

	(void)mailbox;
	(void)modseq;
	n->dirty = true;
	stream_wake(n->s->io);
}

/* ---- what holds ---- */

static void silence(struct imap_notify *n)
{
	watch_stop(&n->watch);
	arena_free(n->arena);
	n->arena = NULL;
	n->spec = (struct notify_spec){.none = true};
}

void imap_notify_free(struct imap_notify *n)
{
	if (!n)
		return;
	silence(n);
	free(n);
}

bool imap_notify_listens(const struct imap_session *s)
{
	return s->notify && !s->notify->spec.none;
}

unsigned imap_notify_selected(const struct imap_session *s)
{
	return s->notify ? s->notify->spec.selected : NOTIFY_MESSAGES;
}

bool imap_notify_expunges(const struct imap_session *s)
{
	return imap_notify_listens(s) && !s->notify->spec.delayed;
}

int imap_notify_fetch(struct imap_session *s, const struct uidset *uids)
{
	err e = {0};

	if (!imap_notify_listens(s) || !s->notify->spec.has_fetch || uidset_count(uids) == 0)
		return 0;
	struct fetch f = s->notify->spec.fetch;
	bool by_uid = s->by_uid;

	s->by_uid = false; /* only what was asked for */
	if (s->condstore)
		f.items |= FETCH_MODSEQ | (s->uidonly ? 0 : FETCH_UID);
	int rc = imap_fetch_messages(s, &f, uids, &e);
	s->by_uid = by_uid;
	return rc < 0 ? imap_end_of(&e) : 0;
}

/* ---- changes of our own ---- */

static uint64_t modseq_now(struct imap_session *s, uint32_t account)
{
	struct store_snap snap = {0};
	uint64_t floor, modseq = 0;

	if (store_snap_begin(s->store, &snap, NULL) == 0)
		(void)change_state(&snap, account, &floor, &modseq, NULL);
	store_snap_end(&snap);
	return modseq;
}

static void remember(struct imap_notify *n, struct own own)
{
	if (own.upto > own.after)
		n->own[n->own_at++ % OWN] = own;
}

void imap_notify_own(struct imap_session *s, uint32_t account, uint64_t modseq)
{
	if (imap_notify_listens(s) && modseq > 0)
		remember(s->notify, (struct own){account, 0, modseq - 1, modseq});
}

void imap_notify_own_begin(struct imap_session *s, uint32_t account)
{
	if (imap_notify_listens(s))
		s->notify->under_way = (struct own){.account = account, .after = modseq_now(s, account)};
}

/* Where others came in between, only what is about the mailbox counts as ours. */
void imap_notify_own_end(struct imap_session *s, uint32_t mailbox)
{
	if (!imap_notify_listens(s) || s->notify->under_way.after == 0)
		return;
	struct own own = s->notify->under_way;

	own.upto = modseq_now(s, own.account);
	own.mailbox = own.upto - own.after == 1 ? 0 : mailbox;
	s->notify->under_way = (struct own){0};
	if (own.upto - own.after == 1 || mailbox != 0)
		remember(s->notify, own);
}

bool imap_notify_is_own(const struct imap_session *s, uint32_t account, uint32_t mailbox, uint64_t modseq)
{
	for (unsigned i = 0; s->notify && i < OWN; i++) {
		const struct own *own = &s->notify->own[i];

		if (own->account == account && modseq > own->after && modseq <= own->upto &&
			(own->mailbox == 0 || own->mailbox == mailbox))
			return true;
	}
	return false;
}

/* ---- news ---- */

/* More than can be told: RFC 5465 5.8. */
static void overflow(struct imap_session *s)
{
	silence(s->notify);
	buf_addz(&s->out, "* OK [NOTIFICATIONOVERFLOW] more has changed than is told; say NOTIFY again\r\n");
}

/* Rows since n->modseq. 1 there may be more, 0 that was all, -1. */
static int read_rows(struct imap_notify *n, struct notify_block *b, unsigned max, unsigned *add_rows, err *e)
{
	struct change_scan sc;
	struct change c;
	uint64_t modseq = n->modseq;
	unsigned rows = 0;
	int rc;

	if (change_open(b->snap, b->account, 0, n->modseq, &sc, e) < 0)
		return -1;
	while ((rc = change_next(&sc, &c, e)) > 0) {
		if (c.modseq != modseq && (rows >= max || b->n >= BLOCK_TOUCHED))
			break;
		modseq = c.modseq;
		rows++;
		if (!imap_notify_is_own(n->s, b->account, c.mailbox, c.modseq) &&
			imap_notify_take(b, &c, e) < 0) {
			rc = -1;
			break;
		}
	}
	change_close(&sc);
	n->modseq = modseq;
	*add_rows += rows;
	return rc;
}

/* 1 there may be more, 0 that was all, -1 */
static int one_block(struct imap_notify *n, unsigned *add_rows, err *e)
{
	struct imap_session *s = n->s;
	struct store_snap snap = {0};
	struct notify_block b = {.s = s, .spec = &n->spec, .snap = &snap, .account = s->account};
	unsigned max = s->config->notify_rows ? s->config->notify_rows : LIMIT_IMAP_NOTIFY_ROWS;
	uint64_t floor = 0, now = 0;

	b.arena = arena_new(LIMIT_IMAP_NOTIFY_BLOCK);
	if (!b.arena)
		return err_set(e, ERR_TEMP, "no memory");
	int rc = store_snap_begin(s->store, &snap, e);
	if (rc == 0)
		rc = change_state(&snap, b.account, &floor, &now, e);
	if (rc > 0 && now <= n->modseq) {
		rc = 0;
	} else if (rc > 0 && (n->modseq < floor || *add_rows >= max)) {
		overflow(s);
		rc = 0;
	} else if (rc > 0) {
		rc = read_rows(n, &b, max < BLOCK_ROWS ? max : BLOCK_ROWS, add_rows, e);
		if (rc >= 0 && imap_notify_statuses(&b, e) < 0)
			rc = -1;
	}
	store_snap_end(&snap);
	arena_free(b.arena);
	return rc;
}

int imap_notify_news(struct imap_session *s)
{
	unsigned rows = 0;
	err e = {0};
	int rc = 1;

	if (!imap_notify_listens(s) || !s->notify->spec.groups || (!s->notify->dirty && s->watch_loop))
		return 0;
	s->notify->dirty = false;
	while (rc > 0) {
		rc = one_block(s->notify, &rows, &e);
		int sent = s->out.n >= SEND_AT || s->out.failed ? imap_send(s) : 0;
		if (sent < 0)
			return sent;
		if (rc > 0 && fiber_yield() < 0)
			return -ECANCELED;
	}
	return rc < 0 ? imap_end_of(&e) : 0;
}

/* ---- the command ---- */

/* The command's text and literals again, in an arena that lives as long as what they ask for. */
static struct imap_part *copy_parts(const struct imap_part *from, struct arena *a)
{
	struct imap_part *first = NULL, **tail = &first;

	for (; from; from = from->next) {
		struct imap_part *part = arena_new_1(a, struct imap_part);

		if (!part)
			return NULL;
		*part = *from;
		part->text = arena_copy(a, from->text);
		if (from->has_literal)
			part->literal = arena_copy(a, from->literal);
		if (!part->text.p || (from->has_literal && !part->literal.p))
			return NULL;
		*tail = part;
		tail = &part->next;
	}
	return first;
}

/* 1 parsed, 0 answered */
static int parse(struct imap_session *s, struct arena *arena, struct notify_spec *ret)
{
	struct imap_command copy = s->command;
	struct arena *command_arena = s->arena;
	struct imap_args a;

	copy.first = copy_parts(s->command.first, arena);
	if (!copy.first)
		return imap_answer(s, IMAP_NO, "[NOTIFICATIONOVERFLOW] that is too much to keep");
	a = imap_args_of(&copy, arena);
	s->arena = arena; /* where names go */
	bool good = imap_take_notify(s, &a, ret);
	s->arena = command_arena;
	if (!good)
		return imap_bad_args(s, &a);
	if (ret->unsupported) {
		struct buf code = BUF_INIT(256);

		imap_write_badevent(&code);
		(void)imap_answer(s, IMAP_NO, "[%" SLICE_FMT "] of something else than these nothing is told",
			SLICE_ARG(buf_slice(&code)));
		buf_free(&code);
		return 0;
	}
	if (ret->n > LIMIT_IMAP_SOURCES || arena_used(arena) > LIMIT_IMAP_NOTIFY)
		return imap_answer(s, IMAP_NO, "[NOTIFICATIONOVERFLOW] too many mailboxes are named");
	return 1;
}

/* Where the telling begins, and STATUS as of then. */
static int begin(struct imap_notify *n, err *e)
{
	struct imap_session *s = n->s;
	struct store_snap snap = {0};
	struct notify_block b = {.s = s, .spec = &n->spec, .snap = &snap, .account = s->account};
	uint64_t floor;

	if (s->watch_loop && n->spec.groups) { /* before the snapshot: nothing falls in between */
		n->watch = (struct watch){.account = s->account, .changed = changed};
		watch_start(s->watch_loop, &n->watch);
	}
	b.arena = arena_new(LIMIT_IMAP_ARENA);
	if (!b.arena)
		return err_set(e, ERR_TEMP, "no memory");
	int rc = store_snap_begin(s->store, &snap, e);
	if (rc == 0)
		rc = change_state(&snap, s->account, &floor, &n->modseq, e) < 0 ? -1 : 0;
	if (rc == 0 && n->spec.status)
		rc = imap_notify_status_all(&b, e);
	store_snap_end(&snap);
	arena_free(b.arena);
	return rc;
}

int imap_cmd_notify(struct imap_session *s, struct imap_args *a)
{
	struct imap_notify *n = calloc(1, sizeof *n);
	err e = {0};
	int rc = 0;

	(void)a; /* is parsed anew, in memory that stays */
	if (n)
		n->arena = arena_new(LIMIT_IMAP_ARENA);
	if (!n || !n->arena) {
		free(n);
		return imap_answer(s, IMAP_NO, "[LIMIT] no memory");
	}
	n->s = s;
	if (parse(s, n->arena, &n->spec) == 0) {
		imap_notify_free(n);
		return 0; /* what was asked for before still holds */
	}
	imap_notify_free(s->notify);
	s->notify = NULL;
	if (n->spec.none)
		silence(n);
	else
		rc = imap_box_news(s, true); /* NOTIFY SET is a NOOP, too: 3.1 */
	if (rc == 0 && !n->spec.none && begin(n, &e) < 0) {
		imap_notify_free(n);
		return imap_answer_err(s, &e);
	}
	s->notify = n;
	return rc < 0 ? rc : imap_answer(s, IMAP_OK, n->spec.none ? "nothing is told" : "you will hear");
}
