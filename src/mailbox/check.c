#include "mailbox/check.h"
#include "base/arena.h"
#include "limits.h"
#include "mail/summary.h"
#include "mailbox/change.h"
#include "mailbox/entry.h"
#include "mailbox/keys.h"
#include "mailbox/row.h"
#include <inttypes.h>
#include <stdlib.h>

/* Long ids and counts stand in findings as unsigned long long. */
#define ULL(v) ((unsigned long long)(v))

struct box_sum { /* a mailbox: its row, and what its blocks amount to */
	uint32_t id, parent, uidnext, messages, unseen, deleted;
	uint64_t highest, bytes;
	unsigned keywords;
	bool removed, named;
	uint32_t has_messages, has_unseen, has_deleted, last_uid;
	uint64_t has_bytes;
};

struct mailbox_check {
	struct mailbox_codec *codec;
	struct arena *arena;
	struct mailbox_check_totals totals;
	/* the account under way */
	struct account_row account;
	bool open; /* its row was read, and it is not being cleared away */
	bool skip; /* no row, or a removed one */
	uint32_t id;
	struct box_sum *boxes; /* by id */
	size_t n, cap;
	uint64_t messages, bytes, changes, placeless, due, mailboxes;
};

struct mailbox_check *mailbox_check_new(struct mailbox_codec *codec)
{
	struct mailbox_check *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->codec = codec;
	m->arena = arena_new(2 * LIMIT_SUMMARY + 65536);
	if (!m->arena) {
		free(m);
		return NULL;
	}
	return m;
}

void mailbox_check_free(struct mailbox_check *m)
{
	if (!m)
		return;
	arena_free(m->arena);
	free(m->boxes);
	free(m);
}

void mailbox_check_totals(const struct mailbox_check *m, struct mailbox_check_totals *ret)
{
	*ret = m->totals;
}

/* A row that does not decode is a finding, no end. */
static int damaged(struct check *c, uint32_t account, const err *why)
{
	check_found(c, CHECK_DAMAGED, "account %u: %s", account, why->text);
	return 0;
}

static struct box_sum *box_of(struct mailbox_check *m, uint32_t id)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->boxes[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->n && m->boxes[low].id == id ? &m->boxes[low] : NULL;
}

/* ---- the rows of an account ---- */

static int see_account(struct check *c, struct mailbox_check *m, slice key, slice value, err *e)
{
	err why = {0};

	(void)key;
	(void)e;
	if (row_account_get(value, m->id, &m->account, &why) < 0) {
		m->skip = true;
		return damaged(c, m->id, &why);
	}
	m->skip = m->account.removed;
	m->open = !m->skip;
	m->totals.accounts += m->open;
	return 0;
}

static int see_mailbox(struct check *c, struct mailbox_check *m, slice key, slice value, err *e)
{
	struct mailbox_row row;
	err why = {0};

	if (row_mailbox_get(value, m->id, be32_get(key.p + key.n - 4), &row, &why) < 0)
		return damaged(c, m->id, &why);
	if (m->n == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 64;
		void *p = realloc(m->boxes, cap * sizeof m->boxes[0]);

		if (!p)
			return err_set(e, ERR_TEMP, "out of memory");
		m->boxes = p;
		m->cap = cap;
	}
	m->boxes[m->n++] = (struct box_sum){
		.id = row.id,
		.parent = row.parent,
		.uidnext = row.uidnext,
		.messages = row.messages,
		.unseen = row.unseen,
		.deleted = row.deleted,
		.highest = row.highest_modseq,
		.bytes = row.bytes,
		.keywords = mailbox_keyword_count(&row),
		.removed = row.removed,
	};
	m->mailboxes += !row.removed;
	m->totals.mailboxes += !row.removed;
	if (row.id >= m->account.next_mailbox)
		check_found(c, CHECK_RULE, "account %u: mailbox %u has an id that was not given out yet",
			m->id, row.id);
	if (row.highest_modseq > m->account.modseq)
		check_found(c, CHECK_RULE, "account %u: mailbox %u has changes newer than the account's last",
			m->id, row.id);
	return 0;
}

