/*
 * What a notification says to people: to somebody who knows nothing about mail servers. One table: how a
 * situation is recognised, what it means, what one can do. In the texts {a} is the recipient's address, {d}
 * its domain, {u} the time until which is tried, {n} a server's name, {k} a number.
 */
#include "base/cleanup.h"
#include "mail/date.h"
#include "mail/decode.h"
#include "mail/dsn_int.h"
#include "mail/header.h"

#define ANY 255 /* detail: whatever no line before took */

struct situation {
	const char *reason;      /* mail_dsn_recipient.reason */
	uint8_t subject, detail; /* of the status (RFC 3463); 0, 0: by reason only */
	uint16_t code;           /* without a status; 0: not by code */
	const char *means[2], *advice[2];
};

#define CONTACT_EN "contact the recipient by other means, by phone for example."
#define ASK_EN     "Please " CONTACT_EN
#define ASK_ZH     "请通过电话等其他方式与收件人联系。"

#define OWNER_EN                                                                                             \
	"This is not your mistake. Please show this message to the person who runs your mail server; the "   \
	"details below help to put it right."
#define OWNER_ZH "这不是您的操作有误。请把这封通知转给您的邮件管理员，下面的详细信息有助于解决问题。"

#define LATER_EN "Please send the message again later."
#define LATER_ZH "请稍后重新发送这封邮件。"

