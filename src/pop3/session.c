#include "pop3/session.h"
#include "base/buf.h"
#include "base/encode.h"
#include "limits.h"
#include "mail/downgrade.h"
#include "mailbox/mailbox.h"
#include "mailbox/write.h"
#include "pop3/capability.h"
#include "pop3/dotwriter.h"
#include "pop3/text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LOAD_AT_ONCE 8192 /* entries read under one snapshot */
#define READ_CHUNK   32768

struct item { /* a message of the list made at log-in */
	uint64_t id;
	uint32_t uid, size;
	bool deleted;
};

struct session {
	struct pop3_session *given;
	struct stream *io;
	struct item *items;
	uint32_t n, cap, left;
	uint32_t uidvalidity;
	uint64_t octets; /* of those left */
	uint32_t errors;
	bool done;
	enum pop3_language language;
};

typedef int command_fn(struct session *s, slice args);
typedef void add_fn(struct buf *out, const struct session *s, const struct item *m);

static int say(struct session *s, const char *text)
{
	return pop3_say(s->io, s->language, text);
}

static const char *text(const struct session *s, const char *english)
{
	return pop3_text(s->language, english);
}

static int refuse(struct session *s, const char *text)
{
	s->errors++;
	return say(s, text);
}

/* ---- the list ---- */

static int keep(struct session *s, const struct mailbox_entry *m, err *e)
{
	if (s->n == s->cap) {
		uint32_t cap = s->cap ? 2 * s->cap : 64;
		struct item *grown = realloc(s->items, cap * sizeof *grown);

		if (!grown)
			return err_set(e, ERR_TEMP, "no memory for the list of messages");
		s->items = grown;
		s->cap = cap;
	}
	s->items[s->n++] = (struct item){m->message, m->uid, m->size, false};
	s->left++;
	s->octets += m->size;
	return 0;
}

/* Some thousand entries under one snapshot. 1: more may be there. */
static int load_some(struct session *s, uint32_t from, err *e)
{
	struct store_snap snap;
	struct mailbox_entry_scan scan = {.done = false};
	const struct mailbox_entry *entry;
	struct mailbox_row row;
	uint32_t took = 0;
	int rc;

	if (store_snap_begin(s->given->store, &snap, e) < 0)
		return -1;
	rc = mailbox_get(&snap, s->given->account, MAILBOX_INBOX, &row, e);
	if (rc > 0) {
		s->uidvalidity = row.uidvalidity;
		rc = mailbox_entry_open(&snap, s->given->account, MAILBOX_INBOX, from, UINT32_MAX, &scan, e);
	} else if (rc == 0) {
		rc = err_set(e, ERR_MISSING, "the account is gone");
	}
	if (rc == 0) {
		while ((rc = mailbox_entry_next(&scan, &entry, e)) == 1 && took < LOAD_AT_ONCE) {
			if (keep(s, entry, e) < 0) {
				rc = -1;
				break;
			}
			took++;
		}
		mailbox_entry_close(&scan);
	}
	store_snap_end(&snap);
	return rc;
}

/* The setting `pop3 newest`: old messages are as if they were not there, and numbers begin behind them. */
static void keep_newest(struct session *s)
{
	uint32_t most = s->given->newest, old = most && s->n > most ? s->n - most : 0;

	for (uint32_t i = 0; i < old; i++)
		s->octets -= s->items[i].size;
	if (old)
		memmove(s->items, s->items + old, (s->n - old) * sizeof *s->items);
	s->n -= old;
	s->left -= old;
}

static int load(struct session *s, err *e)
{
	int rc;

	while ((rc = load_some(s, s->n ? s->items[s->n - 1].uid + 1 : 1, e)) == 1)
		if (fiber_yield() < 0)
			return err_set(e, ERR_CANCELED, "cancelled");
	if (rc == 0)
		keep_newest(s);
	return rc;
}

/* "3" -> the item; NULL: answered. */
static struct item *pick(struct session *s, slice args)
{
	uint32_t number;

	if (!slice_to_u32(slice_trim(args), UINT32_MAX, &number) || number == 0) {
		refuse(s, "-ERR A message number is wanted");
		return NULL;
	}
	if (number > s->n || s->items[number - 1].deleted) {
		refuse(s, "-ERR There is no such message");
		return NULL;
	}
	return &s->items[number - 1];
}

