#include "smtp/parse.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "limits.h"
#include "mail/date.h"

static slice blanks_off(slice s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_skip(s, 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

int smtp_line_parse(slice text, struct smtp_line *ret, err *e)
{
	struct smtp_line line = {.args = blanks_off(text)};

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return err_set(
				e, ERR_SYNTAX, "A control character (0x%02x) has no place in a command", c);
	}
	if (!utf8_valid(text))
		return err_set(e, ERR_SYNTAX, "The line is not valid UTF-8");
	if (slice_word(&line.args, &line.verb))
		line.args = blanks_off(line.args);
	*ret = line;
	return 0;
}

/* ---- MAIL and RCPT ---- */

struct parse { /* one of the two is set */
	struct arena *a;
	struct smtp_envelope *env;
	struct smtp_recipient *rcpt;
	err *e;
};

struct param {
	slice name;
	bool has_value;
	enum smtp_fault (*take)(struct parse *p, slice value);
};

#define fault(e, f, kind, ...) (err_set_at((e), (kind), 0, ERR_WHERE, __VA_ARGS__), (f))
#define bad_value(p, ...)      fault((p)->e, SMTP_FAULT_VALUE, ERR_SYNTAX, __VA_ARGS__)

static enum smtp_fault no_memory(struct parse *p)
{
	return fault(p->e, SMTP_FAULT_MEMORY, ERR_LIMIT, "There is no room for more now");
}

static enum smtp_fault take_size(struct parse *p, slice v)
{
	if (v.n == 0 || v.n > 20 || !slice_to_u64(v, UINT64_MAX, &p->env->size))
		return bad_value(p, "SIZE= needs a number of octets");
	return SMTP_FAULT_NONE;
}

static enum smtp_fault take_body(struct parse *p, slice v)
{
	static const slice words[] = {SLICE_INIT("7BIT"), SLICE_INIT("8BITMIME"), SLICE_INIT("BINARYMIME")};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (slice_ieq(v, words[i])) {
			p->env->body = (enum smtp_body)i;
			return SMTP_FAULT_NONE;
		}
	return bad_value(p, "BODY= is one of 7BIT, 8BITMIME and BINARYMIME");
}

static enum smtp_fault take_smtputf8(struct parse *p, slice v)
{
	(void)v;
	p->env->smtputf8 = true;
	return SMTP_FAULT_NONE;
}

static enum smtp_fault take_ret(struct parse *p, slice v)
{
	if (slice_ieq(v, S("FULL")))
		p->env->ret = SMTP_RET_FULL;
	else if (slice_ieq(v, S("HDRS")))
		p->env->ret = SMTP_RET_HDRS;
	else
		return bad_value(p, "RET= is FULL or HDRS");
	return SMTP_FAULT_NONE;
}

static enum smtp_fault take_envid(struct parse *p, slice v)
{
	if (v.n == 0 || v.n > LIMIT_SMTP_ENVID || !smtp_xtext_decode(v, p->a, &p->env->id))
		return bad_value(p, "ENVID= needs xtext of 1 to %d characters (RFC 3461)", LIMIT_SMTP_ENVID);
	return p->env->id.p ? SMTP_FAULT_NONE : no_memory(p);
}

/* RFC 4954 5: an address or <>. It is kept and says nothing: whom to believe is decided elsewhere. */
static enum smtp_fault take_auth(struct parse *p, slice v)
{
	struct mail_path path;

	if (!smtp_xtext_decode(v, p->a, &p->env->auth))
		return bad_value(p, "AUTH= needs an address in xtext (RFC 4954) or <>");
	if (!p->env->auth.p)
		return no_memory(p);
	if (!slice_eq(p->env->auth, S("<>")) &&
		mail_path_parse(p->env->auth, MAIL_PATH_BARE, &path, NULL, NULL) < 0)
		return bad_value(p, "AUTH= needs an address in xtext (RFC 4954) or <>");
	return SMTP_FAULT_NONE;
}

/* ["-" / "+"] 1*9DIGIT; signs: those allowed. */
static bool signed_number(slice v, const char *signs, int32_t *ret)
{
	uint32_t n;
	bool minus = v.n && v.p[0] == '-';

	if (v.n && strchr(signs, v.p[0]) && v.p[0])
		v = slice_skip(v, 1);
	if (v.n == 0 || v.n > 9 || !slice_to_u32(v, 999999999, &n))
		return false;
	*ret = minus ? -(int32_t)n : (int32_t)n;
	return true;
}

/* RFC 4865 5: the two forms exclude each other. */
static bool take_hold(struct parse *p, enum smtp_hold kind, int64_t seconds)
{
	if (p->env->hold)
		return false;
	p->env->hold = kind;
	p->env->hold_s = seconds;
	return true;
}

static enum smtp_fault take_holdfor(struct parse *p, slice v)
{
	int32_t seconds;

	if (v.n == 0 || v.p[0] == '0' || !signed_number(v, "", &seconds))
		return bad_value(p, "HOLDFOR= needs a number of seconds, 1 to 999999999");
	if (!take_hold(p, SMTP_HOLD_FOR, seconds))
		return bad_value(p, "HOLDFOR= and HOLDUNTIL= exclude each other (RFC 4865)");
	return SMTP_FAULT_NONE;
}

static enum smtp_fault take_holduntil(struct parse *p, slice v)
{
	struct mail_date date;

	if (!mail_date_rfc3339_parse(v, &date))
		return bad_value(p, "HOLDUNTIL= needs a moment such as 2026-11-24T15:00:00Z (RFC 3339)");
	if (!take_hold(p, SMTP_HOLD_UNTIL, date.utc_s))
		return bad_value(p, "HOLDFOR= and HOLDUNTIL= exclude each other (RFC 4865)");
	return SMTP_FAULT_NONE;
}

/* RFC 2852 4: by-time ";" by-mode [by-trace] */
static enum smtp_fault take_by(struct parse *p, slice v)
{
	slice mode = v, time;
	int32_t seconds;

	if (!slice_cut(&mode, ';', &time) || !signed_number(time, "+-", &seconds) || mode.n == 0 ||
		mode.n > 2 || (mode.n == 2 && ascii_upper(mode.p[1]) != 'T'))
		return bad_value(p, "BY= needs seconds;R or seconds;N, with a T behind it or not (RFC 2852)");
	char letter = ascii_upper(mode.p[0]);
	if (letter != 'N' && letter != 'R')
		return bad_value(p, "BY= needs the mode R or N (RFC 2852)");
	if (letter == 'R' && seconds <= 0)
		return bad_value(p, "BY= with the mode R needs more than 0 seconds (RFC 2852)");
	p->env->by_mode = letter;
	p->env->by_trace = mode.n == 2;
	p->env->by_s = seconds;
	return SMTP_FAULT_NONE;
}

static enum smtp_fault take_priority(struct parse *p, slice v)
{
	int32_t n;

	if (v.n > 2 || !signed_number(v, "-", &n) || n < -9 || n > 9 || slice_eq(v, S("-0")) ||
		(v.n == 2 && v.p[0] != '-'))
		return bad_value(p, "MT-PRIORITY= is a number from -9 to 9 (RFC 6710)");
	p->env->has_priority = true;
	p->env->priority = (int8_t)n;
	return SMTP_FAULT_NONE;
}

static enum smtp_fault take_requiretls(struct parse *p, slice v)
{
	(void)v;
	p->env->require_tls = true;
	return SMTP_FAULT_NONE;
}

static enum smtp_fault take_notify(struct parse *p, slice v)
{
	static const struct {
		slice word;
		uint8_t bit;
	} words[] = {
		{SLICE_INIT("NEVER"), SMTP_NOTIFY_NEVER},
		{SLICE_INIT("SUCCESS"), SMTP_NOTIFY_SUCCESS},
		{SLICE_INIT("FAILURE"), SMTP_NOTIFY_FAILURE},
		{SLICE_INIT("DELAY"), SMTP_NOTIFY_DELAY},
	};
	bool more = true;
	uint8_t bits = 0;

	while (more) {
		slice word = v;
		uint8_t bit = 0;

		more = slice_cut(&v, ',', &word);
		for (size_t i = 0; i < COUNT_OF(words); i++)
			if (slice_ieq(word, words[i].word))
				bit = words[i].bit;
		if (bit == 0 || (bits & bit))
			return bad_value(p, "NOTIFY= is NEVER, or a list of SUCCESS, FAILURE and DELAY");
		bits |= bit;
	}
	if ((bits & SMTP_NOTIFY_NEVER) && bits != SMTP_NOTIFY_NEVER)
		return bad_value(p, "NOTIFY=NEVER stands alone");
	p->rcpt->notify = bits;
	return SMTP_FAULT_NONE;
}

/* RFC 3461 4.2: type;xtext */
static enum smtp_fault take_orcpt(struct parse *p, slice v)
{
	slice rest = v, type, address;

	if (v.n > LIMIT_SMTP_ORCPT || !slice_cut(&rest, ';', &type) || type.n == 0 || rest.n == 0)
		return bad_value(p, "ORCPT= needs type;address, at most %d characters", LIMIT_SMTP_ORCPT);
	for (size_t i = 0; i < type.n; i++)
		if (!ascii_is_alpha(type.p[i]) && !ascii_is_digit(type.p[i]) && type.p[i] != '-')
			return bad_value(p, "ORCPT= needs an address type such as rfc822");
	if (!smtp_xtext_decode(rest, p->a, &address))
		return bad_value(p, "ORCPT= needs its address in xtext (RFC 3461)");
	if (!address.p)
		return no_memory(p);
	p->rcpt->original =
		arena_fmt(p->a, "%" SLICE_FMT ";%" SLICE_FMT, SLICE_ARG(type), SLICE_ARG(address));
	return p->rcpt->original.p ? SMTP_FAULT_NONE : no_memory(p);
}

static const struct param mail_params[] = {
	{SLICE_INIT("SIZE"), true, take_size},
	{SLICE_INIT("BODY"), true, take_body},
	{SLICE_INIT("SMTPUTF8"), false, take_smtputf8},
	{SLICE_INIT("RET"), true, take_ret},
	{SLICE_INIT("ENVID"), true, take_envid},
	{SLICE_INIT("AUTH"), true, take_auth},
	{SLICE_INIT("HOLDFOR"), true, take_holdfor},
	{SLICE_INIT("HOLDUNTIL"), true, take_holduntil},
	{SLICE_INIT("BY"), true, take_by},
	{SLICE_INIT("MT-PRIORITY"), true, take_priority},
	{SLICE_INIT("REQUIRETLS"), false, take_requiretls},
};
static const struct param rcpt_params[] = {
	{SLICE_INIT("NOTIFY"), true, take_notify},
	{SLICE_INIT("ORCPT"), true, take_orcpt},
};

static enum smtp_fault params_parse(struct parse *p, slice in, const struct param *table, size_t n)
{
	unsigned seen = 0;
	slice word;

	while (slice_word(&in, &word)) {
		slice value = word, name = word;
		bool has_value = slice_cut(&value, '=', &name);
		size_t i = 0;

		while (i < n && !slice_ieq(name, table[i].name))
			i++;
		if (i == n || (seen & 1u << i)) {
			slice shown = slice_sub(name, 0, 40);
			return fault(p->e, SMTP_FAULT_PARAM, ERR_SYNTAX, "Parameter \"%" SLICE_FMT "\" is %s",
				SLICE_ARG(shown), i == n ? "not known here" : "given twice");
		}
		seen |= 1u << i;
		if (has_value != table[i].has_value)
			return bad_value(p, "Parameter %s %s a value", table[i].name.p,
				table[i].has_value ? "needs" : "takes no");
		enum smtp_fault f = table[i].take(p, value);
		if (f)
			return f;
	}
	return SMTP_FAULT_NONE;
}

/* Takes "FROM" or "TO" and the colon off; blanks may stand on both sides of it. */
static bool word_off(slice *in, slice word)
{
	if (!slice_istarts(*in, word))
		return false;
	slice rest = blanks_off(slice_skip(*in, word.n));
	if (rest.n == 0 || rest.p[0] != ':')
		return false;
	*in = blanks_off(slice_skip(rest, 1));
	return true;
}

static enum smtp_fault path_keep(struct parse *p, struct mail_path *path, slice *ret_local)
{
	slice local;

	if (path->kind == MAIL_PATH_IS_NULL)
		return SMTP_FAULT_NONE;
	path->local = arena_copy(p->a, path->local);
	path->domain = arena_copy(p->a, path->domain);
	if (!path->local.p || !path->domain.p)
		return no_memory(p);
	local = mail_path_local(p->a, path);
	if (!local.p)
		return no_memory(p);
	*ret_local = local;
	return SMTP_FAULT_NONE;
}

static enum smtp_fault utf8_fault(struct parse *p)
{
	return fault(
		p->e, SMTP_FAULT_UTF8, ERR_DENIED, "The address is not ASCII: that needs SMTPUTF8 in MAIL");
}

enum smtp_fault smtp_mail_parse(slice args, struct arena *a, struct smtp_envelope *ret, err *e)
{
	struct smtp_envelope env = {.trace = ret->trace, .recipients = ret->recipients, .n = ret->n};
	struct parse p = {.a = a, .env = &env, .e = e};
	slice rest;

	if (!word_off(&args, S("FROM")))
		return fault(e, SMTP_FAULT_WORD, ERR_SYNTAX, "FROM: is missing");
	if (mail_path_parse(args, MAIL_PATH_UTF8 | MAIL_PATH_NULL | MAIL_PATH_BARE, &env.sender, &rest, e) <
		0)
		return SMTP_FAULT_ADDRESS;
	enum smtp_fault f = params_parse(&p, rest, mail_params, COUNT_OF(mail_params));
	if (!f && env.sender.utf8 && !env.smtputf8)
		f = utf8_fault(&p);
	if (!f)
		f = path_keep(&p, &env.sender, &env.sender_local);
	if (!f)
		*ret = env;
	return f;
}

enum smtp_fault smtp_rcpt_parse(slice args, bool utf8, struct arena *a, struct smtp_recipient *ret, err *e)
{
	struct smtp_recipient rcpt = {0};
	struct parse p = {.a = a, .rcpt = &rcpt, .e = e};
	slice rest;

	if (!word_off(&args, S("TO")))
		return fault(e, SMTP_FAULT_WORD, ERR_SYNTAX, "TO: is missing");
	if (mail_path_parse(
		    args, MAIL_PATH_UTF8 | MAIL_PATH_POSTMASTER | MAIL_PATH_BARE, &rcpt.path, &rest, e) < 0)
		return SMTP_FAULT_ADDRESS;
	if (rcpt.path.utf8 && !utf8)
		return utf8_fault(&p);
	enum smtp_fault f = params_parse(&p, rest, rcpt_params, COUNT_OF(rcpt_params));
	if (!f)
		f = path_keep(&p, &rcpt.path, &rcpt.local);
	if (!f)
		*ret = rcpt;
	return f;
}

/* ---- the rest ---- */

int smtp_bdat_parse(slice args, uint64_t *ret_size, bool *ret_last, err *e)
{
	slice number, last = {0};
	uint64_t size;

	if (!slice_word(&args, &number))
		return err_set(e, ERR_SYNTAX, "BDAT needs the number of octets that follow");
	for (size_t i = 0; i < number.n; i++)
		if (!ascii_is_digit(number.p[i]))
			return err_set(e, ERR_SYNTAX, "BDAT needs the number of octets that follow");
	if (slice_word(&args, &last) && (!slice_ieq(last, S("LAST")) || args.n))
		return err_set(e, ERR_SYNTAX, "Only LAST may follow the number of octets");
	if (!slice_to_u64(number, INT64_MAX, &size))
		return err_set(e, ERR_LIMIT, "No chunk is so large");
	*ret_size = size;
	*ret_last = last.n > 0;
	return 0;
}

bool smtp_helo_valid(slice s)
{
	if (s.n == 0 || s.n > LIMIT_MAIL_DOMAIN)
		return false;
	if (mail_domain_parse(s, true) != MAIL_DOMAIN_INVALID)
		return true;
	for (size_t i = 0; i < s.n;
		i++) { /* my_pc, 192.0.2.1, [127.0.0.1:25]: nothing that harms a Received field */
		char c = s.p[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && !memchr("-._:[]", c, 6))
			return false;
	}
	return true;
}

static int hex_upper(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool smtp_xtext_decode(slice in, struct arena *a, slice *ret)
{
	char *out = arena_alloc(a, in.n + 1, 1, 1);
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (c < '!' || c > '~' || c == '=')
			return false;
		if (c == '+') {
			int high = in.n - i > 2 ? hex_upper(in.p[i + 1]) : -1;
			int low = in.n - i > 2 ? hex_upper(in.p[i + 2]) : -1;
			if (high < 2 || low < 0 || high > 7 || (high == 7 && low == 15))
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (out)
			out[n++] = c;
	}
	*ret = (slice){out, n};
	return true;
}
