#include "mail/chars.h"

#define WORD  CH_ATEXT | CH_TOKEN | CH_LETDIG | CH_FTEXT
#define BOTH  CH_ATEXT | CH_TOKEN | CH_FTEXT
#define ATEXT CH_ATEXT | CH_FTEXT

const uint8_t mail_chars[256] = {
	['\t'] = CH_BLANK,
	['\n'] = CH_BLANK,
	['\r'] = CH_BLANK,
	[' '] = CH_BLANK,
	['0' ... '9'] = WORD,
	['A' ... 'Z'] = WORD,
	['a' ... 'z'] = WORD,
	['!'] = BOTH,
	['#' ... '\''] = BOTH,
	['*'] = BOTH,
	['+'] = BOTH,
	['-'] = BOTH,
	['^' ... '`'] = BOTH,
	['{' ... '~'] = BOTH,
	['/'] = ATEXT,
	['='] = ATEXT,
	['?'] = ATEXT,
	['.'] = CH_TOKEN | CH_FTEXT,
	['"'] = CH_FTEXT,
	['('] = CH_FTEXT,
	[')'] = CH_FTEXT,
	[','] = CH_FTEXT,
	[';'] = CH_FTEXT,
	['<'] = CH_FTEXT,
	['>'] = CH_FTEXT,
	['@'] = CH_FTEXT,
	['['] = CH_FTEXT,
	['\\'] = CH_FTEXT,
	[']'] = CH_FTEXT,
	[128 ... 255] = CH_HIGH,
};
