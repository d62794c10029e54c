#include "imap/sortkey.h"
#include "base/encode.h"
#include "base/wire.h"
#include "limits.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/decode.h"
#include "mail/subject.h"

#define ROOM (4 * LIMIT_MAIL_FIELD) /* a field decoded and folded */

static const struct {
	slice name;
	enum sort_by by;
	unsigned needs;
} names[] = {
	{SLICE_INIT("ARRIVAL"), SORT_ARRIVAL, IMAP_NEED_MESSAGE},
	{SLICE_INIT("CC"), SORT_CC, IMAP_NEED_SUMMARY},
	{SLICE_INIT("DATE"), SORT_DATE, IMAP_NEED_SUMMARY},
	{SLICE_INIT("DISPLAYFROM"), SORT_DISPLAYFROM, IMAP_NEED_SUMMARY},
	{SLICE_INIT("DISPLAYTO"), SORT_DISPLAYTO, IMAP_NEED_SUMMARY},
	{SLICE_INIT("FROM"), SORT_FROM, IMAP_NEED_SUMMARY},
	{SLICE_INIT("SIZE"), SORT_SIZE, 0},
	{SLICE_INIT("SUBJECT"), SORT_SUBJECT, IMAP_NEED_SUMMARY},
	{SLICE_INIT("TO"), SORT_TO, IMAP_NEED_SUMMARY},
};

static void add_key(struct sort_program *p, enum sort_by by, bool reverse)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->keys[i].by == by)
			return;
	}
	p->keys[p->n].by = by;
	p->keys[p->n++].reverse = reverse;
}

bool imap_take_sort_program(struct imap_args *a, struct sort_program *ret)
{
	slice word;

	if (!imap_take_sp(a) || !imap_take_c(a, '('))
		return false;
	do {
		bool reverse = false;
		size_t i = 0;

		if (ret->n > 0 && !imap_take_sp(a))
			return false;
		if (!imap_take_word(a, &word))
			return imap_args_fail(a, "a sort key is missing");
		if (slice_ieq(word, S("REVERSE"))) {
			reverse = true;
			if (!imap_take_sp(a) || !imap_take_word(a, &word))
				return imap_args_fail(a, "REVERSE wants a sort key behind it");
		}
		while (i < COUNT_OF(names) && !slice_ieq(word, names[i].name))
			i++;
		if (i == COUNT_OF(names))
			return imap_args_fail(a, "that sort key is not known");
		ret->needs |= names[i].needs;
		add_key(ret, names[i].by, reverse);
	} while (!imap_try_c(a, ')'));
	return true;
}

void sort_text_free(struct sort_text *t)
{
	buf_free(&t->decoded);
	buf_free(&t->base);
	buf_free(&t->folded);
}

static void empty(struct buf *b)
{
	buf_reset(b);
	b->max = ROOM;
	b->failed = false;
}

static slice decoded(struct sort_text *t, slice raw)
{
	if (ascii_only(raw) && slice_find(raw, S("=?")) < 0)
		return raw;
	empty(&t->decoded);
	mail_words_decode(&t->decoded, raw);
	return buf_slice(&t->decoded);
}

static slice folded(struct sort_text *t, slice utf8)
{
	empty(&t->folded);
	mail_fold(&t->folded, utf8);
	return buf_slice(&t->folded);
}

slice imap_base_subject(const struct mail_envelope *v, struct sort_text *t, bool *ret_reply)
{
	empty(&t->base);
	*ret_reply = mail_subject_base(&t->base, decoded(t, v->subject));
	return folded(t, buf_slice(&t->base));
}

static int64_t seconds(int64_t us)
{
	return us / 1000000 - (us % 1000000 < 0);
}

int imap_sent_date(
	const struct mail_envelope *v, struct imap_walk *w, struct imap_item *item, int64_t *ret, err *e)
{
	struct mail_date d;

	if (v->date.p && mail_date_parse(v->date, &d)) {
		*ret = d.utc_s;
		return 0;
	}
	int there = w ? imap_walk_load(w, item, IMAP_NEED_MESSAGE, e) : 1;
	if (there < 0)
		return -1;
	*ret = there > 0 ? seconds(item->message.internal_us) : 0;
	return 0;
}

