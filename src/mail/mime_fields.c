#include "mail/chars.h"
#include "mail/mime_int.h"

#define HEAD_MAX                                                                                             \
	256 /* name and colon stand in the first bytes of a line: all that is sure to come in one piece */

static const slice field_names[F_COUNT] = {
	[F_TYPE] = SLICE_INIT("content-type"),
	[F_ENCODING] = SLICE_INIT("content-transfer-encoding"),
	[F_ID] = SLICE_INIT("content-id"),
	[F_DESCRIPTION] = SLICE_INIT("content-description"),
	[F_MD5] = SLICE_INIT("content-md5"),
	[F_DISPOSITION] = SLICE_INIT("content-disposition"),
	[F_LANGUAGE] = SLICE_INIT("content-language"),
	[F_LOCATION] = SLICE_INIT("content-location"),
	[F_DATE] = SLICE_INIT("date"),
	[F_SUBJECT] = SLICE_INIT("subject"),
	[F_IN_REPLY_TO] = SLICE_INIT("in-reply-to"),
	[F_MESSAGE_ID] = SLICE_INIT("message-id"),
	[F_REFERENCES] = SLICE_INIT("references"),
	[F_MIME_VERSION] = SLICE_INIT("mime-version"),
	[F_FROM] = SLICE_INIT("from"),
	[F_SENDER] = SLICE_INIT("sender"),
	[F_REPLY_TO] = SLICE_INIT("reply-to"),
	[F_TO] = SLICE_INIT("to"),
	[F_CC] = SLICE_INIT("cc"),
	[F_BCC] = SLICE_INIT("bcc"),
};

void mime_fields_begin(struct mime_fields *f, bool message)
{
	memset(f->value, 0, sizeof f->value);
	memset(f->more, 0, sizeof f->more);
	f->open = F_NONE;
	f->message = message;
	f->cut = false;
	buf_reset(&f->raw);
}

static enum field_id field_of(slice name, bool message)
{
	for (int id = 0; id < (message ? F_COUNT : F_PART_COUNT); id++) {
		if (name.n == field_names[id].n && slice_ieq(name, field_names[id]))
			return (enum field_id)id;
	}
	return F_NONE;
}

void mime_fields_more(struct mime_fields *f, slice bytes)
{
	if (f->open == F_NONE)
		return;
	size_t room = f->raw.max - f->raw.n;
	if (bytes.n > room) {
		bytes.n = room;
		f->cut = true;
	}
	buf_add(&f->raw, bytes);
}

/* A bare CR or a NUL would travel into replies. */
static slice cleaned(struct buf *raw)
{
	char *p = raw->p;
	for (size_t i = 0; i < raw->n; i++) {
		if (p[i] == '\r' || p[i] == '\n' || p[i] == 0)
			p[i] = ' ';
	}
	return slice_trim(buf_slice(raw));
}

static void keep_more(struct mime_fields *f, enum field_id id, slice text)
{
	struct field_piece *piece = arena_new_1(f->text, struct field_piece);
	if (!piece) {
		f->cut = true;
		return;
	}
	piece->text = text;
	if (!f->more[id])
		f->more_end[id] = &f->more[id];
	*f->more_end[id] = piece;
	f->more_end[id] = &piece->next;
}

static void close_field(struct mime_fields *f)
{
	enum field_id id = f->open;
	f->open = F_NONE;
	if (id == F_NONE || (id < F_FROM && f->value[id].p))
		return;
	slice clean = cleaned(&f->raw);
	slice text = arena_copy(f->text, clean.n ? clean : S(""));
	if (!text.p)
		f->cut = true;
	else if (f->value[id].p)
		keep_more(f, id, text);
	else
		f->value[id] = text;
}

void mime_fields_line(struct mime_fields *f, slice line)
{
	if (line.n && (line.p[0] == ' ' || line.p[0] == '\t')) {
		mime_fields_more(f, line);
		return;
	}
	close_field(f);
	size_t n = 0, max = line.n < HEAD_MAX ? line.n : HEAD_MAX;
	while (n < max && mail_char(line.p[n]) & CH_FTEXT)
		n++;
	slice name = slice_sub(line, 0, n);
	while (n < max && (line.p[n] == ' ' || line.p[n] == '\t'))
		n++;
	if (n == max || line.p[n] != ':')
		return;
	f->open = field_of(name, f->message);
	buf_reset(&f->raw);
	mime_fields_more(f, slice_skip(line, n + 1));
}

/* Joins repeated address fields with commas, in one copy. */
static void join(struct mime_fields *f, enum field_id id)
{
	size_t n = f->value[id].n;
	for (struct field_piece *p = f->more[id]; p; p = p->next)
		n += p->text.n + 2;
	char *all = arena_alloc(f->text, n, 1, 1);
	if (!all) {
		f->cut = true;
		return;
	}
	memcpy(all, f->value[id].p, f->value[id].n);
	size_t at = f->value[id].n;
	for (struct field_piece *p = f->more[id]; p; p = p->next) {
		memcpy(all + at, ", ", 2);
		memcpy(all + at + 2, p->text.p, p->text.n);
		at += p->text.n + 2;
	}
	f->value[id] = (slice){all, at};
}

void mime_fields_end(struct mime_fields *f)
{
	close_field(f);
	for (int id = F_FROM; id < F_COUNT; id++) {
		if (f->more[id])
			join(f, (enum field_id)id);
	}
}

const struct mail_envelope *mime_fields_envelope(struct mime_fields *f)
{
	struct mail_envelope *v = arena_new_1(f->text, struct mail_envelope);
	if (!v)
		return NULL;
	*v = (struct mail_envelope){
		.date = f->value[F_DATE],
		.subject = f->value[F_SUBJECT],
		.from = f->value[F_FROM],
		.sender = f->value[F_SENDER],
		.reply_to = f->value[F_REPLY_TO],
		.to = f->value[F_TO],
		.cc = f->value[F_CC],
		.bcc = f->value[F_BCC],
		.in_reply_to = f->value[F_IN_REPLY_TO],
		.message_id = f->value[F_MESSAGE_ID],
		.references = f->value[F_REFERENCES],
	};
	return v;
}
