/* Replies as text: one line, its enhanced status code, and what is kept of it for people. Pure. */
#include "base/encode.h"
#include "smtp/client_int.h"

int smtp_reply_line(slice line, uint16_t *code, slice *ret_text)
{
	unsigned v;

	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || !ascii_is_digit(line.p[1]) ||
		!ascii_is_digit(line.p[2]))
		return -1;
	v = (unsigned)(line.p[0] - '0') * 100 + (unsigned)(line.p[1] - '0') * 10 +
	    (unsigned)(line.p[2] - '0');
	if (*code && *code != v)
		return -1;
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return -1;
	*code = (uint16_t)v;
	*ret_text = slice_skip(line, 4);
	return line.n > 3 && line.p[3] == '-' ? 0 : 1;
}

/* A number of one to three digits at the head of *s, at most 255. */
static bool take_number(slice *s, uint8_t *ret)
{
	size_t n = 0;
	uint32_t v;

	while (n < s->n && n < 4 && ascii_is_digit(s->p[n]))
		n++;
	if (n > 3 || !slice_to_u32(slice_sub(*s, 0, n), 255, &v))
		return false;
	*ret = (uint8_t)v;
	*s = slice_skip(*s, n);
	return true;
}

bool smtp_reply_status(slice *text, uint16_t code, uint8_t ret_status[3])
{
	slice s = *text;
	uint8_t v[3];

	for (int i = 0; i < 3; i++) {
		if (i > 0) {
			if (s.n == 0 || s.p[0] != '.')
				return false;
			s = slice_skip(s, 1);
		}
		if (!take_number(&s, &v[i]))
			return false;
	}
	if ((v[0] != 2 && v[0] != 4 && v[0] != 5) || v[0] != code / 100 || (s.n && s.p[0] != ' '))
		return false;
	*text = s.n ? slice_skip(s, 1) : s;
	memcpy(ret_status, v, sizeof v);
	return true;
}

void smtp_reply_clear(struct smtp_reply *r, enum smtp_stage_out stage)
{
	r->code = 0;
	r->stage = (uint8_t)stage;
	memset(r->status, 0, sizeof r->status);
	r->own = r->unknown = false;
	r->text[0] = 0;
}

/* Bytes that go into a text as they are. */
static size_t plain_run(slice s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] >= ' ' && s.p[n] < 0x7f) /* char may be signed: over 127 fails either way */
		n++;
	return n;
}

/* Characters that would break a line, or make it look other than it is (UAX 9: marks, embeddings, isolates).
 */
static bool is_trick(uint32_t c)
{
	return c < 0xA0 || c == 0x61C || (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
	       (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
}

/* Control characters are left out, what is no UTF-8 becomes U+FFFD; nothing is cut in the middle. */
static void add_text(struct smtp_reply *r, size_t *n, slice s)
{
	while (s.n) {
		size_t take = plain_run(s), room = SMTP_REPLY_TEXT - 1 - *n;
		slice what = slice_sub(s, 0, take < room ? take : room);

		if (take == 0) {
			uint32_t c = (uint8_t)s.p[0];

			take = c < 0x80 ? 1 : utf8_next(s, &c);
			what = take == 0 ? S("\xEF\xBF\xBD") : slice_sub(s, 0, take);
			if (take && is_trick(c))
				what.n = 0;
			take = take ? take : 1;
			if (what.n > room)
				break;
		}
		if (what.n)
			memcpy(r->text + *n, what.p, what.n);
		*n += what.n;
		s = slice_skip(s, take);
	}
	r->text[*n] = 0;
}

void smtp_reply_join(struct smtp_reply *r, size_t *n, slice text)
{
	text = slice_trim(text);
	if (*n && text.n && *n < SMTP_REPLY_TEXT - 1)
		r->text[(*n)++] = ' ';
	add_text(r, n, text);
}

void smtp_reply_own(struct smtp_reply *r, enum smtp_stage_out stage, uint16_t code, uint8_t subject,
	uint8_t detail, const char *text)
{
	size_t n = 0;

	smtp_reply_clear(r, stage);
	r->own = true;
	r->code = code;
	r->status[0] = (uint8_t)(code / 100);
	r->status[1] = subject;
	r->status[2] = detail;
	add_text(r, &n, slice_of(text));
}

void smtp_reply_copy(struct smtp_reply *to, const struct smtp_reply *from)
{
	if (to == from)
		return;
	to->code = from->code;
	to->stage = from->stage;
	to->own = from->own;
	to->unknown = from->unknown;
	memcpy(to->status, from->status, sizeof to->status);
	memcpy(to->text, from->text, strlen(from->text) + 1);
}
