/* SORT (RFC 5256 3, ESORT RFC 5267 3, PARTIAL RFC 9394). */
#include "imap/condstore.h"
#include "imap/find.h"
#include "imap/sortkey.h"
#include "limits.h"

struct run {
	struct find f;
	struct sort_program program;
	struct order order;
	struct buf key;
	uint64_t highest; /* modseq of what was found */
};

static int hit(struct find *f, struct imap_walk *w, struct imap_item *item, bool in_snapshot, err *e)
{
	struct run *run = f->arg;

	buf_reset(&run->key);
	if (imap_sort_key(&run->program, &f->digests.room, in_snapshot ? w : NULL, item, w->arena, &run->key,
		    e) < 0)
		return -1;
	if (item->entry.modseq > run->highest)
		run->highest = item->entry.modseq;
	return order_add(&run->order, buf_slice(&run->key), item->entry.uid, e);
}

static uint32_t told(const struct imap_session *s, const struct order *o, uint32_t at)
{
	uint32_t uid = o->items[at].number;

	return s->by_uid ? uid : uidset_seq(&s->box.uids, uid);
}

/* The numbers in their order, none as a range: a range says nothing of the order within it. */
static int write_numbers(struct imap_session *s, const struct order *o, uint32_t from, uint32_t to, char part)
{
	int rc = 0;

	for (uint32_t i = from; i < to && rc == 0; i++) {
		if (i > from || part == ' ')
			buf_add_c(&s->out, part);
		imap_write_u64(&s->out, told(s, o, i));
		rc = imap_breathe(s);
	}
	return rc;
}

static int tell_sort(struct imap_session *s, const struct order *o, uint64_t modseq)
{
	buf_addz(&s->out, "* SORT");
	int rc = write_numbers(s, o, 0, o->n, ' ');
	if (modseq > 0) { /* RFC 7162 7: search-sort-mod-seq */
		buf_addz(&s->out, " (MODSEQ ");
		imap_write_u64(&s->out, modseq);
		buf_add_c(&s->out, ')');
	}
	buf_addz(&s->out, "\r\n");
	return rc;
}

static void write_number(struct buf *out, const char *name, uint64_t v)
{
	buf_addz(out, name);
	imap_write_u64(out, v);
}

/* The modseq of a message as it is now; 0: it is gone. */
static int modseq_of(struct imap_session *s, uint32_t uid, uint64_t *ret, err *e)
{
	struct store_snap snap = {0};
	struct mailbox_entry entry;

	if (store_snap_begin(s->store, &snap, e) < 0)
		return -1;
	int rc = mailbox_entry_get(&snap, s->box.account, s->box.mailbox, uid, &entry, e);
	store_snap_end(&snap);
	*ret = rc > 0 ? entry.modseq : 0;
	return rc < 0 ? -1 : 0;
}

/* The highest one of the messages that are told: with MIN or MAX alone just those (RFC 4731 3.2). */
static int told_modseq(struct imap_session *s, const struct run *run, uint64_t *ret, err *e)
{
	const struct order *o = &run->order;
	unsigned returns = run->f.q.extended ? run->f.q.returns : SEARCH_RETURN_ALL;
	uint64_t first = 0, last = 0;
	int rc = 0;

	*ret = run->f.q.modseq ? run->highest : 0;
	if (*ret == 0 || (returns & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT | SEARCH_RETURN_PARTIAL)))
		return 0;
	if (returns & SEARCH_RETURN_MIN)
		rc = modseq_of(s, o->items[0].number, &first, e);
	if (rc == 0 && (returns & SEARCH_RETURN_MAX))
		rc = modseq_of(s, o->items[o->n - 1].number, &last, e);
	*ret = first > last ? first : last;
	return rc;
}