static const struct situation situations[] = {
	/* addresses: x.1.x */
	{"unknown_user", 1, 1, 0, {"There is no mailbox with the address {a}.", "收件人地址 {a} 不存在。"},
		{"Check the address for typing errors and send the message again. If it is right, ask the "
		 "recipient by other means, by phone for example, for the present address.",
			"请检查地址是否有拼写错误，改正后重新发送。如果地址没有写错，请通过电话等其他方式向收"
			"件人确认"
			"最新的邮箱地址。"}},
	{"bad_address", 1, 3, 553,
		{"{a} is not written as the recipient's mail server wants an address to be.",
			"收件人地址 {a} 的写法不正确，对方的邮件服务器无法识别。"},
		{"Check the address for typing errors, blanks and stray characters, and send the message "
		 "again.",
			"请检查地址中是否有错别字、空格或多余的符号，改正后重新发送。"}},
	{"host_not_found", 1, 2, 0,
		{"The domain {d} does not exist, or it takes no mail.",
			"域名 {d} 不存在，或者无法接收邮件。"},
		{"Check the part of the address behind the @ for typing errors and send the message again.",
			"请检查地址中 @ 后面的部分是否有拼写错误，改正后重新发送。"}},
	{"moved", 1, 6, 551,
		{"The recipient's mailbox has moved to another address.", "收件人的邮箱已迁移到新的地址。"},
		{"Ask the recipient for the new address; perhaps the other server names it below.",
			"请向收件人询问新的邮箱地址；对方服务器的答复中也可能写有新地址，请见下文。"}},
	{"null_mx", 1, 10, 556,
		{"The domain {d} has declared that it takes no mail at all.",
			"域名 {d} 已声明不接收任何邮件。"},
		{"Check the part of the address behind the @; perhaps another domain is meant.",
			"请检查地址中 @ 后面的部分，收件人使用的可能是其他域名的邮箱。"}},
	{"bad_sender", 1, 7, 0,
		{"The recipient's mail server did not accept your own address as the sender.",
			"对方的邮件服务器不接受您的发件人地址。"},
		{OWNER_EN, OWNER_ZH}},
	{"bad_sender", 1, 8, 0,
		{"The recipient's mail server did not accept your own address as the sender.",
			"对方的邮件服务器不接受您的发件人地址。"},
		{OWNER_EN, OWNER_ZH}},
	{"", 1, ANY, 0,
		{"The recipient's mail server did not accept the address {a}.",
			"对方的邮件服务器不接受收件人地址 {a}。"},
		{"Check the address for typing errors. " ASK_EN, "请检查地址是否有拼写错误，或" ASK_ZH}},

	/* mailboxes: x.2.x */
	{"disabled", 2, 1, 0,
		{"The recipient's mailbox is closed: it takes no mail at present.",
			"收件人的邮箱已停用，目前不接收邮件。"},
		{ASK_EN, ASK_ZH}},
	{"full", 2, 2, 552, {"The recipient's mailbox is full.", "收件人的邮箱空间已满。"},
		{"The recipient must make room in the mailbox first. Say so by other means, by phone for "
		 "example, "
		 "and send the message again then.",
			"需要收件人先清理邮箱。请通过电话等其他方式告知对方，待对方清理之后重新发送。"}},
	{"size", 2, 3, 523,
		{"The message is larger than the recipient may receive.",
			"邮件太大，超过了收件人邮箱的接收限制。"},
		{"Make attachments smaller, send them in several messages, or put the files where the "
		 "recipient "
		 "can fetch them and send the link.",
			"请压缩附件、分成几封邮件发送，或者把文件上传到网盘后发送下载链接。"}},
	{"list", 2, 4, 0,
		{"The mailing list {a} could not pass the message on.", "邮件列表 {a} 未能转发这封邮件。"},
		{"Please write to the people who run the list.", "请与该邮件列表的管理员联系。"}},
	{"", 2, ANY, 0,
		{"The recipient's mailbox cannot take the message.", "收件人的邮箱无法接收这封邮件。"},
		{LATER_EN " If it happens again, " CONTACT_EN, LATER_ZH "如果仍然失败，" ASK_ZH}},

	/* the other system: x.3.x */
	{"size", 3, 4, 0,
		{"The message is larger than the recipient's mail server takes.",
			"邮件太大，超过了对方邮件服务器的接收限制。"},
		{"Make attachments smaller, send them in several messages, or put the files where the "
		 "recipient "
		 "can fetch them and send the link.",
			"请压缩附件、分成几封邮件发送，或者把文件上传到网盘后发送下载链接。"}},
	{"", 3, ANY, 451,
		{"The recipient's mail server has a problem of its own at present.",
			"对方的邮件服务器目前出现故障。"},
		{LATER_EN " If it happens again, " CONTACT_EN, LATER_ZH "如果仍然失败，" ASK_ZH}},

	/* ways: x.4.x */
	{"unreachable", 4, 1, 0,
		{"The mail server of {d} cannot be reached.", "无法连接到 {d} 的邮件服务器。"},
		{"Check the part of the address behind the @ for typing errors. If it is right, the other "
		 "server "
		 "is out of order: send the message again later.",
			"请检查地址中 @ "
			"后面的部分是否有拼写错误。如果没有写错，可能是对方的服务器出现故障，请稍后重新"
			"发送。"}},
	{"busy", 4, 2, 421,
		{"The connection to the mail server of {d} broke off, or that server was too busy.",
			"与 {d} 的邮件服务器的连接中断，或者对方服务器过于繁忙。"},
		{LATER_EN " If it happens again, " CONTACT_EN, LATER_ZH "如果仍然失败，" ASK_ZH}},
	{"dns", 4, 3, 0,
		{"It could not be found out which server takes the mail for {d}.",
			"无法查询到负责接收 {d} 邮件的服务器。"},
		{"Check the part of the address behind the @ for typing errors. If it is right, send the "
		 "message "
		 "again later.",
			"请检查地址中 @ 后面的部分是否有拼写错误。如果没有写错，请稍后重新发送。"}},
	{"host_not_found", 4, 4, 0,
		{"There is no server that takes mail for {d}.", "找不到负责接收 {d} 邮件的服务器。"},
		{"Check the part of the address behind the @ for typing errors and send the message again.",
			"请检查地址中 @ 后面的部分是否有拼写错误，改正后重新发送。"}},
	{"loop", 4, 6, 0,
		{"The message went round in circles between mail servers and was stopped.",
			"邮件在几台邮件服务器之间循环转发，已被停止投递。"},
		{"A forwarding is set up wrongly, probably at {d}. " ASK_EN,
			"可能是 {d} 的转发设置有误。" ASK_ZH}},
	{"expired", 4, 7, 0, {"The message could not be delivered in time.", "邮件未能在规定的时间内送达。"},
		{LATER_EN " If it happens again, " CONTACT_EN, LATER_ZH "如果仍然失败，" ASK_ZH}},
	{"", 4, ANY, 0,
		{"The message could not be brought to the mail server of {d}.",
			"邮件未能送到 {d} 的邮件服务器。"},
		{LATER_EN, LATER_ZH}},

	/* protocol: x.5.x */
	{"recipients", 5, 3, 0,
		{"The message has more recipients than the other mail server takes at once.",
			"收件人太多，超过了对方邮件服务器一次接收的限制。"},
		{"Send the message in several parts, to fewer people each time.",
			"请减少收件人，分几次发送。"}},
	{"", 5, ANY, 0, {"The two mail servers did not understand each other.", "双方的邮件服务器通信出错。"},
		{OWNER_EN, OWNER_ZH}},

	/* content: x.6.x */
	{"smtputf8", 6, 7, 0,
		{"The recipient's mail server cannot handle addresses with letters beyond the English ones, "
		 "such as Chinese characters.",
			"对方的邮件服务器不支持含有中文等非英文字符的邮箱地址。"},
		{"Send the message again with an address in English letters, your own and the recipient's.",
			"请使用只含英文字母的邮箱地址重新发送（发件人和收件人的地址都需要）。"}},
	{"virus", 0, 0, 0,
		{"The recipient's mail server believes that the message holds a virus or a forbidden file.",
			"对方的邮件服务器认为这封邮件带有病毒或不允许的附件。"},
		{"Check your computer and the attachments, and send the message again without them.",
			"请检查您的电脑和附件，去掉附件后重新发送。"}},
	{"content", 6, ANY, 0,
		{"The recipient's mail server cannot handle this kind of message or attachment.",
			"对方的邮件服务器无法处理这种格式的邮件或附件。"},
		{"Send the message again as plain text, without attachments.",
			"请改用纯文本格式、去掉附件后重新发送。"}},

	/* refusals that their words tell, or a status of x.7.x */
	{"spam", 0, 0, 0,
		{"The recipient's mail server takes the message for unwanted advertising (spam).",
			"对方的邮件服务器把这封邮件判断为垃圾邮件。"},
		{"If it is not: write in other words, leave out links and attachments, and send it again. Or "
		 "ask "
		 "the recipient by other means to have your address allowed.",
			"如果不是垃圾邮件，请修改邮件的标题和内容、去掉链接和附件后重新发送，或者通过其他方式"
			"请收件人把您"
			"的地址加入白名单。"}},
	{"blocked", 0, 0, 0,
		{"The recipient's mail server takes no mail from our mail server at present: its address is "
		 "on a "
		 "block list.",
			"对方的邮件服务器目前拒收来自我们服务器的邮件：我们服务器的地址被列入了黑名单。"},
		{OWNER_EN, OWNER_ZH}},
	{"no_ptr", 7, 25, 0,
		{"The recipient's mail server found no name for the address of our mail server and therefore "
		 "does "
		 "not trust it.",
			"对方的邮件服务器查不到我们服务器地址对应的名称，因此不予信任。"},
		{OWNER_EN, OWNER_ZH}},
	{"helo", 0, 0, 0,
		{"The recipient's mail server did not accept the name of our mail server.",
			"对方的邮件服务器不接受我们服务器使用的主机名。"},
		{OWNER_EN, OWNER_ZH}},
	{"rate", 7, 28, 0,
		{"Too many messages came from here in a short time, says the recipient's mail server.",
			"对方的邮件服务器认为我们在短时间内发送了太多邮件。"},
		{"Please send the message again after some hours.", "请过几个小时后重新发送这封邮件。"}},
	{"greylisted", 0, 0, 0,
		{"The recipient's mail server wanted to see the message again later, and then still did not "
		 "take "
		 "it.",
			"对方的邮件服务器要求稍后重新投递，但之后仍未接收。"},
		{LATER_EN, LATER_ZH}},
	{"list", 7, 2, 0,
		{"You may not write to the mailing list {a}.", "您没有权限向邮件列表 {a} 发送邮件。"},
		{"Please write to the people who run the list.", "请与该邮件列表的管理员联系。"}},
	{"relay", 0, 0, 0,
		{"The mail server that was asked does not take mail for {d}.",
			"对方的邮件服务器不负责接收 {d} 的邮件。"},
		{"Check the part of the address behind the @ for typing errors. If it is right, " CONTACT_EN,
			"请检查地址中 @ 后面的部分是否有拼写错误。如果没有写错，" ASK_ZH}},
	{"login", 7, 8, 535,
		{"Our mail server could not log in at the server through which it sends.",
			"我们的邮件服务器无法登录用于转发邮件的服务器。"},
		{OWNER_EN, OWNER_ZH}},
	{"tls", 7, 4, 0,
		{"The message may only be sent encrypted, and no safe connection to the mail server of {d} "
		 "could "
		 "be made.",
			"这封邮件只能加密传送，但无法与 {d} 的邮件服务器建立安全的加密连接。"},
		{OWNER_EN, OWNER_ZH}},
	{"tls", 7, 10, 530,
		{"The recipient's mail server takes mail over encrypted connections only.",
			"对方的邮件服务器只接收通过加密连接发送的邮件。"},
		{OWNER_EN, OWNER_ZH}},
	{"tls", 7, 30, 0,
		{"You asked that the message be sent encrypted all the way, and the mail server of {d} "
		 "cannot do "
		 "that.",
			"您要求全程加密传送这封邮件，但 {d} 的邮件服务器做不到。"},
		{"Send the message again without that wish if it need not be secret.",
			"如果内容不需要保密，请取消该要求后重新发送。"}},
	{"auth", 7, 26, 0,
		{"The recipient's mail server could not verify that the message is really from you.",
			"对方的邮件服务器无法确认这封邮件确实由您发出。"},
		{OWNER_EN, OWNER_ZH}},
	{"auth", 7, 20, 0,
		{"The recipient's mail server could not verify that the message is really from you.",
			"对方的邮件服务器无法确认这封邮件确实由您发出。"},
		{OWNER_EN, OWNER_ZH}},
	{"auth", 7, 23, 0,
		{"The recipient's mail server could not verify that the message is really from you.",
			"对方的邮件服务器无法确认这封邮件确实由您发出。"},
		{OWNER_EN, OWNER_ZH}},
	{"policy", 7, ANY, 0,
		{"The recipient's mail server did not accept the message because of its rules.",
			"根据对方邮件服务器的规则，这封邮件被拒收。"},
		{"The other server's answer below may tell the reason. If it does not help you, " CONTACT_EN,
			"具体原因可能写在下面对方服务器的答复中。如果仍不清楚，" ASK_ZH}},
};

