/* Character classes of the mail grammars, one table. Private to the room. */
#pragma once
#include <stdint.h>

enum mail_char_class {
	CH_ATEXT = 1,  /* RFC 5322 3.2.3 */
	CH_TOKEN = 2,  /* RFC 2045 5.1 */
	CH_BLANK = 4,  /* space, tab, CR, LF: what is left of a fold */
	CH_LETDIG = 8, /* RFC 5321 Let-dig */
	CH_HIGH = 16,  /* over 127 */
	CH_FTEXT = 32, /* of a field name: RFC 5322 3.6.8 */
};

extern const uint8_t mail_chars[256];

static inline uint8_t mail_char(char c)
{
	return mail_chars[(uint8_t)c];
}
