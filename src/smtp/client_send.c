/*
 * One transaction. Two cursors run over the same row of commands (RSET, MAIL, RCPT..., DATA or BDAT): what
 * was said and what was answered. Without PIPELINING the second follows the first step by step; with it the
 * first runs ahead, but never by more bytes than the connection holds by itself: so both sides cannot end up
 * writing with nobody reading, however slow or talkative the server is.
 */
#include "io/loop.h"
#include "limits.h"
#include "smtp/client_int.h"
#include "smtp/stuff.h"
#include <errno.h>

#define WINDOW       8192   /* bytes of commands that are not answered: a socket's buffers hold more */
#define SMALL        16384  /* content up to here goes with the envelope where BDAT can be said */
#define BLOCK        65536  /* content a block, which has RFC 5321's time of one */
#define FAIR         262144 /* content between two looks at the server and at the other fibers */
#define EARLY_MS     5000   /* for the rest of a reply that came before its time */
#define RECIPIENT_MS 1000   /* a step may take so much longer for each */

enum step { STEP_RSET, STEP_MAIL, STEP_RCPT, STEP_CONTENT, STEP_DONE };

struct cursor {
	enum step step;
	size_t rcpt;
};

struct sending {
	struct smtp_client *c;
	struct smtp_client_message *m;
	struct cursor said, heard;
	size_t flying; /* bytes said in this flight */
	size_t accepted;
	uint64_t wire; /* bytes of BDAT */
	bool utf8, bdat;
	bool mail_refused;
	bool go;                 /* the server waits for content: 354 */
	bool sent;               /* all of the content is out: without a reply the outcome is unknown */
	struct smtp_reply mail;  /* MAIL's, when that was refused */
	struct smtp_reply reply; /* the last one heard, or what broke */
};

/* ---- recipients ---- */

/* The next one from i on that was not refused before anything was said. */
static size_t next_rcpt(const struct sending *s, size_t i)
{
	while (i < s->m->n && s->m->rcpts[i].reply.code)
		i++;
	return i;
}

/* Those from i on about whom nothing final was said get this reply. */
static void settle(struct sending *s, size_t i, const struct smtp_reply *reply)
{
	for (; i < s->m->n; i++)
		if (s->m->rcpts[i].reply.code < 400)
			smtp_reply_copy(&s->m->rcpts[i].reply, reply);
}

/* The connection is of no use any more: what is open gets the last reply, which tells. */
static int settle_lost(struct sending *s, size_t i)
{
	if (s->reply.code == 0 && s->sent) {
		s->reply.stage = SMTP_AT_END;
		s->reply.unknown = true;
	}
	settle(s, i, s->mail_refused ? &s->mail : &s->reply);
	return -1;
}

/* ---- content ---- */

static int write_piece(struct smtp_client *c, struct smtp_stuff *stuff, slice piece)
{
	int rc = 0;

	if (!stuff)
		return stream_write(c->io, piece);
	while (piece.n && rc == 0) {
		slice out = smtp_stuff_next(stuff, &piece);

		if (out.n)
			rc = stream_write(c->io, out);
	}
	return rc;
}

/* Between blocks: others run, and a server that has heard enough is heard. -EALREADY: it spoke. */
static int look_up(const struct smtp_client *c)
{
	int rc = fiber_yield();

	return rc < 0 ? rc : smtp_client_spoken(c) ? -EALREADY : 0;
}

/* All of it, flushed. 0 or a negative errno. */
static int write_content(struct sending *s)
{
	struct smtp_client *c = s->c;
	uint32_t block_ms = smtp_client_ms(c->config->block_ms, SMTP_MS_BLOCK);
	struct smtp_stuff stuff = smtp_stuff_begin(!s->bdat);
	struct smtp_stuff *filter = s->m->body == SMTP_BODY_BINARYMIME ? NULL : &stuff;
	slice parts[] = {s->m->head, s->m->content};
	size_t since = 0;
	int rc = 0;

	for (size_t i = 0; i < COUNT_OF(parts); i++)
		while (parts[i].n && rc == 0) {
			slice block = slice_sub(parts[i], 0, BLOCK);

			parts[i] = slice_skip(parts[i], block.n);
			stream_timeout(c->io, block_ms);
			rc = write_piece(c, filter, block);
			since += block.n;
			if (rc == 0 && since >= FAIR) {
				since = 0;
				rc = look_up(c);
			}
		}
	if (rc == 0 && filter)
		rc = stream_write(c->io, smtp_stuff_finish(&stuff));
	if (rc == 0 && !s->bdat)
		rc = stream_write(c->io, S(".\r\n"));
	stream_timeout(c->io, block_ms);
	return rc == 0 ? stream_flush(c->io) : rc;
}

