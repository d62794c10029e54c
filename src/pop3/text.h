/* The words of POP3's answers in the client's language (LANG, RFC 6856 3). Nothing parks but pop3_lang. */
#pragma once
#include "io/stream.h"

enum pop3_language { POP3_ENGLISH, POP3_CHINESE };

/* What the session takes over from before login: the `options` of the hand-over. */
#define POP3_OPTION_UTF8    1u /* UTF8 was said (RFC 6856 2) */
#define POP3_OPTION_CHINESE 2u

/* The whole of an answer ("-ERR [AUTH] text") without its line end: status and code stay, the text is said in
 * the language, where there is a translation. -errno or 0. */
PARKS int pop3_say(struct stream *io, enum pop3_language language, const char *answer);
/* A text alone. */
const char *pop3_text(enum pop3_language language, const char *english);
/* LANG with its arguments. 1: done; 0: answered that there is no such language; -errno. */
PARKS int pop3_lang(struct stream *io, enum pop3_language *language, slice args);
