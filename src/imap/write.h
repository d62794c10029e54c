/* Writing responses into a buffer, without printf: these run once a message. */
#pragma once
#include "base/buf.h"
#include "mailbox/mailbox.h"

/* A quoted string where the bytes allow (UTF-8 with utf8: RFC 9051 only), else a literal. NUL becomes "?". */
void imap_write_string(struct buf *out, slice s, bool utf8);
void imap_write_u64(struct buf *out, uint64_t v);
/* "1:3,5": the ranges of a set. */
void imap_write_range(struct buf *out, const struct uid_range *r); /* "7" or "7:9" */
void imap_write_uids(struct buf *out, const struct uidset *set);
/* "\Seen $Junk": flags and keywords with a blank between; keywords_of may be NULL when no keyword bit is set.
 */
void imap_write_flags(
	struct buf *out, uint8_t flags, uint64_t keywords, const struct mailbox_row *keywords_of);

/* System flags by name. 0: none of that name. */
uint8_t imap_flag_bit(slice name);
/* "\Drafts" ..., or an empty slice; and back (USE_NONE: none). */
slice imap_use_name(enum mailbox_use use);
enum mailbox_use imap_use_of(slice name);

/* "[NONEXISTENT] " and the like for an error's kind, with NO; "" when none fits. */
const char *imap_error_code(enum err_kind kind);