static const struct situation refused = {"", 0, 0, 0,
	{"The recipient's mail server did not accept the message.", "对方的邮件服务器拒收了这封邮件。"},
	{"Check the address for typing errors. The other server's answer below may tell the reason. If it "
	 "does "
	 "not help you, " CONTACT_EN,
		"请检查地址是否有拼写错误。具体原因可能写在下面对方服务器的答复中。如果仍不清楚，" ASK_ZH}};

static const struct situation broken = {
	"", 0, 0, 0, {"The message could not be delivered.", "邮件未能送达。"}, {LATER_EN, LATER_ZH}};

/* What a kind of report says around the situation. */
static const struct {
	const char *head[2], *tail[2], *subject[2], *bare_subject[2];
} kinds[] = {
	[MAIL_DSN_FAILED] = {{"Your message could not be delivered to:", "您的邮件未能送达以下收件人："},
		{NULL, NULL}, {"Not delivered: ", "未能送达："},
		{"Your message could not be delivered", "您的邮件未能送达"}},
	[MAIL_DSN_DELAYED] = {{"Your message has not been delivered yet to:",
				      "您的邮件暂时还未送达以下收件人："},
		{"You need not do anything, and need not send it again: we keep trying until {u}. If it "
		 "cannot be "
		 "delivered by then, you will be told.",
			"您无需进行任何操作，也不必重新发送：系统会继续尝试投递，直到 "
			"{u}。如果届时仍未送达，您会收到"
			"另一封通知。"},
		{"Delayed, still trying: ", "投递延迟，仍在重试："},
		{"Your message is delayed; we keep trying", "您的邮件投递延迟，系统仍在重试"}},
	[MAIL_DSN_DELIVERED] = {{"Your message was delivered to:", "您的邮件已成功送达以下收件人："},
		{"It lies in the mailbox now. This does not say that it was read.",
			"邮件已存入对方的邮箱。这并不表示对方已经阅读。"},
		{"Delivered: ", "已送达："}, {"Your message was delivered", "您的邮件已送达"}},
	[MAIL_DSN_RELAYED] = {{"Your message was handed to the next mail server for:",
				      "您的邮件已转交给下一台邮件服务器，收件人："},
		{"That server does not confirm deliveries, so you will hear of it again only if something "
		 "goes "
		 "wrong.",
			"该服务器不提供送达回执，因此只有在投递出现问题时您才会再收到通知。"},
		{"Handed on: ", "已转交："},
		{"Your message was handed to the next mail server", "您的邮件已转交给下一台邮件服务器"}},
	[MAIL_DSN_EXPANDED] = {{"Your message was passed on to several recipients by:",
				       "您的邮件已由以下地址分发给多位收件人："},
		{"You will not be told of the delivery to each of them.",
			"对其中每位收件人的投递不再另行通知。"},
		{"Passed on: ", "已分发："},
		{"Your message was passed on to several recipients", "您的邮件已分发给多位收件人"}},
};

