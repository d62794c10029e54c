/*
 * Thousands of random intents, failing ones among them, against a plain model: arrays of entries. After some
 * steps all that can be read is compared, and a client that only follows the change rows must come to the
 * same UIDs.
 */
#include "mailbox/fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
	ACCOUNTS = 2,
	BOXES = 4,
	ENTRIES = 4000,
	MESSAGES = 20000,
	STEPS = 1500,
	COMPARE_EVERY = 50,
	QUOTA = 60000,
};

struct model_entry {
	uint32_t uid, message; /* index of the model's message */
	uint8_t flags;
	bool red, blue; /* keywords */
	uint64_t modseq;
};

struct model_box {
	uint32_t id, uidnext;
	bool there;
	uint64_t modseq;
	struct model_entry e[ENTRIES];
	unsigned n;
	struct uidset client; /* what a client made of the change rows */
	uint64_t client_modseq;
};

struct model_message {
	uint32_t account, size, places;
	uint64_t id; /* in the store, 0: not seen yet */
};

struct model {
	struct fixture *f;
	uint64_t random;
	uint32_t account[ACCOUNTS];
	uint64_t modseq[ACCOUNTS], used[ACCOUNTS];
	struct model_box box[ACCOUNTS][BOXES];
	struct model_message message[MESSAGES];
	uint32_t messages;
	unsigned done[8], failed;
};

static uint32_t rnd(struct model *m, uint32_t below)
{
	m->random = m->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(m->random >> 33) % below;
}

static struct model_box *any_box(struct model *m, uint32_t *account)
{
	*account = rnd(m, ACCOUNTS);
	return &m->box[*account][rnd(m, BOXES)];
}

/* Ranges that hit some entries and miss others. */
static struct uidset any_uids(struct model *m, const struct model_box *b)
{
	struct uidset s = {0};
	unsigned n = 1 + rnd(m, 4);
	for (unsigned i = 0; i < n; i++) {
		uint32_t first = 1 + rnd(m, b->uidnext + 5);
		assert_int_equal(uidset_add_range(&s, first, first + rnd(m, rnd(m, 10) ? 12 : 300)), 0);
	}
	return s;
}

static void entry_add(struct model *m, struct model_box *b, uint32_t message, const struct model_entry *like)
{
	assert_true(b->n < ENTRIES);
	struct model_entry *x = &b->e[b->n++];
	if (like)
		*x = *like;
	else
		*x = (struct model_entry){0};
	x->uid = b->uidnext++;
	x->message = message;
	m->message[message].places++;
}

static void entry_remove(struct model *m, struct model_box *b, unsigned i)
{
	struct model_message *msg = &m->message[b->e[i].message];
	if (--msg->places == 0)
		m->used[msg->account] -= msg->size;
	memmove(&b->e[i], &b->e[i + 1], (b->n - i - 1) * sizeof b->e[0]);
	b->n--;
}

static uint32_t message_add(struct model *m, uint32_t account, uint32_t size)
{
	assert_true(m->messages < MESSAGES);
	m->message[m->messages] = (struct model_message){.account = account, .size = size};
	m->used[account] += size;
	return m->messages++;
}

static void do_append(struct model *m)
{
	static const char text[401] = {0};
	struct append_message am[3] = {{{{0}}}};
	uint32_t acc;
	struct model_box *b = any_box(m, &acc);
	const slice words[] = {S("red"), S("blue")};
	struct append a = {.account = m->account[acc], .mailbox = b->id, .messages = am, .n = 1 + rnd(m, 3)};
	uint64_t bytes = 0;
	err e = {0};
	for (size_t i = 0; i < a.n; i++) {
		uint32_t size = 1 + rnd(m, 400);
		am[i] = (struct append_message){.content = {.bytes = slice_make(text, size), .size = size},
			.flags = (uint8_t)rnd(m, 32),
			.keywords = words,
			.n_keywords = rnd(m, 3)};
		bytes += size;
	}
	int rc = mailbox_append(m->f->store, m->f->codec, &a, &e);
	if (!b->there || m->used[acc] + bytes > QUOTA) {
		assert_int_equal(rc, -1);
		assert_int_equal(e.kind, b->there ? ERR_QUOTA : ERR_MISSING);
		m->failed++;
		return;
	}
	assert_int_equal(rc, 0);
	m->modseq[acc]++;
	assert_true(a.ret_modseq == m->modseq[acc]);
	b->modseq = m->modseq[acc];
	for (size_t i = 0; i < a.n; i++) {
		struct model_entry like = {.flags = am[i].flags,
			.red = am[i].n_keywords > 0,
			.blue = am[i].n_keywords > 1,
			.modseq = b->modseq};
		assert_int_equal(am[i].ret_uid, b->uidnext);
		entry_add(m, b, message_add(m, acc, am[i].content.size), &like);
	}
}