/* The bytes BDAT must announce. */
static uint64_t measure(const struct smtp_client_message *m)
{
	struct smtp_stuff stuff = smtp_stuff_begin(false);
	slice parts[] = {m->head, m->content};
	uint64_t n = 0;

	if (m->body == SMTP_BODY_BINARYMIME)
		return (uint64_t)m->head.n + m->content.n;
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		while (parts[i].n)
			n += smtp_stuff_next(&stuff, &parts[i]).n;
	return n + smtp_stuff_finish(&stuff).n;
}

/* The content could not be written: perhaps the server has said why before it closed. */
static int interrupted(struct sending *s, int rc)
{
	struct smtp_client *c = s->c;

	if (rc != -ECANCELED && smtp_client_spoken(c) &&
		smtp_client_hear(c, SMTP_AT_DATA, EARLY_MS, NULL, NULL, &s->reply) == 0 &&
		s->reply.code >= 400) {
		c->broken = true; /* it still waits for the rest of the content */
		return -1;
	}
	if (rc == -EALREADY)
		return c->broken ? -1
				 : smtp_client_break(c, SMTP_AT_DATA, "the server spoke before it was asked",
					   &s->reply);
	return smtp_client_lost(c, SMTP_AT_DATA, rc, &s->reply);
}

/* ---- saying ---- */

static void say_line(struct sending *s)
{
	s->flying += s->c->line.n + 2;
	if (s->c->line.failed) /* the parts are bounded, so it is memory that is short */
		s->c->broken = true;
	else
		(void)smtp_client_say(s->c, buf_slice(&s->c->line), NULL);
}

/* BDAT and its bytes. With the envelope's replies still to come what fails shows when those are read. */
static int say_bdat(struct sending *s)
{
	bool alone = s->heard.step == STEP_CONTENT;
	int rc;

	buf_addf(&s->c->line, "BDAT %llu LAST", (unsigned long long)s->wire);
	say_line(s);
	if (alone)
		s->c->until = 0; /* each block has its time */
	rc = write_content(s);
	s->sent = rc == 0;
	return rc < 0 && alone ? interrupted(s, rc) : 0;
}

/* The next command. -1: the connection is lost, s->reply tells. */
static int say_next(struct sending *s)
{
	struct smtp_client *c = s->c;
	struct buf *line = &c->line;

	buf_reset(line);
	switch (s->said.step) {
	case STEP_RSET:
		buf_addz(line, "RSET");
		s->said.step = STEP_MAIL;
		break;
	case STEP_MAIL:
		c->transactions++;
		smtp_client_write_mail(c, s->m, s->utf8, line);
		s->said = (struct cursor){STEP_RCPT, next_rcpt(s, 0)};
		break;
	case STEP_RCPT:
		smtp_client_write_rcpt(c, &s->m->rcpts[s->said.rcpt], line);
		s->said.rcpt = next_rcpt(s, s->said.rcpt + 1);
		if (s->said.rcpt == s->m->n)
			s->said.step = STEP_CONTENT;
		break;
	case STEP_CONTENT:
		s->said.step = STEP_DONE;
		if (s->bdat)
			return say_bdat(s);
		buf_addz(line, "DATA");
		break;
	case STEP_DONE:
		return 0;
	}
	say_line(s);
	return c->broken ? smtp_client_break(c, SMTP_AT_MAIL, "out of memory", &s->reply) : 0;
}

/* ---- hearing ---- */

static int hear(struct sending *s, enum smtp_stage_out stage, uint32_t ms)
{
	if (smtp_client_hear(s->c, stage, ms, NULL, NULL, &s->reply) < 0)
		return -1;
	return s->c->closing ? -1 : 0;
}