static const struct {
	const char *automatic[2], *gave_up[2], *advice[2], *said[2], *details[2], *more[2], *about[2],
		*subject[2], *date[2], *number[2], *attached[2], *sender[2];
} words = {
	.automatic = {"This is an automatic message from the mail server {n}. Please do not reply to it.",
		"这是邮件服务器 {n} 自动发送的通知，请勿直接回复。"},
	.gave_up = {"We tried again and again, but it did not work in time; we have stopped trying.",
		"我们多次尝试投递，但在规定时间内一直没有成功，现已停止尝试。"},
	.advice = {"What you can do: ", "您可以这样做："},
	.said = {"The mail server {n} said:", "对方邮件服务器 {n} 的答复："},
	.details = {"Details:", "详细信息："},
	.more = {"The report is about {k} more addresses, which the attached part for programs names.",
		"另外还有 {k} 个收件人地址，详见附件中的报告。"},
	.about = {"About your message:", "关于您的邮件："},
	.subject = {"    Subject: ", "    主题："},
	.date = {"    Received: ", "    收到时间："},
	.number = {"    Number: ", "    编号："},
	.attached = {"A report for programs and your message, or the beginning of it, are attached.",
		"附件中有供程序读取的报告，以及您的邮件或邮件的开头部分。"},
	.sender = {"Mail Delivery System", "邮件投递系统"},
};

