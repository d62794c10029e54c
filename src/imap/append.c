/*
 * APPEND (RFC 9051 6.3.12) of one message or several (MULTIAPPEND, RFC 3502), each a literal, UTF8 (RFC 6855)
 * or CATENATE (RFC 4469); and REPLACE (RFC 8508). Messages are not arguments: they go by in chunks.
 *
 * All messages enter the mailbox in one intent, so that all are there or none is.
 */
#include "imap/append.h"
#include "imap/notify.h"
#include "limits.h"
#include <errno.h>
#include <stdlib.h>

/* ---- arguments ---- */

static bool take_keyword(struct imap_args *a, struct imap_flags *f, size_t max)
{
	slice name;

	if (!imap_take_atom(a, &name))
		return false;
	for (size_t i = 0; i < f->n; i++) {
		if (slice_ieq(f->keywords[i], name))
			return true;
	}
	if (f->n == max)
		return imap_args_fail(a, "too many keywords");
	f->keywords[f->n++] = name;
	return true;
}

static bool take_flag(struct imap_args *a, struct imap_flags *f)
{
	char with[32] = "\\";
	slice name;

	if (!imap_try_c(a, '\\'))
		return take_keyword(a, f, MAILBOX_KEYWORDS_MAX);
	if (!imap_take_atom(a, &name))
		return false;
	if (name.n > sizeof with - 2)
		return imap_args_fail(a, "that flag is not known");
	memcpy(with + 1, name.p, name.n);
	uint8_t bit = imap_flag_bit(slice_make(with, name.n + 1));
	if (bit == 0 &&
		!slice_ieq(name,
			S("Recent"))) /* clients copy \Recent from where they read it: it is passed over */
		return imap_args_fail(a, "that flag is not known");
	f->system |= bit;
	return true;
}

bool imap_take_flags(struct imap_args *a, bool bare, struct imap_flags *ret)
{
	struct imap_flags f = {.keywords = arena_new_n(a->arena, slice, MAILBOX_KEYWORDS_MAX)};
	bool list = imap_try_c(a, '(');

	if (!f.keywords)
		return imap_args_fail(a, "the command is too large");
	if (!list && !bare)
		return imap_args_fail(a, "a list of flags is missing");
	for (bool first = true; list ? !imap_try_c(a, ')') : first || !imap_args_at_end(a); first = false) {
		if (!first && !imap_take_sp(a))
			return false;
		if (!take_flag(a, &f))
			return false;
	}
	*ret = f;
	return true;
}

/* ---- reading ---- */

int imap_append_bad(struct imap_append *ap)
{
	(void)imap_bad_args(ap->s, ap->a);
	return 1;
}

static int refuse(struct imap_append *ap, const char *why)
{
	(void)imap_answer(ap->s, IMAP_NO, "%s", why);
	return 1;
}

/* Too much to read over: it is said before the goodbye. Else the connection is gone. */
static int lost(struct imap_session *s, const err *e)
{
	if (e->kind != ERR_LIMIT)
		return imap_end_of(e);
	s->done = true;
	buf_addz(&s->out, "* BYE what follows is far too large\r\n");
	return 1;
}

static int next_line(struct imap_append *ap)
{
	struct imap_session *s = ap->s;
	err e = {0};
	int rc = imap_command_continue(&s->reader, &s->command, &e);

	if (rc == -2)
		return lost(s, &e);
	if (rc < 0) {
		(void)imap_answer(s, IMAP_BAD, "%s", e.text);
		return 1;
	}
	ap->a->part = s->command.last;
	ap->a->text = s->command.last->text;
	ap->a->literal_taken = false;
	return 0;
}

static int ask(struct imap_session *s)
{
	return s->command.pending.nonsync ? 0 : stream_write(s->io, S("+ go ahead\r\n"));
}

bool imap_append_at_literal(const struct imap_append *ap)
{
	return ap->a->text.n == 0 && ap->s->command.pending.is;
}

