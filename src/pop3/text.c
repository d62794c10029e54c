#include "pop3/text.h"
#include "base/cleanup.h"

static const struct {
	const char *english, *chinese;
} texts[] = {
	{"Goodbye", "再见"},
	{"TLS is on already", "TLS 已经启用"},
	{"TLS is not available", "这里不提供 TLS"},
	{"Nothing may be sent behind STLS before the handshake", "STLS 之后、握手之前不能发送任何内容"},
	{"Begin TLS", "请开始 TLS 握手"},
	{"The name or the password is wrong", "用户名或密码错误"},
	{"Log-in is not possible now; try again in a minute", "暂时无法登录，请一分钟后再试"},
	{"The mailbox is not available now; try again in a minute", "邮箱暂时不可用，请一分钟后再试"},
	{"Use STLS first: a password must not travel in the clear", "请先使用 STLS：密码不能以明文传送"},
	{"USER needs a name: USER alice", "USER 后面要有用户名：USER alice"},
	{"Now the password: PASS ...", "请给出密码：PASS ..."},
	{"USER comes before PASS", "PASS 之前要先用 USER"},
	{"That line is too long", "这一行太长"},
	{"Cancelled", "已取消"},
	{"That is not base64", "这不是 base64"},
	{"That is no PLAIN message: base64 of NUL name NUL password",
		"这不是 PLAIN 消息：应为 NUL 用户名 NUL 密码的 base64"},
	{"That mechanism is not offered; AUTH alone tells which are",
		"不提供这种机制；单独的 AUTH 列出可用的机制"},
	{"An empty line is no command", "空行不是命令"},
	{"Not a command before log-in: CAPA, STLS, USER, PASS, AUTH, UTF8, LANG or QUIT",
		"登录前没有这个命令：CAPA、STLS、USER、PASS、AUTH、UTF8、LANG 或 QUIT"},
	{"Too many errors; closing", "错误太多，连接关闭"},
	{"Silent for too long; closing", "太久没有动静，连接关闭"},
	{"Going down; come back soon", "服务器正在停止，请稍后再来"},
	{"UTF-8 it is", "已启用 UTF-8"},
	{"UTF8 takes no argument", "UTF8 没有参数"},
	{"A message number is wanted", "需要邮件编号"},
	{"There is no such message", "没有这封邮件"},
	{"That message was removed by another session", "这封邮件已被另一个会话删除"},
	{"The message cannot be read now", "暂时无法读取这封邮件"},
	{"The mailbox cannot be read now", "暂时无法读取邮箱"},
	{"TOP needs a message number and a number of lines: TOP 1 10", "TOP 需要邮件编号和行数：TOP 1 10"},
	{"Some deleted messages were not removed", "有些标记删除的邮件没有删掉"},
	{"Not a command: STAT, LIST, RETR, DELE, UIDL, TOP, NOOP, RSET, LANG, CAPA or QUIT",
		"没有这个命令：STAT、LIST、RETR、DELE、UIDL、TOP、NOOP、RSET、LANG、CAPA 或 QUIT"},
	{"Silent for too long; nothing was deleted", "太久没有动静，没有删除任何邮件"},
	{"Going down; nothing was deleted", "服务器正在停止，没有删除任何邮件"},
	{"Too many errors; nothing was deleted", "错误太多，没有删除任何邮件"},
	{"octets", "字节"},
	{"messages", "封邮件"},
	{"is marked and goes at QUIT", "已标记，QUIT 时删除"},
	{"message follows", "邮件内容如下"},
	{"Language listing follows", "可用语言如下"},
	{"no such language", "没有这种语言"},
};

static const struct {
	slice tag, name;
} languages[] = {
	[POP3_ENGLISH] = {SLICE_INIT("en"), SLICE_INIT("English")},
	[POP3_CHINESE] = {SLICE_INIT("zh"), SLICE_INIT("中文")},
};

const char *pop3_text(enum pop3_language language, const char *english)
{
	for (size_t i = 0; language == POP3_CHINESE && i < COUNT_OF(texts); i++)
		if (strcmp(texts[i].english, english) == 0)
			return texts[i].chinese;
	return english;
}

int pop3_say(struct stream *io, enum pop3_language language, const char *answer)
{
	const char *text = answer + (answer[0] == '+' ? 3 : answer[0] == '-' ? 4 : 0);

	text += *text == ' ';
	if (*text == '[' && strchr(text, ']'))
		text = strchr(text, ']') + 1;
	text += text > answer && text[-1] == ']' && *text == ' ';
	(void)stream_write(io, slice_make(answer, (size_t)(text - answer)));
	(void)stream_write(io, slice_of(pop3_text(language, text)));
	return stream_write(io, S("\r\n"));
}

/* A range of RFC 4647 3.3.1 against our tags, which are short: zh-Hans-CN is zh, and * is ours to choose. */
static bool find(slice range, enum pop3_language *language)
{
	slice first = range;

	if (slice_eq(range, S("*")) || slice_ieq(range, S("i-default"))) {
		*language = POP3_ENGLISH;
		return true;
	}
	if (!slice_cut(&range, '-', &first))
		first = range;
	for (size_t i = 0; i < COUNT_OF(languages); i++)
		if (slice_ieq(first, languages[i].tag)) {
			*language = (enum pop3_language)i;
			return true;
		}
	return false;
}

int pop3_lang(struct stream *io, enum pop3_language *language, slice args)
{
	slice range = slice_trim(args);
	int rc = 0;

	if (range.n > 0) {
		if (!find(range, language)) {
			rc = stream_printf(io, "-ERR %s\r\n", pop3_text(*language, "no such language"));
			return rc < 0 ? rc : 0;
		}
		rc = stream_printf(
			io, "+OK %s %s\r\n", languages[*language].tag.p, languages[*language].name.p);
		return rc < 0 ? rc : 1;
	}
	(void)stream_printf(io, "+OK %s\r\n", pop3_text(*language, "Language listing follows"));
	for (size_t i = 0; i < COUNT_OF(languages); i++)
		(void)stream_printf(io, "%s %s\r\n", languages[i].tag.p, languages[i].name.p);
	rc = stream_write(io, S(".\r\n"));
	return rc < 0 ? rc : 1;
}