/* ---- which situation ---- */

static const struct situation *situation_of(const struct mail_dsn_recipient *r)
{
	uint8_t status[3];
	const struct situation *by_word = NULL, *by_status = NULL, *by_code = NULL;
	dsn_status_of(r, status);
	for (size_t i = 0; i < COUNT_OF(situations); i++) {
		const struct situation *s = &situations[i];
		bool same_word = r->reason.n && slice_eq(r->reason, slice_of(s->reason));
		bool same_status =
			s->subject && s->subject == status[1] && (s->detail == status[2] || s->detail == ANY);
		if (same_word && same_status) /* of several lines of a word the one that says it best */
			return s;
		if (same_word && !by_word)
			by_word = s;
		if (same_status && !by_status)
			by_status = s;
		if (r->code && s->code == r->code && !by_code)
			by_code = s;
	}
	bool expired_by_us = r->status[0] == 0 && status[1] == 4 && status[2] == 7;
	if (by_word)
		return by_word;
	if (by_status && !(expired_by_us && by_code))
		return by_status;
	return by_code ? by_code : r->code ? &refused : &broken;
}

static bool gave_up(const struct mail_dsn_recipient *r, const struct situation *s)
{
	uint8_t status[3];
	dsn_status_of(r, status);
	return r->kind == MAIL_DSN_FAILED && status[0] == 4 && strcmp(s->reason, "expired") != 0;
}

