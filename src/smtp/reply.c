#include "smtp/reply.h"
#include "base/encode.h"
#include "limits.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* How much of text goes into one line of at most max bytes: to LF, else to the last blank, else what fits. */
static size_t line_length(slice text, size_t max)
{
	ptrdiff_t lf = slice_find_c(text, '\n');
	size_t n = lf >= 0 ? (size_t)lf : text.n;

	if (n <= max)
		return n;
	n = utf8_cut(text, max);
	ptrdiff_t at = slice_rfind_c(slice_sub(text, 0, n), ' ');
	return at > 0 ? (size_t)at : n;
}

static void clean(char *p, size_t n, bool utf8)
{
	utf8 = utf8 && utf8_valid(slice_make(p, n));
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		if (((c < ' ' || c == 0x7f) && c != '\n') || (c > 0x7f && !utf8))
			p[i] = '?';
	}
}

void smtp_reply(struct smtp_session *s, unsigned code, const char *status, const char *fmt, ...)
{
	char text[1024], line[LIMIT_SMTP_REPLY];
	va_list ap;

	va_start(ap, fmt);
	int made = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	slice rest = slice_make(text, made < 0                     ? 0
				      : (size_t)made < sizeof text ? (size_t)made
								   : sizeof text - 1);
	clean(text, rest.n, s->envelope.smtputf8);
	assert(code >= 200 && code < 600 && (!status || strlen(status) < 8));
	do {
		int head =
			snprintf(line, sizeof line, "%u %s%s", code, status ? status : "", status ? " " : "");
		size_t n = (size_t)head, take = line_length(rest, sizeof line - n - 2);

		memcpy(line + n, rest.p, take);
		rest = slice_skip(rest, take);
		if (rest.n) { /* the blank or LF where it was cut; a hard cut loses nothing */
			line[3] = '-';
			if (rest.p[0] == ' ' || rest.p[0] == '\n')
				rest = slice_skip(rest, 1);
		}
		memcpy(line + n + take, "\r\n", 2);
		if (stream_write(s->io, slice_make(line, n + take + 2)) < 0) {
			s->done = true;
			s->end = SMTP_END_GONE;
			return;
		}
		if (line[3] == ' ')
			return;
	} while (true);
}

const struct smtp_answer *smtp_answer_address(enum smtp_verdict v)
{
	static const struct smtp_answer answers[SMTP_VERDICT_COUNT] = {
		[SMTP_OK] = {250, "2.1.5", "Ok"},
		[SMTP_UNKNOWN] = {550, "5.1.1", "Nobody has this address here"},
		[SMTP_RELAY] = {550, "5.7.1", "Not an address of ours; to send elsewhere, log in first"},
		[SMTP_FULL] = {452, "4.2.2", "The mailbox is full; try again later"},
		[SMTP_DISABLED] = {550, "5.2.1", "This mailbox is switched off"},
		[SMTP_LOOP] = {554, "5.4.6", "The address points back to itself"},
		[SMTP_TEMP] = {451, "4.3.0", "This cannot be answered just now; try again later"},
		[SMTP_SENDER] = {550, "5.7.1",
			"This sender address does not belong to the account logged in"},
		[SMTP_REFUSED] = {550, "5.7.1", "Refused by the rules of this server"},
		[SMTP_TOO_BIG] = {552, "5.3.4", "The message is too large"},
		[SMTP_NO_ROOM] = {452, "4.3.1", "Short of room just now; try again later"},
		[SMTP_NO_MAIL] = {556, "5.1.10", "The domain takes no mail"},
	};
	return &answers[v >= SMTP_OK && v < SMTP_VERDICT_COUNT ? v : SMTP_TEMP];
}

const struct smtp_answer *smtp_answer_message(enum smtp_verdict v)
{
	static const struct smtp_answer loop = {554, "5.4.6", "The message has been going round in circles"};
	static const struct smtp_answer refused = {
		550, "5.7.1", "The message is refused by the rules of this server"};

	if (v == SMTP_LOOP)
		return &loop;
	return v == SMTP_REFUSED ? &refused : smtp_answer_address(v);
}

const struct smtp_answer *smtp_answer_error(enum err_kind kind)
{
	static const struct smtp_answer temp = {
		451, "4.3.0", "Something went wrong on our side; try again later"};
	static const struct {
		enum err_kind kind;
		struct smtp_answer answer;
	} answers[] = {
		{ERR_DENIED, {550, "5.7.1", "The message is refused by the rules of this server"}},
		{ERR_SYNTAX, {550, "5.6.0", "The message is malformed"}},
		{ERR_LIMIT, {552, "5.3.4", "The message is too large"}},
		{ERR_QUOTA, {452, "4.3.1", "Short of room just now; try again later"}},
	};
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		if (answers[i].kind == kind)
			return &answers[i].answer;
	return &temp;
}
