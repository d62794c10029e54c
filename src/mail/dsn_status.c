/* message/delivery-status: RFC 3464 2, RFC 6533 3 and 4. */
#include "base/encode.h"
#include "mail/date.h"
#include "mail/dsn_int.h"
#include "mail/sevenbit.h"
#include "mail/utf8.h"

static bool unwanted(uint32_t c)
{
	return (c >= 0x80 && c < 0xA0) || (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
	       (c >= 0x2060 && c <= 0x2069) || c == 0xFEFF;
}

void dsn_clean(struct buf *out, slice text, size_t max)
{
	bool blank = true; /* none in front, one in a row */
	size_t end = out->n;
	text = slice_sub(text, 0, utf8_cut(text, max));
	for (size_t i = 0; i < text.n;) {
		int32_t c = utf8_take(text, &i);
		if (c >= 0 && unwanted((uint32_t)c))
			continue;
		bool is_blank = c >= 0 && (c <= ' ' || c == 127);
		if (!is_blank)
			utf8_put(out, c < 0 ? 0xFFFD : (uint32_t)c);
		else if (!blank)
			buf_add_c(out, ' ');
		blank = is_blank;
		if (!is_blank)
			end = out->n;
	}
	if (!out->failed)
		buf_truncate(out, end);
}

void dsn_status_of(const struct mail_dsn_recipient *r, uint8_t ret[3])
{
	bool good = r->kind != MAIL_DSN_FAILED && r->kind != MAIL_DSN_DELAYED;
	uint8_t given = r->status[0];
	memset(ret, 0, 3);
	if (given >= 2 && given <= 5)
		memcpy(ret, r->status, 3);
	else if (!good && r->code == 0) /* nobody answered: RFC 3463 3.5 */
		memcpy(ret, (const uint8_t[]){4, 4, r->kind == MAIL_DSN_FAILED ? 7 : 1}, 3);
	else if (!good && r->code < 500 && r->kind == MAIL_DSN_FAILED)
		memcpy(ret, (const uint8_t[]){4, 4, 7}, 3);
	if (good)
		ret[0] = 2;
	else if (r->kind == MAIL_DSN_DELAYED)
		ret[0] = 4;
	else if (ret[0] != 4)
		ret[0] = 5;
}

/* ---- fields ---- */

/* The 7-bit form of RFC 6533 3 (utf-8-addr-xtext) for what is not ASCII, and where all: for \ + = too. */
static void add_embedded(struct buf *out, slice utf8, bool all)
{
	for (size_t i = 0; i < utf8.n;) {
		int32_t c = utf8_take(utf8, &i);
		if (c >= 0 && c < 0x80 && !(all && (c == '\\' || c == '+' || c == '=')))
			buf_add_c(out, (char)c);
		else
			buf_addf(out, "\\x{%02X}", c < 0 ? 0xFFFDu : (unsigned)c);
	}
}

static void field(struct buf *out, const char *name, slice text, bool utf8)
{
	struct buf b = BUF_INIT(16 * DSN_TEXT);
	struct sevenbit_line l = {.out = out};
	if (utf8 || ascii_only(text))
		buf_add(&b, text);
	else
		add_embedded(&b, text, false);
	buf_addz(out, name);
	l.col = strlen(name);
	slice rest = buf_slice(&b), word;
	while (slice_word(&rest, &word))
		sevenbit_word(&l, word);
	buf_addz(out, "\r\n");
	out->failed |= b.failed;
	buf_free(&b);
}

/* type: with its semicolon, or "". Nothing is written for an empty text. */
static void text_field(struct buf *out, const char *name, const char *type, slice text, bool utf8)
{
	struct buf b = BUF_INIT(16 * DSN_TEXT);
	buf_addz(&b, type);
	if (*type)
		buf_add_c(&b, ' ');
	size_t head = b.n;
	dsn_clean(&b, text, DSN_TEXT);
	if (b.n > head)
		field(out, name, buf_slice(&b), utf8);
	out->failed |= b.failed;
	buf_free(&b);
}

static void date_field(struct buf *out, const char *name, int64_t us)
{
	if (us <= 0)
		return;
	buf_addz(out, name);
	buf_add_c(out, ' ');
	mail_date_write(out, (struct mail_date){us / 1000000, 0});
	buf_addz(out, "\r\n");
}

static void address_field(struct buf *out, slice address, bool utf8)
{
	if (ascii_only(address)) {
		text_field(out, "Final-Recipient:", "rfc822;", address, utf8);
	} else if (utf8) {
		text_field(out, "Final-Recipient:", "utf-8;", address, true);
	} else {
		struct buf b = BUF_INIT(16 * DSN_TEXT);
		add_embedded(&b, slice_sub(address, 0, DSN_TEXT), true);
		text_field(out, "Final-Recipient:", "utf-8;", buf_slice(&b), false);
		out->failed |= b.failed;
		buf_free(&b);
	}
}

/* What the other server said, as it stood on the wire; or what we say ourselves. */
static void diagnostic_field(struct buf *out, const struct mail_dsn_recipient *r, bool utf8)
{
	struct buf b = BUF_INIT(2 * DSN_TEXT);
	bool smtp = r->code >= 200 && r->code <= 599 && r->remote.n;
	if (smtp)
		buf_addf(&b, "%u ", (unsigned)r->code);
	if (smtp && r->status[0])
		buf_addf(&b, "%u.%u.%u ", r->status[0], r->status[1], r->status[2]);
	buf_add(&b, slice_sub(r->reply, 0, DSN_TEXT));
	text_field(out, "Diagnostic-Code:", smtp ? "smtp;" : "x-posthouse;", buf_slice(&b), utf8);
	out->failed |= b.failed;
	buf_free(&b);
}

/* "type;address" of ORCPT. */
static void add_original(struct buf *out, slice original, bool utf8)
{
	char z[64];
	slice type;
	if (!slice_cut(&original, ';', &type) || type.n == 0 || type.n > sizeof z - 2)
		return;
	for (size_t i = 0; i < type.n; i++) {
		char c = type.p[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '.')
			return;
		z[i] = c;
	}
	memcpy(z + type.n, ";", 2);
	text_field(out, "Original-Recipient:", z, original, utf8);
}

static void recipient_fields(struct buf *out, const struct mail_dsn_recipient *r, bool utf8, size_t so_far)
{
	static const char *const actions[] = {
		[MAIL_DSN_FAILED] = "failed",
		[MAIL_DSN_DELAYED] = "delayed",
		[MAIL_DSN_DELIVERED] = "delivered",
		[MAIL_DSN_RELAYED] = "relayed",
		[MAIL_DSN_EXPANDED] = "expanded",
	};
	uint8_t status[3];
	dsn_status_of(r, status);
	buf_addz(out, "\r\n");
	if (so_far < DSN_ORIGINAL)
		add_original(out, r->original, utf8);
	address_field(out, r->address, utf8);
	buf_addf(
		out, "Action: %s\r\nStatus: %u.%u.%u\r\n", actions[r->kind], status[0], status[1], status[2]);
	if (so_far < DSN_LOUD) {
		text_field(out, "Remote-MTA:", "dns;", r->remote, false);
		diagnostic_field(out, r, utf8);
		date_field(out, "Last-Attempt-Date:", r->last_attempt_us);
	}
	if (r->kind == MAIL_DSN_DELAYED)
		date_field(out, "Will-Retry-Until:", r->retry_until_us);
}

void dsn_status_write(const struct mail_dsn *d, bool utf8, struct buf *out)
{
	size_t start = out->n;
	text_field(out, "Reporting-MTA:", "dns;", d->host, false);
	text_field(out, "Original-Envelope-Id:", "", d->envelope_id, false);
	date_field(out, "Arrival-Date:", d->arrival_us);
	text_field(out, "X-Posthouse-Queue-Id:", "", d->queue_id, false);
	for (size_t i = 0; i < d->n; i++)
		recipient_fields(out, &d->recipients[i], utf8, out->n - start);
}