/* ---- writing ---- */

struct fill { /* what stands in the braces of a text */
	const struct mail_dsn_recipient *recipient;
	slice name;
	size_t number;
};

static void add_time(struct buf *out, int64_t us, enum dsn_language lang)
{
	static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July",
		"August", "September", "October", "November", "December"};
	struct mail_civil c = mail_civil_from_unix(us / 1000000);
	if (lang == DSN_CHINESE)
		buf_addf(out, "%d年%d月%d日 %02d:%02d（世界协调时）", c.year, c.month, c.day, c.hour, c.min);
	else
		buf_addf(out, "%d %s %d, %02d:%02d UTC", c.day, months[c.month - 1], c.year, c.hour, c.min);
}

static void add_text(struct buf *out, const char *const text[2], enum dsn_language lang, struct fill fill)
{
	const struct mail_dsn_recipient *r = fill.recipient;
	for (slice rest = slice_of(text[lang]), head; rest.n; rest = slice_skip(rest, 2)) {
		if (!slice_cut(&rest, '{', &head)) {
			buf_add(out, rest);
			break;
		}
		buf_add(out, head);
		if (rest.p[0] == 'a')
			dsn_clean(out, r->address, DSN_TEXT);
		else if (rest.p[0] == 'd')
			dsn_clean(out, slice_skip(r->address, (size_t)(slice_rfind_c(r->address, '@') + 1)),
				DSN_TEXT);
		else if (rest.p[0] == 'u')
			add_time(out, r->retry_until_us, lang);
		else if (rest.p[0] == 'n')
			dsn_clean(out, fill.name, DSN_TEXT);
		else
			buf_add_u64(out, fill.number);
	}
}

static void add_line(struct buf *out, const char *const text[2], enum dsn_language lang, struct fill fill)
{
	add_text(out, text, lang, fill);
	buf_addz(out, "\r\n");
}

static bool same_matter(const struct mail_dsn_recipient *a, const struct mail_dsn_recipient *b)
{
	return a->kind == b->kind && a->code == b->code &&
	       memcmp(a->status, b->status, sizeof a->status) == 0 && slice_eq(a->reason, b->reason) &&
	       slice_eq(a->remote, b->remote) && slice_eq(a->reply, b->reply) &&
	       a->retry_until_us == b->retry_until_us;
}

static void add_reply(struct buf *out, const struct mail_dsn_recipient *r, enum dsn_language lang)
{
	if (r->reply.n == 0)
		return;
	buf_addz(out, "\r\n");
	add_line(out, r->remote.n ? words.said : words.details, lang, (struct fill){.name = r->remote});
	buf_addz(out, "    ");
	if (r->remote.n && r->code)
		buf_addf(out, "%u ", (unsigned)r->code);
	if (r->remote.n && r->status[0])
		buf_addf(out, "%u.%u.%u ", r->status[0], r->status[1], r->status[2]);
	dsn_clean(out, r->reply, DSN_TEXT);
	buf_addz(out, "\r\n");
}

/* The matter of a group of recipients, and what to do about it. */
static void add_matter(struct buf *out, const struct mail_dsn_recipient *r, enum dsn_language lang)
{
	struct fill fill = {.recipient = r};
	if (r->kind == MAIL_DSN_FAILED || r->kind == MAIL_DSN_DELAYED) {
		const struct situation *s = situation_of(r);
		if (gave_up(r, s))
			add_line(out, words.gave_up, lang, fill);
		add_line(out, s->means, lang, fill);
		if (r->kind == MAIL_DSN_FAILED) {
			add_text(out, words.advice, lang, fill);
			add_line(out, s->advice, lang, fill);
		}
	}
	if (kinds[r->kind].tail[lang])
		add_line(out, kinds[r->kind].tail, lang, fill);
	if (r->kind == MAIL_DSN_FAILED || r->kind == MAIL_DSN_DELAYED)
		add_reply(out, r, lang);
}