static int senseless(struct sending *s)
{
	return smtp_client_break(
		s->c, (enum smtp_stage_out)s->reply.stage, "the server's answer made no sense", &s->reply);
}

static int hear_rcpt(struct sending *s)
{
	size_t i = s->heard.rcpt;

	s->heard.rcpt = next_rcpt(s, i + 1);
	if (s->heard.rcpt == s->m->n)
		s->heard.step = STEP_CONTENT;
	if (s->reply.code / 100 == 3)
		return senseless(s);
	if (s->mail_refused) {
		s->c->reset |= s->reply.code / 100 == 2; /* whatever it thinks has begun */
		return 0;
	}
	s->accepted += s->reply.code / 100 == 2;
	smtp_reply_copy(&s->m->rcpts[i].reply, &s->reply);
	return 0;
}

/* Takes in the reply to the next command. -1: the connection is lost. */
static int hear_next(struct sending *s)
{
	static const enum smtp_stage_out stages[] = {SMTP_AT_MAIL, SMTP_AT_MAIL, SMTP_AT_RCPT, SMTP_AT_DATA};
	const struct smtp_client_config *g = s->c->config;
	enum step step = s->heard.step;
	uint32_t ms = step == STEP_CONTENT ? smtp_client_ms(g->data_ms, SMTP_MS_DATA)
					   : smtp_client_ms(g->command_ms, SMTP_MS_COMMAND);
	int class;

	if (hear(s, stages[step], ms) < 0)
		return -1;
	class = s->reply.code / 100;
	if (step == STEP_RCPT)
		return hear_rcpt(s);
	s->heard.step = step + 1;
	if (step == STEP_RSET) {
		s->c->reset = false;
		return class == 2 ? 0 : senseless(s);
	}
	if (step == STEP_MAIL) {
		s->heard.rcpt = next_rcpt(s, 0);
		s->mail_refused = class > 3;
		if (s->mail_refused)
			smtp_reply_copy(&s->mail, &s->reply);
		return class == 3 ? senseless(s) : 0;
	}
	s->go = class == 3;
	return class == 2 ? senseless(s) : 0;
}

static bool same(struct cursor a, struct cursor b)
{
	return a.step == b.step && (a.step != STEP_RCPT || a.rcpt == b.rcpt);
}

/* ---- the envelope ---- */

/* May the next command go out before the last one is answered? */
static bool may_pipeline(const struct sending *s)
{
	if (!(s->c->extensions & SMTP_EXT_PIPELINING) || s->said.step == STEP_DONE || s->flying >= WINDOW)
		return false;
	/* LMTP has no rule how often a BDAT without recipients is answered */
	return s->said.step != STEP_CONTENT || !s->bdat || (s->wire <= SMALL && !s->c->config->lmtp);
}

/* All that was said before the content has been refused. */
static bool hopeless(const struct sending *s)
{
	return s->mail_refused || (s->heard.step == STEP_CONTENT && s->accepted == 0);
}

/* Everything up to the content; small content of BDAT too. -1: lost. */
static int envelope(struct sending *s)
{
	struct smtp_client *c = s->c;
	struct cursor last;

	while (s->said.step != STEP_DONE && !hopeless(s)) {
		if (stream_buffered(c->io) > 0)
			return smtp_client_break(c,
				s->said.step == STEP_CONTENT ? SMTP_AT_DATA : SMTP_AT_MAIL,
				"the server spoke before it was asked", &s->reply);
		s->flying = 0;
		do {
			stream_timeout(c->io, smtp_client_ms(c->config->command_ms, SMTP_MS_COMMAND));
			if (say_next(s) < 0)
				return -1;
		} while (may_pipeline(s));
		last = s->said;
		if (s->bdat && last.step == STEP_DONE)
			last.step = STEP_CONTENT; /* its reply is the end's */
		while (!same(s->heard, last))
			if (hear_next(s) < 0)
				return -1;
	}
	return 0;
}

/* ---- the end ---- */

