/*
 * APPEND (RFC 9051 6.3.12). The message is not an argument: it goes by in chunks while its summary is made,
 * into memory up to LIMIT_BLOB_INLINE, else into a spool file of the store.
 */
#include "imap/session_int.h"
#include "io/worker.h"
#include "limits.h"
#include "mail/date.h"
#include <errno.h>

struct append_args {
	slice path;
	struct imap_flags flags;
	bool has_date;
	struct mail_date date;
};

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

static bool take_append(struct imap_session *s, struct imap_args *a, struct append_args *ret)
{
	slice date;

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &ret->path) || !imap_take_sp(a))
		return false;
	if (imap_args_peek(a) == '(' && (!imap_take_flags(a, false, &ret->flags) || !imap_take_sp(a)))
		return false;
	if (imap_args_peek(a) == '"') {
		if (!imap_take_string(a, &date) || !imap_take_sp(a))
			return false;
		ret->has_date = mail_date_imap_parse(date, &ret->date);
		if (!ret->has_date)
			return imap_args_fail(a, "that is not a date-time");
	}
	if (!s->command.pending.is)
		return imap_args_fail(a, "the message is missing");
	return imap_take_end(a);
}

/* ---- the message ---- */

struct spool {
	int fd;
	const char *p;
	size_t n;
	int error;
};

static void write_spool(void *arg)
{
	struct spool *w = arg;

	while (w->n > 0) {
		ssize_t put = write(w->fd, w->p, w->n);

		if (put < 0 && errno != EINTR) {
			w->error = errno;
			return;
		}
		if (put > 0) {
			w->p += put;
			w->n -= (size_t)put;
		}
	}
}

#define SPOOL_CHUNK 262144

/* Reads the literal; gather ends in `bytes` when fd < 0. A failure of ours still takes all bytes off the
 * stream. */
static int receive(struct imap_session *s, uint64_t left, struct mail_summary_builder *summary, int fd,
	struct buf *bytes, err *e)
{
	bool failed = false;

	while (left > 0) {
		slice have;

		stream_timeout(s->io, s->config->silence_ms);
		int rc = stream_fill(s->io, &have);
		if (rc < 0)
			return imap_stream_error(rc, e);
		if (have.n > left)
			have.n = (size_t)left;
		if (!failed) {
			mail_summary_feed(summary, have);
			buf_add(bytes, have);
		}
		stream_consume(s->io, have.n);
		left -= have.n;
		if (fd >= 0 && !failed && (bytes->n >= SPOOL_CHUNK || left == 0)) {
			struct spool w = {.fd = fd, .p = bytes->p, .n = bytes->n};

			worker_run(write_spool, &w);
			buf_reset(bytes);
			if (w.error) {
				errno = w.error;
				failed = err_sys(e, ERR_IO, "writing a spool file") < 0;
			}
		}
		if (bytes->failed && !failed)
			failed = err_set(e, ERR_TEMP, "no memory") < 0;
	}
	return failed ? -1 : 0;
}

/* What stands behind the literal must be the end of the command. 0; 1 it is not; -1. */
static int end_of_command(struct imap_session *s, err *e)
{
	struct imap_part *message = s->command.last;
	int rc = imap_command_continue(&s->reader, &s->command, e);

	if (rc == -2)
		return -1;
	if (rc == -1)
		return 1;
	if (s->command.pending.is) { /* MULTIAPPEND is not announced */
		rc = imap_command_refuse(&s->reader, &s->command, e);
		return rc < 0 ? -1 : 1;
	}
	return message->next && slice_trim(message->next->text).n == 0 ? 0 : 1;
}

static int save(struct imap_session *s, const struct append_args *args, uint32_t mailbox,
	const struct content *content, struct mail_summary_builder *builder, err *e)
{
	struct buf summary = BUF_INIT(LIMIT_MAIL_SUMMARY + 65536);
	struct append_message m = {
		.content = *content,
		.flags = args->flags.system,
		.keywords = args->flags.keywords,
		.n_keywords = args->flags.n,
		.internal_us = args->has_date ? args->date.utc_s * 1000000 : 0,
		.internal_zone_min = args->has_date ? (int16_t)args->date.zone_min : 0,
	};
	struct append append = {.account = s->account, .mailbox = mailbox, .messages = &m, .n = 1};

	int rc = mail_summary_finish(builder, &summary, e);
	if (rc == 0) {
		m.summary = buf_slice(&summary);
		rc = mailbox_append(s->store, s->codec, &append, e);
	}
	buf_free(&summary);
	if (rc < 0)
		return -1;
	return imap_answer(s, IMAP_OK, "[APPENDUID %u %u] kept", append.ret_uidvalidity, m.ret_uid);
}