static void do_flags(struct model *m)
{
	uint32_t acc;
	struct model_box *b = any_box(m, &acc);
	const slice words[] = {S("red"), S("blue")};
	struct uidset uids = any_uids(m, b);
	struct store_flags st = {.account = m->account[acc],
		.mailbox = b->id,
		.uids = &uids,
		.op = (enum flags_op)rnd(m, 3),
		.flags = (uint8_t)rnd(m, 32),
		.keywords = words,
		.n_keywords = rnd(m, 3),
		.unchangedsince = rnd(m, 3) ? UINT64_MAX : m->modseq[acc] - rnd(m, 20)};
	err e = {0};
	int rc = mailbox_store_flags(m->f->store, &st, &e);
	if (!b->there) {
		assert_int_equal(rc, -1);
		assert_int_equal(e.kind, ERR_MISSING);
		m->failed++;
		uidset_free(&uids);
		return;
	}
	assert_int_equal(rc, 0);
	bool red = st.n_keywords > 0, blue = st.n_keywords > 1, some = false;
	for (unsigned i = 0; i < b->n; i++) {
		struct model_entry *x = &b->e[i], y = *x;
		if (!uidset_has(&uids, x->uid))
			continue;
		bool kept = x->modseq > st.unchangedsince;
		assert_int_equal(uidset_has(&st.ret_modified, x->uid), kept);
		if (kept)
			continue;
		if (st.op == FLAGS_REPLACE)
			y = (struct model_entry){y.uid, y.message, st.flags, red, blue, y.modseq};
		else if (st.op == FLAGS_ADD)
			y = (struct model_entry){
				y.uid, y.message, y.flags | st.flags, y.red || red, y.blue || blue, y.modseq};
		else
			y = (struct model_entry){y.uid, y.message, (uint8_t)(y.flags & ~st.flags),
				y.red && !red, y.blue && !blue, y.modseq};
		bool changed = y.flags != x->flags || y.red != x->red || y.blue != x->blue;
		assert_int_equal(uidset_has(&st.ret_changed, x->uid), changed);
		if (changed) {
			y.modseq = m->modseq[acc] + 1;
			some = true;
		}
		*x = y;
	}
	if (some)
		b->modseq = ++m->modseq[acc];
	assert_true(st.ret_modseq == (some ? m->modseq[acc] : 0));
	uidset_free(&uids);
	uidset_free(&st.ret_changed);
	uidset_free(&st.ret_modified);
}

static bool copy_fits(
	struct model *m, const struct model_box *from, const struct uidset *uids, uint32_t to_account)
{
	uint64_t bytes = 0;
	for (unsigned i = 0; i < from->n; i++)
		if (uidset_has(uids, from->e[i].uid))
			bytes += m->message[from->e[i].message].size;
	return m->used[to_account] + bytes <= QUOTA;
}

