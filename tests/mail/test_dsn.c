#include "base/encode.h"
#include "dsn_samples.h"
#include "limits.h"
#include "mail/decode.h"
#include "mail/downgrade.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "support.h"

struct report { /* as our own MIME reader sees it */
	struct buf raw, text;
	struct mail_mime *mime;
	const struct mail_mime_part *part;
	uint32_t n;
	slice status, original;
};

static slice body(const struct report *r, uint32_t i)
{
	return slice_sub(buf_slice(&r->raw), r->part[i].body_off, r->part[i].body_len);
}

static void write_report(const struct mail_dsn *d, struct report *r)
{
	*r = (struct report){.raw = BUF_INIT(32 * MEGABYTE), .text = BUF_INIT(4 * MEGABYTE)};
	err e;
	if (mail_dsn_write(d, &r->raw, &e) < 0)
		fail_msg("%s", e.text);
	r->mime = mail_mime_new(NULL);
	mail_mime_feed(r->mime, buf_slice(&r->raw));
	assert_int_equal(mail_mime_finish(r->mime, NULL), 0);
	r->part = mail_mime_parts(r->mime, &r->n);
	assert_true(r->n >= 4);
	check_slice(r->part[0].type.type, S("multipart"));
	check_slice(r->part[0].type.subtype, S("report"));
	check_slice(mail_value_param(&r->part[0].type, S("report-type")), S("delivery-status"));
	assert_int_equal(r->part[0].child, 1);
	assert_int_equal(r->part[1].next, 2);
	assert_int_equal(r->part[2].next, 3);
	assert_true(r->part[3].next == MAIL_NONE);
	assert_int_equal(r->part[1].encoding, MAIL_ENCODING_BASE64);
	struct mail_decoder decoder = {.encoding = MAIL_ENCODING_BASE64};
	mail_decoder_feed(&decoder, &r->text, body(r, 1));
	mail_decoder_finish(&decoder, &r->text);
	assert_false(decoder.bad);
	assert_true(utf8_valid(buf_slice(&r->text)));
	r->status = body(r, 2);
	r->original = body(r, 3);
}

static void free_report(struct report *r)
{
	mail_mime_free(r->mime);
	buf_free(&r->raw);
	buf_free(&r->text);
}

#define check_has(hay, needle)                                                                               \
	do {                                                                                                 \
		slice hay_ = (hay), needle_ = slice_of(needle);                                              \
		if (slice_find(hay_, needle_) < 0)                                                           \
			fail_msg("no \"%s\" in\n%.*s", needle_.p, (int)hay_.n, hay_.p);                      \
	} while (0)

static struct mail_dsn one(const struct mail_dsn_recipient *r)
{
	struct mail_dsn d;
	assert_true(sample(0, &d));
	d.recipients = r;
	d.n = 1;
	return d;
}