static int see_name(struct check *c, struct mailbox_check *m, slice key, slice value, err *e)
{
	uint32_t id, parent = be32_get(key.p + 6);
	err why = {0};

	(void)e;
	if (row_id_get(value, &id, &why) < 0)
		return damaged(c, m->id, &why);
	struct box_sum *b = box_of(m, id);
	if (!b || b->removed)
		check_found(c, CHECK_MISSING, "account %u: a name leads to mailbox %u, which is not there",
			m->id, id);
	else if (b->parent != parent || b->named)
		check_found(c, CHECK_RULE, "account %u: mailbox %u has two names or two parents", m->id, id);
	if (b)
		b->named = true;
	return 0;
}

/* The message of an entry must know of it. */
static int see_entry(struct check *c, struct mailbox_check *m, struct box_sum *b,
	const struct mailbox_entry *entry, err *e)
{
	struct mailbox_message msg;
	struct message_place p;
	err why = {0};
	int rc = mailbox_message_get(&c->snap, m->id, entry->message, &msg, &why);

	b->has_messages++;
	b->has_unseen += !(entry->flags & FLAG_SEEN);
	b->has_deleted += (entry->flags & FLAG_DELETED) != 0;
	b->has_bytes += entry->size;
	b->last_uid = entry->uid;
	if (entry->modseq > b->highest)
		check_found(c, CHECK_RULE, "account %u, mailbox %u: UID %u is newer than its mailbox", m->id,
			b->id, entry->uid);
	if (b->keywords < MAILBOX_KEYWORDS_MAX && entry->keywords >> b->keywords)
		check_found(c, CHECK_RULE, "account %u, mailbox %u: UID %u has keywords without a name",
			m->id, b->id, entry->uid);
	if (rc < 0 && why.kind != ERR_CORRUPT) {
		*e = why;
		return -1;
	}
	if (rc == 0)
		check_found(c, CHECK_MISSING, "account %u, mailbox %u: the message of UID %u is not there",
			m->id, b->id, entry->uid);
	if (rc <= 0)
		return 0;
	if (msg.size != entry->size)
		check_found(c, CHECK_RULE, "account %u, mailbox %u: UID %u and its message differ in size",
			m->id, b->id, entry->uid);
	while (mailbox_message_place(&msg, &p))
		if (p.mailbox == b->id && p.uid == entry->uid)
			return 0;
	check_found(c, CHECK_RULE, "account %u, mailbox %u: the message of UID %u does not know of it", m->id,
		b->id, entry->uid);
	return 0;
}

static int see_block(struct check *c, struct mailbox_check *m, slice key, slice value, err *e)
{
	uint32_t mailbox = be32_get(key.p + 6);
	struct box_sum *b = box_of(m, mailbox);
	struct entry_block block;
	err why = {0};

	if (entry_block_decode(value, be32_get(key.p + 10), &block, &why) < 0)
		return damaged(c, m->id, &why);
	if (!b) {
		check_found(c, CHECK_STRAY, "account %u: entries of mailbox %u, which is not there", m->id,
			mailbox);
		return 0;
	}
	for (unsigned i = 0; i < block.n; i++)
		if (see_entry(c, m, b, &block.e[i], e) < 0)
			return -1;
	return 0;
}

/* The entry that a message's place names. 1 right, 0 wrong, -1. */
static int place_holds(
	struct check *c, struct mailbox_check *m, uint64_t message, const struct message_place *p, err *e)
{
	struct key k = key_block(m->id, p->mailbox, p->uid / MAILBOX_BLOCK);
	struct entry_block block;
	slice v;
	int rc = store_snap_get(&c->snap, KEY_SLICE(k), &v, e);

	if (rc < 0)
		return e->kind == ERR_CORRUPT ? 1 : -1; /* found already */
	if (rc == 0 || entry_block_decode(v, p->uid / MAILBOX_BLOCK, &block, NULL) < 0)
		return 0;
	const struct mailbox_entry *entry = entry_block_find(&block, p->uid);
	return entry && entry->message == message;
}

static int key_there(struct check *c, slice key, err *e)
{
	err why = {0};
	slice v;
	int rc = store_snap_get(&c->snap, key, &v, &why);

	if (rc < 0 && why.kind == ERR_CORRUPT)
		return 1; /* damaged: found where it stands */
	if (rc < 0)
		*e = why;
	return rc;
}

