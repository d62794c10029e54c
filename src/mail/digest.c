#include "mail/digest.h"
#include "base/encode.h"
#include "base/hash.h"
#include "base/wire.h"
#include "limits.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/decode.h"
#include "mail/subject.h"

enum { VERSION = 2, HAS_DATE = 1, REPLY = 2, HAS_SUBJECT = 4, HAS_ID = 8, PARENTS_CUT = 16 };

#define ROOM (4 * LIMIT_MAIL_FIELD) /* a field decoded and folded */

/* Bytes of a text that are kept: all of nearly every one. Together they leave room for some parents. */
static const uint8_t kept[DIGEST_TEXTS] = {168, 40, 40, 40, 40, 40};

/* ---- texts ---- */

void mail_digest_room_free(struct mail_digest_room *r)
{
	buf_free(&r->decoded);
	buf_free(&r->base);
	buf_free(&r->folded);
	buf_free(&r->id);
	buf_free(&r->parents);
}

static void empty(struct buf *b)
{
	buf_reset(b);
	b->max = ROOM;
	b->failed = false;
}

static slice decoded(struct mail_digest_room *r, slice raw)
{
	if (ascii_only(raw) && slice_find(raw, S("=?")) < 0 && slice_find_c(raw, '\x1b') < 0)
		return raw;
	empty(&r->decoded);
	mail_words_decode(&r->decoded, raw);
	return buf_slice(&r->decoded);
}

static slice folded(struct mail_digest_room *r, slice utf8)
{
	empty(&r->folded);
	mail_fold(&r->folded, utf8);
	return buf_slice(&r->folded);
}

static slice base_subject(struct mail_digest_room *r, slice field, bool *ret_reply)
{
	empty(&r->base);
	bool reply = mail_subject_base(&r->base, decoded(r, field));

	if (ret_reply)
		*ret_reply = reply;
	return folded(r, buf_slice(&r->base));
}

static bool first_address(slice field, struct arena *scratch, struct mail_address *ret)
{
	struct mail_address_scan scan;

	mail_address_begin(&scan, field, scratch);
	return field.n > 0 && mail_address_next(&scan, ret);
}

/* addr-mailbox of the first address, which is the name where that begins a group (RFC 9051 7.5.2). */
static slice first_mailbox(struct mail_digest_room *r, slice field, struct arena *scratch)
{
	struct mail_address at = {0};

	if (!first_address(field, scratch, &at))
		return S("");
	return folded(r, decoded(r, at.kind == MAIL_ADDRESS_GROUP ? at.name : at.local));
}

/* The name that is shown, else the address (RFC 5957 3). */
static slice first_display(struct mail_digest_room *r, slice field, struct arena *scratch)
{
	struct mail_address at = {0};

	if (!first_address(field, scratch, &at))
		return S("");
	if (at.name.n > 0)
		return folded(r, decoded(r, at.name));
	empty(&r->base);
	buf_add(&r->base, at.local);
	if (at.domain.p) {
		buf_add_c(&r->base, '@');
		buf_add(&r->base, at.domain);
	}
	return folded(r, decoded(r, buf_slice(&r->base)));
}

slice mail_digest_text(struct mail_digest_room *r, const struct mail_envelope *v, enum mail_digest_text which,
	struct arena *scratch, bool *ret_reply)
{
	switch (which) {
	case DIGEST_SUBJECT:
		return base_subject(r, v->subject, ret_reply);
	case DIGEST_FROM:
		return first_mailbox(r, v->from, scratch);
	case DIGEST_TO:
		return first_mailbox(r, v->to, scratch);
	case DIGEST_CC:
		return first_mailbox(r, v->cc, scratch);
	case DIGEST_DISPLAYFROM:
		return first_display(r, v->from, scratch);
	case DIGEST_DISPLAYTO:
		return first_display(r, v->to, scratch);
	case DIGEST_TEXTS:
		break;
	}
	return S("");
}

static uint64_t hash(const uint64_t key[2], slice s)
{
	uint64_t h = hash_keyed(key, s);

	return h ? h : 1;
}

uint64_t mail_digest_hash(const uint64_t key[2], slice text)
{
	return text.n > 0 ? hash(key, text) : 0;
}

/* ---- Message-IDs ---- */

