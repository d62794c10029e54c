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