static void test_golden(void **state)
{
	(void)state;
	struct mail_dsn d;
	struct report r;
	assert_true(sample(0, &d));
	write_report(&d, &r);
	slice raw = buf_slice(&r.raw);
	static const char head[] = "From: \"Mail Delivery System\"\r\n"
				   "\t<MAILER-DAEMON@mail.example.org>\r\n"
				   "To: <alice@example.org>\r\n"
				   "Subject: Not delivered: Lunch on Friday\r\n"
				   "Date: Tue, 14 Nov 2023 22:16:40 +0000\r\n"
				   "Message-ID: <" SAMPLE_ID "@mail.example.org>\r\n"
				   "In-Reply-To: <one@example.org>\r\n"
				   "References: <one@example.org>\r\n"
				   "Auto-Submitted: auto-replied\r\n"
				   "MIME-Version: 1.0\r\n"
				   "Content-Type: multipart/report; report-type=delivery-status;\r\n"
				   "\tboundary=\"=_" SAMPLE_ID ".00000000\"\r\n"
				   "\r\n"
				   "--=_" SAMPLE_ID ".00000000\r\n"
				   "Content-Description: Notification\r\n"
				   "Content-Type: text/plain; charset=utf-8\r\n"
				   "Content-Transfer-Encoding: base64\r\n"
				   "\r\n";
	check_slice(slice_sub(raw, 0, sizeof head - 1), slice_of(head));
	check_slice(r.status, S("Reporting-MTA: dns; mail.example.org\r\n"
				"Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
				"X-Posthouse-Queue-Id: 01jd3k9x7c00000000000000zz\r\n"
				"\r\n"
				"Original-Recipient: rfc822; Bob@example.net\r\n"
				"Final-Recipient: rfc822; bob@example.net\r\n"
				"Action: failed\r\n"
				"Status: 5.1.1\r\n"
				"Remote-MTA: dns; mx.example.net\r\n"
				"Diagnostic-Code: smtp; 550 5.1.1 <bob@example.net>: no such user\r\n"
				"Last-Attempt-Date: Tue, 14 Nov 2023 22:15:00 +0000\r\n"));
	check_slice(r.part[2].type.subtype, S("delivery-status"));
	check_slice(r.part[3].type.subtype, S("rfc822-headers"));
	check_slice(r.original, slice_sub(plain_original, 0, mail_header_length(plain_original) - 2));
	slice text = buf_slice(&r.text);
	assert_true(
		slice_starts(text, S("This is an automatic message from the mail server mail.example.org.")));
	check_has(text, "There is no mailbox with the address bob@example.net.\r\nWhat you can do: ");
	check_has(text,
		"The mail server mx.example.net said:\r\n    550 5.1.1 <bob@example.net>: no such user\r\n");
	check_has(text, "收件人地址 bob@example.net 不存在。");
	check_has(text, "    Subject: Lunch on Friday\r\n    Received: 14 November 2023, 22:13 UTC\r\n");
	free_report(&r);
}

static void test_chinese_first(void **state)
{
	(void)state;
	struct mail_dsn d = one(&sample_recipients[3]);
	struct report r;
	slice subject = {0};
	d.language = S("zh");
	d.original = chinese_original;
	write_report(&d, &r);
	struct arena *a = arena_new(MEGABYTE);
	subject = mail_words_decoded(a, r.part[0].envelope->subject);
	check_slice(subject, S("投递延迟，仍在重试：周五吃饭"));
	check_has(mail_words_decoded(a, r.part[0].envelope->from), "邮件投递系统");
	slice text = buf_slice(&r.text);
	assert_true(slice_starts(text, S("这是邮件服务器 mail.example.org 自动发送的通知")));
	check_has(text, "收件人的邮箱空间已满。");
	check_has(text, "系统会继续尝试投递，直到 2023年11月19日 13:20（世界协调时）。");
	assert_true(slice_find(text, S("您可以这样做")) < 0); /* nothing needs to be done about a delay */
	assert_true(slice_find(text, S("这是")) < slice_find(text, S("This is")));
	check_has(r.status, "Action: delayed\r\nStatus: 4.2.2\r\n");
	check_has(r.status, "Will-Retry-Until: Sun, 19 Nov 2023 13:20:00 +0000\r\n");
	/* 8-bit fields of the original come back as encoded words */
	assert_true(ascii_only(r.original));
	check_has(r.original, "To: =?utf-8?B?5p2O5Zub?= <li@example.net>\r\n");
	arena_free(a);
	free_report(&r);
}

/* Whatever the strangers wrote: lines are lines, parts are parts, 7 bits are 7 bits. */
static void test_all_samples(void **state)
{
	(void)state;
	struct mail_dsn d;
	for (unsigned k = 0; sample(k, &d); k++) {
		struct report r;
		struct mail_content_needs needs;
		write_report(&d, &r);
		mail_content_look(buf_slice(&r.raw), &needs);
		assert_false(needs.binary);
		if (!d.utf8)
			assert_false(needs.eight_bit || needs.header_utf8);
		assert_true(slice_ends(buf_slice(&r.raw), S("--\r\n")));
		assert_true(slice_find(buf_slice(&r.text), S("{")) < 0);
		slice status = r.status, line;
		size_t actions = 0;
		while (slice_cut(&status, '\n', &line)) {
			actions += slice_istarts(line, S("action:"));
			assert_false(slice_istarts(line, S("x:")));
		}
		assert_int_equal(actions, d.n);
		struct mail_field f;
		assert_false(mail_header_find(buf_slice(&r.raw), S("Bcc"), &f));
		free_report(&r);
	}
}

