/* Preview text (RFC 8970). Private to the room. */
#pragma once
#include "base/buf.h"

/* Appends at most LIMIT_MAIL_PREVIEW characters of UTF-8 text in one line: runs of blanks become one, quoted
 * lines (">") and characters that show nothing are passed over. */
void mail_preview(struct buf *out, slice text);