/* MIN and MAX are the first and the last in the order asked for. */
static int tell_esort(struct imap_session *s, const struct search *q, const struct order *o, uint64_t modseq)
{
	struct buf *out = &s->out;
	unsigned returns = q->returns;
	int rc = 0;

	if (returns == SEARCH_RETURN_SAVE)
		return 0;
	buf_addz(out, "* ESEARCH (TAG ");
	imap_write_string(out, s->command.tag, false);
	buf_addz(out, s->by_uid ? ") UID" : ")");
	if (o->n > 0 && (returns & SEARCH_RETURN_MIN))
		write_number(out, " MIN ", told(s, o, 0));
	if (o->n > 0 && (returns & SEARCH_RETURN_MAX))
		write_number(out, " MAX ", told(s, o, o->n - 1));
	if (returns & SEARCH_RETURN_COUNT)
		write_number(out, " COUNT ", o->n);
	if (o->n > 0 && (returns & SEARCH_RETURN_ALL)) {
		buf_addz(out, " ALL ");
		rc = write_numbers(s, o, 0, o->n, ',');
	}
	if (returns & SEARCH_RETURN_PARTIAL) {
		uint32_t from, to;

		imap_partial_places(&q->partial, o->n, &from, &to);
		buf_addz(out, " PARTIAL (");
		buf_add(out, q->partial.range);
		buf_add_c(out, ' ');
		if (from >= to)
			buf_addz(out, "NIL");
		else
			rc = write_numbers(s, o, from, to, ',');
		buf_add_c(out, ')');
	}
	if (modseq > 0)
		write_number(out, " MODSEQ ", modseq);
	buf_addz(out, "\r\n");
	return rc;
}

/* "$" is a set, whatever the order (RFC 5182 2.1). */
static int save(struct imap_session *s, const struct search *q, const struct order *o)
{
	uint32_t from = 0, to = 0;
	bool some = (q->returns & (SEARCH_RETURN_MIN | SEARCH_RETURN_MAX | SEARCH_RETURN_PARTIAL)) &&
		    !(q->returns & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT));
	struct order_item *by_uid = o->n ? malloc(2 * o->n * sizeof *by_uid) : NULL;
	uint32_t n = 0;
	int rc = 0;

	uidset_free(&s->saved);
	if (o->n > 0 && !by_uid)
		return -1;
	if (q->returns & SEARCH_RETURN_PARTIAL)
		imap_partial_places(&q->partial, o->n, &from, &to);
	for (uint32_t i = 0; i < o->n; i++) {
		bool first = (q->returns & SEARCH_RETURN_MIN) && i == 0;
		bool last = (q->returns & SEARCH_RETURN_MAX) && i + 1 == o->n;

		if (!some || first || last || (i >= from && i < to))
			by_uid[n++] =
				(struct order_item){.head = o->items[i].number, .number = o->items[i].number};
	}
	if (n > 0)
		rc = order_sort_heads(by_uid, by_uid + n, n);
	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = uidset_add(&s->saved, by_uid[i].number);
	free(by_uid);
	return rc;
}

static int tell(struct imap_session *s, struct run *run, err *e)
{
	const struct search *q = &run->f.q;
	uint64_t modseq;
	if (told_modseq(s, run, &modseq, e) < 0)
		return -1;
	int rc = q->extended ? tell_esort(s, q, &run->order, modseq) : tell_sort(s, &run->order, modseq);

	if (rc < 0)
		return imap_stream_error(rc, e);
	if ((q->returns & SEARCH_RETURN_SAVE) && save(s, q, &run->order) < 0)
		return err_set(e, ERR_TEMP, "no memory");
	return 0;
}

static int sort(struct imap_session *s, struct run *run)
{
	err e = {0};

	if (run->f.q.modseq)
		imap_condstore_enable(s);
	int rc = imap_find_run(s, &run->f, &e);
	if (rc == 0)
		rc = order_sort(&run->order, &e);
	if (rc == 0)
		rc = tell(s, run, &e);
	if (rc != 0 && (run->f.q.returns & SEARCH_RETURN_SAVE))
		uidset_free(&s->saved);
	if (rc > 0)
		return 0;
	return rc < 0 ? imap_answer_err(s, &e) : imap_find_answer(s, &run->f, "sorted");
}

int imap_cmd_sort(struct imap_session *s, struct imap_args *a)
{
	struct run *run = calloc(1, sizeof *run);
	int rc;

	if (!run)
		return imap_answer(s, IMAP_NO, "[UNAVAILABLE] no memory");
	run->key = BUF_INIT(SORT_BY_COUNT * (LIMIT_IMAP_SORT_TEXT + 8));
	run->f.hit = hit;
	run->f.at_once = true;
	run->f.arg = run;
	if (!imap_take_search_returns(a, &run->f.q) || !imap_take_sort_program(a, &run->program) ||
		!imap_take_search_program(a, &run->f.q) || !imap_find_allowed(s, a, &run->f.q)) {
		rc = imap_find_refuse(s, a, &run->f.q);
	} else {
		run->f.needs = run->program.needs;
		rc = sort(s, run);
	}
	imap_find_free(&run->f);
	order_free(&run->order);
	buf_free(&run->key);
	free(run);
	return rc;
}
