/*
 * Every limit of the program with its reason. A limit that an owner may wish to move is a setting (base/settings.def);
 * what stands here protects the program itself.
 */
#pragma once

/* io */
#define LIMIT_FIBER_STACK     65536 /* measured worst: RSA-2048 handshake 17 KiB; twice over and a guard page */
#define LIMIT_STREAM_BUFFER   16384 /* read buffer of a stream while in use; given back when parked empty */
#define LIMIT_CHANNEL_MESSAGE 65536 /* one message between roles, SOCK_SEQPACKET */
#define LIMIT_CHANNEL_INLINE  32768 /* content up to here goes inline, above as a sealed memfd */
#define LIMIT_CHANNEL_CREDITS 512   /* questions under way on one channel; the next waits for an answer */
#define LIMIT_FIBERS          30000 /* two mappings a stack where guards need mprotect; vm.max_map_count is 65,530 */

#define LIMIT_CLOSE_MS 5000 /* what a closing connection may take to swallow the last words */

/* store */
#define LIMIT_BLOB_INLINE  1048576 /* larger blobs are files of their own: a group stays small in memory */
#define LIMIT_GROUP_BYTES  16777216 /* a group is closed at this size: the longest flush stays under p99 */
#define LIMIT_GROUP_COUNT  512      /* intents a group */
#define LIMIT_BATCH_ANSWER 1024     /* bytes kept for a repeated question */

/* mail */
#define LIMIT_MAIL_LOCAL      64       /* local part, octets: RFC 5321 4.5.3.1.1 */
#define LIMIT_MAIL_DOMAIN     255      /* domain, octets: RFC 5321 4.5.3.1.2 */
#define LIMIT_MAIL_PATH       256      /* path with its brackets: RFC 5321 4.5.3.1.3 */
#define LIMIT_MAIL_ADDRESSES  10000    /* in one field, in one envelope: a reply stays bounded */
#define LIMIT_MAIL_COMMENT    64       /* nesting of comments (RFC 5322 3.2.2); deeper ones run on as one */
#define LIMIT_MAIL_HEADER     10485760 /* bytes of one header section */
#define LIMIT_MAIL_PARAMS     64       /* parameters of one field: RFC 2231 joining stays cheap */
#define LIMIT_MAIL_BOUNDARY   200      /* octets; RFC 2046 5.1.1 allows 70 */
#define LIMIT_MAIL_DEPTH      100      /* MIME nesting */
#define LIMIT_MAIL_PARTS      1000     /* MIME parts a message */
#define LIMIT_MAIL_FIELD      262144   /* bytes kept of one header field */
#define LIMIT_MAIL_TEXT       393216   /* bytes of header text kept a message, all parts together */
#define LIMIT_MAIL_SUMMARY    1048576  /* bytes of a message summary */
#define LIMIT_MAIL_PREVIEW    200      /* characters: RFC 8970 4 */
#define LIMIT_MAIL_LIST_DEPTH 256      /* parentheses of a body structure: two a MIME level and some */
