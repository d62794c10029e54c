#include "imap/args.h"
#include "base/encode.h"

struct imap_args imap_args_of(const struct imap_command *c, struct arena *a)
{
	return (struct imap_args){
		.part = c->first, .text = slice_skip(c->first->text, c->args_at), .arena = a};
}

bool imap_args_fail(struct imap_args *a, const char *why)
{
	if (!a->why)
		a->why = why;
	return false;
}

static bool at_literal(const struct imap_args *a)
{
	return a->text.n == 0 && a->part->has_literal && !a->literal_taken;
}

/* A part whose text and literal are taken ends; the next one goes on at once. */
static void settle(struct imap_args *a)
{
	while (a->text.n == 0 && a->literal_taken && a->part->next) {
		a->part = a->part->next;
		a->text = a->part->text;
		a->literal_taken = false;
	}
}

char imap_args_peek(const struct imap_args *a)
{
	if (a->text.n > 0)
		return a->text.p[0];
	return at_literal(a) ? IMAP_LITERAL : 0;
}

bool imap_args_at_end(struct imap_args *a)
{
	slice rest = a->text;

	while (rest.n > 0 && rest.p[0] == ' ')
		rest = slice_skip(rest, 1);
	return rest.n == 0 && !(a->part->has_literal && !a->literal_taken) && !a->part->next;
}

bool imap_take_end(struct imap_args *a)
{
	return imap_args_at_end(a) || imap_args_fail(a, "unexpected words at the end");
}

bool imap_take_sp(struct imap_args *a)
{
	if (a->text.n == 0 || a->text.p[0] != ' ')
		return imap_args_fail(
			a, imap_args_at_end(a) ? "an argument is missing" : "a blank is missing");
	while (a->text.n > 0 && a->text.p[0] == ' ')
		a->text = slice_skip(a->text, 1);
	return true;
}

bool imap_try_c(struct imap_args *a, char c)
{
	if (a->text.n == 0 || a->text.p[0] != c)
		return false;
	a->text = slice_skip(a->text, 1);
	return true;
}

bool imap_take_c(struct imap_args *a, char c)
{
	if (imap_try_c(a, c))
		return true;
	switch (c) {
	case '(':
		return imap_args_fail(a, "a list in parentheses is missing");
	case ')':
		return imap_args_fail(a, "a closing parenthesis is missing");
	default:
		return imap_args_fail(a, "the arguments are not as they should be");
	}
}

bool imap_is_atom_char(char c)
{
	return c > ' ' && c < 127 && !strchr("(){%*\"\\]", c);
}

static bool astring_char(char c)
{
	return c == ']' || imap_is_atom_char(c);
}

static bool list_char(char c)
{
	return c == '%' || c == '*' || astring_char(c);
}

static bool word_char(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || (c && strchr(".-_=+", c));
}

static bool take_while(struct imap_args *a, bool (*fits)(char), const char *why, slice *ret)
{
	size_t n = 0;

	while (n < a->text.n && fits(a->text.p[n]))
		n++;
	if (n == 0)
		return imap_args_fail(a, why);
	*ret = slice_sub(a->text, 0, n);
	a->text = slice_skip(a->text, n);
	return true;
}

bool imap_take_atom(struct imap_args *a, slice *ret)
{
	return take_while(a, imap_is_atom_char, "a word is missing", ret);
}

bool imap_take_word(struct imap_args *a, slice *ret)
{
	return take_while(a, word_char, "a word is missing", ret);
}

static bool take_literal(struct imap_args *a, slice *ret)
{
	if (a->part->binary)
		return imap_args_fail(a, "a binary literal is for the message of APPEND only");
	if (memchr(a->part->literal.p, 0, a->part->literal.n))
		return imap_args_fail(a, "a NUL in a literal");
	*ret = a->part->literal.n ? a->part->literal : S(""); /* not NIL */
	a->literal_taken = true;
	settle(a);
	return true;
}