/* One reply a recipient, RFC 2033 4.2. */
static int end_lmtp(struct sending *s, uint32_t ms)
{
	for (size_t i = 0; i < s->m->n; i++) {
		struct smtp_reply *r = &s->m->rcpts[i].reply;

		if (r->code / 100 != 2)
			continue;
		if (smtp_client_hear(s->c, SMTP_AT_END, ms, NULL, NULL, &s->reply) < 0 ||
			(s->reply.code / 100 == 3 && senseless(s) < 0))
			return settle_lost(s, i);

		smtp_reply_copy(r, &s->reply);
	}
	return s->c->closing ? -1 : 0;
}

/* The replies to content that is all out. */
static int end(struct sending *s)
{
	uint32_t ms = smtp_client_ms(s->c->config->end_ms, SMTP_MS_END);

	s->c->until = loop_now() + LIMIT_SMTP_CLIENT_STEP_MS + s->accepted * RECIPIENT_MS;
	if (s->c->config->lmtp)
		return end_lmtp(s, ms);
	if (hear(s, s->sent ? SMTP_AT_END : SMTP_AT_DATA, ms) < 0)
		return settle_lost(s, 0);
	if (s->reply.code / 100 == 3) {
		senseless(s);
		return settle_lost(s, 0);
	}
	settle(s, 0, s->mail_refused ? &s->mail : &s->reply);
	if (s->bdat && s->reply.code / 100 != 2 && !s->mail_refused)
		s->c->reset = true; /* RFC 3030 2: a BDAT that failed leaves the transaction undecided */
	return 0;
}

/*
 * The server said 354 although it takes no recipient: a lone dot ends it, RFC 2920 3.1. After a refused MAIL,
 * or in LMTP, where nobody knows how often it would be answered, the connection ends instead.
 */
static int lone_dot(struct sending *s)
{
	if (s->mail_refused || s->c->config->lmtp) {
		s->c->broken = true;
		settle(s, 0, &s->mail);
		return -1;
	}
	(void)smtp_client_say(s->c, S("."), NULL);
	return hear(s, SMTP_AT_END, smtp_client_ms(s->c->config->end_ms, SMTP_MS_END));
}

static int transact(struct sending *s)
{
	if (envelope(s) < 0)
		return settle_lost(s, 0);
	if (s->bdat && s->said.step == STEP_DONE)
		return end(s);
	if (s->go) {
		int rc;

		if (hopeless(s) || !s->accepted)
			return lone_dot(s);
		s->c->until = 0; /* each block has its time */
		rc = write_content(s);
		if (rc < 0) {
			interrupted(s, rc);
			return settle_lost(s, 0);
		}
		s->sent = true;
		return end(s);
	}
	s->c->reset |= !s->mail_refused;
	settle(s, 0, s->mail_refused ? &s->mail : &s->reply);
	return 0;
}

int smtp_client_send(struct smtp_client *c, struct smtp_client_message *m)
{
	struct sending s = {.c = c, .m = m};
	size_t left;
	int rc;

	for (size_t i = 0; i < m->n; i++)
		smtp_reply_clear(&m->rcpts[i].reply, SMTP_AT_MAIL);
	if (!smtp_client_usable(c)) {
		smtp_client_break(c, SMTP_AT_MAIL, "the connection is of no use any more", &s.reply);
		return settle_lost(&s, 0);
	}
	left = smtp_client_sift(c, m);
	s.utf8 = smtp_client_utf8(m);
	if (smtp_client_refuses(c, m, s.utf8, &s.reply)) {
		settle(&s, 0, &s.reply);
		return 0;
	}
	if (left == 0)
		return 0;
	if (m->body == SMTP_BODY_BINARYMIME ||
		((c->extensions & SMTP_EXT_CHUNKING) && m->head.n + m->content.n <= SMALL)) {
		s.bdat = true;
		s.wire = measure(m);
	}
	s.said.step = s.heard.step = c->reset ? STEP_RSET : STEP_MAIL;
	c->until = loop_now() + LIMIT_SMTP_CLIENT_STEP_MS + left * RECIPIENT_MS;
	rc = transact(&s);
	c->until = 0;
	return rc < 0 || c->broken || c->closing ? -1 : 0;
}
