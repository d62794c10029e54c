/*
 * A mutator that knows what IMAP commands look like: it puts commands made by a grammar between the lines of
 * the input, takes lines away and doubles them, and changes which of the two sessions hears what follows;
 * else it leaves the bytes to libFuzzer.
 */
#pragma once
#include "base/buf.h"
#include "base/cleanup.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_SWITCH 0x1E /* a byte of the input: the other session from here on */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max) __attribute__((weak)); /* libFuzzer's */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

/* "%X" in an alternative stands for rule X, "%L" for a string or literal of rule T. */
static const struct fuzz_rule {
	char name;
	const char *alternatives; /* parted by '|'; the first one ends: taken when it gets too deep */
} fuzz_rules[] = {
	{'Z', "NOOP|CHECK|%USTORE %S %+FLAGS%. %F|%USTORE %S (UNCHANGEDSINCE %N) %+FLAGS%. %F|%UFETCH %S %I|"
	      "%UFETCH %S (%I %I %I)|%UFETCH %S (%I) (CHANGEDSINCE %N)|UID FETCH %S FLAGS (CHANGEDSINCE %N "
	      "VANISHED)|"
	      "UID FETCH %S (FLAGS) (PARTIAL %p)|%USEARCH %K|%USEARCH %K %K|%USEARCH RETURN (%R) %K|"
	      "%USEARCH RETURN (%R %R) CHARSET UTF-8 %K|%USORT (%C) UTF-8 %K|%USORT RETURN (%R) (%C %C) "
	      "GB18030 %K|"
	      "%UTHREAD %t UTF-8 %K|%UCOPY %S %M|%UMOVE %S %M|EXPUNGE|UID EXPUNGE %S|SELECT %M|EXAMINE %M|"
	      "SELECT %M (CONDSTORE)|SELECT %M (QRESYNC (%N %N %S (%S %S)))|SELECT INBOX (QRESYNC (1 "
	      "%N))|SELECT INBOX|"
	      "CLOSE|UNSELECT|CREATE %M|CREATE %M (USE (%u))|DELETE %M|RENAME %M %M|SUBSCRIBE %M|UNSUBSCRIBE "
	      "%M|"
	      "LIST \"\" %m|LIST (%l) %L (%m %m) RETURN (%l %l)|LIST \"\" * RETURN (STATUS (%s %s))|LSUB "
	      "\"\" %m|"
	      "STATUS %M (%s %s %s)|APPEND %M %F \" 1-Jan-2026 00:00:00 +0000\" {%4+}\r\n%3|APPEND %M "
	      "(\\Seen) ~{9+}\r\n"
	      "a: b\r\n\r\nc|APPEND %M {4+}\r\na: b {4+}\r\nc: d|APPEND %M UTF8 (~{6+}\r\na: \xc3\xa4\x0d)|"
	      "APPEND %M CATENATE (TEXT {4+}\r\na: b URL \"/INBOX;UIDVALIDITY=%N/;UID=%N/;SECTION=%P\" URL "
	      "/INBOX/;UID=2)|"
	      "%UREPLACE %N %M {4+}\r\na: b|ENABLE %E|ENABLE %E %E|IDLE\r\nDONE|NAMESPACE|ID NIL|ID (%L "
	      "%L)|CAPABILITY|"
	      "GETQUOTA \"\"|GETQUOTAROOT %M|SETQUOTA \"\" (STORAGE %N)|ESEARCH IN (%e) RETURN (%R) "
	      "%K|ESEARCH %K|"
	      "COMPRESS DEFLATE|LOGOUT|GETACL %M|MYRIGHTS %M|LISTRIGHTS %M %L|SETACL %M %L %+%r|DELETEACL %M "
	      "%L|"
	      "GETMETADATA %M %k|GETMETADATA (MAXSIZE %N DEPTH infinity) \"\" (%k %k)|GETMETADATA (DEPTH 1) "
	      "%M %k|"
	      "SETMETADATA %M (%k %L)|SETMETADATA \"\" (%k NIL %k %L)|NOTIFY NONE|NOTIFY SET (%n (%v))|"
	      "NOTIFY SET STATUS (%n (%v %v)) (%n (%v))|UNAUTHENTICATE"},
	{'U', "|UID |UID "},
	{'S', "1|1:*|*|2,4:3,*|$|%N|%N:%N|1:3,%N|4294967295:*|7:9"},
	{'N', "1|2|3|5|17|22|100|0|4294967295|4294967296|9223372036854775807|18446744073709551615"},
	{'p', "1:3|-1:-5|4:1|-1:1|1:4294967295"},
	{'+', "|+|-"},
	{'.', "|.SILENT"},
	{'F', "()|(\\Seen)|(\\Deleted)|(\\Flagged custom)|\\Deleted|($Forwarded new%N)|(\\Recent)|(\\Seen "
	      "\\Seen)"},
	{'M', "INBOX|box|box/child|%L|\"&U,BTFw-\"|new|new/"
	      "%N|inbox|Sent|&-|{5+}\r\nINBOX|\"\xe5\x8f\xb0\xe5\x8c\x97\"|box/"},
	{'m', "*|%|%/%|box*|\"\"|INBOX|*%|%L|\"box/%\""},
	{'u', "\\Sent|\\Drafts|\\Trash|\\Junk|\\All|\\Nothing"},
	{'l', "SUBSCRIBED|REMOTE|RECURSIVEMATCH|SPECIAL-USE|CHILDREN|METADATA (%k)|MYRIGHTS|STATUS (%s)"},
	{'s', "MESSAGES|UNSEEN|UIDNEXT|UIDVALIDITY|RECENT|DELETED|SIZE|HIGHESTMODSEQ|MAILBOXID|APPENDLIMIT|"
	      "DELETED-STORAGE"},
	{'I', "FLAGS|UID|ENVELOPE|BODY|BODYSTRUCTURE|INTERNALDATE|RFC822.SIZE|RFC822|RFC822.HEADER|RFC822."
	      "TEXT|MODSEQ|"
	      "PREVIEW|PREVIEW "
	      "(LAZY)|SAVEDATE|EMAILID|THREADID|BODY[%P]|BODY.PEEK[%P]<%N.%N>|BODY.PEEK[%P]|BINARY[%i]|"
	      "BINARY.PEEK[%i]<%N.%N>|BINARY.SIZE[%i]|FULL|ALL|FAST"},
	{'i', "|1|2|2.1|3|2.2.1|1.1.1.1|%N"},
	{'P', "|HEADER|TEXT|%i|%i.MIME|%i.HEADER|%i.TEXT|HEADER.FIELDS (%L %L)|HEADER.FIELDS.NOT (Subject)|"
	      "%i.HEADER.FIELDS (From %L)|MIME"},
	{'R', "MIN|MAX|ALL|COUNT|SAVE|PARTIAL %p|UPDATE|RELEVANCY"},
	{'K', "ALL|SEEN|UNSEEN|NEW|OLD|DELETED|KEYWORD custom|LARGER %N|SMALLER %N|%S|UID %S|BEFORE "
	      "1-Jan-2020|"
	      "SENTSINCE \" 1-Jan-2020\"|SENTON 01-Jan-2026|OLDER %N|YOUNGER %N|SAVEDSINCE 1-Jan-2020|MODSEQ "
	      "%N|"
	      "MODSEQ \"/flags/\\\\Seen\" all %N|EMAILID M%N|NOT %K|OR %K %K|(%K %K)|SUBJECT %L|FROM %L|BODY "
	      "%L|TEXT %L|"
	      "HEADER %L %L|CC %L|FUZZY %K"},
	{'C', "DATE|ARRIVAL|SUBJECT|REVERSE SUBJECT|FROM|TO|CC|SIZE|DISPLAYFROM|DISPLAYTO|REVERSE "
	      "%C|RELEVANCY"},
	{'t', "REFERENCES|ORDEREDSUBJECT|REFS"},
	{'E', "IMAP4rev2|CONDSTORE|QRESYNC|UIDONLY|UTF8=ACCEPT|METADATA|NOTIFY|X"},
	{'e', "mailboxes INBOX|selected|personal|subtree box|subtree-one (box "
	      "%M)|inboxes|subscribed|mailboxes (%M %M)"},
	{'r', "lrs|lrswipkxtecda|l|x|\"\"|0|Q"},
	{'k', "/private/comment|/shared/comment|/private/vendor/x/y|/shared/admin|/shared|/other|%L"},
	{'n', "selected|selected-delayed|personal|inboxes|subscribed|subtree box|mailboxes (%M INBOX)"},
	{'v', "MessageNew|MessageNew (%I "
	      "%I)|MessageExpunge|FlagChange|MailboxName|SubscriptionChange|AnnotationChange|NONE|"
	      "MailboxMetadataChange|ServerMetadataChange"},
	{'T', "x|a|plain|\xe4\xb8\xad|\xff\xfe|bob@fuzz.test|Subject||&Jjo-|&Jjo|in|\"|\\|%N|anyone|=?utf-8?"
	      "q?x|a b"},
	{'3', "a: b\r\n\r\nbody\r\n"},
	{'4', "14|13|15"},
};