static void add_recipients(const struct mail_dsn *d, struct buf *out, enum dsn_language lang)
{
	size_t start = out->n, next = 0;
	while (next < d->n && next < DSN_SHOWN && out->n - start < DSN_EXPLAIN) {
		const struct mail_dsn_recipient *r = &d->recipients[next];
		buf_addz(out, "\r\n");
		add_line(out, kinds[r->kind].head, lang, (struct fill){.recipient = r});
		buf_addz(out, "\r\n");
		for (; next < d->n && next < DSN_SHOWN && same_matter(r, &d->recipients[next]); next++) {
			buf_addz(out, "    ");
			dsn_clean(out, d->recipients[next].address, DSN_TEXT);
			buf_addz(out, "\r\n");
		}
		buf_addz(out, "\r\n");
		add_matter(out, r, lang);
	}
	if (next < d->n) {
		buf_addz(out, "\r\n");
		add_line(out, words.more, lang, (struct fill){.number = d->n - next});
	}
}

static void original_subject(const struct mail_dsn *d, struct buf *out, size_t max)
{
	struct mail_field f;
	struct buf line = BUF_INIT(8192), decoded = BUF_INIT(65536);
	if (mail_header_find(d->original, S("subject"), &f)) {
		mail_header_unfold(&line, slice_sub(f.value, 0, 4096));
		mail_words_decode(&decoded, buf_slice(&line));
		dsn_clean(out, buf_slice(&decoded), max);
	}
	buf_free(&line);
	buf_free(&decoded);
}

static void write_language(const struct mail_dsn *d, struct buf *out, enum dsn_language lang)
{
	struct fill none = {.name = d->host};
	add_line(out, words.automatic, lang, none);
	add_recipients(d, out, lang);
	buf_addz(out, "\r\n");
	add_line(out, words.about, lang, none);
	add_text(out, words.subject, lang, none);
	original_subject(d, out, 300);
	buf_addz(out, "\r\n");
	if (d->arrival_us > 0) {
		add_text(out, words.date, lang, none);
		add_time(out, d->arrival_us, lang);
		buf_addz(out, "\r\n");
	}
	if (d->queue_id.n) {
		add_text(out, words.number, lang, none);
		dsn_clean(out, d->queue_id, 64);
		buf_addz(out, "\r\n");
	}
	buf_addz(out, "\r\n");
	add_line(out, words.attached, lang, none);
}

enum dsn_language dsn_language_of(const struct mail_dsn *d)
{
	return slice_istarts(d->language, S("zh")) ? DSN_CHINESE : DSN_ENGLISH;
}

void dsn_text_write(const struct mail_dsn *d, struct buf *out)
{
	enum dsn_language first = dsn_language_of(d);
	write_language(d, out, first);
	buf_addz(out, "\r\n----------------------------------------\r\n\r\n");
	write_language(d, out, first == DSN_CHINESE ? DSN_ENGLISH : DSN_CHINESE);
}

void dsn_subject_write(const struct mail_dsn *d, struct buf *out)
{
	enum dsn_language lang = dsn_language_of(d);
	enum mail_dsn_kind kind = d->recipients[0].kind;
	for (size_t i = 0; i < d->n; i++) /* bad news goes first */
		if (d->recipients[i].kind < kind)
			kind = d->recipients[i].kind;
	buf_addz(out, kinds[kind].subject[lang]);
	size_t head = out->n;
	original_subject(d, out, 150);
	if (out->n == head && !out->failed) {
		buf_reset(out);
		buf_addz(out, kinds[kind].bare_subject[lang]);
	}
}

const char *dsn_sender_name(const struct mail_dsn *d)
{
	return words.sender[dsn_language_of(d)];
}
