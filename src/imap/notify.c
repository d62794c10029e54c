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

struct followed { /* an account */
	struct watch watch;
	struct imap_notify *n;
	uint32_t account; /* 0: none */
	uint64_t modseq;  /* told up to here */
	bool dirty;
};

struct imap_notify {
	struct imap_session *s;
	struct arena *arena; /* what the spec names */
	struct notify_spec spec;
	struct followed followed[NOTIFY_ACCOUNTS];
	bool look; /* other accounts may be meant than were */
	struct own own[OWN];
	unsigned own_at;
	struct own under_way;
};

static void changed(struct watch *w, uint32_t mailbox, uint64_t modseq)
{
	struct followed *f = (void *)((char *)w - offsetof(struct followed, watch));

	(void)modseq;
	f->dirty = true;
	f->n->look |= mailbox == 0;
	stream_wake(f->n->s->io);
}

static void unfollow(struct followed *f)
{
	watch_stop(&f->watch);
	*f = (struct followed){0};
}

/* The watch begins before anything is read that may not be old. */
static void follow(struct imap_notify *n, struct followed *f, uint32_t account, uint64_t modseq)
{
	*f = (struct followed){.n = n, .account = account, .modseq = modseq, .dirty = true};
	f->watch = (struct watch){.account = account, .changed = changed};
	if (n->s->watch_loop)
		watch_start(n->s->watch_loop, &f->watch);
}

static bool is_among(uint32_t account, const uint32_t *list, unsigned n)
{
	while (n > 0 && list[n - 1] != account)
		n--;
	return n > 0;
}

/*
 * Follows these accounts, from where the snapshot is for new ones: what has come since it is read next. 0,
 * -1.
 */
static int follow_all(
	struct imap_notify *n, struct store_snap *snap, const uint32_t *list, unsigned count, err *e)
{
	struct followed *free_one = n->followed;
	uint32_t have[NOTIFY_ACCOUNTS];
	uint64_t floor, modseq;

	for (unsigned i = 0; i < NOTIFY_ACCOUNTS; i++) {
		if (n->followed[i].account && !is_among(n->followed[i].account, list, count))
			unfollow(&n->followed[i]);
		have[i] = n->followed[i].account;
	}
	for (unsigned i = 0; i < count; i++) {
		if (is_among(list[i], have, NOTIFY_ACCOUNTS))
			continue;
		int rc = change_state(snap, list[i], &floor, &modseq, e);
		if (rc < 0)
			return -1;
		while (rc > 0 && free_one->account)
			free_one++;
		if (rc > 0)
			follow(n, free_one, list[i], modseq);
	}
	return 0;
}

/* ---- what holds ---- */