static uint32_t fuzz_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	return *state ^= *state << 5;
}

static void fuzz_expand(struct buf *out, slice text, uint32_t *state, unsigned depth);

static void fuzz_rule(struct buf *out, char name, uint32_t *state, unsigned depth)
{
	size_t i = 0, n = 1;

	while (i < COUNT_OF(fuzz_rules) && fuzz_rules[i].name != name)
		i++;
	if (i == COUNT_OF(fuzz_rules)) {
		buf_add_c(out, '%');
		buf_add_c(out, name);
		return;
	}
	slice all = slice_of(fuzz_rules[i].alternatives), one = all;
	for (size_t k = 0; k < all.n; k++)
		n += all.p[k] == '|';
	for (size_t which = depth > 6 ? 0 : fuzz_random(state) % n; slice_cut(&all, '|', &one) && which > 0;
		which--)
		one = all;
	fuzz_expand(out, one, state, depth + 1);
}

/* A string of rule T in one of the ways there are to write it. */
static void fuzz_string(struct buf *out, uint32_t *state, unsigned depth)
{
	struct buf text = BUF_INIT(1024);

	fuzz_rule(&text, 'T', state, depth);
	switch (fuzz_random(state) % 4) {
	case 0:
		buf_addf(out, "{%zu+}\r\n%" SLICE_FMT, text.n, SLICE_ARG(buf_slice(&text)));
		break;
	case 1:
		buf_addf(out, "{%zu}\r\n%" SLICE_FMT, text.n, SLICE_ARG(buf_slice(&text)));
		break;
	case 2:
		buf_add(out, buf_slice(&text));
		break;
	default:
		buf_addf(out, "\"%" SLICE_FMT "\"", SLICE_ARG(buf_slice(&text)));
		break;
	}
	buf_free(&text);
}

