/* Text encodings: base64 (RFC 4648), hex, base32 in the Crockford alphabet, UTF-8 checks. Pure. */
#pragma once
#include "base/buf.h"

void base64_encode(struct buf *out, slice in); /* padded, no line breaks */
/* Strict: alphabet, padding and trailing bits must be right; no blanks. False otherwise (out may have grown).
 */
bool base64_decode(struct buf *out, slice in);
void hex_encode(struct buf *out, slice in); /* lower case */
bool hex_decode(struct buf *out, slice in);
/* 128 bits as 26 characters, lower case, sorting as the number does. out gets 26 bytes and a NUL. */
void base32_id(const uint8_t id[16], char out[27]);
/* Also reads what a person typed: upper case, and as Crockford says i and l for 1, o for 0. id stays on
 * false. */
bool base32_id_parse(slice in, uint8_t id[16]);
bool utf8_valid(slice s); /* RFC 3629: no overlong forms, no surrogates, at most U+10FFFF */
/* Length of the sequence at the head of s and its character, or 0 when it is none. s is not empty. */
size_t utf8_next(slice s, uint32_t *ret_char);
bool ascii_only(slice s); /* no byte over 127 */
/* Length of the longest prefix of at most max bytes that does not cut a UTF-8 sequence. */
size_t utf8_cut(slice s, size_t max);
