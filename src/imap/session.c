#include "imap/session.h"
#include "imap/capability.h"
#include "imap/compress.h"
#include "imap/notify.h"
#include "imap/session_int.h"
#include "io/loop.h"
#include "limits.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define PATIENCE_MS 5000 /* silence after which a session gives back all memory it does not need */
#define OUT_MAX                                                                                              \
	4194304 /* responses of one block: a BODYSTRUCTURE and an ENVELOPE of LIMIT_MAIL_SUMMARY and more */
_Static_assert(sizeof(struct imap_session) <= 2048, "a session that idles costs little");

#define OUT_KEEP 16384

/*
 * One line a command. CONDSTORE, QRESYNC, SORT, THREAD and the like add their verbs here and their arguments
 * to the commands they extend.
 */
static const struct verb {
	slice name;
	imap_run *run;
	unsigned flags;
} verbs[] = {
	{SLICE_INIT("NOOP"), imap_cmd_noop, IMAP_ANYTIME},
	{SLICE_INIT("CHECK"), imap_cmd_noop, IMAP_SELECTED},
	{SLICE_INIT("CAPABILITY"), imap_cmd_capability, IMAP_ANYTIME},
	{SLICE_INIT("LOGOUT"), imap_cmd_logout, IMAP_ANYTIME | IMAP_NO_NEWS},
	{SLICE_INIT("ID"), imap_cmd_id, IMAP_ANYTIME},
	{SLICE_INIT("COMPRESS"), imap_cmd_compress, IMAP_ANYTIME},
	{SLICE_INIT("ENABLE"), imap_cmd_enable, IMAP_ANYTIME | IMAP_NO_NEWS},
	{SLICE_INIT("NAMESPACE"), imap_cmd_namespace, IMAP_ANYTIME},
	{SLICE_INIT("IDLE"), imap_cmd_idle, IMAP_ANYTIME},
	{SLICE_INIT("NOTIFY"), imap_cmd_notify, IMAP_ANYTIME},
	{SLICE_INIT("SELECT"), imap_cmd_select, IMAP_ANYTIME | IMAP_NO_NEWS},
	{SLICE_INIT("EXAMINE"), imap_cmd_examine, IMAP_ANYTIME | IMAP_NO_NEWS},
	{SLICE_INIT("CLOSE"), imap_cmd_close, IMAP_SELECTED | IMAP_NO_NEWS},
	{SLICE_INIT("UNSELECT"), imap_cmd_unselect, IMAP_SELECTED | IMAP_NO_NEWS},
	{SLICE_INIT("LIST"), imap_cmd_list, IMAP_ANYTIME},
	{SLICE_INIT("LSUB"), imap_cmd_lsub, IMAP_ANYTIME},
	{SLICE_INIT("CREATE"), imap_cmd_create, IMAP_ANYTIME},
	{SLICE_INIT("DELETE"), imap_cmd_delete, IMAP_ANYTIME},
	{SLICE_INIT("RENAME"), imap_cmd_rename, IMAP_ANYTIME},
	{SLICE_INIT("SUBSCRIBE"), imap_cmd_subscribe, IMAP_ANYTIME},
	{SLICE_INIT("UNSUBSCRIBE"), imap_cmd_unsubscribe, IMAP_ANYTIME},
	{SLICE_INIT("STATUS"), imap_cmd_status, IMAP_ANYTIME},
	{SLICE_INIT("GETQUOTA"), imap_cmd_getquota, IMAP_ANYTIME},
	{SLICE_INIT("GETQUOTAROOT"), imap_cmd_getquotaroot, IMAP_ANYTIME},
	{SLICE_INIT("SETQUOTA"), imap_cmd_setquota, IMAP_ANYTIME},
	{SLICE_INIT("SETACL"), imap_cmd_setacl, IMAP_ANYTIME},
	{SLICE_INIT("DELETEACL"), imap_cmd_deleteacl, IMAP_ANYTIME},
	{SLICE_INIT("GETACL"), imap_cmd_getacl, IMAP_ANYTIME},
	{SLICE_INIT("LISTRIGHTS"), imap_cmd_listrights, IMAP_ANYTIME},
	{SLICE_INIT("MYRIGHTS"), imap_cmd_myrights, IMAP_ANYTIME},
	{SLICE_INIT("GETMETADATA"), imap_cmd_getmetadata, IMAP_ANYTIME},
	{SLICE_INIT("SETMETADATA"), imap_cmd_setmetadata, IMAP_ANYTIME},
	{SLICE_INIT("APPEND"), imap_cmd_append, IMAP_ANYTIME | IMAP_STREAMS},
	{SLICE_INIT("REPLACE"), imap_cmd_replace, IMAP_SELECTED | IMAP_HAS_UID | IMAP_WRITES | IMAP_STREAMS},
	{SLICE_INIT("FETCH"), imap_cmd_fetch, IMAP_SELECTED | IMAP_HAS_UID | IMAP_USES_SEQS},
	{SLICE_INIT("STORE"), imap_cmd_store, IMAP_SELECTED | IMAP_HAS_UID | IMAP_USES_SEQS | IMAP_WRITES},
	{SLICE_INIT("SEARCH"), imap_cmd_search, IMAP_SELECTED | IMAP_HAS_UID | IMAP_USES_SEQS},
	{SLICE_INIT("ESEARCH"), imap_cmd_esearch, IMAP_ANYTIME},
	{SLICE_INIT("THREAD"), imap_cmd_thread, IMAP_SELECTED | IMAP_HAS_UID | IMAP_USES_SEQS},
	{SLICE_INIT("SORT"), imap_cmd_sort, IMAP_SELECTED | IMAP_HAS_UID | IMAP_USES_SEQS},
	{SLICE_INIT("COPY"), imap_cmd_copy, IMAP_SELECTED | IMAP_HAS_UID},
	{SLICE_INIT("MOVE"), imap_cmd_move, IMAP_SELECTED | IMAP_HAS_UID | IMAP_WRITES},
	{SLICE_INIT("EXPUNGE"), imap_cmd_expunge, IMAP_SELECTED | IMAP_WRITES},
	{SLICE_INIT("EXPUNGE"), imap_cmd_uid_expunge, IMAP_SELECTED | IMAP_ONLY_UID | IMAP_WRITES},
	{SLICE_INIT("LOGIN"), NULL, 0},
	{SLICE_INIT("AUTHENTICATE"), NULL, 0},
	{SLICE_INIT("STARTTLS"), NULL, 0},
};