static uint32_t number_of(const struct session *s, const struct item *m)
{
	return (uint32_t)(m - s->items) + 1;
}

/* ---- commands ---- */

static int cmd_stat(struct session *s, slice args)
{
	(void)args;
	return stream_printf(s->io, "+OK %u %llu\r\n", s->left, (unsigned long long)s->octets);
}

static void add_size(struct buf *out, const struct session *s, const struct item *m)
{
	(void)s;
	buf_add_u64(out, m->size);
}

/* By the place in INBOX, not by the message: that may lie there twice, and each has a unique-id of its own.
 */
static void add_uid(struct buf *out, const struct session *s, const struct item *m)
{
	char text[20];

	buf_add(out,
		slice_make(text, (size_t)snprintf(text, sizeof text, "%08x%08x", s->uidvalidity, m->uid)));
}

/* LIST and UIDL: one message, or all that are left. */
static int listing(struct session *s, slice args, add_fn *add)
{
	struct buf out = BUF_INIT(65536);
	int rc = 0;

	if (slice_trim(args).n > 0) {
		const struct item *m = pick(s, args);

		if (!m)
			return stream_error(s->io);
		buf_addz(&out, "+OK ");
		buf_add_u64(&out, number_of(s, m));
		buf_add_c(&out, ' ');
		add(&out, s, m);
		buf_addz(&out, "\r\n");
		rc = stream_write(s->io, buf_slice(&out));
		buf_free(&out);
		return rc;
	}
	buf_addf(&out, "+OK %u %s (%llu %s)\r\n", s->left, text(s, "messages"), (unsigned long long)s->octets,
		text(s, "octets"));
	for (uint32_t i = 0; i < s->n && rc == 0; i++) {
		if (s->items[i].deleted)
			continue;
		buf_add_u64(&out, i + 1);
		buf_add_c(&out, ' ');
		add(&out, s, &s->items[i]);
		buf_addz(&out, "\r\n");
		if (out.n > 32768) {
			stream_timeout(s->io, s->given->timeout_ms);
			rc = stream_write(s->io, buf_slice(&out));
			buf_reset(&out);
		}
	}
	buf_addz(&out, ".\r\n");
	if (rc == 0)
		rc = stream_write(s->io, buf_slice(&out));
	buf_free(&out);
	return rc;
}

static int cmd_list(struct session *s, slice args)
{
	return listing(s, args, add_size);
}

static int cmd_uidl(struct session *s, slice args)
{
	return listing(s, args, add_uid);
}

static int find_blob(struct session *s, const struct item *m, struct store_blob *ret, err *e)
{
	struct store_snap snap;
	struct mailbox_message row;

	if (store_snap_begin(s->given->store, &snap, e) < 0)
		return -1;
	int rc = mailbox_message_get(&snap, s->given->account, m->id, &row, e);
	if (rc == 1)
		rc = store_blob_find(&snap, row.blob, ret, e);
	store_snap_end(&snap);
	return rc;
}

static int gather_piece(void *arg, slice piece, err *e)
{
	struct buf *b = arg;

	buf_add(b, piece);
	return b->failed ? err_set(e, ERR_LIMIT, "the converted message is too long") : 0;
}

/* As 7-bit text. Nothing was said yet: what cannot be converted is shown as it is. 1: not converted. */
static int send_converted(struct session *s, struct store_blob *blob, struct pop3_dotwriter *w)
{
	struct buf gathered = BUF_INIT(2 * LIMIT_POP3_DOWNGRADE);
	char *whole = malloc(blob->length);
	err e = {0};
	int rc = 1;

	if (whole && store_blob_read(blob, 0, whole, blob->length, &e) == 0 &&
		mail_downgrade(slice_make(whole, blob->length), gather_piece, &gathered, &e) == 0 &&
		!gathered.failed)
		rc = 0;
	free(whole);
	if (rc == 0) {
		rc = say(s, "+OK message follows");
		for (slice left = buf_slice(&gathered); rc == 0 && left.n > 0;
			left = slice_skip(left, READ_CHUNK)) {
			stream_timeout(s->io, s->given->timeout_ms);
			rc = pop3_dotwriter_feed(w, slice_sub(left, 0, READ_CHUNK));
		}
	}
	buf_free(&gathered);
	return rc;
}