static void model_copy(struct model *m, uint32_t acc, struct model_box *from, uint32_t to_acc,
	struct model_box *to, const struct uidset *uids, bool move)
{
	uint32_t end = from->uidnext;
	bool any = false;
	for (unsigned i = 0; i < from->n && from->e[i].uid < end; i++)
		any |= uidset_has(uids, from->e[i].uid);
	if (!any)
		return;
	m->modseq[to_acc]++;
	if (to_acc != acc && move)
		m->modseq[acc]++;
	for (unsigned i = 0; i < from->n && from->e[i].uid < end;) {
		struct model_entry x = from->e[i];
		if (!uidset_has(uids, x.uid)) {
			i++;
			continue;
		}
		uint32_t message = x.message;
		if (to_acc != acc)
			message = message_add(m, to_acc, m->message[message].size);
		x.modseq = m->modseq[to_acc];
		entry_add(m, to, message, &x);
		if (move)
			entry_remove(m, from, i);
		else
			i++;
	}
	to->modseq = m->modseq[to_acc];
	if (move)
		from->modseq = m->modseq[acc];
}

static void do_copy(struct model *m, bool move)
{
	uint32_t acc, to_acc;
	struct model_box *from = any_box(m, &acc), *to = any_box(m, &to_acc);
	struct uidset uids = any_uids(m, from);
	struct copy c = {.account = m->account[acc],
		.mailbox = from->id,
		.to_account = m->account[to_acc],
		.to_mailbox = to->id,
		.uids = &uids};
	err e = {0};
	int rc = move ? mailbox_move(m->f->store, &c, &e) : mailbox_copy(m->f->store, &c, &e);
	bool there = from->there && to->there;
	if (!there || (to_acc != acc && !copy_fits(m, from, &uids, to_acc))) {
		assert_int_equal(rc, -1);
		assert_int_equal(e.kind, there ? ERR_QUOTA : ERR_MISSING);
		m->failed++;
	} else {
		uint32_t first = to->uidnext;
		assert_int_equal(rc, 0);
		model_copy(m, acc, from, to_acc, to, &uids, move);
		assert_int_equal(uidset_count(&c.ret_source), to->uidnext - first);
		assert_int_equal(uidset_count(&c.ret_dest), to->uidnext - first);
		assert_true(c.ret_dest.n == 0 || (c.ret_dest.n == 1 && uidset_uid(&c.ret_dest, 1) == first));
		assert_true(c.ret_modseq == (c.ret_dest.n ? m->modseq[to_acc] : 0));
	}
	uidset_free(&uids);
	uidset_free(&c.ret_source);
	uidset_free(&c.ret_dest);
}

static void do_expunge(struct model *m)
{
	uint32_t acc;
	struct model_box *b = any_box(m, &acc);
	struct uidset uids = any_uids(m, b);
	struct expunge x = {.account = m->account[acc],
		.mailbox = b->id,
		.uids = rnd(m, 2) ? &uids : NULL,
		.only_deleted = true};
	if (x.uids)
		x.only_deleted = rnd(m, 3);
	err e = {0};
	int rc = mailbox_expunge(m->f->store, &x, &e);
	if (!b->there) {
		assert_int_equal(rc, -1);
		assert_int_equal(e.kind, ERR_MISSING);
		m->failed++;
	} else {
		unsigned gone = 0;
		assert_int_equal(rc, 0);
		for (unsigned i = 0; i < b->n;) {
			const struct model_entry *y = &b->e[i];
			bool out = (!x.uids || uidset_has(x.uids, y->uid)) &&
				   (!x.only_deleted || y->flags & FLAG_DELETED);
			assert_int_equal(uidset_has(&x.ret_expunged, y->uid), out);
			gone += out;
			if (out)
				entry_remove(m, b, i);
			else
				i++;
		}
		assert_int_equal(uidset_count(&x.ret_expunged), gone);
		if (gone)
			b->modseq = ++m->modseq[acc];
		assert_true(x.ret_modseq == (gone ? m->modseq[acc] : 0));
	}
	uidset_free(&uids);
	uidset_free(&x.ret_expunged);
}

static void box_name(char name[16], uint32_t box)
{
	snprintf(name, 16, "Box%u", box);
}