static int message_links(struct check *c, struct mailbox_check *m, const struct mailbox_message *msg, err *e)
{
	struct key holder = key_holder(msg->blob, m->id, msg->id);
	char blob[9] = {'B'};
	int held = key_there(c, KEY_SLICE(holder), e);

	be64_put(blob + 1, msg->blob);
	int there = held < 0 ? -1 : key_there(c, slice_make(blob, sizeof blob), e);
	if (there < 0)
		return -1;
	if (!there)
		check_found(c, CHECK_MISSING,
			"account %u: the content of message %llu (blob %llu) is not there", m->id,
			ULL(msg->id), ULL(msg->blob));
	else if (!held)
		check_found(c, CHECK_MISSING, "account %u: message %llu does not hold its blob %llu", m->id,
			ULL(msg->id), ULL(msg->blob));
	return 0;
}

static int see_message(struct check *c, struct mailbox_check *m, slice key, slice value, err *e)
{
	struct mailbox_message msg, walk;
	struct message_place p;
	unsigned places = 0;
	err why = {0};

	if (row_message_get(value, be64_get(key.p + 6), &msg, &why) < 0)
		return damaged(c, m->id, &why);
	for (walk = msg; mailbox_message_place(&walk, &p); places++) {
		int rc = place_holds(c, m, msg.id, &p, e);

		if (rc < 0)
			return -1;
		if (!rc)
			check_found(c, CHECK_MISSING,
				"account %u: message %llu should be UID %u of mailbox %u", m->id, ULL(msg.id),
				p.uid, p.mailbox);
	}
	if (walk.places.n)
		check_found(c, CHECK_DAMAGED, "account %u: the places of message %llu do not decode", m->id,
			ULL(msg.id));
	if (msg.id >= m->account.next_message)
		check_found(c, CHECK_RULE, "account %u: message %llu has an id that was not given out yet",
			m->id, ULL(msg.id));
	if (places) {
		m->messages++;
		m->bytes += msg.size;
	}
	m->placeless += places == 0;
	return message_links(c, m, &msg, e);
}

static int see_summary(struct check *c, struct mailbox_check *m, slice key, slice value, err *e)
{
	uint64_t id = be64_get(key.p + 6);
	struct key message = key_message(m->id, id);
	struct mail_summary summary;
	err why = {0};
	slice plain;
	int rc = key_there(c, KEY_SLICE(message), e);

	(void)value;
	if (rc < 0)
		return -1;
	if (rc == 0)
		check_found(c, CHECK_STRAY, "account %u: a summary of message %llu, which is not there",
			m->id, ULL(id));
	if (!m->codec)
		return 0;
	arena_reset(m->arena);
	rc = mailbox_summary_get(&c->snap, m->codec, m->id, id, m->arena, &plain, &why);
	if (rc < 0 || (rc == 1 && mail_summary_open(plain, &summary, &why) < 0))
		return damaged(c, m->id, &why);
	return 0;
}

static int see_change(struct check *c, struct mailbox_check *m, slice key, slice value, err *e)
{
	uint64_t modseq = be64_get(key.p + 6);

	(void)value;
	(void)e;
	m->changes++;
	if (modseq > m->account.modseq)
		check_found(c, CHECK_RULE, "account %u: change %llu is newer than the account's last", m->id,
			ULL(modseq));
	return 0;
}

static int see_due(struct check *c, struct mailbox_check *m, slice key, slice value, err *e)
{
	uint64_t id = be64_get(key.p + key.n - 8);
	struct mailbox_message msg;
	struct message_place p;
	struct due_row due;
	err why = {0};

	if (row_due_get(value, &due, &why) < 0)
		return damaged(c, m->id, &why);
	int rc = mailbox_message_get(&c->snap, m->id, id, &msg, &why);
	if (rc < 0 && why.kind != ERR_CORRUPT) {
		*e = why;
		return -1;
	}
	m->due++;
	m->totals.expunged++;
	if (rc == 0)
		check_found(
			c, CHECK_MISSING, "account %u: expunged message %llu is not there", m->id, ULL(id));
	else if (rc > 0 && mailbox_message_place(&msg, &p))
		check_found(c, CHECK_RULE,
			"account %u: message %llu is expunged and yet UID %u of mailbox %u", m->id, ULL(id),
			p.uid, p.mailbox);
	return 0;
}

typedef int see_row(struct check *c, struct mailbox_check *m, slice key, slice value, err *e);