static bool take_quoted(struct imap_args *a, slice *ret)
{
	size_t i = 1, escapes = 0;

	for (; i < a->text.n && a->text.p[i] != '"'; i++) {
		char c = a->text.p[i];

		if (c == 0 || c == '\r')
			return imap_args_fail(a, "a control character in a quoted string");
		if (c == '\\') {
			i++;
			escapes++;
			if (i < a->text.n && a->text.p[i] != '"' && a->text.p[i] != '\\')
				return imap_args_fail(a, "a backslash before something else than \" or \\");
		}
	}
	if (i >= a->text.n)
		return imap_args_fail(a, "a quoted string without its end");
	slice raw = slice_sub(a->text, 1, i - 1);
	if (a->utf8 && !utf8_valid(raw))
		return imap_args_fail(a, "a quoted string that is not UTF-8");
	if (escapes > 0) {
		char *to = arena_new_n(a->arena, char, raw.n);
		size_t n = 0;

		if (!to)
			return imap_args_fail(a, "the command is too large");
		for (size_t k = 0; k < raw.n; k++) {
			if (raw.p[k] == '\\')
				k++;
			to[n++] = raw.p[k];
		}
		raw = slice_make(to, n);
	}
	a->text = slice_skip(a->text, i + 1);
	*ret = raw;
	return true;
}

bool imap_take_string(struct imap_args *a, slice *ret)
{
	if (at_literal(a))
		return take_literal(a, ret);
	if (a->text.n > 0 && a->text.p[0] == '"')
		return take_quoted(a, ret);
	return imap_args_fail(a, "a string is missing");
}

static bool take_either(struct imap_args *a, bool (*fits)(char), slice *ret)
{
	if (at_literal(a) || (a->text.n > 0 && a->text.p[0] == '"'))
		return imap_take_string(a, ret);
	return take_while(a, fits, "a word or string is missing", ret);
}

bool imap_take_nstring(struct imap_args *a, slice *ret)
{
	slice word;

	if (at_literal(a) || (a->text.n > 0 && a->text.p[0] == '"'))
		return imap_take_string(a, ret);
	if (!imap_take_atom(a, &word))
		return false;
	if (!slice_ieq(word, S("NIL")))
		return imap_args_fail(a, "a string or NIL is missing");
	*ret = (slice){NULL, 0};
	return true;
}

bool imap_take_value(struct imap_args *a, slice *ret)
{
	if (!at_literal(a) || !a->part->binary)
		return imap_take_nstring(a, ret);
	*ret = a->part->literal.n ? a->part->literal : S("");
	a->literal_taken = true;
	settle(a);
	return true;
}

bool imap_take_astring(struct imap_args *a, slice *ret)
{
	return take_either(a, astring_char, ret);
}

bool imap_take_list_mailbox(struct imap_args *a, slice *ret)
{
	return take_either(a, list_char, ret);
}

static bool digit(char c)
{
	return ascii_is_digit(c);
}

bool imap_take_number(struct imap_args *a, uint64_t max, uint64_t *ret)
{
	slice digits;

	if (!take_while(a, digit, "a number is missing", &digits))
		return false;
	return slice_to_u64(digits, max, ret) || imap_args_fail(a, "a number is too large");
}

bool imap_take_u32(struct imap_args *a, uint32_t *ret)
{
	uint64_t v;

	if (!imap_take_number(a, UINT32_MAX, &v))
		return false;
	*ret = (uint32_t)v;
	return true;
}

#define ID_PAIRS_MAX 30 /* RFC 2971 3.3 */

bool imap_take_id(struct imap_args *a)
{
	slice name, value;
	unsigned pairs = 0;

	if (!imap_take_sp(a))
		return false;
	if (!imap_try_c(a, '('))
		return imap_take_nstring(a, &value) &&
		       (!value.p || imap_args_fail(a, "a list or NIL is missing")) && imap_take_end(a);
	while (!imap_try_c(a, ')')) {
		if (pairs > 0 && !imap_take_sp(a))
			return false;
		if (imap_try_c(a, ')'))
			break;
		if (++pairs > ID_PAIRS_MAX)
			return imap_args_fail(a, "more than 30 fields");
		if (!imap_take_string(a, &name) || !imap_take_sp(a) || !imap_take_nstring(a, &value))
			return false;
	}
	return imap_take_end(a);
}
