/* MAIL and RCPT with their parameters, and what cannot be said to this server at all. */
#include "base/encode.h"
#include "limits.h"
#include "smtp/client_int.h"

static bool offers(const struct smtp_client *c, uint32_t extensions)
{
	return (c->extensions & extensions) == extensions;
}

/* ---- own refusals ---- */

/* Nothing in it can end the path or the line: the queue's word is not taken for it. */
static bool address_valid(slice address)
{
	struct mail_path path;
	err e;

	return address.n > 0 && address.p[0] != '<' &&
	       mail_path_parse(
		       address, MAIL_PATH_UTF8 | MAIL_PATH_POSTMASTER | MAIL_PATH_BARE, &path, NULL, &e) == 0;
}

bool smtp_client_utf8(const struct smtp_client_message *m)
{
	bool ascii = !m->smtputf8 && ascii_only(m->sender);

	for (size_t i = 0; i < m->n && ascii; i++)
		ascii = m->rcpts[i].reply.code || ascii_only(m->rcpts[i].address);
	return !ascii;
}

bool smtp_client_refuses(
	const struct smtp_client *c, const struct smtp_client_message *m, bool utf8, struct smtp_reply *ret)
{
	if (m->sender.n && !address_valid(m->sender))
		smtp_reply_own(ret, SMTP_AT_MAIL, 553, 1, 7, "The sender's address cannot be sent");
	else if (c->max_size && m->size > c->max_size)
		smtp_reply_own(ret, SMTP_AT_MAIL, 552, 3, 4, "The message is larger than the server takes");
	else if (utf8 && !offers(c, SMTP_EXT_SMTPUTF8))
		smtp_reply_own(ret, SMTP_AT_MAIL, 550, 6, 7,
			"The message has addresses or header fields that are not ASCII, and the server does "
			"not take such (SMTPUTF8)");
	else if (m->body == SMTP_BODY_BINARYMIME && !offers(c, SMTP_EXT_BINARYMIME | SMTP_EXT_CHUNKING))
		smtp_reply_own(ret, SMTP_AT_MAIL, 554, 6, 3, "The server does not take binary content");
	else if (m->require_tls && (!offers(c, SMTP_EXT_REQUIRETLS) || !stream_is_tls(c->io)))
		smtp_reply_own(ret, SMTP_AT_MAIL, 550, 7, 30,
			"The message may only go over TLS (REQUIRETLS), which the server does not promise");
	else
		return false;
	return true;
}

size_t smtp_client_sift(const struct smtp_client *c, struct smtp_client_message *m)
{
	size_t left = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct smtp_client_rcpt *r = &m->rcpts[i];

		if (!address_valid(r->address))
			smtp_reply_own(&r->reply, SMTP_AT_RCPT, 553, 1, 3, "The address cannot be sent");
		else if (!offers(c, SMTP_EXT_SMTPUTF8) && !ascii_only(r->address))
			smtp_reply_own(&r->reply, SMTP_AT_RCPT, 553, 6, 7,
				"The address is not ASCII, and the server does not take such (SMTPUTF8)");
		else
			left++;
	}
	return left;
}

/* ---- parameters ---- */

/* RFC 3461 4 */
static void write_xtext(struct buf *out, slice s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c > ' ' && c < 127 && c != '+' && c != '=') {
			buf_add_c(out, (char)c);
		} else {
			buf_add_c(out, '+');
			buf_add_c(out, hex[c >> 4]);
			buf_add_c(out, hex[c & 15]);
		}
	}
}

/* RFC 6533 3: what is not ASCII in an address of type utf-8 becomes \x{HEX}. */
static void write_utf8_xtext(struct buf *out, slice s)
{
	while (s.n) {
		uint32_t c = (uint8_t)s.p[0];
		size_t n = c < 0x80 ? 1 : utf8_next(s, &c);

		if (c < 0x80)
			write_xtext(out, slice_sub(s, 0, 1));
		else
			buf_addf(out, "\\x{%X}", n ? (unsigned)c : 0xFFFDu);
		s = slice_skip(s, n ? n : 1);
	}
}

static void write_original(struct buf *out, slice original)
{
	slice address = original, type;

	if (original.n > LIMIT_SMTP_ORCPT || !slice_cut(&address, ';', &type) || type.n == 0 ||
		address.n == 0)
		return;
	for (size_t i = 0; i < type.n; i++)
		if (!ascii_is_alpha(type.p[i]) && !ascii_is_digit(type.p[i]) && type.p[i] != '-')
			return;
	if (!ascii_only(address) && !slice_ieq(type, S("utf-8")))
		return; /* such an address has no form in xtext */
	buf_addz(out, " ORCPT=");
	buf_add(out, type);
	buf_add_c(out, ';');
	write_utf8_xtext(out, address);
}

static void write_notify(struct buf *out, uint8_t notify)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} names[] = {{SMTP_NOTIFY_SUCCESS, "SUCCESS"}, {SMTP_NOTIFY_FAILURE, "FAILURE"},
		{SMTP_NOTIFY_DELAY, "DELAY"}};
	char before = '=';

	if (!notify)
		return;
	buf_addz(out, " NOTIFY");
	if (notify & SMTP_NOTIFY_NEVER)
		buf_addz(out, "=NEVER");
	else
		for (size_t i = 0; i < COUNT_OF(names); i++)
			if (notify & names[i].bit) {
				buf_add_c(out, before);
				buf_addz(out, names[i].name);
				before = ',';
			}
}

static void write_dsn(struct buf *out, const struct smtp_client_message *m)
{
	if (m->ret != SMTP_RET_UNSET)
		buf_addz(out, m->ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
	if (m->envelope_id.n && m->envelope_id.n <= LIMIT_SMTP_ENVID && ascii_only(m->envelope_id)) {
		buf_addz(out, " ENVID=");
		write_xtext(out, m->envelope_id);
	}
}

void smtp_client_write_mail(
	const struct smtp_client *c, const struct smtp_client_message *m, bool utf8, struct buf *out)
{
	buf_addz(out, "MAIL FROM:<");
	buf_add(out, m->sender);
	buf_add_c(out, '>');
	if (offers(c, SMTP_EXT_SIZE) && m->size) {
		buf_addz(out, " SIZE=");
		buf_add_u64(out, m->size);
	}
	if (m->body == SMTP_BODY_BINARYMIME)
		buf_addz(out, " BODY=BINARYMIME");
	else if (m->body == SMTP_BODY_8BITMIME && offers(c, SMTP_EXT_8BITMIME))
		buf_addz(out, " BODY=8BITMIME");
	if (utf8)
		buf_addz(out, " SMTPUTF8");
	if (offers(c, SMTP_EXT_DSN))
		write_dsn(out, m);
	if (m->require_tls)
		buf_addz(out, " REQUIRETLS");
	if (m->has_by && offers(c, SMTP_EXT_DELIVERBY))
		buf_addf(out, " BY=%lld;%c%s", (long long)m->by_seconds, m->by_mode == 'R' ? 'R' : 'N',
			m->by_trace ? "T" : "");
	if (m->priority && offers(c, SMTP_EXT_MT_PRIORITY))
		buf_addf(out, " MT-PRIORITY=%d", m->priority);
}

void smtp_client_write_rcpt(const struct smtp_client *c, const struct smtp_client_rcpt *r, struct buf *out)
{
	buf_addz(out, "RCPT TO:<");
	buf_add(out, r->address);
	buf_add_c(out, '>');
	if (!offers(c, SMTP_EXT_DSN))
		return;
	write_notify(out, r->notify);
	write_original(out, r->original);
}
