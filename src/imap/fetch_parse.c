#include "imap/fetch.h"
#include "limits.h"

#define SECTIONS_MAX 100

static const struct {
	slice name;
	unsigned items;
	bool macro;
} simple[] = {
	{SLICE_INIT("UID"), FETCH_UID, false},
	{SLICE_INIT("FLAGS"), FETCH_FLAGS, false},
	{SLICE_INIT("INTERNALDATE"), FETCH_INTERNALDATE, false},
	{SLICE_INIT("RFC822.SIZE"), FETCH_SIZE, false},
	{SLICE_INIT("MODSEQ"), FETCH_MODSEQ, false},
	{SLICE_INIT("ENVELOPE"), FETCH_ENVELOPE, false},
	{SLICE_INIT("BODYSTRUCTURE"), FETCH_BODYSTRUCTURE, false},
	{SLICE_INIT("SAVEDATE"), FETCH_SAVEDATE, false},
	{SLICE_INIT("EMAILID"), FETCH_EMAILID, false},
	{SLICE_INIT("THREADID"), FETCH_THREADID, false},
	{SLICE_INIT("PREVIEW"), FETCH_PREVIEW, false},
	{SLICE_INIT("FAST"), FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE, true},
	{SLICE_INIT("ALL"), FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE, true},
	{SLICE_INIT("FULL"), FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE | FETCH_ENVELOPE | FETCH_BODY,
		true},
};

static const struct {
	slice name; /* with brackets to come, or without */
	enum fetch_kind kind;
	enum mail_section section;
	bool brackets, peek;
	slice label;
} bodies[] = {
	{SLICE_INIT("BODY"), FETCH_RAW, MAIL_SECTION_ALL, true, false, SLICE_INIT("BODY")},
	{SLICE_INIT("BODY.PEEK"), FETCH_RAW, MAIL_SECTION_ALL, true, true, SLICE_INIT("BODY")},
	{SLICE_INIT("BINARY"), FETCH_BINARY, MAIL_SECTION_ALL, true, false, SLICE_INIT("BINARY")},
	{SLICE_INIT("BINARY.PEEK"), FETCH_BINARY, MAIL_SECTION_ALL, true, true, SLICE_INIT("BINARY")},
	{SLICE_INIT("BINARY.SIZE"), FETCH_BINARY_SIZE, MAIL_SECTION_ALL, true, true,
		SLICE_INIT("BINARY.SIZE")},
	{SLICE_INIT("RFC822"), FETCH_RAW, MAIL_SECTION_ALL, false, false, SLICE_INIT("RFC822")},
	{SLICE_INIT("RFC822.HEADER"), FETCH_RAW, MAIL_SECTION_HEADER, false, true,
		SLICE_INIT("RFC822.HEADER")},
	{SLICE_INIT("RFC822.TEXT"), FETCH_RAW, MAIL_SECTION_TEXT, false, false, SLICE_INIT("RFC822.TEXT")},
};

static const struct {
	slice name;
	enum fetch_kind kind;
	enum mail_section section;
} section_texts[] = {
	{SLICE_INIT("HEADER"), FETCH_RAW, MAIL_SECTION_HEADER},
	{SLICE_INIT("TEXT"), FETCH_RAW, MAIL_SECTION_TEXT},
	{SLICE_INIT("MIME"), FETCH_RAW, MAIL_SECTION_MIME},
	{SLICE_INIT("HEADER.FIELDS"), FETCH_FIELDS, MAIL_SECTION_HEADER},
	{SLICE_INIT("HEADER.FIELDS.NOT"), FETCH_FIELDS_NOT, MAIL_SECTION_HEADER},
};