/* By the kind, the sixth byte of the key; keys of other lengths are none of ours. */
static const struct {
	see_row *see;
	size_t least, most;
} kinds[] = {
	[KEY_ACCOUNT] = {see_account, 6, 6},
	[KEY_MAILBOX] = {see_mailbox, 10, 10},
	[KEY_NAME] = {see_name, 11, KV_KEY_MAX},
	[KEY_BLOCK] = {see_block, 14, 14},
	[KEY_MESSAGE] = {see_message, 14, 14},
	[KEY_SUMMARY] = {see_summary, 14, 14},
	[KEY_CHANGE] = {see_change, 16, 16},
	[KEY_SETTING] = {NULL, 7, KV_KEY_MAX},
	[KEY_DUE] = {see_due, 22, 22},
	[KEY_DELIVERY] = {NULL, 22, 22},
	[KEY_GRANT] = {NULL, 14, 14},
	[KEY_FOLLOW] = {NULL, 22, 22},
	[KEY_DIGEST] = {NULL, 6, 14}, /* a cache: made again where it is damaged */
};

/* ---- an account ends ---- */

static void box_sums(struct check *c, const struct mailbox_check *m, const struct box_sum *b)
{
	if (b->messages != b->has_messages || b->unseen != b->has_unseen || b->deleted != b->has_deleted ||
		b->bytes != b->has_bytes)
		check_found(c, CHECK_COUNT,
			"account %u, mailbox %u: counted are %u messages (%u unseen, %u deleted, %llu "
			"bytes), there "
			"are %u (%u, %u, %llu)",
			m->id, b->id, b->messages, b->unseen, b->deleted, ULL(b->bytes), b->has_messages,
			b->has_unseen, b->has_deleted, ULL(b->has_bytes));
	if (b->last_uid >= b->uidnext)
		check_found(c, CHECK_RULE,
			"account %u, mailbox %u: UID %u was not given out yet (UIDNEXT %u)", m->id, b->id,
			b->last_uid, b->uidnext);
	if (!b->named && !b->removed)
		check_found(c, CHECK_RULE, "account %u: mailbox %u has no name", m->id, b->id);
}

int check_account_rows_end(struct check *c, void *arg, err *e)
{
	struct mailbox_check *m = arg;
	const struct account_row *a = &m->account;

	(void)e;
	for (size_t i = 0; m->open && i < m->n; i++)
		box_sums(c, m, &m->boxes[i]);
	if (m->open && (a->messages != m->messages || a->used_bytes != m->bytes))
		check_found(c, CHECK_COUNT,
			"account %u: counted are %llu messages of %llu bytes, there are %llu of %llu", m->id,
			ULL(a->messages), ULL(a->used_bytes), ULL(m->messages), ULL(m->bytes));
	if (m->open && a->mailboxes != m->mailboxes)
		check_found(c, CHECK_COUNT, "account %u: counted are %u mailboxes, there are %llu", m->id,
			a->mailboxes, ULL(m->mailboxes));
	if (m->open && a->changes != m->changes)
		check_found(c, CHECK_COUNT, "account %u: counted are %llu changes, there are %llu", m->id,
			ULL(a->changes), ULL(m->changes));
	if (m->open && m->placeless != m->due)
		check_found(c, CHECK_RULE,
			"account %u: %llu messages are in no mailbox, and %llu wait as expunged ones", m->id,
			ULL(m->placeless), ULL(m->due));
	m->totals.messages += m->messages;
	m->totals.bytes += m->bytes;
	m->open = m->skip = false;
	m->id = 0;
	m->n = 0;
	m->messages = m->bytes = m->changes = m->placeless = m->due = m->mailboxes = 0;
	return 0;
}

int check_account_rows(struct check *c, void *arg, slice key, slice value, err *e)
{
	struct mailbox_check *m = arg;
	uint32_t id = key.n >= 6 ? be32_get(key.p + 1) : 0;
	unsigned kind = key.n >= 6 ? (uint8_t)key.p[5] : COUNT_OF(kinds);

	if (kind >= COUNT_OF(kinds) || key.n < kinds[kind].least || key.n > kinds[kind].most) {
		check_found(c, CHECK_STRAY, "account %u: a row of no known kind (%u)", id, kind);
		return 0;
	}
	if (id != m->id) {
		if (check_account_rows_end(c, m, e) < 0)
			return -1;
		m->id = id;
		if (kind != KEY_ACCOUNT) {
			check_found(c, CHECK_MISSING, "account %u has rows and is not there", id);
			m->skip = true;
		}
	}
	return m->skip || !kinds[kind].see ? 0 : kinds[kind].see(c, m, key, value, e);
}

