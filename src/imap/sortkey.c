#include "imap/sortkey.h"
#include "base/wire.h"
#include "limits.h"

static const struct {
	slice name;
	enum sort_by by;
	unsigned needs;
} names[] = {
	{SLICE_INIT("ARRIVAL"), SORT_ARRIVAL, IMAP_NEED_MESSAGE},
	{SLICE_INIT("CC"), SORT_CC, IMAP_NEED_DIGEST},
	{SLICE_INIT("DATE"), SORT_DATE, IMAP_NEED_DIGEST},
	{SLICE_INIT("DISPLAYFROM"), SORT_DISPLAYFROM, IMAP_NEED_DIGEST},
	{SLICE_INIT("DISPLAYTO"), SORT_DISPLAYTO, IMAP_NEED_DIGEST},
	{SLICE_INIT("FROM"), SORT_FROM, IMAP_NEED_DIGEST},
	{SLICE_INIT("SIZE"), SORT_SIZE, 0},
	{SLICE_INIT("SUBJECT"), SORT_SUBJECT, IMAP_NEED_DIGEST},
	{SLICE_INIT("TO"), SORT_TO, IMAP_NEED_DIGEST},
};

static const enum mail_digest_text texts[SORT_BY_COUNT] = {
	[SORT_CC] = DIGEST_CC,
	[SORT_DISPLAYFROM] = DIGEST_DISPLAYFROM,
	[SORT_DISPLAYTO] = DIGEST_DISPLAYTO,
	[SORT_FROM] = DIGEST_FROM,
	[SORT_SUBJECT] = DIGEST_SUBJECT,
	[SORT_TO] = DIGEST_TO,
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

static int64_t seconds(int64_t us)
{
	return us / 1000000 - (us % 1000000 < 0);
}

int imap_sent_date(struct imap_walk *w, struct imap_item *item, int64_t *ret, err *e)
{
	if (item->digest.has_date) {
		*ret = item->digest.date_s;
		return 0;
	}
	int there = w ? imap_walk_load(w, item, IMAP_NEED_MESSAGE, e) : 1;
	if (there < 0)
		return -1;
	*ret = there > 0 ? seconds(item->message.internal_us) : 0;
	return 0;
}

/* Ends in a byte that no text has in it, so that the shorter one of two comes first. */
static void put_text(struct buf *key, slice text)
{
	size_t n = text.n < LIMIT_IMAP_SORT_TEXT ? text.n : LIMIT_IMAP_SORT_TEXT;
	char *to = buf_room(key, n + 1);

	if (!to)
		return;
	if (n > 0 && memchr(text.p, 0, n)) {
		for (size_t i = 0; i < n; i++)
			to[i] = text.p[i] ? text.p[i] : 1;
	} else if (n > 0) {
		memcpy(to, text.p, n);
	}
	to[n] = 0;
	buf_grow(key, n + 1);
}

static void put_number(struct buf *key, uint64_t v)
{
	uint8_t z[8];

	be64_put(z, v);
	buf_add(key, slice_make(z, sizeof z));
}

static int text_of(enum sort_by by, struct mail_digest_room *r, struct imap_walk *w, struct imap_item *item,
	struct arena *scratch, slice *ret, err *e)
{
	enum mail_digest_text which = texts[by];
	struct mail_envelope v;

	*ret = item->digest.texts[which];
	if (!(item->digest.cut >> which & 1))
		return 0;
	int there = w && !item->has_summary ? imap_walk_load(w, item, IMAP_NEED_SUMMARY, e) : 1;
	if (there < 0)
		return -1;
	if (there > 0 && mail_summary_envelope(&item->summary, 0, &v) < 0)
		return err_set(e, ERR_CORRUPT, "a summary is damaged");
	if (there > 0)
		*ret = mail_digest_text(r, &v, which, scratch, NULL);
	return 0;
}

int imap_sort_key(const struct sort_program *p, struct mail_digest_room *r, struct imap_walk *w,
	struct imap_item *item, struct arena *scratch, struct buf *key, err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		size_t from = key->n;
		int64_t date;
		slice text;

		switch (p->keys[i].by) {
		case SORT_ARRIVAL:
			put_number(key, order_head(seconds(item->message.internal_us)));
			break;
		case SORT_SIZE:
			put_number(key, item->entry.size);
			break;
		case SORT_DATE:
			if (imap_sent_date(w, item, &date, e) < 0)
				return -1;
			put_number(key, order_head(date));
			break;
		case SORT_CC:
		case SORT_DISPLAYFROM:
		case SORT_DISPLAYTO:
		case SORT_FROM:
		case SORT_SUBJECT:
		case SORT_TO:
			if (text_of(p->keys[i].by, r, w, item, scratch, &text, e) < 0)
				return -1;
			put_text(key, text);
			break;
		case SORT_BY_COUNT:
			break;
		}
		for (size_t k = from; p->keys[i].reverse && k < key->n; k++)
			key->p[k] = (char)~key->p[k];
	}
	return key->failed ? err_set(e, ERR_TEMP, "no memory") : 0;
}