/* Takes the part numbers off the front of a section's words. */
static bool take_path(struct imap_args *a, slice *words, struct fetch_section *sec)
{
	size_t max = 1;

	for (size_t i = 0; i < words->n; i++)
		max += words->p[i] == '.';
	sec->path = arena_new_n(a->arena, uint32_t, max);
	if (!sec->path)
		return imap_args_fail(a, "the command is too large");
	while (words->n > 0 && ascii_is_digit(words->p[0])) {
		slice rest = *words, number;

		if (!slice_cut(&rest, '.', &number)) {
			number = *words;
			rest = (slice){NULL, 0};
		} else if (rest.n == 0) {
			return imap_args_fail(a, "the section is not well-formed");
		}
		uint32_t v;
		if (!slice_to_u32(number, UINT32_MAX, &v) || v == 0)
			return imap_args_fail(a, "a part number is not one");
		sec->path[sec->path_n++] = v;
		*words = rest;
	}
	return true;
}

static bool take_fields(struct imap_args *a, struct fetch_section *sec, struct buf *label)
{
	size_t max = 16;

	if (!imap_take_sp(a) || !imap_take_c(a, '('))
		return false;
	sec->fields = arena_new_n(a->arena, slice, max);
	buf_addz(label, " (");
	do {
		slice name;

		if (sec->fields_n > 0 && !imap_take_sp(a))
			return false;
		if (!imap_take_astring(a, &name))
			return false;
		if (sec->fields && sec->fields_n == max) {
			slice *more = arena_new_n(a->arena, slice, max * 2);

			if (more)
				memcpy(more, sec->fields, max * sizeof *more);
			sec->fields = more;
			max *= 2;
		}
		if (!sec->fields)
			return imap_args_fail(a, "the command is too large");
		if (sec->fields_n > 0)
			buf_add_c(label, ' ');
		bool plain = name.n > 0;
		for (size_t i = 0; i < name.n; i++)
			plain &= imap_is_atom_char(name.p[i]);
		if (plain)
			buf_add(label, name);
		else
			imap_write_string(label, name, false);
		sec->fields[sec->fields_n++] = name;
	} while (!imap_try_c(a, ')'));
	buf_add_c(label, ')');
	return true;
}

static bool take_brackets(struct imap_args *a, struct fetch_section *sec, struct buf *label)
{
	slice words, all;

	if (!imap_take_c(a, '['))
		return false;
	buf_add_c(label, '[');
	if (imap_args_peek(a) != ']') {
		if (!imap_take_word(a, &words))
			return false;
		all = words;
		if (!take_path(a, &words, sec))
			return false;
		for (size_t i = 0; i < all.n; i++)
			buf_add_c(label, ascii_upper(all.p[i]));
		size_t i = 0;
		while (i < COUNT_OF(section_texts) && !slice_ieq(words, section_texts[i].name))
			i++;
		if (words.n > 0) {
			if (i == COUNT_OF(section_texts) || sec->kind != FETCH_RAW)
				return imap_args_fail(a, "that section is not known");
			sec->kind = section_texts[i].kind;
			sec->section = section_texts[i].section;
		}
		if (sec->section == MAIL_SECTION_MIME && sec->path_n == 0)
			return imap_args_fail(a, "MIME wants a part number");
		if ((sec->kind == FETCH_FIELDS || sec->kind == FETCH_FIELDS_NOT) &&
			!take_fields(a, sec, label))
			return false;
	}
	buf_add_c(label, ']');
	return imap_take_c(a, ']');
}

static bool take_partial(struct imap_args *a, struct fetch_section *sec, struct buf *label)
{
	if (!imap_try_c(a, '<'))
		return true;
	sec->partial = true;
	if (sec->kind == FETCH_BINARY_SIZE)
		return imap_args_fail(a, "a size has no parts");
	if (!imap_take_number(a, INT64_MAX, &sec->from) || !imap_take_c(a, '.') ||
		!imap_take_u32(a, &sec->count))
		return false;
	if (sec->count == 0)
		return imap_args_fail(a, "nothing is asked for");
	buf_add_c(label, '<');
	imap_write_u64(label, sec->from);
	buf_add_c(label, '>');
	return imap_take_c(a, '>');
}