static void silence(struct imap_notify *n)
{
	for (unsigned i = 0; i < NOTIFY_ACCOUNTS; i++)
		unfollow(&n->followed[i]);
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

/* Rows since f->modseq. 1 there may be more, 0 that was all, -1. */
static int read_rows(struct followed *f, struct notify_block *b, unsigned max, unsigned *add_rows, err *e)
{
	struct change_scan sc;
	struct change c;
	uint64_t modseq = f->modseq;
	unsigned rows = 0;
	int rc;

	if (change_open(b->snap, b->account, 0, f->modseq, &sc, e) < 0)
		return -1;
	while ((rc = change_next(&sc, &c, e)) > 0) {
		if (c.modseq != modseq && (rows >= max || b->n >= BLOCK_TOUCHED))
			break;
		modseq = c.modseq;
		rows++;
		if (!imap_notify_is_own(b->s, b->account, c.mailbox, c.modseq) &&
			imap_notify_take(b, &c, e) < 0) {
			rc = -1;
			break;
		}
	}
	change_close(&sc);
	f->modseq = modseq;
	*add_rows += rows;
	return rc;
}

/* 1 there may be more, 0 that was all, -1 */
static int one_block(struct followed *f, unsigned *add_rows, err *e)
{
	struct imap_notify *n = f->n;
	struct imap_session *s = n->s;
	struct store_snap snap = {0};
	struct notify_block b = {.s = s, .spec = &n->spec, .snap = &snap, .account = f->account};
	unsigned max = s->config->notify_rows ? s->config->notify_rows : LIMIT_IMAP_NOTIFY_ROWS;
	uint64_t floor = 0, now = 0;

	b.arena = arena_new(LIMIT_IMAP_NOTIFY_BLOCK);
	if (!b.arena)
		return err_set(e, ERR_TEMP, "no memory");
	int rc = store_snap_begin(s->store, &snap, e);
	if (rc == 0)
		rc = change_state(&snap, b.account, &floor, &now, e);
	if (rc > 0 && now <= f->modseq) {
		rc = 0;
	} else if (rc > 0 && (f->modseq < floor || *add_rows >= max)) {
		overflow(s);
		rc = 0;
	} else if (rc > 0) {
		rc = read_rows(f, &b, max < BLOCK_ROWS ? max : BLOCK_ROWS, add_rows, e);
		if (rc >= 0 && imap_notify_statuses(&b, e) < 0)
			rc = -1;
	}
	store_snap_end(&snap);
	arena_free(b.names);
	arena_free(b.arena);
	return rc;
}

/* What changed in one account. 0 or a negative errno. */
static int news_of(struct followed *f, unsigned *add_rows)
{
	struct imap_session *s = f->n->s;
	err e = {0};
	int rc = 1;

	f->dirty = false;
	while (rc > 0) {
		rc = one_block(f, add_rows, &e);
		int sent = s->out.n >= SEND_AT || s->out.failed ? imap_send(s) : 0;
		if (sent < 0)
			return sent;
		if (rc > 0 && fiber_yield() < 0)
			return -ECANCELED;
	}
	return rc < 0 ? imap_end_of(&e) : 0;
}

/* Subscriptions and grants of others change whom to follow (6.5). 0, -1. */
static int look_again(struct imap_notify *n, err *e)
{
	struct store_snap snap = {0};
	uint32_t accounts[NOTIFY_ACCOUNTS];
	unsigned count = 0;

	n->look = false;
	if (!imap_notify_of_others(&n->spec))
		return 0;
	int rc = store_snap_begin(n->s->store, &snap, e);
	if (rc == 0)
		rc = imap_notify_accounts(n->s, &n->spec, &snap, accounts, &count, e);
	if (rc > 0 && follow_all(n, &snap, accounts, count, e) < 0)
		rc = -1;
	store_snap_end(&snap);
	if (rc == 0)
		overflow(n->s);
	return rc < 0 ? -1 : 0;
}

int imap_notify_news(struct imap_session *s)
{
	struct imap_notify *n = s->notify;
	unsigned rows = 0;
	err e = {0};
	int rc = 0;

	if (!imap_notify_listens(s) || !n->spec.groups)
		return 0;
	if ((n->look || !s->watch_loop) && look_again(n, &e) < 0)
		return imap_end_of(&e);
	for (unsigned i = 0; rc == 0 && i < NOTIFY_ACCOUNTS; i++) /* an overflow ends following */
		if (n->followed[i].account && (n->followed[i].dirty || !s->watch_loop))
			rc = news_of(&n->followed[i], &rows);
	return rc;
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

/* 1, 0 they are too many, -1 */
static int count_accounts(struct imap_session *s, struct notify_spec *spec, err *e)
{
	struct store_snap snap = {0};
	uint32_t accounts[NOTIFY_ACCOUNTS];
	unsigned count;

	if (imap_notify_resolve(s, spec, e) < 0)
		return -1;
	int rc = store_snap_begin(s->store, &snap, e);
	if (rc == 0)
		rc = imap_notify_accounts(s, spec, &snap, accounts, &count, e);
	store_snap_end(&snap);
	return rc;
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
	err e = {0};
	int rc = count_accounts(s, ret, &e);
	if (rc < 0)
		return imap_answer_err(s, &e);
	if (rc == 0)
		return imap_answer(s, IMAP_NO,
			"[NOTIFICATIONOVERFLOW] mailboxes of at most %d others are told of",
			LIMIT_IMAP_NOTIFY_OWNERS);
	return 1;
}

/* Where the telling begins, and STATUS as of then. */
static int begin(struct imap_notify *n, err *e)
{
	struct imap_session *s = n->s;
	struct store_snap snap = {0};
	struct notify_block b = {.s = s, .spec = &n->spec, .snap = &snap, .account = s->account};
	uint32_t accounts[NOTIFY_ACCOUNTS];
	unsigned count = 0;

	b.arena = arena_new(LIMIT_IMAP_ARENA);
	if (!b.arena)
		return err_set(e, ERR_TEMP, "no memory");
	int rc = store_snap_begin(s->store, &snap, e);
	if (rc == 0 && n->spec.groups)
		rc = imap_notify_accounts(s, &n->spec, &snap, accounts, &count, e);
	if (rc >= 0)
		rc = follow_all(n, &snap, accounts, count, e);
	if (rc == 0)
		rc = imap_notify_first(&b, e);
	store_snap_end(&snap);
	arena_free(b.names);
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
