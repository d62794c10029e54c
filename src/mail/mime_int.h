/* Shared by the files of the MIME scanner: mime.c follows the lines, mime_fields.c gathers the header fields.
 */
#pragma once
#include "limits.h"
#include "mail/mime.h"

enum field_id {
	F_TYPE,
	F_ENCODING,
	F_ID,
	F_DESCRIPTION,
	F_MD5,
	F_DISPOSITION,
	F_LANGUAGE,
	F_LOCATION,
	F_PART_COUNT, /* the fields above belong to every part, those below to messages */
	F_DATE = F_PART_COUNT,
	F_SUBJECT,
	F_IN_REPLY_TO,
	F_MESSAGE_ID,
	F_REFERENCES,
	F_MIME_VERSION,
	F_FROM, /* from here on: address lists, joined when repeated */
	F_SENDER,
	F_REPLY_TO,
	F_TO,
	F_CC,
	F_BCC,
	F_COUNT,
	F_NONE = F_COUNT,
};

struct field_piece { /* a repeated address field, joined at the end of the header */
	slice text;
	struct field_piece *next;
};

struct mime_fields {          /* of the header under way */
	slice value[F_COUNT]; /* in the arena; p == NULL: not seen */
	struct field_piece *more[F_COUNT], **more_end[F_COUNT];
	enum field_id open; /* the field whose lines are coming, F_NONE: one that is not kept */
	struct buf raw;     /* its value so far, without line ends */
	bool message;       /* of a message: the envelope's fields are kept too */
	bool cut;           /* something was left out */
	struct arena *text;
};

void mime_fields_begin(struct mime_fields *f, bool message);
/* A line, or what is known of one that is not complete: the start of a field, or the continuation of one. No
 * line end. */
void mime_fields_line(struct mime_fields *f, slice line);
void mime_fields_more(struct mime_fields *f, slice bytes);
void mime_fields_end(struct mime_fields *f); /* values are whole now */
/* The envelope in the arena, NULL: no memory. */
const struct mail_envelope *mime_fields_envelope(struct mime_fields *f);