int imap_append_literal(struct imap_append *ap, struct imap_sink *k)
{
	struct imap_session *s = ap->s;
	uint64_t left = s->command.pending.size;

	if (left > s->config->message_max - k->size)
		return refuse(ap, "[TOOBIG] the message is too large");
	int rc = ask(s);
	while (left > 0 && rc == 0) {
		slice have;

		stream_timeout(s->io, s->config->silence_ms);
		rc = stream_fill(s->io, &have);
		if (rc < 0)
			break;
		if (have.n > left)
			have.n = (size_t)left;
		imap_sink_feed(k, have);
		stream_consume(s->io, have.n);
		left -= have.n;
	}
	return rc < 0 ? rc : next_line(ap);
}

int imap_append_argument(struct imap_append *ap, slice *ret)
{
	struct imap_session *s = ap->s;
	uint64_t n = s->command.pending.size;

	if (n > LIMIT_IMAP_NAME)
		return refuse(ap, "[LIMIT] a literal of the list is too large");
	char *to = arena_new_n(s->arena, char, (size_t)n + 1);
	if (!to)
		return refuse(ap, "[LIMIT] the command is too large");
	int rc = ask(s);
	if (rc == 0)
		rc = stream_read_exact(s->io, to, (size_t)n);
	*ret = slice_make(to, (size_t)n);
	return rc < 0 ? rc : next_line(ap);
}

int imap_append_utf8(struct imap_append *ap, struct imap_sink *k)
{
	struct imap_args *a = ap->a;

	if (!ap->s->utf8) {
		imap_args_fail(a, "UTF8 wants ENABLE UTF8=ACCEPT first");
		return imap_append_bad(ap);
	}
	if (!imap_take_c(a, '('))
		return imap_append_bad(ap);
	if (!imap_append_at_literal(ap) || !ap->s->command.pending.binary) {
		imap_args_fail(a, "UTF8 wants a binary literal");
		return imap_append_bad(ap);
	}
	int rc = imap_append_literal(ap, k);
	return rc != 0 || imap_take_c(a, ')') ? rc : imap_append_bad(ap);
}

static int take_data(struct imap_append *ap, struct imap_sink *k)
{
	slice word;

	if (imap_append_at_literal(ap))
		return ap->s->command.pending.size ? imap_append_literal(ap, k)
						   : refuse(ap, "[CANNOT] a message cannot be empty");
	if (!imap_take_atom(ap->a, &word)) {
		ap->a->why = "the message is missing";
		return imap_append_bad(ap);
	}
	if (slice_ieq(word, S("UTF8")))
		return imap_take_sp(ap->a) ? imap_append_utf8(ap, k) : imap_append_bad(ap);
	if (slice_ieq(word, S("CATENATE")))
		return imap_take_sp(ap->a) ? imap_take_catenate(ap, k) : imap_append_bad(ap);
	imap_args_fail(ap->a, "a literal, CATENATE or UTF8 may stand there");
	return imap_append_bad(ap);
}

static bool take_options(struct imap_args *a, struct imap_message *m)
{
	slice date;

	if (imap_args_peek(a) == '(' && (!imap_take_flags(a, false, &m->flags) || !imap_take_sp(a)))
		return false;
	if (imap_args_peek(a) != '"')
		return true;
	if (!imap_take_string(a, &date) || !imap_take_sp(a))
		return false;
	m->has_date = mail_date_imap_parse(date, &m->date);
	return m->has_date || imap_args_fail(a, "that is not a date-time");
}

static int take_message(struct imap_append *ap)
{
	struct imap_message *m = &ap->messages[ap->n];
	struct imap_session *s = ap->s;
	size_t room = ap->held < LIMIT_IMAP_APPEND_MEMORY ? LIMIT_IMAP_APPEND_MEMORY - ap->held : 0;
	struct imap_sink k;
	err e = {0};

	if (!take_options(ap->a, m))
		return imap_append_bad(ap);
	ap->n++;
	imap_sink_begin(s, room < LIMIT_BLOB_INLINE ? room : LIMIT_BLOB_INLINE, &k);
	int rc = take_data(ap, &k);
	if (rc == 0 && k.size == 0)
		rc = refuse(ap, "[CANNOT] a message cannot be empty");
	if (rc == 0 && imap_sink_finish(&k, m, &e) < 0) {
		rc = imap_answer_err(s, &e);
		rc = rc < 0 ? rc : 1;
	}
	imap_sink_free(&k);
	ap->held += m->bytes.n + m->summary.n;
	return rc;
}