/* Creates a box that is not there, or deletes one that is; the first of an account is INBOX. */
static void do_folder(struct model *m)
{
	uint32_t acc = rnd(m, ACCOUNTS), i = 1 + rnd(m, BOXES - 1);
	struct model_box *b = &m->box[acc][i];
	char name[16];
	err e = {0};
	box_name(name, i);
	if (b->there) {
		if (rnd(m, 4))
			return;
		assert_int_equal(mailbox_create(m->f->store, m->account[acc], 0, slice_of(name), USE_NONE,
					 NULL, NULL, &e),
			-1);
		assert_int_equal(e.kind, ERR_EXISTS);
		assert_int_equal(mailbox_delete(m->f->store, m->account[acc], 0, slice_of(name), &e), 0);
		while (b->n)
			entry_remove(m, b, 0);
		b->there = false;
	} else {
		assert_int_equal(mailbox_delete(m->f->store, m->account[acc], 0, slice_of(name), &e), -1);
		assert_int_equal(e.kind, ERR_MISSING);
		assert_int_equal(mailbox_create(m->f->store, m->account[acc], 0, slice_of(name), USE_NONE,
					 &b->id, NULL, &e),
			0);
		b->there = true;
		b->uidnext = 1;
		uidset_free(&b->client);
		b->client_modseq = b->modseq = 0;
	}
	m->modseq[acc] = read_account(m->f, m->account[acc]).modseq;
	b->modseq = m->modseq[acc];
}

/* ---- comparing ---- */

static void compare_entry(struct model *m, struct store_snap *s, uint32_t acc, const struct model_box *b,
	const struct mailbox_row *row, const struct model_entry *want, const struct mailbox_entry *got)
{
	struct model_message *msg = &m->message[want->message];
	struct mailbox_message stored;
	struct message_place p;
	int red = mailbox_keyword_bit(row, S("red")), blue = mailbox_keyword_bit(row, S("blue"));
	unsigned places = 0, here = 0;
	err e = {0};
	assert_int_equal(got->uid, want->uid);
	assert_int_equal(got->flags, want->flags);
	assert_true(got->modseq == want->modseq && got->size == msg->size);
	assert_int_equal(red >= 0 && got->keywords >> red & 1, want->red);
	assert_int_equal(blue >= 0 && got->keywords >> blue & 1, want->blue);
	assert_true(msg->id == 0 || msg->id == got->message);
	msg->id = got->message;
	assert_int_equal(mailbox_message_get(s, m->account[acc], got->message, &stored, &e), 1);
	while (mailbox_message_place(&stored, &p)) {
		places++;
		here += p.mailbox == b->id && p.uid == want->uid;
	}
	assert_int_equal(places, msg->places);
	assert_int_equal(here, 1);
}

static void compare_box(struct model *m, struct store_snap *s, uint32_t acc, struct model_box *b)
{
	struct mailbox_row row;
	struct mailbox_entry_scan sc;
	const struct mailbox_entry *x;
	uint32_t unseen = 0, deleted = 0;
	uint64_t bytes = 0;
	err e = {0};
	assert_int_equal(mailbox_get(s, m->account[acc], b->id, &row, &e), b->there);
	if (!b->there)
		return;
	assert_int_equal(mailbox_entry_open(s, m->account[acc], b->id, 1, UINT32_MAX, &sc, &e), 0);
	for (unsigned i = 0; i < b->n; i++) {
		assert_int_equal(mailbox_entry_next(&sc, &x, &e), 1);
		compare_entry(m, s, acc, b, &row, &b->e[i], x);
		unseen += !(x->flags & FLAG_SEEN);
		deleted += (x->flags & FLAG_DELETED) != 0;
		bytes += x->size;
	}
	assert_int_equal(mailbox_entry_next(&sc, &x, &e), 0);
	mailbox_entry_close(&sc);
	assert_int_equal(row.uidnext, b->uidnext);
	assert_int_equal(row.messages, b->n);
	assert_int_equal(row.unseen, unseen);
	assert_int_equal(row.deleted, deleted);
	assert_true(row.bytes == bytes && row.highest_modseq == b->modseq);
}

