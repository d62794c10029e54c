/* The envelope's paths: RFC 5321 4.1.2 and 4.1.3, strict. Whatever no rule here accepts is refused. */
#include "base/encode.h"
#include "limits.h"
#include "mail/address.h"
#include "mail/chars.h"
#include <arpa/inet.h>
#include <idn2.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

static bool parse_ipv(int family, slice s)
{
	char z[INET6_ADDRSTRLEN];
	struct in6_addr any;
	if (s.n == 0 || s.n >= sizeof z || memchr(s.p, 0, s.n))
		return false;
	memcpy(z, s.p, s.n);
	z[s.n] = 0;
	return inet_pton(family, z, &any) == 1;
}

static enum mail_domain_kind literal_kind(slice s)
{
	static const slice tag = SLICE_INIT("IPv6:");
	if (s.n < 2 || s.p[s.n - 1] != ']')
		return MAIL_DOMAIN_INVALID;
	s = slice_sub(s, 1, s.n - 2);
	if (slice_istarts(s, tag))
		return parse_ipv(AF_INET6, slice_skip(s, tag.n)) ? MAIL_DOMAIN_IPV6 : MAIL_DOMAIN_INVALID;
	return parse_ipv(AF_INET, s) ? MAIL_DOMAIN_IPV4 : MAIL_DOMAIN_INVALID;
}