static const struct verb *find_verb(slice name, bool uid)
{
	for (size_t i = 0; i < COUNT_OF(verbs); i++) {
		const struct verb *v = &verbs[i];

		if (slice_ieq(v->name, name) && (uid ? (v->flags & (IMAP_HAS_UID | IMAP_ONLY_UID)) != 0
						     : !(v->flags & IMAP_ONLY_UID)))
			return v;
	}
	return NULL;
}

/*
 * APPEND and REPLACE read the message themselves. The mailbox's name may be a literal, too: an argument like
 * any other, so that what comes behind the message's number is the first literal that counts.
 */
static bool streams(const struct imap_command *c)
{
	slice args = slice_skip(c->first->text, c->args_at), word = c->verb;
	bool uid = slice_ieq(c->verb, S("UID"));

	if (uid && !slice_word(&args, &word))
		return false;
	const struct verb *v = find_verb(word, uid);
	if (!v || !(v->flags & IMAP_STREAMS))
		return false;
	if (v->run == imap_cmd_replace && !slice_word(&args, &word))
		return false;
	return c->parts > 0 || slice_trim(args).n > 0;
}

/* ---- answers ---- */

int imap_answer(struct imap_session *s, enum imap_status status, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	s->status = status;
	s->answer =
		arena_copy(s->arena, slice_make(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
	if (!s->answer.p)
		s->answer = S("done");
	return 0;
}

int imap_bad_args(struct imap_session *s, const struct imap_args *a)
{
	return imap_answer(s, IMAP_BAD, "%s", a->why ? a->why : "the arguments are not as they should be");
}

int imap_end_of(const err *e)
{
	if (e->kind == ERR_CLOSED)
		return -EPIPE;
	return e->kind == ERR_TIMEOUT ? -ETIMEDOUT : e->kind == ERR_CANCELED ? -ECANCELED : -EIO;
}

int imap_answer_err(struct imap_session *s, const err *e)
{
	if (e->kind == ERR_CLOSED || e->kind == ERR_CANCELED || e->kind == ERR_TIMEOUT)
		return imap_end_of(e);
	if (e->kind == ERR_IO || e->kind == ERR_CORRUPT)
		return imap_answer(s, IMAP_NO, "%sthe post house has a fault: the log says more",
			imap_error_code(e->kind));
	return imap_answer(s, IMAP_NO, "%s%s", imap_error_code(e->kind), e->text);
}

int imap_send(struct imap_session *s)
{
	int rc = 0;

	if (s->out.failed)
		return -ENOMEM;
	s->sent += s->out.n;
	stream_timeout(s->io, s->config->silence_ms); /* a client that takes its answer is not silent */
	if (s->out.n > 0)
		rc = stream_write(s->io, buf_slice(&s->out));
	if (s->out.cap > OUT_KEEP)
		buf_free(&s->out);
	else
		buf_reset(&s->out);
	return rc;
}

static int bye(struct imap_session *s, const char *text)
{
	s->done = true;
	buf_addz(&s->out, "* BYE ");
	buf_addz(&s->out, text);
	buf_addz(&s->out, "\r\n");
	return imap_send(s);
}

static int send_answer(struct imap_session *s)
{
	static const char *const words[] = {[IMAP_OK] = " OK ", [IMAP_NO] = " NO ", [IMAP_BAD] = " BAD "};

	imap_write_cut(s, false);
	buf_add(&s->out, s->command.tag.n ? s->command.tag : S("*"));
	buf_addz(&s->out, words[s->status]);
	imap_write_cut(s, true);
	buf_add(&s->out, s->answer);
	buf_addz(&s->out, "\r\n");
	if (s->status == IMAP_BAD)
		s->errors++;
	else if (s->status == IMAP_OK && s->errors > 0)
		s->errors--; /* a slip now and then in a session of days ends nothing */
	return imap_send(s);
}

/* ---- one command ---- */

static int refuse(struct imap_session *s, const char *why)
{
	err e = {0};

	if (s->command.pending.is && imap_command_refuse(&s->reader, &s->command, &e) < 0) {
		if (e.kind != ERR_LIMIT)
			return imap_answer_err(s, &e);
		int rc = bye(s, e.text); /* what follows is not read: it must not be taken for commands */
		if (rc < 0)
			return rc;
	}
	return imap_answer(s, IMAP_BAD, "%s", why);
}

static const struct verb *judge_verb(struct imap_session *s, struct imap_args *a, const char **ret_why)
{
	slice name = s->command.verb;

	s->by_uid = slice_ieq(name, S("UID"));
	s->by_numbers = false;
	if (s->by_uid && (!imap_take_sp(a) || !imap_take_atom(a, &name))) {
		*ret_why = "UID wants a command behind it";
		return NULL;
	}
	const struct verb *v = find_verb(name, s->by_uid);
	*ret_why = NULL;
	if (s->command.tag.n == 0)
		*ret_why = "a command begins with a tag, such as: a1 NOOP";
	else if (!v)
		*ret_why = "that command is not known";
	else if (!v->run)
		*ret_why = "you are logged in already";
	else if (!(v->flags & IMAP_ANYTIME) && !s->box.open)
		*ret_why = "no mailbox is selected";
	else if (s->uidonly && !s->by_uid && (v->flags & IMAP_HAS_UID))
		*ret_why = "[UIDREQUIRED] UIDONLY is enabled: say UID before the command";
	return *ret_why ? NULL : v;
}

/* For the list of fibers and the loop's watchdog. */
static void label(const struct imap_session *s, const struct verb *v)
{
	char text[40];

	snprintf(text, sizeof text, "%s%s of %u", s->by_uid ? "UID " : "", v->name.p, s->account);
	fiber_label(text);
}

static int run_command(struct imap_session *s)
{
	struct imap_args a = imap_args_of(&s->command, s->arena);
	const char *why;
	const struct verb *v = judge_verb(s, &a, &why);
	int rc;

	a.utf8 = s->utf8;
	s->answer = S("done");
	s->status = IMAP_OK;
	s->progress_at = loop_now();
	if (!v)
		return refuse(s, why);
	if ((v->flags & IMAP_WRITES) && s->box.readonly) {
		rc = refuse(s, "");
		return rc < 0 ? rc
			      : imap_answer(
					s, IMAP_NO, "[READ-ONLY] the mailbox was opened for reading only");
	}
	label(s, v);
	rc = v->run(s, &a);
	if (rc >= 0 && !(v->flags & IMAP_NO_NEWS))
		rc = imap_news(s, (s->by_uid && !s->by_numbers) || !(v->flags & IMAP_USES_SEQS));
	uidset_free(&s->quiet.uids);
	s->quiet = (struct imap_quiet){0};
	return rc;
}

/* A command that is not there as a whole. What is longer than a value may be has an answer of its own. */
static int refuse_unread(struct imap_session *s, const err *e)
{
	if (e->kind == ERR_LIMIT && slice_ieq(s->command.verb, S("SETMETADATA")))
		return imap_answer(s, IMAP_NO, "[METADATA MAXSIZE %d] %s", LIMIT_METADATA_VALUE, e->text);
	return imap_answer(s, IMAP_BAD, "%s%s", e->kind == ERR_LIMIT ? "[TOOBIG] " : "", e->text);
}

static int one_command(struct imap_session *s)
{
	err e = {0};

	arena_reset(s->arena);
	s->answer = (slice){NULL, 0};
	s->command = (struct imap_command){0};
	s->cut = 0;
	int rc = imap_wait(s, PATIENCE_MS);
	if (rc < 0)
		return rc;
	s->reader = (struct imap_reader){
		.io = s->io, .limits = &imap_limits_session, .arena = s->arena, .streams = streams};
	rc = imap_command_read(&s->reader, &s->command, &e);
	if (rc == -2)
		return e.kind == ERR_LIMIT ? bye(s, e.text) : imap_answer_err(s, &e);
	if (rc < 0)
		rc = refuse_unread(s, &e);
	else
		rc = run_command(s);
	if (rc == 0)
		rc = send_answer(s);
	return rc == 0 && s->compress == IMAP_COMPRESS_NEXT ? imap_compress_start(s) : rc;
}

/* ---- the session ---- */

static int welcome(struct imap_session *s, slice tag)
{
	buf_add(&s->out, tag);
	buf_addz(&s->out, " OK [CAPABILITY ");
	imap_capability_session(&s->out, s->config->message_max, s->config->messages_max);
	buf_addz(&s->out, "] logged in\r\n");
	return imap_send(s);
}

void imap_session_run(const struct imap_start *start)
{
	struct imap_session *s = calloc(1, sizeof *s);
	int rc = -ENOMEM;

	if (!s)
		return;
	s->io = start->io;
	s->store = start->store;
	s->codec = start->codec;
	s->watch_loop = start->watch_loop;
	s->account = start->account;
	s->config = start->config;
	s->out.max = OUT_MAX;
	s->arena = arena_new(LIMIT_IMAP_ARENA);
	stream_timeout(s->io, s->config->silence_ms);
	if (s->arena)
		rc = welcome(s, start->tag);
	while (rc >= 0 && !s->done) {
		rc = one_command(s);
		if (rc >= 0 && !s->done && s->errors >= s->config->errors_max)
			rc = bye(s, "too many errors");
	}
	if (rc == -ETIMEDOUT)
		(void)bye(s, "you said nothing for too long");
	else if (rc == -ECANCELED)
		(void)bye(s, "[UNAVAILABLE] the post house closes this session, come again");
	else if (rc == -ENOMEM || rc == -EIO)
		(void)bye(s, "[SERVERBUG] the post house has a fault");
	imap_box_close(s);
	imap_notify_free(s->notify);
	uidset_free(&s->quiet.uids);
	uidset_free(&s->saved);
	buf_free(&s->out);
	arena_free(s->arena);
	free(s);
}
