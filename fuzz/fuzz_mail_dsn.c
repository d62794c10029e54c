/*
 * Reports about strangers' replies and originals: three parts, 7 bits unless asked otherwise, and no line of
 * the status part but our own. First byte: bits of choice; then the reply up to a newline, then the original.
 */
#include "mail/downgrade.h"
#include "mail/dsn.h"
#include "mail/mime.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_status(slice status)
{
	static const slice known[] = {SLICE_INIT("Reporting-MTA: dns;"), SLICE_INIT("Arrival-Date:"),
		SLICE_INIT("Original-Envelope-Id:"), SLICE_INIT("X-Posthouse-Queue-Id:"),
		SLICE_INIT("Original-Recipient:"), SLICE_INIT("Final-Recipient:"),
		SLICE_INIT("Action: failed"), SLICE_INIT("Status: 5.1.1"), SLICE_INIT("Remote-MTA: dns;"),
		SLICE_INIT("Diagnostic-Code:"), SLICE_INIT(" ")};
	slice line;
	unsigned groups = 0, actions = 0;
	while (slice_cut(&status, '\n', &line)) {
		bool good = line.n && line.p[line.n - 1] == '\r';
		groups += line.n == 1;
		actions += slice_starts(line, S("Action:"));
		for (size_t i = 0; good && line.n > 1; i++) {
			if (i == sizeof known / sizeof *known)
				abort();
			if (slice_starts(line, known[i]))
				break;
		}
		if (!good)
			abort();
	}
	if (groups != 1 || actions != 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *exact = malloc(size);
	memcpy(exact, data, size);
	slice rest = slice_make(exact + 1, size - 1), reply = rest;
	slice_cut(&rest, '\n', &reply);
	struct mail_dsn_recipient who = {.address = data[0] & 1 ? slice_sub(reply, 0, 256) : S("a@b.example"),
		.original = data[0] & 2 ? reply : S("rfc822;a@b.example"),
		.status = {5, 1, 1},
		.code = 550,
		.reply = reply,
		.remote = data[0] & 4 ? slice_sub(reply, 0, 255) : S("mx.example")};
	struct mail_dsn d = {.host = S("mail.example"),
		.to = data[0] & 8 ? slice_sub(reply, 0, 256) : S("c@d.example"),
		.message_id = S("01jd3k9x7c8qv5m2w4t6y8z0ab"),
		.queue_id = S("01jd3k9x7c8qv5m2w4t6y8z0ac"),
		.language = data[0] & 16 ? S("zh") : S("en"),
		.envelope_id = data[0] & 32 ? slice_sub(reply, 0, 100) : S(""),
		.original = rest,
		.full = (data[0] & 64) != 0,
		.utf8 = (data[0] & 128) != 0,
		.arrival_us = 1700000000000000,
		.now_us = 1700000000000000,
		.recipients = &who,
		.n = 1};
	struct buf out = BUF_INIT(MAIL_DSN_MAX + 16 * size);
	err e;
	if (mail_dsn_write(&d, &out, &e) < 0)
		abort();
	struct mail_content_needs needs;
	mail_content_look(buf_slice(&out), &needs);
	if (needs.binary || (!d.utf8 && (needs.eight_bit || needs.header_utf8)))
		abort();
	struct mail_mime *m = mail_mime_new(NULL);
	uint32_t n;
	mail_mime_feed(m, buf_slice(&out));
	if (mail_mime_finish(m, NULL) < 0)
		abort();
	const struct mail_mime_part *p = mail_mime_parts(m, &n);
	if (n < 4 || p[0].child != 1 || p[1].next != 2 || p[2].next != 3 || p[3].next != MAIL_NONE)
		abort();
	check_status(slice_sub(buf_slice(&out), p[2].body_off, p[2].body_len));
	mail_mime_free(m);
	buf_free(&out);
	free(exact);
	return 0;
}