/* addr-mailbox of the first address, which is the name where that begins a group (RFC 9051 7.5.2). */
static slice first_mailbox(slice field, struct arena *scratch, struct sort_text *t)
{
	struct mail_address_scan scan;
	struct mail_address at = {0};

	mail_address_begin(&scan, field, scratch);
	if (field.n == 0 || !mail_address_next(&scan, &at))
		return S("");
	return folded(t, decoded(t, at.kind == MAIL_ADDRESS_GROUP ? at.name : at.local));
}

/* The name that is shown, else the address (RFC 5957 3). */
static slice first_display(slice field, struct arena *scratch, struct sort_text *t)
{
	struct mail_address_scan scan;
	struct mail_address at = {0};

	mail_address_begin(&scan, field, scratch);
	if (field.n == 0 || !mail_address_next(&scan, &at))
		return S("");
	if (at.name.n > 0)
		return folded(t, decoded(t, at.name));
	empty(&t->base);
	buf_add(&t->base, at.local);
	if (at.domain.p) {
		buf_add_c(&t->base, '@');
		buf_add(&t->base, at.domain);
	}
	return folded(t, decoded(t, buf_slice(&t->base)));
}

static slice text_of(
	enum sort_by by, const struct mail_envelope *v, struct arena *scratch, struct sort_text *t)
{
	bool reply;

	switch (by) {
	case SORT_CC:
		return first_mailbox(v->cc, scratch, t);
	case SORT_FROM:
		return first_mailbox(v->from, scratch, t);
	case SORT_TO:
		return first_mailbox(v->to, scratch, t);
	case SORT_DISPLAYFROM:
		return first_display(v->from, scratch, t);
	case SORT_DISPLAYTO:
		return first_display(v->to, scratch, t);
	case SORT_SUBJECT:
		return imap_base_subject(v, t, &reply);
	case SORT_ARRIVAL:
	case SORT_DATE:
	case SORT_SIZE:
	case SORT_BY_COUNT:
		break;
	}
	return S("");
}

/* Ends in a byte that no text has in it, so that the shorter one of two comes first. */
static void put_text(struct buf *key, slice text)
{
	text = slice_sub(text, 0, LIMIT_IMAP_SORT_TEXT);
	size_t from = key->n;

	buf_add(key, text);
	buf_add_c(key, 0);
	for (size_t i = from; !key->failed && i + 1 < key->n; i++)
		key->p[i] = key->p[i] ? key->p[i] : 1;
}

static void put_number(struct buf *key, uint64_t v)
{
	uint8_t z[8];

	be64_put(z, v);
	buf_add(key, slice_make(z, sizeof z));
}

int imap_sort_key(const struct sort_program *p, struct imap_walk *w, struct imap_item *item,
	struct arena *scratch, struct sort_text *t, struct buf *key, err *e)
{
	struct mail_envelope v = {0};
	int64_t date;

	if ((p->needs & IMAP_NEED_SUMMARY) && mail_summary_envelope(&item->summary, 0, &v) < 0)
		return err_set(e, ERR_CORRUPT, "a summary is damaged");
	for (size_t i = 0; i < p->n; i++) {
		size_t from = key->n;

		if (p->keys[i].by == SORT_ARRIVAL) {
			put_number(key, order_head(seconds(item->message.internal_us)));
		} else if (p->keys[i].by == SORT_SIZE) {
			put_number(key, item->entry.size);
		} else if (p->keys[i].by == SORT_DATE) {
			if (imap_sent_date(&v, w, item, &date, e) < 0)
				return -1;
			put_number(key, order_head(date));
		} else {
			put_text(key, text_of(p->keys[i].by, &v, scratch, t));
		}
		for (size_t k = from; p->keys[i].reverse && k < key->n; k++)
			key->p[k] = (char)~key->p[k];
	}
	return key->failed ? err_set(e, ERR_TEMP, "no memory") : 0;
}