/* A-labels of a domain that has U-labels, or NULL; give back with idn2_free. */
static char *idn_ascii(slice domain)
{
	char z[LIMIT_MAIL_DOMAIN + 1];
	uint8_t *out = NULL;
	if (domain.n > LIMIT_MAIL_DOMAIN || memchr(domain.p, 0, domain.n) || !utf8_valid(domain))
		return NULL;
	memcpy(z, domain.p, domain.n);
	z[domain.n] = 0;
	if (idn2_lookup_u8((const uint8_t *)z, &out, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return NULL;
	return (char *)out;
}

static bool ascii_domain_valid(slice s)
{
	size_t label = 0;
	if (s.n == 0 || s.n > LIMIT_MAIL_DOMAIN)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '.') {
			if (label == 0 || s.p[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!(mail_char(c) & CH_LETDIG) && !(c == '-' && label > 0))
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0 && s.p[s.n - 1] != '-';
}

enum mail_domain_kind mail_domain_parse(slice s, bool utf8)
{
	if (s.n == 0 || s.n > LIMIT_MAIL_DOMAIN)
		return MAIL_DOMAIN_INVALID;
	if (s.p[0] == '[')
		return literal_kind(s);
	if (ascii_only(s))
		return ascii_domain_valid(s) ? MAIL_DOMAIN_NAME : MAIL_DOMAIN_INVALID;
	if (!utf8)
		return MAIL_DOMAIN_INVALID;
	char *ascii = idn_ascii(s);
	bool ok = ascii && ascii_domain_valid(slice_of(ascii));
	idn2_free(ascii);
	return ok ? MAIL_DOMAIN_NAME : MAIL_DOMAIN_INVALID;
}

/* Length of the quoted string at the start of s, 0 when there is no right one. */
static size_t quoted_length(slice s, bool utf8)
{
	for (size_t i = 1; i < s.n; i++) {
		char c = s.p[i];
		if (c == '"')
			return i + 1;
		if (c == '\\') {
			if (++i == s.n || s.p[i] < ' ' || s.p[i] > '~')
				return 0;
			continue;
		}
		if (!(c >= ' ' && c <= '~') && !(utf8 && mail_char(c) & CH_HIGH))
			return 0;
	}
	return 0;
}

static size_t dot_string_length(slice s, bool utf8)
{
	uint8_t want = utf8 ? CH_ATEXT | CH_HIGH : CH_ATEXT;
	bool atom = false;
	size_t i = 0;
	for (; i < s.n; i++) {
		if (mail_char(s.p[i]) & want)
			atom = true;
		else if (s.p[i] == '.' && atom)
			atom = false;
		else
			break;
	}
	return atom ? i : 0;
}

/* Where the domain at the start of s ends: nothing is said of its form. */
static size_t domain_extent(slice s)
{
	size_t i = 0;
	if (s.n && s.p[0] == '[') {
		ptrdiff_t end = slice_find_c(s, ']');
		return end < 0 ? s.n : (size_t)end + 1;
	}
	while (i < s.n && (mail_char(s.p[i]) & (CH_LETDIG | CH_HIGH) || s.p[i] == '.' || s.p[i] == '-'))
		i++;
	return i;
}

/* Takes an obsolete source route "@a,@b:" off *in (RFC 5321 C: accepted, ignored). False: it is broken. */
static bool skip_route(slice *in, bool utf8)
{
	while (in->n && in->p[0] == '@') {
		slice rest = slice_skip(*in, 1);
		size_t n = domain_extent(rest);
		if (mail_domain_parse(slice_sub(rest, 0, n), utf8) == MAIL_DOMAIN_INVALID)
			return false;
		rest = slice_skip(rest, n);
		if (rest.n && rest.p[0] == ':') {
			*in = slice_skip(rest, 1);
			return true;
		}
		if (!slice_starts(rest, S(",@")))
			return false;
		*in = slice_skip(rest, 1);
	}
	return false;
}

/* The mailbox at the start of in; its end is left in *ret_end. */
static int mailbox_parse(slice in, unsigned flags, struct mail_path *ret, size_t *ret_end, err *e)
{
	bool utf8 = flags & MAIL_PATH_UTF8;
	bool quoted = in.n && in.p[0] == '"';
	size_t n = quoted ? quoted_length(in, utf8) : dot_string_length(in, utf8);
	if (n == 0)
		return err_set(e, ERR_SYNTAX, "bad local part in the address");
	if (n > LIMIT_MAIL_LOCAL)
		return err_set(e, ERR_LIMIT, "the local part is longer than %d octets", LIMIT_MAIL_LOCAL);
	struct mail_path path = {
		.kind = MAIL_PATH_IS_MAILBOX, .local = slice_sub(in, 0, n), .quoted = quoted};
	slice rest = slice_skip(in, n);
	if (rest.n == 0 || rest.p[0] != '@') {
		if (!(flags & MAIL_PATH_POSTMASTER) || !slice_ieq(path.local, S("postmaster")))
			return err_set(e, ERR_SYNTAX, "the address has no domain");
		path.kind = MAIL_PATH_IS_POSTMASTER;
		*ret = path;
		*ret_end = n;
		return 0;
	}
	rest = slice_skip(rest, 1);
	size_t d = domain_extent(rest);
	path.domain = slice_sub(rest, 0, d);
	if (d > LIMIT_MAIL_DOMAIN || n + 1 + d + 2 > LIMIT_MAIL_PATH)
		return err_set(e, ERR_LIMIT, "the address is longer than %d octets", LIMIT_MAIL_PATH);
	path.domain_kind = mail_domain_parse(path.domain, utf8);
	if (path.domain_kind == MAIL_DOMAIN_INVALID)
		return err_set(e, ERR_SYNTAX, "bad domain in the address");
	path.utf8 = !ascii_only(path.local) || !ascii_only(path.domain);
	if (path.utf8 && !utf8_valid(path.local))
		return err_set(e, ERR_SYNTAX, "the local part is not valid UTF-8");
	*ret = path;
	*ret_end = n + 1 + d;
	return 0;
}

int mail_path_parse(slice in, unsigned flags, struct mail_path *ret, slice *ret_rest, err *e)
{
	struct mail_path path = {0};
	slice rest = in;
	bool bracket = in.n && in.p[0] == '<';
	if (bracket)
		rest = slice_skip(rest, 1);
	else if (!(flags & MAIL_PATH_BARE))
		return err_set(e, ERR_SYNTAX, "the address must stand in < and >");
	if (bracket && rest.n && rest.p[0] == '>') {
		if (!(flags & MAIL_PATH_NULL))
			return err_set(e, ERR_SYNTAX, "an empty address is not allowed here");
		path.kind = MAIL_PATH_IS_NULL;
	} else {
		size_t end;
		if (rest.n && rest.p[0] == '@' && !skip_route(&rest, flags & MAIL_PATH_UTF8))
			return err_set(e, ERR_SYNTAX, "bad source route in the address");
		if (mailbox_parse(rest, flags, &path, &end, e) < 0)
			return -1;
		rest = slice_skip(rest, end);
	}
	if (bracket) {
		if (rest.n == 0 || rest.p[0] != '>')
			return err_set(e, ERR_SYNTAX, "the address does not end in >");
		rest = slice_skip(rest, 1);
	}
	if (rest.n && (!ret_rest || rest.p[0] != ' '))
		return err_set(e, ERR_SYNTAX, "unexpected text behind the address");
	*ret = path;
	if (ret_rest)
		*ret_rest = rest;
	return 0;
}

slice mail_path_local(struct arena *a, const struct mail_path *path)
{
	if (!path->quoted)
		return path->local;
	slice in = slice_sub(path->local, 1, path->local.n - 2);
	char *out = arena_alloc(a, in.n + 1, 1, 1);
	size_t n = 0;
	if (!out)
		return (slice){0};
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\\' && i + 1 < in.n)
			i++;
		out[n++] = in.p[i];
	}
	return (slice){out, n};
}

void mail_path_write(struct buf *out, const struct mail_path *path)
{
	buf_add(out, path->local);
	if (path->kind == MAIL_PATH_IS_MAILBOX) {
		buf_add_c(out, '@');
		buf_add(out, path->domain);
	}
}

void mail_local_write(struct buf *out, slice local)
{
	if (local.n && dot_string_length(local, true) == local.n) {
		buf_add(out, local);
		return;
	}
	buf_add_c(out, '"');
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\')
			buf_add_c(out, '\\');
		buf_add_c(out, local.p[i]);
	}
	buf_add_c(out, '"');
}

static slice lower_copy(struct arena *a, slice s)
{
	char *p = arena_alloc(a, s.n + 1, 1, 1);
	if (!p)
		return (slice){0};
	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	return (slice){p, s.n};
}

int mail_domain_canonical(struct arena *a, slice domain, slice *ret, err *e)
{
	if (domain.n > 1 && domain.p[domain.n - 1] == '.')
		domain.n--;
	enum mail_domain_kind kind = mail_domain_parse(domain, true);
	if (kind == MAIL_DOMAIN_INVALID)
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is not a domain", SLICE_ARG(domain));
	slice made;
	if (ascii_only(domain)) {
		made = lower_copy(a, domain);
	} else {
		char *ascii = idn_ascii(domain);
		made = ascii ? lower_copy(a, slice_of(ascii)) : (slice){0};
		idn2_free(ascii);
	}
	if (!made.p)
		return err_set(e, ERR_LIMIT, "no room for a domain");
	*ret = made;
	return 0;
}

int mail_domain_display(struct arena *a, slice domain, slice *ret, err *e)
{
	slice ascii;
	char *shown = NULL;
	if (mail_domain_canonical(a, domain, &ascii, e) < 0)
		return -1;
	/* arena memory is zeroed and lower_copy takes one byte more: NUL-terminated */
	if (slice_ifind(ascii, S("xn--")) >= 0 && idn2_to_unicode_8z8z(ascii.p, &shown, 0) == IDN2_OK) {
		slice copy = arena_copy(a, slice_of(shown));
		idn2_free(shown);
		if (!copy.p)
			return err_set(e, ERR_LIMIT, "no room for a domain");
		ascii = copy;
	}
	*ret = ascii;
	return 0;
}

int mail_local_canonical(struct arena *a, slice local, slice *ret, err *e)
{
	enum {
		UNITS = 512
	}; /* 256 octets, case folding to at most 3 units for one, NFC never longer than 3 */
	UChar one[UNITS], two[UNITS];
	UErrorCode code = U_ZERO_ERROR;
	int32_t n;
	if (ascii_only(local)) {
		slice low = lower_copy(a, local);
		if (!low.p)
			return err_set(e, ERR_LIMIT, "no room for a local part");
		*ret = low;
		return 0;
	}
	if (local.n > LIMIT_MAIL_PATH || !utf8_valid(local))
		return err_set(e, ERR_SYNTAX, "the local part is not valid UTF-8");
	const UNormalizer2 *nfc = unorm2_getNFCInstance(&code);
	u_strFromUTF8(one, UNITS, &n, local.p, (int32_t)local.n, &code);
	n = unorm2_normalize(nfc, one, n, two, UNITS, &code);
	n = u_strFoldCase(one, UNITS, two, n, U_FOLD_CASE_DEFAULT, &code);
	n = unorm2_normalize(nfc, one, n, two, UNITS, &code);
	char *out = arena_alloc(a, (size_t)LIMIT_MAIL_PATH * 6, 1, 1);
	if (!out)
		return err_set(e, ERR_LIMIT, "no room for a local part");
	u_strToUTF8(out, LIMIT_MAIL_PATH * 6, &n, two, n, &code);
	if (U_FAILURE(code))
		return err_set(e, ERR_SYNTAX, "the local part cannot be folded: %s", u_errorName(code));
	*ret = (slice){out, (size_t)n};
	return 0;
}

void mail_local_split(slice local, char separator, slice *ret_user, slice *ret_tag)
{
	ptrdiff_t at = local.n ? slice_find_c(slice_skip(local, 1), separator) : -1;
	if (at < 0) {
		*ret_user = local;
		*ret_tag = (slice){0};
		return;
	}
	*ret_user = slice_sub(local, 0, (size_t)at + 1);
	*ret_tag = slice_skip(local, (size_t)at + 2);
}