/*
 * Takes the next valid one off (RFC 5322 3.6.4: something on both sides of an @, in brackets), in one form: a
 * quoted local part without its quotes, no blanks.
 */
static bool take_id(struct mail_digest_room *r, slice *text, slice *ret)
{
	struct buf *id = &r->id;

	while (text->n > 0) {
		ptrdiff_t from = slice_find_c(*text, '<');
		bool quoted = false;
		size_t at = 0, i;

		if (from < 0)
			return false;
		*text = slice_skip(*text, (size_t)from + 1);
		empty(id);
		char *to = buf_room(id, text->n);
		size_t n = 0;
		if (!to)
			return false;
		for (i = 0; i < text->n && (quoted || (text->p[i] != '>' && text->p[i] != '<')); i++) {
			char c = text->p[i];

			if (c == '"') {
				quoted = !quoted;
				continue;
			}
			if (c == '\\' && quoted && i + 1 < text->n)
				c = text->p[++i];
			else if (c == ' ' || c == '\t')
				continue;
			else if (c == '@' && !quoted)
				at = n;
			to[n++] = c;
		}
		buf_grow(id, n);
		bool good = i < text->n && text->p[i] == '>' && at > 0 && at + 1 < n;
		*text = slice_skip(*text, i);
		if (good) {
			*ret = buf_slice(id);
			return true;
		}
	}
	return false;
}

int mail_digest_ids(struct mail_digest_room *r, const struct mail_envelope *v, const uint64_t key[2],
	uint64_t *ret_id, slice *ret_parents)
{
	slice text = v->message_id, id;
	uint64_t own = take_id(r, &text, &id) ? hash(key, id) : 0;

	empty(&r->parents);
	text = v->references;
	while (take_id(r, &text, &id))
		wire_put_u64(&r->parents, hash(key, id));
	text = v->in_reply_to;
	if (r->parents.n == 0 && take_id(r, &text, &id))
		wire_put_u64(&r->parents, hash(key, id));
	if (r->parents.failed || r->id.failed)
		return -1;
	*ret_id = own;
	*ret_parents = buf_slice(&r->parents);
	return 0;
}

/* ---- marks ---- */

uint64_t mail_digest_marks(slice folded_text)
{
	uint64_t marks = 0;

	for (size_t i = 1; i < folded_text.n; i++) {
		uint32_t both = (uint32_t)ascii_upper(folded_text.p[i - 1]) << 8 ^
				(uint8_t)ascii_upper(folded_text.p[i]);

		marks |= UINT64_C(1) << (both * UINT32_C(0x9E3779B1) >> 26);
	}
	return marks;
}

bool mail_digest_may_have(const struct mail_digest *d, enum mail_digest_field which, uint64_t marks)
{
	return (marks & ~be64_get(d->marks.p + which * (size_t)8)) == 0;
}

static void put_marks(struct mail_digest_room *r, const struct mail_envelope *v, bool whole, struct buf *out)
{
	const slice fields[DIGEST_FIELDS] = {v->subject, v->from, v->to, v->cc};

	for (unsigned i = 0; i < DIGEST_FIELDS; i++) {
		slice text = fields[i].n > 0 ? folded(r, decoded(r, fields[i])) : S("");
		bool sure = whole && !r->folded.failed && !r->decoded.failed;

		wire_put_u64(out, sure ? mail_digest_marks(text) : UINT64_MAX);
	}
}

/* ---- the record ---- */

/* To whole characters. */
static slice cut_text(slice s, size_t max)
{
	size_t n = max;

	if (s.n <= max)
		return s;
	while (n > 0 && ((uint8_t)s.p[n] & 0xc0) == 0x80)
		n--;
	return slice_sub(s, 0, n);
}

static void put_date(struct buf *out, const struct mail_date *d)
{
	wire_put_u8(out, (uint8_t)((uint64_t)d->utc_s >> 32));
	wire_put_u32(out, (uint32_t)d->utc_s);
	wire_put_u16(out, (uint16_t)d->zone_min);
}