static void follow_changes(struct model *m, struct store_snap *s, uint32_t acc, struct model_box *b)
{
	struct uidset all = {0};
	struct change_scan sc;
	struct change c;
	uint32_t first, last;
	err e = {0};
	if (!b->there)
		return;
	assert_int_equal(change_open(s, m->account[acc], b->id, b->client_modseq, &sc, &e), 0);
	while (change_next(&sc, &c, &e) == 1) {
		assert_true(c.modseq > b->client_modseq || c.kind == CHANGE_EXPUNGED);
		while (change_range(&c, &first, &last)) {
			if (c.kind == CHANGE_ADDED)
				assert_int_equal(uidset_add_range(&b->client, first, last), 0);
			if (c.kind == CHANGE_EXPUNGED)
				assert_int_equal(uidset_remove_range(&b->client, first, last), 0);
		}
	}
	change_close(&sc);
	b->client_modseq = m->modseq[acc];
	assert_int_equal(mailbox_uids(s, m->account[acc], b->id, 0, &all, &e), 0);
	assert_int_equal(all.n, b->client.n);
	struct uidset_scan sx = uidset_scan_from(&all, 1), sy = uidset_scan_from(&b->client, 1);
	struct uid_range x, y;
	while (uidset_scan_next(&sx, &x) && uidset_scan_next(&sy, &y))
		assert_memory_equal(&x, &y, sizeof x);
	assert_int_equal(uidset_count(&all), b->n);
	uidset_free(&all);
}

static void compare(struct model *m)
{
	struct store_snap s = {0};
	struct account_row row;
	err e = {0};
	assert_int_equal(store_snap_begin(m->f->store, &s, &e), 0);
	for (uint32_t acc = 0; acc < ACCOUNTS; acc++) {
		assert_int_equal(account_get(&s, m->account[acc], &row, &e), 1);
		assert_true(row.modseq == m->modseq[acc]);
		assert_true(row.used_bytes == m->used[acc]);
		for (uint32_t i = 0; i < BOXES; i++) {
			compare_box(m, &s, acc, &m->box[acc][i]);
			follow_changes(m, &s, acc, &m->box[acc][i]);
		}
	}
	store_snap_end(&s);
}

static void start(struct model *m)
{
	static const char *const names[ACCOUNTS] = {"alice", "bob"};
	for (uint32_t acc = 0; acc < ACCOUNTS; acc++) {
		m->account[acc] = make_account(m->f, names[acc], "example.test");
		set_quota(m->f, m->account[acc], QUOTA);
		m->modseq[acc] = read_account(m->f, m->account[acc]).modseq;
		for (uint32_t i = 0; i < BOXES; i++)
			m->box[acc][i] = (struct model_box){.id = i ? 90000 + i : MAILBOX_INBOX,
				.there = i == 0,
				.uidnext = 1,
				.modseq = i ? 0 : m->modseq[acc]};
	}
}

static void model(struct fixture *f)
{
	struct model *m = calloc(1, sizeof *m);
	assert_non_null(m);
	m->f = f;
	m->random = *(const uint64_t *)f->arg;
	start(m);
	compare(m);
	for (unsigned i = 1; i <= STEPS; i++) {
		uint32_t what = rnd(m, 20);
		if (what < 8)
			do_append(m);
		else if (what < 12)
			do_flags(m);
		else if (what < 14)
			do_copy(m, false);
		else if (what < 16)
			do_copy(m, true);
		else if (what < 19)
			do_expunge(m);
		else
			do_folder(m);
		if (i % COMPARE_EVERY == 0)
			compare(m);
	}
	assert_true(m->failed > 20 && m->messages > 500);
	for (uint32_t acc = 0; acc < ACCOUNTS; acc++)
		for (uint32_t i = 0; i < BOXES; i++)
			uidset_free(&m->box[acc][i].client);
	free(m);
}

static void model_test(void **state)
{
	static const struct kv_engine *const engines[] = {&kv_memory, &kv_lmdb};
	(void)state;
	for (uint64_t seed = 0; seed < COUNT_OF(engines); seed++) {
		struct fixture f;
		fixture_init(&f, engines[seed]);
		fixture_run(&f, model, &seed);
		fixture_free(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(model_test)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