static bool take_section(struct imap_args *a, size_t which, struct fetch_section *sec)
{
	struct buf label = BUF_INIT(2 * LIMIT_IMAP_LINE);
	bool good = true;

	sec->kind = bodies[which].kind;
	sec->section = bodies[which].section;
	buf_add(&label, bodies[which].label);
	if (bodies[which].brackets)
		good = take_brackets(a, sec, &label) && take_partial(a, sec, &label);
	if (good) {
		sec->label = arena_copy(a->arena, buf_slice(&label));
		if (label.failed || !sec->label.p)
			good = imap_args_fail(a, "the command is too large");
	}
	buf_free(&label);
	return good;
}

static bool take_item(struct imap_args *a, struct fetch *f, bool alone, struct fetch_section ***tail)
{
	slice word;

	if (!imap_take_word(a, &word))
		return false;
	if (slice_ieq(word, S("BODY")) && imap_args_peek(a) != '[') {
		f->items |= FETCH_BODY;
		return true;
	}
	for (size_t i = 0; i < COUNT_OF(simple); i++) {
		if (!slice_ieq(word, simple[i].name))
			continue;
		if (simple[i].macro && !alone)
			return imap_args_fail(a, "a macro stands alone");
		f->items |= simple[i].items;
		return simple[i].items != FETCH_PREVIEW || imap_take_preview(a);
	}
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		if (!slice_ieq(word, bodies[i].name))
			continue;
		struct fetch_section *sec = arena_new_1(a->arena, struct fetch_section);
		if (!sec)
			return imap_args_fail(a, "the command is too large");
		if (!take_section(a, i, sec))
			return false;
		f->sets_seen |= !bodies[i].peek;
		**tail = sec;
		*tail = &sec->next;
		return true;
	}
	return imap_args_fail(a, "that FETCH item is not known");
}

/* RFC 4466 2.4; each parser of an extension takes what is its own. */
static bool take_modifiers(struct imap_args *a, struct fetch *f)
{
	slice name;

	if (imap_args_at_end(a))
		return true;
	if (!imap_take_sp(a) || !imap_take_c(a, '('))
		return false;
	for (bool first = true; first || !imap_try_c(a, ')'); first = false) {
		if ((!first && !imap_take_sp(a)) || !imap_take_atom(a, &name))
			return false;
		if (slice_ieq(name, S("PARTIAL"))) {
			if (!imap_take_partial(a, &f->partial))
				return false;
			continue;
		}
		if (!imap_take_changedsince(a, name, &f->since))
			return imap_args_fail(a, "that FETCH modifier is not known, or stands twice");
	}
	if (f->since.is)
		f->items |= FETCH_MODSEQ;
	return true;
}

bool imap_take_fetch_items(struct imap_args *a, struct fetch *ret)
{
	struct fetch_section **tail = &ret->sections;
	size_t n = 0;

	if (!imap_try_c(a, '('))
		return take_item(a, ret, true, &tail);
	do {
		if (n > 0 && !imap_take_sp(a))
			return false;
		if (++n > SECTIONS_MAX)
			return imap_args_fail(a, "too many items");
		if (!take_item(a, ret, false, &tail))
			return false;
	} while (!imap_try_c(a, ')'));
	return true;
}

bool imap_take_fetch(struct imap_args *a, struct fetch *ret)
{
	return imap_take_fetch_items(a, ret) && take_modifiers(a, ret);
}

unsigned imap_fetch_needs(const struct fetch *f)
{
	unsigned needs = 0;

	if (f->items & FETCH_ENVELOPE)
		needs |= f->sections ? IMAP_NEED_SUMMARY : IMAP_NEED_FRONT;
	if (f->items & (FETCH_BODY | FETCH_BODYSTRUCTURE | FETCH_PREVIEW))
		needs |= IMAP_NEED_SUMMARY;
	if (f->items & FETCH_INTERNALDATE)
		needs |= IMAP_NEED_MESSAGE;
	if (f->items & FETCH_SAVEDATE)
		needs |= IMAP_NEED_SAVED;
	for (const struct fetch_section *sec = f->sections; sec; sec = sec->next) {
		needs |= IMAP_NEED_BLOB | IMAP_NEED_MESSAGE;
		if (sec->path_n > 0 || sec->section != MAIL_SECTION_ALL)
			needs |= IMAP_NEED_SUMMARY;
	}
	return needs;
}