/* The literal is announced and wanted. */
static int take_message(struct imap_session *s, const struct append_args *args, uint32_t mailbox, err *e)
{
	struct imap_announced lit = s->command.pending;
	struct mail_summary_builder *builder = mail_summary_new();
	bool big = lit.size > LIMIT_BLOB_INLINE;
	struct buf bytes = BUF_INIT(big ? SPOOL_CHUNK + LIMIT_STREAM_BUFFER : (size_t)lit.size);
	AUTO_FD fd = big ? store_spool_new(s->store, e) : -1;
	struct content content = {.size = (uint32_t)lit.size};
	int rc = 0, end = 0;

	if (!builder || (big && fd < 0)) {
		if (!builder)
			(void)err_set(e, ERR_TEMP, "no memory");
		err last = *e;
		rc = imap_command_refuse(&s->reader, &s->command, e) < 0 ? -1 : imap_answer_err(s, &last);
		mail_summary_free(builder);
		return rc;
	}
	if (!lit.nonsync)
		(void)stream_write(s->io, S("+ go ahead\r\n"));
	err failure = {0};
	int received = receive(s, lit.size, builder, fd, &bytes, &failure);
	bool gone = received < 0 && (failure.kind == ERR_CLOSED || failure.kind == ERR_TIMEOUT ||
					    failure.kind == ERR_CANCELED);
	end = gone ? 0 : end_of_command(s, e);
	if (received < 0) {
		*e = end < 0 ? *e : failure;
		rc = -1;
	} else if (end != 0) {
		rc = end < 0 ? -1 : imap_answer(s, IMAP_BAD, "one message ends the command");
	} else if (big) {
		rc = store_big_finish(s->store, fd, lit.size, &content.big, e);
		if (rc == 0)
			rc = save(s, args, mailbox, &content, builder, e);
		store_big_drop(content.big); /* the handle; the file stays where the intent took it */
	} else {
		content.bytes = buf_slice(&bytes);
		rc = save(s, args, mailbox, &content, builder, e);
	}
	mail_summary_free(builder);
	buf_free(&bytes);
	return rc;
}

/* Why the message is not wanted; NULL: it is. */
static const char *refusal(const struct imap_session *s, const struct append_args *args, int found)
{
	if (s->command.pending.size > s->config->message_max)
		return "[TOOBIG] the message is too large";
	if (s->command.pending.size == 0)
		return "[CANNOT] a message cannot be empty";
	if (!args->path.p || found == 0)
		return "[TRYCREATE] there is no such mailbox";
	return NULL;
}

static int find(struct imap_session *s, slice path, uint32_t *ret_id, err *e)
{
	struct store_snap snap = {0};
	struct mailbox_row row;

	if (!path.p)
		return 0;
	if (store_snap_begin(s->store, &snap, e) < 0)
		return -1;
	int rc = mailbox_find(&snap, s->account, path, &row, e);
	if (rc > 0 && row.noselect)
		rc = 0;
	if (rc > 0)
		*ret_id = row.id;
	store_snap_end(&snap);
	return rc;
}

int imap_cmd_append(struct imap_session *s, struct imap_args *a)
{
	struct append_args args = {0};
	uint32_t mailbox = 0;
	err e = {0}, refused = {0};
	const char *why;
	int rc;

	if (!take_append(s, a, &args)) {
		if (s->command.pending.is && imap_command_refuse(&s->reader, &s->command, &e) < 0)
			return imap_answer_err(s, &e);
		return imap_bad_args(s, a);
	}
	rc = find(s, args.path, &mailbox, &e);
	why = refusal(s, &args, rc);
	if (rc < 0 || why) {
		if (imap_command_refuse(&s->reader, &s->command, &refused) < 0) {
			/* Too much to read over: say why before the goodbye. */
			if (refused.kind != ERR_LIMIT)
				return imap_answer_err(s, &refused);
			s->done = true;
			buf_addz(&s->out, "* BYE the message is far too large\r\n");
		}
		return rc < 0 ? imap_answer_err(s, &e) : imap_answer(s, IMAP_NO, "%s", why);
	}
	rc = take_message(s, &args, mailbox, &e);
	if (rc == -1) {
		if (e.kind == ERR_MISSING)
			return imap_answer(s, IMAP_NO, "[TRYCREATE] there is no such mailbox");
		return imap_answer_err(s, &e);
	}
	return rc;
}
