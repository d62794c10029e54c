/* THREAD (RFC 5256 3): the messages, an algorithm, the answer. */
#include "imap/find.h"
#include "imap/sortkey.h"
#include "imap/threads.h"

struct run {
	struct find f;
	struct threads threads;
	bool references;
	bool by_uid;
};

/* A message with more parents than its digest holds. */
static int all_parents(struct find *f, struct imap_walk *w, struct imap_item *item, slice *ret, err *e)
{
	struct mail_envelope v;
	uint64_t id;
	int there = w && !item->has_summary ? imap_walk_load(w, item, IMAP_NEED_SUMMARY, e) : 1;

	if (there <= 0)
		return there;
	if (mail_summary_envelope(&item->summary, 0, &v) < 0)
		return err_set(e, ERR_CORRUPT, "a summary is damaged");
	if (mail_digest_ids(&f->digests.room, &v, f->digests.secret, &id, ret) < 0)
		return err_set(e, ERR_TEMP, "no memory");
	return 0;
}

static int hit(struct find *f, struct imap_walk *w, struct imap_item *item, bool in_snapshot, err *e)
{
	struct run *run = f->arg;
	const struct mail_digest *d = &item->digest;
	struct imap_walk *loads = in_snapshot ? w : NULL;
	struct thread_of m = {.number = run->by_uid ? item->entry.uid : item->seq,
		.subject = d->subject,
		.reply = d->reply};

	if (imap_sent_date(loads, item, &m.date, e) < 0)
		return -1;
	if (run->references) {
		m.id = d->id;
		m.parents = d->parents;
		if (d->parents_cut && all_parents(f, loads, item, &m.parents, e) < 0)
			return -1;
	}
	return threads_add(&run->threads, &m, e);
}

static int send_some(void *arg)
{
	return imap_breathe(arg);
}

static int tell(struct imap_session *s, const struct threads *t, err *e)
{
	int rc = 0;

	buf_addz(&s->out, "* THREAD");
	if (t->messages_n > 0) {
		buf_add_c(&s->out, ' ');
		for (uint32_t c = t->nodes[THREAD_ROOT].child; c && rc == 0; c = t->nodes[c].next)
			rc = threads_write(t, c, &s->out, send_some, s);
	}
	buf_addz(&s->out, "\r\n");
	return rc < 0 ? imap_stream_error(rc, e) : 0;
}

static bool take_algorithm(struct imap_args *a, bool *ret_references)
{
	slice name;

	if (!imap_take_sp(a) || !imap_take_word(a, &name))
		return imap_args_fail(a, "THREAD wants an algorithm: REFERENCES or ORDEREDSUBJECT");
	*ret_references = slice_ieq(name, S("REFERENCES"));
	return *ret_references || slice_ieq(name, S("ORDEREDSUBJECT")) ||
	       imap_args_fail(a, "that way to thread is not known: REFERENCES or ORDEREDSUBJECT");
}

static int thread(struct imap_session *s, struct run *run)
{
	err e = {0};
	int rc = imap_find_run(s, &run->f, &e);

	if (rc == 0)
		rc = run->references ? threads_references(&run->threads, &e)
				     : threads_ordered(&run->threads, &e);
	if (rc == 0)
		rc = tell(s, &run->threads, &e);
	if (rc > 0)
		return 0;
	return rc < 0 ? imap_answer_err(s, &e) : imap_find_answer(s, &run->f, "threaded");
}

int imap_cmd_thread(struct imap_session *s, struct imap_args *a)
{
	struct run *run = calloc(1, sizeof *run);
	int rc;

	if (!run)
		return imap_answer(s, IMAP_NO, "[UNAVAILABLE] no memory");
	run->by_uid = s->by_uid;
	run->f = (struct find){.needs = IMAP_NEED_DIGEST, .hit = hit, .arg = run, .at_once = true};
	run->threads.expected = uidset_count(&s->box.uids);
	if (!take_algorithm(a, &run->references) || !imap_take_search_program(a, &run->f.q) ||
		!imap_find_allowed(s, a, &run->f.q))
		rc = imap_find_refuse(s, a, &run->f.q);
	else
		rc = thread(s, run);
	imap_find_free(&run->f);
	threads_free(&run->threads);
	free(run);
	return rc;
}
