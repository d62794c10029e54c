/*
 * Decoding of bodies and header text: transfer encodings, charsets, encoded words, and the folded form
 * searches compare. Lenient: bad input gives the best reading, never an error. Results are UTF-8 without
 * invalid sequences where it says so.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

enum mail_encoding {
	MAIL_ENCODING_7BIT, /* also a missing one */
	MAIL_ENCODING_8BIT,
	MAIL_ENCODING_BINARY,
	MAIL_ENCODING_QP,
	MAIL_ENCODING_BASE64,
	MAIL_ENCODING_OTHER, /* unknown: the bytes are taken as they are */
};

enum mail_encoding mail_encoding_parse(slice s);

/* A decoder of one body, fed in any chunking. Zero it, set encoding; the rest is its own. */
struct mail_decoder {
	enum mail_encoding encoding;
	bool bad; /* something was not as it should be */
	uint8_t state, n;
	char hold[6]; /* QP: blanks that may end a line */
	uint32_t bits;
};

void mail_decoder_feed(struct mail_decoder *d, struct buf *out, slice in);
void mail_decoder_finish(struct mail_decoder *d, struct buf *out);

/*
 * Text in `charset` to UTF-8. gb2312 and gbk are read as GB18030, big5 as Big5-HKSCS, iso-8859-1 as
 * windows-1252, as the web does. Unknown charset, us-ascii or none: valid UTF-8 as it is, what reads like
 * Chinese as GB18030 and what has the escapes of ISO-2022-JP as that, else windows-1252. Bytes that mean
 * nothing become U+FFFD. Returns false when the charset was unknown and the text not ASCII.
 */
bool mail_charset_to_utf8(struct buf *out, slice charset, slice in);

/* Whether the bytes are ASCII and mean ASCII in that charset: they are the text then. */
bool mail_charset_is_ascii(slice charset, slice in);

/* Appends `in` with each invalid UTF-8 sequence replaced by U+FFFD. */
void mail_utf8_clean(struct buf *out, slice in);

/* Header text to UTF-8: encoded words (RFC 2047, with adjacent ones joined before decoding), raw 8-bit text.
 */
void mail_words_decode(struct buf *out, slice in);
slice mail_words_decoded(
	struct arena *a, slice in); /* the slice itself when it is plain ASCII without "=?" */

/*
 * The form that searches and sorts compare byte by byte: i;unicode-casemap (RFC 5051). Each code point to
 * titlecase by its simple mapping, then decomposed as UnicodeData.txt has it, and so on with what comes of
 * that; Hangul syllables, which have no entry there, stay. Width and compatibility forms so become plain
 * ones. Invalid sequences become U+FFFD. Pure ASCII takes a quick path.
 */
void mail_fold(struct buf *out, slice utf8);

/* HTML to plain text for previews and search: tags, comments, style, script and head dropped, entities
 * decoded, blocks parted by a blank. Input and output UTF-8. Not a sanitiser: the result is text and must be
 * escaped as such. */
void mail_html_text(struct buf *out, slice html);
