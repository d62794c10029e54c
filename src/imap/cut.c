/*
 * MESSAGELIMIT (RFC 9738): one command works on so many messages at most. What is over that is left for the
 * next command: the messages with the highest UIDs come first, and the answer names the lowest one that was
 * dealt with.
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

int imap_answer_over_limit(struct imap_session *s)
{
	return imap_answer(s, IMAP_NO, "[MESSAGELIMIT %u] that is too many at once, name fewer",
		s->config->messages_max);
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
	bool coded =
		s->answer.n > 0 && s->answer.p[0] == '['; /* an answer has one code: ours goes before it */

	if (s->cut == 0 || s->status == IMAP_BAD || tagged == coded)
		return;
	if (!tagged)
		buf_addz(&s->out, "* OK ");
	write_code(s);
	if (!tagged)
		buf_addz(&s->out, "the messages below are left\r\n");
}