int mail_digest_make(struct mail_digest_room *r, const struct mail_envelope *v, bool whole,
	const uint64_t key[2], struct arena *scratch, struct buf *out, err *e)
{
	struct buf texts = BUF_INIT(MAIL_DIGEST_MAX);
	struct mail_date d = {0};
	uint64_t id, subject = 0;
	bool reply = false;
	uint8_t cut = 0;
	slice parents;

	for (unsigned i = 0; i < DIGEST_TEXTS; i++) {
		slice text = mail_digest_text(r, v, (enum mail_digest_text)i, scratch, &reply);
		slice part = cut_text(text, kept[i]);

		if (i == DIGEST_SUBJECT)
			subject = mail_digest_hash(key, text);
		if (part.n < text.n)
			cut |= (uint8_t)(1u << i);
		wire_put_u8(&texts, (uint8_t)part.n);
		buf_add(&texts, part);
	}
	int rc = mail_digest_ids(r, v, key, &id, &parents);
	bool dated = v->date.p && mail_date_parse(v->date, &d);
	size_t head =
		4 + DIGEST_FIELDS * 8 + dated * (size_t)7 + (subject > 0) * (size_t)8 + (id > 0) * (size_t)8;
	size_t most = (MAIL_DIGEST_MAX - head - texts.n) / 8;
	bool many = rc == 0 && parents.n / 8 > most;
	if (rc == 0) {
		wire_put_u8(out, VERSION);
		wire_put_u8(out,
			(uint8_t)((dated ? HAS_DATE : 0) | (reply ? REPLY : 0) | (subject ? HAS_SUBJECT : 0) |
				  (id ? HAS_ID : 0) | (many ? PARENTS_CUT : 0)));
		wire_put_u8(out, cut);
		put_marks(r, v, whole, out);
		if (dated)
			put_date(out, &d);
		if (subject)
			wire_put_u64(out, subject);
		if (id)
			wire_put_u64(out, id);
		wire_put_u8(out, many ? 0 : (uint8_t)(parents.n / 8)); /* some would be of no use */
		if (!many)
			wire_put_raw(out, parents);
		wire_put_raw(out, buf_slice(&texts));
	}
	bool failed = rc < 0 || texts.failed || out->failed || r->folded.failed || r->base.failed;
	buf_free(&texts);
	return failed ? err_set(e, ERR_TEMP, "no memory") : 0;
}

/* The next n bytes, NULL past the end. A SORT reads 100,000 of these: so no struct rd, whose calls would cost
 * more than all the rest. */
static const uint8_t *take(const uint8_t **p, const uint8_t *end, size_t n)
{
	const uint8_t *at = *p;

	if (!at || n > (size_t)(end - at)) {
		*p = NULL;
		return NULL;
	}
	*p = at + n;
	return at;
}

int mail_digest_read(slice record, struct mail_digest *ret, err *e)
{
	const uint8_t *p = (const uint8_t *)record.p, *end = p + record.n, *at = take(&p, end, 3),
		      *marks = take(&p, end, DIGEST_FIELDS * 8);
	uint8_t flags = at ? at[1] : 0;
	struct mail_digest d;

	d.cut = at ? at[2] : 0;
	d.marks = slice_make(marks, DIGEST_FIELDS * 8);
	d.has_date = flags & HAS_DATE;
	d.reply = flags & REPLY;
	d.parents_cut = flags & PARENTS_CUT;
	d.subject = d.id = 0;
	d.date_s = d.zone_min = 0;
	bool known = at && at[0] == VERSION;
	if (d.has_date && (at = take(&p, end, 7))) {
		d.date_s = (int64_t)(int8_t)at[0] * (INT64_C(1) << 32) + be32_get(at + 1);
		d.zone_min = (int16_t)(at[5] << 8 | at[6]);
	}
	if ((flags & HAS_SUBJECT) && (at = take(&p, end, 8)))
		d.subject = be64_get(at);
	if ((flags & HAS_ID) && (at = take(&p, end, 8)))
		d.id = be64_get(at);
	at = take(&p, end, 1);
	size_t n = at ? *at * (size_t)8 : 0;
	d.parents = slice_make(take(&p, end, n), n);
	for (unsigned i = 0; i < DIGEST_TEXTS; i++) {
		at = take(&p, end, 1);
		n = at ? (size_t)*at : 0;
		d.texts[i] = slice_make(take(&p, end, n), n);
	}
	if (!known || !p || p != end)
		return err_set(e, ERR_CORRUPT, "a message digest does not decode");
	*ret = d;
	return 0;
}

uint64_t mail_digest_parent(const struct mail_digest *d, size_t i)
{
	return be64_get(d->parents.p + i * 8);
}