/* None is appended when there are more (RFC 9738 3.1). */
static size_t messages_max(const struct imap_session *s)
{
	uint32_t max = s->config->messages_max;

	return max > 0 && max < LIMIT_APPEND_MESSAGES ? max : LIMIT_APPEND_MESSAGES;
}

static int take_messages(struct imap_append *ap)
{
	for (;;) {
		int rc = take_message(ap);

		if (rc != 0)
			return rc;
		if (imap_append_at_literal(ap)) { /* without the blank before it */
			imap_args_fail(ap->a, "a blank is missing");
			return imap_append_bad(ap);
		}
		if (!ap->s->command.pending.is && imap_args_at_end(ap->a))
			return 0;
		if (!imap_take_sp(ap->a))
			return imap_append_bad(ap);
		if (ap->replaces) {
			imap_args_fail(ap->a, "REPLACE takes one message");
			return imap_append_bad(ap);
		}
		if (ap->n == messages_max(ap->s)) {
			(void)imap_answer(
				ap->s, IMAP_NO, "[MESSAGELIMIT %zu] too many messages in one APPEND", ap->n);
			return 1;
		}
	}
}

/* ---- into the mailbox ---- */

static void write_appenduid(struct buf *out, const struct append *append)
{
	buf_addz(out, "[APPENDUID ");
	imap_write_u64(out, append->ret_uidvalidity);
	buf_add_c(out, ' ');
	imap_write_u64(out, append->messages[0].ret_uid);
	if (append->n > 1) {
		buf_add_c(out, ':');
		imap_write_u64(out, append->messages[append->n - 1].ret_uid);
	}
	buf_addz(out, "] kept");
}

/* REPLACE says it before the EXPUNGE (RFC 8508 3.2). */
static int answer(struct imap_append *ap, const struct append *append)
{
	struct buf text = BUF_INIT(100);

	write_appenduid(&text, append);
	if (ap->replaces) {
		buf_addz(&ap->s->out, "* OK ");
		buf_add(&ap->s->out, buf_slice(&text));
		buf_addz(&ap->s->out, "\r\n");
		(void)imap_answer(ap->s, IMAP_OK, "replaced");
	} else {
		(void)imap_answer(ap->s, IMAP_OK, "%" SLICE_FMT, SLICE_ARG(buf_slice(&text)));
	}
	buf_free(&text);
	return 0;
}

static int tell_replaced(struct imap_session *s, uint32_t uid)
{
	struct uidset one = {0};
	int rc = uidset_add(&one, uid) < 0 ? -ENOMEM : imap_box_expunged(s, &one);

	uidset_free(&one);
	return rc;
}