static void fuzz_expand(struct buf *out, slice text, uint32_t *state, unsigned depth)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '%' || i + 1 == text.n || depth > 12)
			buf_add_c(out, text.p[i]);
		else if (text.p[++i] == 'L')
			fuzz_string(out, state, depth);
		else
			fuzz_rule(out, text.p[i], state, depth);
	}
}

/* The line that begins at or behind `at`. */
static slice fuzz_line(slice whole, size_t at)
{
	const char *lf = memchr(whole.p + at, '\n', whole.n - at);
	size_t from = at <= 1 || !lf ? 1 : (size_t)(lf - whole.p) + 1;
	const char *end = from < whole.n ? memchr(whole.p + from, '\n', whole.n - from) : NULL;

	return slice_sub(whole, from, end ? (size_t)(end - whole.p) + 1 - from : whole.n - from);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	uint32_t state = seed * 2654435761u | 1;
	struct buf out = BUF_INIT(max), made = BUF_INIT(4096);
	slice whole = slice_make((const char *)data, size);
	unsigned how = fuzz_random(&state) % 8;

	if (size < 2 || how < 3) {
		buf_free(&out);
		return LLVMFuzzerMutate ? LLVMFuzzerMutate(data, size, max) : size;
	}
	slice line = fuzz_line(whole, fuzz_random(&state) % size);
	size_t at = (size_t)(line.p - whole.p), end = at + line.n;
	buf_addz(&made, "a ");
	fuzz_rule(&made, 'Z', &state, 0);
	buf_addz(&made, "\r\n");
	buf_add(&out, slice_sub(whole, 0, how == 7 ? end : at));
	if (how == 3 || how == 4)
		buf_add(&out, buf_slice(&made));
	if (how == 6)
		buf_add_c(&out, FUZZ_SWITCH);
	if (how == 7)
		buf_add(&out, line);
	if (how == 4)
		at = end; /* in the place of the line */
	if (how == 5)
		at = end; /* without it */
	buf_add(&out, slice_skip(whole, how == 7 ? end : at));
	if (!out.failed && out.n <= max) {
		memcpy(data, out.p, out.n);
		size = out.n;
	}
	buf_free(&out);
	buf_free(&made);
	return size;
}
