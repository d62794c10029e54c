/* Content: DATA and BDAT, and the replies behind it. Whatever is refused is read to its true end all the
 * same. */
#include "base/cleanup.h"
#include "limits.h"
#include "smtp/parse.h"
#include "smtp/session_int.h"
#include <stdio.h>

#define YIELD_TURNS 32 /* buffers read without a pause before others get their turn */

void smtp_intake_abort(struct smtp_session *s, const char *why)
{
	if (!s->intake.open)
		return;
	s->intake.open = false;
	s->ops->message_abort(s->ctx, &s->envelope, why);
}

/* The first reason counts. */
static void refuse(struct smtp_session *s, const struct smtp_answer *a, const char *text)
{
	struct smtp_intake *in = &s->intake;

	if (in->refused)
		return;
	in->refused = true;
	in->code = a->code;
	snprintf(in->status, sizeof in->status, "%s", a->status);
	snprintf(in->text, sizeof in->text, "%s", text ? text : a->text);
	smtp_intake_abort(s, in->text);
}

static void refuse_error(struct smtp_session *s, const err *e)
{
	const struct smtp_answer *a = smtp_answer_error(e->kind);
	refuse(s, a, smtp_text(e, a->text));
}

static void refuse_flaws(struct smtp_session *s)
{
	static const struct smtp_answer nul = {
		550, "5.6.0", "The message holds a NUL byte, which mail may not (RFC 5321 4.1.1.4)"};
	static const struct smtp_answer lf = {
		550, "5.5.2", "A line ends in LF alone: all lines must end in CRLF (RFC 5321 2.3.8)"};
	static const struct smtp_answer cr = {
		550, "5.5.2", "There is a CR without LF: all lines must end in CRLF (RFC 5321 2.3.8)"};
	unsigned flaws = s->intake.dot.flaws;

	if (flaws & SMTP_FLAW_NUL)
		refuse(s, &nul, NULL);
	else if (!s->intake.dot.repair && (flaws & SMTP_FLAW_LF))
		refuse(s, &lf, NULL);
	else if (!s->intake.dot.repair && (flaws & SMTP_FLAW_CR))
		refuse(s, &cr, NULL);
}

static void begin(struct smtp_session *s, bool dots)
{
	err e = {0};

	s->intake = (struct smtp_intake){.dot = smtp_dot_begin(dots, s->config->bare_lines)};
	if (s->ops->message_begin(s->ctx, &s->envelope, &e) < 0)
		refuse_error(s, &e);
	else
		s->intake.open = true;
}

/* A piece as it is to be stored. */
static void take(struct smtp_session *s, slice piece)
{
	static const struct smtp_answer big = {552, "5.3.4", ""}, loop = {554, "5.4.6", ""};
	struct smtp_intake *in = &s->intake;
	char text[sizeof in->text];
	err e = {0};

	if (in->refused || piece.n == 0)
		return;
	if (piece.n > s->config->max_message - in->size) {
		snprintf(text, sizeof text, "The message is larger than the %llu octets taken here",
			(unsigned long long)s->config->max_message);
		refuse(s, &big, text);
		return;
	}
	in->size += piece.n;
	smtp_hops_feed(&in->hops, piece);
	if (in->hops.count > s->config->max_hops) {
		snprintf(text, sizeof text,
			"The message has more than %u Received fields: it goes round in circles",
			s->config->max_hops);
		refuse(s, &loop, text);
		return;
	}
	if (s->ops->message_write(s->ctx, piece, &e) < 0)
		refuse_error(s, &e);
}

/* Feeds bytes through the filter; what is left behind the end stays in *bytes. */
static void filter(struct smtp_session *s, slice *bytes)
{
	struct smtp_dot *dot = &s->intake.dot;

	while (bytes->n && !smtp_dot_ended(dot)) {
		slice piece = smtp_dot_next(dot, bytes);
		if (dot->flaws)
			refuse_flaws(s);
		take(s, piece);
	}
}

/* Waits for content. False: the session has ended. */
static bool fill(struct smtp_session *s, unsigned *turns, slice *ret_have)
{
	stream_timeout(s->io, s->config->timeout_ms);
	int rc = stream_fill(s->io, ret_have);
	if (rc == 0 && ++*turns % YIELD_TURNS == 0)
		rc = fiber_yield();
	if (rc < 0) {
		smtp_intake_abort(s, "the connection ended inside the message");
		smtp_session_lost(s, rc);
	}
	return rc == 0;
}

static bool any_taken(const struct smtp_envelope *env)
{
	for (size_t i = 0; i < env->n; i++)
		if (env->recipients[i].result == SMTP_OK)
			return true;
	return false;
}

static void reply_lmtp(struct smtp_session *s, const struct smtp_receipt *receipt)
{
	struct buf path = BUF_INIT(LIMIT_MAIL_PATH * 2);

	for (size_t i = 0; i < s->envelope.n; i++) {
		const struct smtp_recipient *r = &s->envelope.recipients[i];
		const struct smtp_answer *a = smtp_answer_message(r->result);

		buf_reset(&path);
		mail_path_write(&path, &r->path);
		if (r->result == SMTP_OK)
			smtp_reply(s, 250, "2.1.5", "<%" SLICE_FMT "> Delivered as %s",
				SLICE_ARG(buf_slice(&path)), receipt->queue_id);
		else
			smtp_reply(s, a->code, a->status, "<%" SLICE_FMT "> %s", SLICE_ARG(buf_slice(&path)),
				a->text);
	}
	buf_free(&path);
}