/* ---- the others ---- */

static int account_there(struct check *c, uint32_t id, err *e)
{
	struct key k = key_kind(id, KEY_ACCOUNT);

	return key_there(c, KEY_SLICE(k), e);
}

int check_domain_row(struct check *c, void *arg, slice key, slice value, err *e)
{
	struct domain_counters counters;
	struct domain_row row;
	err why = {0};
	uint32_t id;
	int rc = 0;

	(void)arg;
	(void)e;
	if (key.n == 2 && key.p[1] == 0)
		rc = row_counters_get(value, &counters, &why);
	else if (key.n == 6 && key.p[1] == 1)
		rc = row_domain_get(value, be32_get(key.p + 2), &row, &why);
	else if (key.n > 2 && key.p[1] == 2)
		rc = row_id_get(value, &id, &why);
	else
		check_found(c, CHECK_STRAY, "a domain's row of no known kind");
	if (rc < 0)
		check_found(c, CHECK_DAMAGED, "%s", why.text);
	return 0;
}

int check_address_row(struct check *c, void *arg, slice key, slice value, err *e)
{
	struct address_row row;
	err why = {0};

	(void)arg;
	if (key.n < 5 || row_address_get(value, &row, &why) < 0) {
		check_found(c, CHECK_DAMAGED, "an address: %s", why.text);
		return 0;
	}
	int rc = row.kind == ADDRESS_ACCOUNT ? account_there(c, row.account, e) : 1;
	if (rc == 0)
		check_found(c, CHECK_MISSING, "the address %.*s leads to account %u, which is not there",
			(int)(key.n - 5), key.p + 5, row.account);
	return rc < 0 ? -1 : 0;
}

int check_holder_row(struct check *c, void *arg, slice key, slice value, err *e)
{
	struct mailbox_message msg;
	err why = {0};

	(void)arg;
	(void)value;
	if (key.n != 21) {
		check_found(c, CHECK_STRAY, "a holder's row of no known kind");
		return 0;
	}
	uint64_t blob = be64_get(key.p + 1), message = be64_get(key.p + 13);
	uint32_t account = be32_get(key.p + 9);
	if (account == 0)
		return 0;
	int rc = mailbox_message_get(&c->snap, account, message, &msg, &why);
	if (rc < 0 && why.kind != ERR_CORRUPT) {
		*e = why;
		return -1;
	}
	if (rc == 0 || (rc > 0 && msg.blob != blob))
		check_found(c, CHECK_STRAY,
			"blob %llu is held by message %llu of account %u, which does not use it", ULL(blob),
			ULL(message), account);
	return 0;
}

int check_share_row(struct check *c, void *arg, slice key, slice value, err *e)
{
	(void)arg;
	(void)value;
	if (key.n != 13) {
		check_found(c, CHECK_STRAY, "a share's row of no known kind");
		return 0;
	}
	uint32_t grantee = be32_get(key.p + 1), account = be32_get(key.p + 5), mailbox = be32_get(key.p + 9);
	struct key k = key_grant(account, mailbox, grantee);
	int rc = key_there(c, KEY_SLICE(k), e);
	if (rc == 0)
		check_found(c, CHECK_STRAY,
			"mailbox %u of account %u is shared with account %u, which has no rights", mailbox,
			account, grantee);
	return rc < 0 ? -1 : 0;
}

int check_held_row(struct check *c, void *arg, slice key, slice value, err *e)
{
	struct store_scan sc;
	slice k, v;

	(void)arg;
	(void)value;
	if (key.n != 9)
		return 0;
	struct key prefix = key_holders(be64_get(key.p + 1));
	if (store_scan_open(&c->snap, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_next(&sc, &k, &v, e);
	store_scan_close(&sc);
	if (rc == 0)
		check_found(c, CHECK_STRAY, "blob %llu is held by nobody", ULL(be64_get(key.p + 1)));
	return rc < 0 && !sc.damaged ? -1 : 0;
}