static void test_hostile(void **state)
{
	(void)state;
	struct mail_dsn d = one(&sample_recipients[1]);
	struct report r;
	d.original = hostile_original;
	d.to = S("a@b>\r\nBcc: <x@y");
	d.host = S("h\r\nBcc: z");
	d.message_id = S(SAMPLE_ID "\"\r\n");
	write_report(&d, &r);
	check_has(buf_slice(&r.raw), "To: <a@b???Bcc: ?x@y>\r\n");
	check_has(r.status, "Remote-MTA: dns; mx Status: 2.0.0\r\n");
	check_has(r.status, "Status: 5.0.0\r\n");
	check_has(r.status, "smtp; 554 said Action: delivered X: \\x{62D2}\\x{6536}");
	check_has(buf_slice(&r.text), "takes the message for unwanted advertising (spam)");
	check_has(buf_slice(&r.text), "    554 said Action: delivered X: 拒收 \xef\xbf\xbd [31m\r\n");
	check_has(buf_slice(&r.text), "    Subject: a Bcc: x@y more\xc3\xbf\r\n");
	check_has(r.original, "\r\nLast: yes");
	free_report(&r);
}

/* A content that holds boundaries with the report's own id. */
static void test_boundary(void **state)
{
	(void)state;
	struct mail_dsn d = one(&sample_recipients[0]);
	struct report r;
	d.original = chinese_original;
	d.full = d.utf8 = true;
	write_report(&d, &r);
	check_slice(mail_value_param(&r.part[0].type, S("boundary")), S("=_" SAMPLE_ID ".00000042"));
	check_slice(r.original, chinese_original);
	free_report(&r);

	d.utf8 = false;
	write_report(&d, &r);
	check_slice(r.part[3].type.subtype, S("rfc822"));
	check_slice(r.part[4].type.subtype, S("plain"));
	assert_int_equal(r.n, 5);
	check_has(r.original, "Content-Transfer-Encoding: quoted-printable\r\nMIME-Version: "
			      "1.0\r\n\r\n=E4=BD=A0=E5=A5=BD\r\n=2D-=3D_");
	free_report(&r);

	/* one that does not fit comes as its header */
	struct buf out = BUF_INIT(20000), big = BUF_INIT(MEGABYTE);
	err e;
	buf_addz(&big, "Subject: big\r\n\r\n");
	while (big.n < 30000)
		buf_addz(&big, "a line of the body\r\n");
	d.original = buf_slice(&big);
	buf_addz(&out, "before");
	assert_int_equal(mail_dsn_write(&d, &out, &e), 0);
	assert_true(slice_starts(buf_slice(&out), S("beforeFrom: ")));
	check_has(buf_slice(&out), "Content-Type: text/rfc822-headers\r\n\r\nSubject: big\r\n\r\n--=_");
	buf_free(&big);

	d.full = false;
	d.original = S("A: b\r\n =_" SAMPLE_ID ".ffffffff\r\n");
	assert_int_equal(mail_dsn_write(&d, &out, &e), -1);
	buf_free(&out);
}

static void test_utf8(void **state)
{
	(void)state;
	struct mail_dsn d = one(&sample_recipients[2]);
	struct report r;
	d.to = S("王@例子.cn");
	d.original = chinese_original;
	d.utf8 = d.full = true;
	write_report(&d, &r);
	check_has(buf_slice(&r.raw), "To: <王@例子.cn>\r\n");
	check_slice(r.part[2].type.subtype, S("global-delivery-status"));
	check_has(r.status,
		"Original-Recipient: utf-8; 用户@例子.cn\r\nFinal-Recipient: utf-8; 用户+a@例子.cn\r\n");
	check_slice(r.part[3].type.subtype, S("global"));
	check_slice(r.original, chinese_original);
	free_report(&r);

	d.full = false;
	write_report(&d, &r);
	check_slice(r.part[3].type.subtype, S("global-headers"));
	free_report(&r);

	d.utf8 = false;
	write_report(&d, &r);
	check_slice(r.part[2].type.subtype, S("delivery-status"));
	check_has(r.status, "Final-Recipient: utf-8; \\x{7528}\\x{6237}\\x{2B}a@\\x{4F8B}\\x{5B50}.cn\r\n");
	check_slice(r.part[3].type.subtype, S("rfc822-headers"));
	free_report(&r);
}

