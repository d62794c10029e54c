/*
 * A cursor over the arguments of a command (RFC 9051 9). Pure: no I/O, memory from the arena only. Each
 * take_* function takes one thing off and returns true, or leaves a sentence in `why` (the first one stays)
 * and returns false.
 */
#pragma once
#include "imap/command.h"

struct imap_args {
	const struct imap_part *part;
	slice text; /* what is left of the part's text */
	bool literal_taken;
	struct arena *arena;
	bool utf8; /* UTF8=ACCEPT is enabled: RFC 6855 3 */
	const char *why;
};

/* At the blank behind the verb, or at the end. */
struct imap_args imap_args_of(const struct imap_command *c, struct arena *a);

bool imap_args_fail(struct imap_args *a, const char *why); /* false */
/* The next byte, 0 at the end, IMAP_LITERAL where a literal stands. */
#define IMAP_LITERAL 1
char imap_args_peek(const struct imap_args *a);
bool imap_args_at_end(struct imap_args *a); /* trailing blanks do not count */
bool imap_take_end(struct imap_args *a);
bool imap_take_sp(struct imap_args *a); /* one or more blanks */
bool imap_take_c(struct imap_args *a, char c);
bool imap_try_c(struct imap_args *a, char c); /* without a complaint */

bool imap_take_atom(struct imap_args *a, slice *ret);
bool imap_take_word(struct imap_args *a,
	slice *ret); /* letters, digits, '.', '-', '_', '=', '+': names of items and keys */
bool imap_take_string(struct imap_args *a, slice *ret);  /* quoted or literal */
bool imap_take_nstring(struct imap_args *a, slice *ret); /* NIL: p == NULL */
bool imap_take_value(struct imap_args *a, slice *ret); /* nstring or literal8 (RFC 5464 5); NIL: p == NULL */
bool imap_take_astring(struct imap_args *a, slice *ret);
bool imap_take_list_mailbox(struct imap_args *a, slice *ret); /* with wildcards */
bool imap_take_number(struct imap_args *a, uint64_t max, uint64_t *ret);
bool imap_take_u32(struct imap_args *a, uint32_t *ret);
/* ID's argument (RFC 2971): NIL or up to 30 pairs, which nobody here needs. */
bool imap_take_id(struct imap_args *a);

bool imap_is_atom_char(char c);
