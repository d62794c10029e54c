#include "mail/submit.h"
#include "base/cleanup.h"
#include <assert.h>
#include <stdio.h>

enum state {
	LINE,    /* at the beginning of a line, held_n bytes into a name we know, or behind a CR */
	PASS,    /* in a line that stays */
	COLON,   /* behind a name that is looked for, blanks may stand before its colon */
	DROP,    /* in a line that goes */
	DROPPED, /* behind one: a fold of it goes too */
	DONE,    /* the empty line has passed */
};

static const struct {
	slice name;
	bool drop;
} fields[] = {
	{SLICE_INIT("bcc"), true},
	{SLICE_INIT("resent-bcc"), true},
	{SLICE_INIT("date"), false},
	{SLICE_INIT("message-id"), false},
};
enum { DATE = 2, MESSAGE_ID = 3 };

void mail_submit_begin(struct mail_submit *m, slice id, slice domain, struct mail_date now)
{
	struct buf date = BUF_INIT(64);

	assert(id.n <= 26 && domain.n <= 255);
	*m = (struct mail_submit){.state = LINE};
	mail_date_write(&date, now);
	snprintf(m->date, sizeof m->date, "Date: %" SLICE_FMT, SLICE_ARG(buf_slice(&date)));
	snprintf(m->id, sizeof m->id, "Message-ID: <%" SLICE_FMT "@%" SLICE_FMT ">", SLICE_ARG(id),
		SLICE_ARG(domain));
	buf_free(&date);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* May a line that begins so need a look? */
static bool suspicious(char c)
{
	return memchr("\r\nbBrRdDmM", c, 10) != NULL;
}

/* Field whose name begins with the held bytes, or is them (exact). -1: none. */
static int match(const struct mail_submit *m, bool exact)
{
	slice held = slice_make(m->held, m->held_n);

	for (size_t i = 0; i < COUNT_OF(fields); i++)
		if (slice_istarts(fields[i].name, held) && (!exact || fields[i].name.n == held.n))
			return (int)i;
	return -1;
}

static slice held_out(struct mail_submit *m, enum state next)
{
	slice out = slice_make(m->held, m->held_n);

	m->held_n = 0;
	m->state = (uint8_t)next;
	m->line_open |= out.n > 0;
	return out;
}

/* The missing fields, each with its line end, and then `last`. */
static slice missing(struct mail_submit *m, const char *last)
{
	int n = snprintf(m->added, sizeof m->added, "%s%s%s%s%s", m->has_date ? "" : m->date,
		m->has_date ? "" : "\r\n", m->has_id ? "" : m->id, m->has_id ? "" : "\r\n", last);

	return slice_make(m->added, (size_t)n);
}

/* The first byte of *in at the beginning of a line; gives what it decides. */
static slice begin_line(struct mail_submit *m, slice *in)
{
	char c = in->p[0];
	bool cr = m->held_n == 1 && m->held[0] == '\r';

	if (c == '\n' && (cr || m->held_n == 0)) {
		*in = slice_skip(*in, 1);
		m->state = DONE;
		m->held_n = 0;
		return missing(m, cr ? "\r\n" : "\n");
	}
	if (cr)
		return held_out(m, PASS);
	int field = m->held_n ? match(m, true) : -1;
	if (field >= 0 && (c == ':' || is_blank(c))) {
		m->field = (uint8_t)field;
		if (!fields[field].drop)
			return held_out(m, COLON);
		/* With a blank and no colon behind it, it is no field at all; it is not missed. */
		m->held_n = 0;
		m->state = DROP;
		return (slice){0};
	}
	if (m->held_n < sizeof m->held) {
		m->held[m->held_n++] = c;
		if ((m->held_n == 1 && c == '\r') || match(m, false) >= 0) {
			*in = slice_skip(*in, 1);
			return (slice){0};
		}
		m->held_n--;
	}
	return held_out(m, PASS);
}

/* Bytes of lines that stay, up to the end of the last one that is followed by no suspicious one. */
static slice pass(struct mail_submit *m, slice *in)
{
	const char *p = in->p, *end = in->p + in->n;

	for (;;) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		m->line_open = !lf;
		p = lf ? lf + 1 : end;
		if (!lf)
			break;
		if (p == end || suspicious(*p)) {
			m->state = LINE;
			break;
		}
	}
	slice out = slice_sub(*in, 0, (size_t)(p - in->p));
	*in = slice_skip(*in, out.n);
	return out;
}

/* Blanks before the colon of a field that is looked for. */
static slice colon(struct mail_submit *m, slice *in)
{
	char c = in->p[0];

	if (is_blank(c)) {
		slice out = slice_sub(*in, 0, 1);
		*in = slice_skip(*in, 1);
		return out;
	}
	m->has_date |= c == ':' && m->field == DATE;
	m->has_id |= c == ':' && m->field == MESSAGE_ID;
	m->state = PASS;
	return (slice){0};
}

static void drop(struct mail_submit *m, slice *in)
{
	ptrdiff_t lf = slice_find_c(*in, '\n');

	if (lf >= 0)
		m->state = DROPPED;
	*in = slice_skip(*in, lf >= 0 ? (size_t)lf + 1 : in->n);
}

slice mail_submit_next(struct mail_submit *m, slice *in)
{
	slice out = {0};

	while (in->n && out.n == 0) {
		switch ((enum state)m->state) {
		case LINE:
			out = begin_line(m, in);
			break;
		case PASS:
			out = pass(m, in);
			break;
		case COLON:
			out = colon(m, in);
			break;
		case DROP:
			drop(m, in);
			break;
		case DROPPED:
			m->state = is_blank(in->p[0]) ? DROP : LINE;
			break;
		case DONE:
			out = *in;
			*in = slice_skip(*in, in->n);
			break;
		}
	}
	return out;
}

slice mail_submit_end(struct mail_submit *m)
{
	if (m->state == DONE)
		return (slice){0};
	slice held = held_out(m, DONE);
	bool open = m->line_open;
	char front[sizeof m->held + 3];
	int n = snprintf(front, sizeof front, "%.*s%s", (int)held.n, held.p, open ? "\r\n" : "");
	slice fields_out = missing(m, "");

	if (fields_out.n == 0) /* nothing comes behind it, so the last line stays as it is */
		return held;
	memmove(m->added + n, m->added, fields_out.n);
	memcpy(m->added, front, (size_t)n);
	return slice_make(m->added, (size_t)n + fields_out.n);
}