static void test_situations(void **state)
{
	static const struct {
		struct mail_dsn_recipient r;
		const char *status, *english, *chinese;
	} cases[] = {
		{{.code = 550}, "5.0.0", "did not accept the message.", "拒收了这封邮件"},
		{{.code = 550, .status = {5, 2, 1}}, "5.2.1", "mailbox is closed", "邮箱已停用"},
		{{.code = 552, .status = {5, 3, 4}}, "5.3.4", "larger than", "邮件太大"},
		{{.code = 552}, "5.0.0", "mailbox is full", "邮箱空间已满"},
		{{.code = 452, .status = {4, 2, 2}}, "4.2.2",
			"we have stopped trying.\r\nThe recipient's mailbox is full", "现已停止尝试"},
		{{.code = 451}, "4.4.7", "problem of its own", "出现故障"},
		{{.code = 450}, "4.4.7", "not be delivered in time", "规定的时间内送达"},
		{{.code = 0}, "4.4.7", "not be delivered in time", "规定的时间内送达"},
		{{.status = {4, 4, 1}}, "4.4.1",
			"we have stopped trying.\r\nThe mail server of b.example cannot be "
			"reached",
			"无法连接到 b.example 的邮件服务器"},
		{{.status = {5, 1, 2}}, "5.1.2", "domain b.example does not exist", "域名 b.example 不存在"},
		{{.status = {5, 1, 10}}, "5.1.10", "takes no mail at all", "不接收任何邮件"},
		{{.status = {5, 4, 6}}, "5.4.6", "went round in circles", "循环转发"},
		{{.status = {5, 6, 7}}, "5.6.7", "letters beyond the English ones", "不支持含有中文"},
		{{.status = {5, 7, 30}}, "5.7.30", "encrypted all the way", "全程加密"},
		{{.status = {5, 7, 1}, .code = 550}, "5.7.1", "because of its rules", "被拒收"},
		{{.status = {5, 7, 1}, .code = 550, .reason = SLICE_INIT("blocked")}, "5.7.1", "block list",
			"黑名单"},
		{{.status = {5, 7, 1}, .code = 550, .reason = SLICE_INIT("spam")}, "5.7.1", "(spam)",
			"垃圾邮件"},
		{{.status = {5, 7, 25}, .code = 550}, "5.7.25", "no name for the address", "对应的名称"},
		{{.status = {5, 3, 4}, .code = 552, .reason = SLICE_INIT("size")}, "5.3.4",
			"the recipient's mail server takes", "对方邮件服务器的接收限制"},
		{{.status = {5, 9, 9}, .code = 599, .reason = SLICE_INIT("nonsense")}, "5.9.9",
			"did not accept the message.", "拒收了这封邮件"},
		{{.kind = MAIL_DSN_DELAYED, .code = 550, .status = {5, 7, 1}}, "4.7.1",
			"we keep trying until", "系统会继续尝试投递"},
		{{.kind = MAIL_DSN_DELAYED}, "4.4.1", "cannot be reached", "无法连接"},
		{{.kind = MAIL_DSN_DELIVERED}, "2.0.0", "Your message was delivered to:", "已成功送达"},
		{{.kind = MAIL_DSN_RELAYED, .status = {5, 1, 1}}, "2.1.1", "handed to the next mail server",
			"已转交给"},
		{{.kind = MAIL_DSN_EXPANDED}, "2.0.0", "passed on to several recipients", "分发给多位收件人"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct mail_dsn_recipient who = cases[i].r;
		struct report r;
		char line[64];
		who.address = S("a@b.example");
		who.remote = S("mx.b.example");
		struct mail_dsn d = one(&who);
		write_report(&d, &r);
		snprintf(line, sizeof line, "\r\nStatus: %s\r\n", cases[i].status);
		check_has(r.status, line);
		check_has(buf_slice(&r.text), cases[i].english);
		check_has(buf_slice(&r.text), cases[i].chinese);
		free_report(&r);
	}
}

/* Recipients of one fate are told together; only the first hundred to people, all to programs. */
static void test_many(void **state)
{
	(void)state;
	static struct mail_dsn_recipient many[LIMIT_RECIPIENTS + 1];
	static char names[LIMIT_RECIPIENTS + 1][300], reply[1000];
	memset(reply, 'r', sizeof reply);
	for (size_t i = 0; i < COUNT_OF(many); i++) {
		snprintf(names[i], sizeof names[i], "%0250zu@b.example", i);
		many[i] = (struct mail_dsn_recipient){.address = slice_of(names[i]),
			.original = slice_of(names[i]),
			.code = 550,
			.status = {5, 1, 1},
			.reply = slice_make(reply, sizeof reply),
			.remote = S("mx.b.example")};
	}
	struct mail_dsn d = one(many);
	struct report r;
	d.n = 3;
	write_report(&d, &r);
	slice text = buf_slice(&r.text);
	ptrdiff_t first = slice_find(text, S("There is no mailbox"));
	assert_true(
		first > 0 && slice_find(slice_skip(text, (size_t)first + 1), S("There is no mailbox")) < 0);
	free_report(&r);

	d.n = LIMIT_RECIPIENTS;
	write_report(&d, &r);
	assert_true(r.raw.n < MAIL_DSN_MAX);
	check_has(buf_slice(&r.text), "The report is about 900 more addresses");
	check_has(r.status, names[LIMIT_RECIPIENTS - 1]);
	free_report(&r);

	/* each of a fate of its own, with all that can be long */
	static char orcpt[LIMIT_RECIPIENTS][520], replies[LIMIT_RECIPIENTS][520];
	for (size_t i = 0; i < LIMIT_RECIPIENTS; i++) {
		snprintf(orcpt[i], sizeof orcpt[i], "rfc822;%0500zu", i);
		snprintf(replies[i], sizeof replies[i], "%0500zu", i);
		many[i].original = slice_of(orcpt[i]);
		many[i].reply = slice_of(replies[i]);
	}
	write_report(&d, &r);
	assert_true(r.raw.n < MAIL_DSN_MAX);
	check_has(r.status, "Original-Recipient: rfc822;\r\n 00");
	check_has(r.status, "Diagnostic-Code: smtp; 550 5.1.1");
	check_has(r.status, names[LIMIT_RECIPIENTS - 1]);
	check_has(buf_slice(&r.text), " more addresses, which");
	free_report(&r);

	struct buf out = BUF_INIT(32 * MEGABYTE);
	err e;
	d.n = LIMIT_RECIPIENTS + 1;
	assert_int_equal(mail_dsn_write(&d, &out, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	d.n = 0;
	assert_int_equal(mail_dsn_write(&d, &out, &e), -1);
	buf_free(&out);
	out = BUF_INIT(1000);
	d.n = 1;
	assert_int_equal(mail_dsn_write(&d, &out, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	buf_free(&out);
}

static void test_long_header(void **state)
{
	(void)state;
	struct buf original = BUF_INIT(4 * MEGABYTE);
	buf_addz(&original, "Subject: long\r\nX-Long:");
	for (int i = 0; i < 3000; i++)
		buf_add_c(&original, 'x');
	buf_addz(&original, "\r\n");
	while (original.n < 200000)
		buf_addf(&original, "X-%zu: \xe4\xbd\xa0 %0500zu\r\n", original.n, original.n);
	struct mail_dsn d = one(&sample_recipients[0]);
	struct report r;
	d.original = buf_slice(&original);
	write_report(&d, &r);
	assert_true(r.original.n > LIMIT_DSN_HEADER && r.original.n < 2 * LIMIT_DSN_HEADER);
	struct mail_content_needs needs;
	mail_content_look(buf_slice(&r.raw), &needs);
	assert_false(needs.eight_bit || needs.header_utf8 || needs.binary);
	free_report(&r);
	buf_free(&original);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_chinese_first),
		cmocka_unit_test(test_all_samples),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_boundary),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_situations),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_long_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
