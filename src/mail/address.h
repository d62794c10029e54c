/*
 * Mail addresses: the envelope's paths (RFC 5321 4.1.2, strict) and the address lists of header fields
 * (RFC 5322 3.4 with the obsolete syntax, tolerant). Both run in linear time and never recurse.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum mail_path_flag {
	MAIL_PATH_UTF8 = 1,       /* RFC 6531: non-ASCII local parts and domains are allowed */
	MAIL_PATH_NULL = 2,       /* `<>` is allowed: MAIL FROM */
	MAIL_PATH_POSTMASTER = 4, /* `<Postmaster>` without a domain is allowed: RCPT TO */
	MAIL_PATH_BARE = 8, /* the angle brackets may be missing, both at once: people and admin input */
};

enum mail_path_kind {
	MAIL_PATH_IS_INVALID,
	MAIL_PATH_IS_MAILBOX,
	MAIL_PATH_IS_NULL,
	MAIL_PATH_IS_POSTMASTER
};

enum mail_domain_kind { MAIL_DOMAIN_INVALID, MAIL_DOMAIN_NAME, MAIL_DOMAIN_IPV4, MAIL_DOMAIN_IPV6 };

struct mail_path { /* all slices lie in the text that was parsed */
	enum mail_path_kind kind;
	enum mail_domain_kind domain_kind; /* INVALID where there is no domain */
	slice local;                       /* as written, with the quotes of a quoted string */
	slice domain; /* as written; an address literal with its brackets; a source route is gone */
	bool quoted;  /* local is a quoted string */
	bool utf8;    /* a byte over 127 is in it: needs SMTPUTF8 on the way out */
};

/*
 * Parses the path at the start of `in` and puts what follows it (parameters, with their leading blank) into
 * *ret_rest (NULL: nothing may follow). flags: enum mail_path_flag. Limits: local part 64 octets, domain 255,
 * path 256 (RFC 5321 4.5.3.1). -1: ERR_SYNTAX or ERR_LIMIT; whatever is not positively right is refused.
 */
int mail_path_parse(slice in, unsigned flags, struct mail_path *ret, slice *ret_rest, err *e);

/* What `s` is as a domain or address literal (also EHLO's argument). utf8: U-labels are allowed. */
enum mail_domain_kind mail_domain_parse(slice s, bool utf8);

/* The local part without quotes and backslashes; the slice itself when it was not quoted. p == NULL: no
 * memory. */
slice mail_path_local(struct arena *a, const struct mail_path *path);

/* Writes local@domain (Postmaster, or nothing for the null path), without brackets; re-parses to the same. */
void mail_path_write(struct buf *out, const struct mail_path *path);

/* Writes an unquoted local part, with quotes where the syntax needs them. */
void mail_local_write(struct buf *out, slice local);

/*
 * One form for each domain: lower case A-labels, no final dot (IDNA 2008 with UTS 46 mapping, libidn2);
 * literals in lower case. Two domains are the same when these are. Result in the arena. -1: ERR_SYNTAX,
 * ERR_LIMIT.
 */
int mail_domain_canonical(struct arena *a, slice domain, slice *ret, err *e);

/* The same as U-labels, for people: UTF-8, lower case. */
int mail_domain_display(struct arena *a, slice domain, slice *ret, err *e);

/* One form for each local part, for looking up: unquoted input, NFC and case folded. -1: ERR_SYNTAX (bad
 * UTF-8). */
int mail_local_canonical(struct arena *a, slice local, slice *ret, err *e);

/* Cuts "user+tag" at the first separator that is not the first byte; without one the tag is {NULL, 0}. */
void mail_local_split(slice local, char separator, slice *ret_user, slice *ret_tag);

enum mail_address_kind {
	MAIL_ADDRESS_MAILBOX,
	MAIL_ADDRESS_GROUP, /* name is the group's name; its members follow */
	MAIL_ADDRESS_GROUP_END,
};

struct mail_address { /* p == NULL: not there */
	enum mail_address_kind kind;
	slice name; /* display name without quotes, encoded words raw; a comment when there is no display name
		     */
	slice route;  /* obsolete source route "@a,@b" */
	slice local;  /* without quotes and comments */
	slice domain; /* without comments and blanks */
};

/*
 * Walks the addresses of a header field body (folds may still be in it). Slices lie in the body where its
 * bytes need no change, else in the arena. Broken text gives the best reading and never stops the walk;
 * an address without @ has a domain with p == NULL. At most LIMIT_MAIL_ADDRESSES are given; `cut` says when
 * something was left out (also when the arena was full).
 */
struct mail_address_scan {
	slice rest;
	struct arena *a;
	uint32_t count;
	bool in_group, cut;
};

void mail_address_begin(struct mail_address_scan *scan, slice body, struct arena *a);
bool mail_address_next(struct mail_address_scan *scan, struct mail_address *ret);
