/*
 * MESSAGELIMIT (RFC 9738): one command works on so many messages at most. What is over that is left for the
 * next command: the messages with the highest UIDs come first, and the answer names the lowest one that was
 * dealt with. COPY, SORT and THREAD do all or nothing; EXPUNGE and CLOSE know no limit (3.1, 3.3).
 */
#include "imap/session_int.h"

bool imap_over_limit(const struct imap_session *s, const struct uidset *uids)
{
	return s->config->messages_max > 0 && uidset_count(uids) > s->config->messages_max;
}

int imap_cut(struct imap_session *s, struct uidset *uids)
{
	uint32_t n = uidset_count(uids);

	if (!imap_over_limit(s, uids))
		return 0;
	uint32_t lowest = uidset_uid(uids, n - s->config->messages_max + 1);
	if (uidset_remove_range(uids, 1, lowest - 1) < 0)
		return -1;
	s->cut = lowest;
	return 0;
}

static int collect_deleted(struct imap_walk *w, struct imap_item *item, err *e)
{
	if ((item->entry.flags & FLAG_DELETED) && uidset_add(w->arg, item->entry.uid) < 0)
		return err_set(e, ERR_TEMP, "no memory");
	return 1;
}

int imap_cut_deleted(struct imap_session *s, struct uidset *uids, err *e)
{
	struct uidset deleted = {0};
	struct imap_walk w = {.s = s, .uids = uids, .now = collect_deleted, .arg = &deleted};

	if (!imap_over_limit(s, uids))
		return 0;
	int rc = imap_walk_run(&w, e);
	if (rc == 0 && imap_cut(s, &deleted) < 0)
		rc = err_set(e, ERR_TEMP, "no memory");
	uidset_free(uids);
	*uids = deleted;
	return rc;
}

int imap_answer_over_limit(struct imap_session *s, const struct uidset *uids)
{
	uint32_t n = uids ? uidset_count(uids) : 0, max = s->config->messages_max;

	if (n <= max)
		return imap_answer(s, IMAP_NO, "[MESSAGELIMIT %u] that is too many at once, name fewer", max);
	return imap_answer(s, IMAP_NO, "[MESSAGELIMIT %u %u] that is too many at once, name fewer", max,
		uidset_uid(uids, n - max + 1));
}

static void write_code(struct imap_session *s)
{
	buf_addz(&s->out, "[MESSAGELIMIT ");
	imap_write_u64(&s->out, s->config->messages_max);
	buf_add_c(&s->out, ' ');
	imap_write_u64(&s->out, s->cut);
	buf_addz(&s->out, "] ");
}

void imap_write_cut(struct imap_session *s, bool tagged)
{
	bool coded = s->answer.n > 0 &&
		     s->answer.p[0] == '['; /* an answer has one code: ours goes before it, in a NO */

	if (s->cut == 0 || s->status == IMAP_BAD || tagged == coded)
		return;
	if (!tagged)
		buf_addz(&s->out, "* NO ");
	write_code(s);
	if (!tagged)
		buf_addz(&s->out, "the messages below are left\r\n");
}