static void reply_smtp(struct smtp_session *s, const struct smtp_receipt *receipt)
{
	if (any_taken(&s->envelope)) {
		smtp_reply(s, 250, "2.0.0", "Accepted as %s", receipt->queue_id);
		return;
	}
	const struct smtp_answer *a = smtp_answer_message(s->envelope.recipients[0].result);
	smtp_reply(s, a->code, a->status, "%s", a->text);
}

/* All content was read: the question whether it is taken, and the reply, or in LMTP one a recipient. */
static void complete(struct smtp_session *s)
{
	struct smtp_intake *in = &s->intake;
	struct smtp_receipt receipt = {0};
	err e = {0};

	if (!in->refused) {
		in->open = false;
		if (s->ops->message_end(s->ctx, &s->envelope, &receipt, &e) < 0)
			refuse_error(s, &e);
	}
	if (in->refused) {
		size_t replies = s->config->kind == SMTP_LMTP ? s->envelope.n : 1;
		for (size_t i = 0; i < replies; i++)
			smtp_reply(s, in->code, in->status, "%s", in->text);
	} else {
		if (any_taken(&s->envelope)) {
			s->messages++;
			s->refused = 0;
		}
		if (s->config->kind == SMTP_LMTP)
			reply_lmtp(s, &receipt);
		else
			reply_smtp(s, &receipt);
	}
	smtp_transaction_reset(s);
}

/* The reply when content comes with nobody to take it: RFC 5321 3.3, RFC 2033 4.2. */
static void no_recipient(struct smtp_session *s)
{
	if (s->stage & (SMTP_STAGE_START | SMTP_STAGE_READY))
		smtp_wrong(s, 503, "5.5.1", "No message is under way: MAIL FROM comes first");
	else if (s->rcpt_failed && s->config->kind != SMTP_LMTP)
		smtp_wrong(
			s, 554, "5.5.1", "No recipient was accepted, so there is nobody to take the message");
	else
		smtp_wrong(s, 503, "5.5.1", "No recipient was accepted: RCPT TO comes first");
}

void smtp_data_run(struct smtp_session *s, slice args)
{
	unsigned turns = 0;
	slice have;

	(void)args;
	if (s->stage == SMTP_STAGE_BDAT) {
		smtp_wrong(s, 503, "5.5.1", "The message has begun with BDAT and must end with BDAT LAST");
		return;
	}
	if (s->stage != SMTP_STAGE_RCPT) {
		no_recipient(s);
		return;
	}
	if (s->envelope.body == SMTP_BODY_BINARYMIME) {
		smtp_wrong(s, 503, "5.5.1", "BODY=BINARYMIME needs BDAT, not DATA (RFC 3030)");
		return;
	}
	begin(s, true);
	if (s->intake.refused) {
		smtp_reply(s, s->intake.code, s->intake.status, "%s", s->intake.text);
		smtp_transaction_reset(s);
		return;
	}
	smtp_reply(s, 354, NULL, "Go ahead; end with a line that holds just a dot");
	while (!s->done && !smtp_dot_ended(&s->intake.dot)) {
		if (!fill(s, &turns, &have))
			return;
		slice rest = have;
		filter(s, &rest);
		stream_consume(s->io, have.n - rest.n);
	}
	if (!s->done)
		complete(s);
}

/* Reads a chunk's octets; drop: nobody is to see them. False: the session has ended. */
static bool chunk_read(struct smtp_session *s, uint64_t size, bool drop)
{
	bool raw = s->envelope.body == SMTP_BODY_BINARYMIME;
	unsigned turns = 0;

	while (size > 0) {
		slice have;
		if (!fill(s, &turns, &have))
			return false;
		have = slice_sub(have, 0, size);
		slice rest = have;
		if (!drop && raw)
			take(s, have);
		else if (!drop)
			filter(s, &rest);
		stream_consume(s->io, have.n);
		size -= have.n;
	}
	return true;
}

static void chunk_take(struct smtp_session *s, uint64_t size, bool last)
{
	if (s->stage == SMTP_STAGE_RCPT) {
		begin(s, false);
		s->stage = SMTP_STAGE_BDAT;
	}
	if (!chunk_read(s, size, false))
		return;
	if (last) {
		slice held = smtp_dot_finish(&s->intake.dot);
		if (s->intake.dot.flaws)
			refuse_flaws(s);
		take(s, held);
		complete(s);
	} else if (s->intake.refused) {
		smtp_reply(s, s->intake.code, s->intake.status, "%s", s->intake.text);
	} else {
		smtp_reply(s, 250, "2.0.0", "%llu octets taken", (unsigned long long)size);
	}
}

void smtp_bdat_run(struct smtp_session *s, slice args)
{
	uint64_t size;
	bool last;
	err e = {0};

	if (smtp_bdat_parse(args, &size, &last, &e) < 0) {
		/* How many octets follow is not known, and none of them may be taken for a command. */
		smtp_wrong(s, 501, "5.5.4",
			"%s; what follows cannot be told from commands, so this is the end", e.text);
		smtp_session_end(s, SMTP_END_ERRORS);
		return;
	}
	if (s->stage & (SMTP_STAGE_RCPT | SMTP_STAGE_BDAT))
		chunk_take(s, size, last);
	else if (chunk_read(s, size, true))
		no_recipient(s);
}