/* Whether the header section, as far as it is in the first bytes, is in 7 bits. */
static bool header_is_ascii(slice first)
{
	ptrdiff_t end = slice_find(first, S("\r\n\r\n"));

	return ascii_only(end < 0 ? first : slice_sub(first, 0, (size_t)end));
}

static int send_as_it_is(struct session *s, const struct item *m, struct store_blob *blob, char *chunk,
	struct pop3_dotwriter *w)
{
	int rc = stream_printf(s->io, "+OK %u %s\r\n", m->size, text(s, "octets"));
	err e;

	for (uint64_t at = 0; rc == 0 && at < blob->length && !w->full;) {
		size_t n = blob->length - at < READ_CHUNK ? (size_t)(blob->length - at) : READ_CHUNK;

		/* the first bytes were read to look at the header */
		if (at > 0 && store_blob_read(blob, at, chunk, n, &e) < 0)
			return -EIO; /* amid a message the only honest answer is to end the connection */
		stream_timeout(s->io, s->given->timeout_ms); /* who takes a long message is not silent */
		rc = pop3_dotwriter_feed(w, slice_make(chunk, n));
		at += n;
	}
	return rc;
}

/* Sends the message, or its header and `lines` lines of the body. */
static int send_message(struct session *s, const struct item *m, uint64_t lines)
{
	struct store_blob blob;
	struct pop3_dotwriter w = {.io = s->io, .lines = lines};
	err e = {0};
	int found = find_blob(s, m, &blob, &e), rc = 1;

	if (found == 0)
		return say(
			s, "-ERR That message was removed by another session"); /* no error of the client's */
	if (found < 0)
		return say(s, "-ERR [SYS/TEMP] The message cannot be read now");
	size_t n = blob.length < READ_CHUNK ? (size_t)blob.length : READ_CHUNK;
	char *chunk = malloc(READ_CHUNK);
	if (!chunk || store_blob_read(&blob, 0, chunk, n, &e) < 0) {
		free(chunk);
		store_blob_release(&blob);
		return say(s, "-ERR [SYS/TEMP] The message cannot be read now");
	}
	if (!(s->given->options & POP3_OPTION_UTF8) && blob.length <= LIMIT_POP3_DOWNGRADE &&
		!header_is_ascii(slice_make(chunk, n)))
		rc = send_converted(s, &blob, &w);
	if (rc == 1)
		rc = send_as_it_is(s, m, &blob, chunk, &w);
	if (rc == 0)
		rc = pop3_dotwriter_end(&w);
	free(chunk);
	store_blob_release(&blob);
	s->given->fetched += rc == 0;
	return rc;
}

static int cmd_retr(struct session *s, slice args)
{
	const struct item *m = pick(s, args);

	return m ? send_message(s, m, UINT64_MAX) : stream_error(s->io);
}

static int cmd_top(struct session *s, slice args)
{
	slice rest = args, number, lines;
	uint64_t n;

	if (!slice_word(&rest, &number) || !slice_word(&rest, &lines) || slice_trim(rest).n > 0 ||
		!slice_to_u64(lines, UINT32_MAX, &n))
		return refuse(s, "-ERR TOP needs a message number and a number of lines: TOP 1 10");
	const struct item *m = pick(s, number);
	return m ? send_message(s, m, n) : stream_error(s->io);
}

static int cmd_dele(struct session *s, slice args)
{
	struct item *m = pick(s, args);

	if (!m)
		return stream_error(s->io);
	m->deleted = true;
	s->left--;
	s->octets -= m->size;
	return stream_printf(s->io, "+OK %u %s\r\n", number_of(s, m), text(s, "is marked and goes at QUIT"));
}

static int cmd_rset(struct session *s, slice args)
{
	(void)args;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->items[i].deleted) {
			s->items[i].deleted = false;
			s->left++;
			s->octets += s->items[i].size;
		}
	return stream_printf(s->io, "+OK %u %s\r\n", s->left, text(s, "messages"));
}

static int cmd_noop(struct session *s, slice args)
{
	(void)args;
	return say(s, "+OK");
}

