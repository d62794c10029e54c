/* Layout of format 1 of a message summary. Private to the room. */
#pragma once
#include "limits.h"
#include "mail/summary.h"

enum {
	SUMMARY_VERSION = 1,
	SUMMARY_SECTIONS = 7,
	SUMMARY_HEAD = 12 + 4 * SUMMARY_SECTIONS,
	/* u8 kind, u8 encoding, u8 attachment, u8 zero, u16 parent, child, next, envelope row; u32 header
	 * offset and length, body offset and length, lines; u32 text offset; u8 lengths of type, subtype,
	 * charset, u8 zero, u16 of name, id */
	SUMMARY_PART = 4 + 8 + 20 + 4 + 8,
	SUMMARY_FIELDS = 11,
	/* u32 text offset of the first field, then u32 lengths of all in order; they follow each other */
	SUMMARY_ENVELOPE = 4 + 4 * SUMMARY_FIELDS,
	SUMMARY_NO_PART = 0xFFFF,
};
#define SUMMARY_NO_FIELD UINT32_MAX

_Static_assert(LIMIT_MAIL_PARTS < SUMMARY_NO_PART, "part numbers are 16 bits");
_Static_assert(
	sizeof(struct mail_envelope) == SUMMARY_FIELDS * sizeof(slice), "an envelope is walked as an array");

/* The fields of an envelope in the order of their row. */
static inline slice *summary_fields(struct mail_envelope *v)
{
	return &v->date;
}