static int save(struct imap_append *ap)
{
	struct imap_session *s = ap->s;
	struct append_message *list = arena_new_n(s->arena, struct append_message, ap->n);
	struct append append = {.account = ap->place.account,
		.mailbox = ap->mailbox,
		.by = s->account,
		.messages = list,
		.n = ap->n,
		.replaces_account = ap->replaces ? s->box.account : 0,
		.replaces_mailbox = ap->replaces ? s->box.mailbox : 0,
		.replaces_uid = ap->replaces};
	err e = {0};

	if (!list)
		return imap_answer(s, IMAP_NO, "[LIMIT] the command is too large");
	for (size_t i = 0; i < ap->n; i++) {
		const struct imap_message *m = &ap->messages[i];

		list[i] = (struct append_message){
			.content = m->content,
			.summary = buf_slice(&m->summary),
			.flags = m->flags.system,
			.keywords = m->flags.keywords,
			.n_keywords = m->flags.n,
			.internal_us = m->has_date ? m->date.utc_s * 1000000 : 0,
			.internal_zone_min = m->has_date ? (int16_t)m->date.zone_min : 0,
		};
	}
	if (mailbox_append(s->store, s->codec, &append, &e) == 0) {
		imap_notify_own(s, append.account, append.ret_modseq);
		return ap->replaces && tell_replaced(s, ap->replaces) < 0 ? -ENOMEM : answer(ap, &append);
	}
	if (e.kind == ERR_MISSING)
		return imap_answer(s, IMAP_NO, "[TRYCREATE] there is no such mailbox");
	if (e.kind == ERR_CONFLICT)
		return imap_answer(s, IMAP_NO, "[EXPUNGEISSUED] the message to replace is gone");
	return imap_answer_err(s, &e);
}

/* From the mailbox's name on. 0, 1, or the end. */
static int gather(struct imap_append *ap)
{
	struct imap_session *s = ap->s;
	err e = {0};

	if (!imap_take_sp(ap->a) || !imap_take_mailbox(s, ap->a, &ap->place) || !imap_take_sp(ap->a))
		return imap_append_bad(ap);
	ap->messages = arena_new_n(s->arena, struct imap_message, LIMIT_APPEND_MESSAGES);
	if (!ap->messages)
		return refuse(ap, "[LIMIT] the command is too large");
	int rc = imap_place_id(s, &ap->place, RIGHT_INSERT, &ap->mailbox, &e);
	if (rc < 0) {
		rc = imap_answer_err(s, &e);
		return rc < 0 ? rc : 1;
	}
	return rc == 0 ? refuse(ap, "[TRYCREATE] there is no such mailbox") : take_messages(ap);
}

static int run(struct imap_append *ap)
{
	struct imap_session *s = ap->s;
	err e = {0};
	int rc = gather(ap);

	if (rc == 1 && s->command.pending.is && !s->done &&
		imap_command_refuse(&s->reader, &s->command, &e) < 0)
		rc = lost(s, &e);
	if (rc == 0)
		rc = save(ap);
	for (size_t i = 0; i < ap->n; i++) {
		struct imap_message *m = &ap->messages[i];

		store_big_drop(m->content.big); /* the handle; the file stays where the intent took it */
		buf_free(&m->bytes);
		buf_free(&m->summary);
	}
	return rc < 0 ? rc : 0;
}

int imap_cmd_append(struct imap_session *s, struct imap_args *a)
{
	struct imap_append ap = {.s = s, .a = a};

	return run(&ap);
}

/* One message of the selected mailbox by UID or number; 0: the answer is set. */
static uint32_t take_replaced(struct imap_session *s, struct imap_args *a)
{
	struct uidset uids = {0};
	uint32_t n, uid = 0;

	if (!imap_take_sp(a) || !imap_take_u32(a, &n)) {
		(void)imap_bad_args(s, a);
		return 0;
	}
	struct imap_range range = {n, n};
	const struct imap_seqset set = {.ranges = &range, .n = 1};
	if (n == 0)
		(void)imap_answer(s, IMAP_BAD, "no message has the number 0");
	else if (imap_resolve(s, &set, &uids) == 0) {
		uid = uidset_next(&uids, 1);
		if (uid == 0)
			(void)imap_answer(s, IMAP_NO, "[NONEXISTENT] there is no message of that UID");
	}
	uidset_free(&uids);
	return uid;
}

int imap_cmd_replace(struct imap_session *s, struct imap_args *a)
{
	struct imap_append ap = {.s = s, .a = a, .replaces = take_replaced(s, a)};
	err e = {0};

	if (ap.replaces)
		return run(&ap);
	if (s->command.pending.is && imap_command_refuse(&s->reader, &s->command, &e) < 0) {
		int rc = lost(s, &e);
		return rc < 0 ? rc : 0;
	}
	return 0;
}
