/* Reports of all kinds, for the test in C and for the one that reads them with Python's email package. */
#pragma once
#include "base/cleanup.h"
#include "mail/dsn.h"

#define SAMPLE_ID   "01jd3k9x7c8qv5m2w4t6y8z0ab"
#define SAMPLE_HOST "mail.example.org"
#define SECOND      INT64_C(1000000)

static const slice plain_original = SLICE_INIT("Return-Path: <alice@example.org>\r\n"
					       "From: Alice <alice@example.org>\r\n"
					       "To: bob@example.net\r\n"
					       "Subject: Lunch on Friday\r\n"
					       "Message-ID: <one@example.org>\r\n"
					       "\r\n"
					       "At noon?\r\n");
static const slice chinese_original =
	SLICE_INIT("From: =?utf-8?B?546L5bCP5piO?= <wang@example.cn>\r\n"
		   "Subject: \xe5\x91\xa8\xe4\xba\x94\xe5\x90\x83\xe9\xa5\xad\r\n"
		   "To: \xe6\x9d\x8e\xe5\x9b\x9b <li@example.net>\r\n"
		   "Content-Type: text/plain; charset=utf-8\r\n"
		   "Content-Transfer-Encoding: 8bit\r\n"
		   "\r\n"
		   "\xe4\xbd\xa0\xe5\xa5\xbd\r\n--=_" SAMPLE_ID ".00000000\r\n"
		   "\r\n"
		   "--=_" SAMPLE_ID ".00000041--\r\n");
static const slice hostile_original = SLICE_INIT("Subject: =?utf-8?Q?a=0D=0ABcc:_x@y=E2=80=AE?=\r\n"
						 "\tmore\xff\r\n"
						 "no field at all\r\n"
						 "--=_" SAMPLE_ID ".00000000\r\n"
						 "Message-ID: <a b>\r\n"
						 "X-Cut: a\rb\0c\r\n"
						 " \r\n"
						 "Last: yes");

static const struct mail_dsn_recipient sample_recipients[] = {
	{.kind = MAIL_DSN_FAILED,
		.address = SLICE_INIT("bob@example.net"),
		.original = SLICE_INIT("rfc822;Bob@example.net"),
		.status = {5, 1, 1},
		.code = 550,
		.reply = SLICE_INIT("<bob@example.net>: no such user"),
		.remote = SLICE_INIT("mx.example.net"),
		.last_attempt_us = 1700000100 * SECOND},
	{.kind = MAIL_DSN_FAILED,
		.address = SLICE_INIT("\"odd  name\"@example.net"),
		.reason = SLICE_INIT("spam"),
		.code = 554,
		.reply = SLICE_INIT("said\r\n\r\nAction: delivered\r\nX: \xe6\x8b\x92\xe6\x94\xb6 "
				    "\xff\x1b[31m\0\xe2\x80\xae"),
		.remote = SLICE_INIT("mx\r\nStatus: 2.0.0")},
	{.kind = MAIL_DSN_FAILED,
		.address = SLICE_INIT("\xe7\x94\xa8\xe6\x88\xb7+a@\xe4\xbe\x8b\xe5\xad\x90.cn"),
		.original = SLICE_INIT("utf-8;\xe7\x94\xa8\xe6\x88\xb7@\xe4\xbe\x8b\xe5\xad\x90.cn"),
		.reply = SLICE_INIT("connection refused")},
	{.kind = MAIL_DSN_DELAYED,
		.address = SLICE_INIT("carol@example.com"),
		.status = {4, 2, 2},
		.code = 452,
		.reply = SLICE_INIT("mailbox full"),
		.remote = SLICE_INIT("mx.example.com"),
		.last_attempt_us = 1700000100 * SECOND,
		.retry_until_us = 1700400000 * SECOND},
	{.kind = MAIL_DSN_DELIVERED, .address = SLICE_INIT("dave@example.org"), .status = {2, 1, 5}},
	{.kind = MAIL_DSN_RELAYED,
		.address = SLICE_INIT("eve@example.com"),
		.code = 250,
		.reply = SLICE_INIT("ok"),
		.remote = SLICE_INIT("mx.example.com")},
	{.kind = MAIL_DSN_EXPANDED, .address = SLICE_INIT("list@example.org")},
};

/* Sample k, false when there are no more: every recipient alone and all together, in two languages, with each
 * original, header or whole, 7 bits or UTF-8. */
static inline bool sample(unsigned k, struct mail_dsn *ret)
{
	const slice originals[] = {plain_original, chinese_original, hostile_original, {"", 0}};
	unsigned who = k % (COUNT_OF(sample_recipients) + 1), rest = k / (COUNT_OF(sample_recipients) + 1);
	*ret = (struct mail_dsn){.host = S(SAMPLE_HOST),
		.to = S("alice@example.org"),
		.message_id = S(SAMPLE_ID),
		.queue_id = S("01jd3k9x7c00000000000000zz"),
		.language = rest & 1 ? S("zh-CN") : S("en"),
		.envelope_id = rest & 2 ? S("QQ314159\r\nX: y") : S(""),
		.full = (rest & 2) != 0,
		.utf8 = (rest & 4) != 0,
		.arrival_us = 1700000000 * SECOND,
		.now_us = 1700000200 * SECOND};
	if (rest & 4)
		ret->to = S("\xe7\x8e\x8b@example.cn");
	rest /= 8;
	if (rest >= COUNT_OF(originals))
		return false;
	ret->original = originals[rest];
	ret->recipients = who == COUNT_OF(sample_recipients) ? sample_recipients : &sample_recipients[who];
	ret->n = who == COUNT_OF(sample_recipients) ? who : 1;
	return true;
}
