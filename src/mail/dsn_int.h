/* Shared by the files of the status notifications: dsn.c puts the message together, dsn_status.c writes what
 * programs read, dsn_text.c what people read. */
#pragma once
#include "mail/dsn.h"

#define DSN_SHOWN   100   /* addresses explained to people; all are in the part for programs */
#define DSN_EXPLAIN 65536 /* bytes of text in one language after which no more is explained */
#define DSN_TEXT    1024  /* bytes of a stranger's text that are kept */
/* Bytes of the part for programs after which first replies, hosts and dates are left out, then ORCPTs: with
 * LIMIT_RECIPIENTS recipients the report still fits MAIL_DSN_MAX. */
#define DSN_LOUD     (192 * 1024)
#define DSN_ORIGINAL (384 * 1024)

enum dsn_language { DSN_ENGLISH, DSN_CHINESE };
enum dsn_language dsn_language_of(const struct mail_dsn *d); /* the first one */

/* A stranger's text in one line: valid UTF-8, control characters are blanks, marks that turn the direction of
 * writing are left out; at most max bytes. */
void dsn_clean(struct buf *out, slice text, size_t max);

/* Never 0.0.0; its class fits the kind. */
void dsn_status_of(const struct mail_dsn_recipient *r, uint8_t ret[3]);
/* The content of message/delivery-status, or of message/global-delivery-status when utf8. */
void dsn_status_write(const struct mail_dsn *d, bool utf8, struct buf *out);

/* The text in both languages, UTF-8. */
void dsn_text_write(const struct mail_dsn *d, struct buf *out);
/* The subject in the first language, UTF-8; and the name of the sender. */
void dsn_subject_write(const struct mail_dsn *d, struct buf *out);
const char *dsn_sender_name(const struct mail_dsn *d);