static int cmd_lang(struct session *s, slice args)
{
	int rc = pop3_lang(s->io, &s->language, args);

	s->errors += rc == 0;
	return rc < 0 ? rc : 0;
}

static int cmd_capa(struct session *s, slice args)
{
	(void)args;
	return pop3_capabilities(s->io, (struct pop3_capable){.stls = false});
}

/* UPDATE: +OK is said when the removal is durable. */
static int cmd_quit(struct session *s, slice args)
{
	struct uidset uids = {0};
	err e = {0};
	int rc = 0;

	(void)args;
	s->done = true;
	for (uint32_t i = 0; i < s->n && rc >= 0; i++)
		if (s->items[i].deleted)
			rc = uidset_add(&uids, s->items[i].uid);
	struct expunge x = {.account = s->given->account, .mailbox = MAILBOX_INBOX, .uids = &uids};
	if (rc >= 0 && uidset_count(&uids) > 0) {
		rc = mailbox_expunge(s->given->store, &x, &e);
		s->given->deleted = uidset_count(&x.ret_expunged);
		uidset_free(&x.ret_expunged);
	}
	uidset_free(&uids);
	return say(s, rc < 0 ? "-ERR [SYS/TEMP] Some deleted messages were not removed" : "+OK Goodbye");
}

static const struct {
	slice name;
	command_fn *run;
} commands[] = {
	{SLICE_INIT("STAT"), cmd_stat},
	{SLICE_INIT("LIST"), cmd_list},
	{SLICE_INIT("RETR"), cmd_retr},
	{SLICE_INIT("DELE"), cmd_dele},
	{SLICE_INIT("UIDL"), cmd_uidl},
	{SLICE_INIT("TOP"), cmd_top},
	{SLICE_INIT("NOOP"), cmd_noop},
	{SLICE_INIT("RSET"), cmd_rset},
	{SLICE_INIT("LANG"), cmd_lang},
	{SLICE_INIT("CAPA"), cmd_capa},
	{SLICE_INIT("QUIT"), cmd_quit},
};

static int one_command(struct session *s, slice line)
{
	slice args = line, verb;

	if (!slice_word(&args, &verb))
		return refuse(s, "-ERR An empty line is no command");
	for (size_t i = 0; i < COUNT_OF(commands); i++)
		if (slice_ieq(verb, commands[i].name))
			return commands[i].run(s, args);
	return refuse(
		s, "-ERR Not a command: STAT, LIST, RETR, DELE, UIDL, TOP, NOOP, RSET, LANG, CAPA or QUIT");
}

static void talk(struct session *s)
{
	const struct pop3_session *g = s->given;

	while (!s->done) {
		slice line;

		stream_timeout(s->io, g->timeout_ms);
		ssize_t n = stream_read_line(s->io, LIMIT_POP3_LINE, &line, NULL);
		if (n == -ETIMEDOUT || n == -ECANCELED) {
			say(s, n == -ETIMEDOUT ? "-ERR Silent for too long; nothing was deleted"
					       : "-ERR [SYS/TEMP] Going down; nothing was deleted");
			break;
		}
		int rc = n == -EMSGSIZE ? refuse(s, "-ERR That line is too long")
			 : n < 0        ? (int)n
					: one_command(s, line);
		if (rc < 0)
			break;
		if (s->errors > g->errors_max) {
			say(s, "-ERR Too many errors; nothing was deleted");
			break;
		}
	}
	stream_flush(s->io);
}

void pop3_session_run(struct pop3_session *given)
{
	struct session s = {.given = given, .io = given->io};
	err e = {0};

	s.language = given->options & POP3_OPTION_CHINESE ? POP3_CHINESE : POP3_ENGLISH;
	stream_timeout(s.io, given->timeout_ms);
	if (load(&s, &e) < 0) {
		say(&s, "-ERR [SYS/TEMP] The mailbox cannot be read now");
		stream_flush(s.io);
	} else if (stream_printf(s.io, "+OK %u %s (%llu %s)\r\n", s.left, text(&s, "messages"),
			   (unsigned long long)s.octets, text(&s, "octets")) == 0) {
		talk(&s);
	}
	free(s.items);
}
