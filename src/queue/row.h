/*
 * Queue records: what waits to be sent to other servers, or to be tried again. Three rows:
 *
 *   Q 0 due id            the time at which something of message `id` is due; what the sender's clock walks
 *   Q 1 id                the message: sender, options, blob
 *   Q 2 id recipient      one recipient and what became of it so far
 *
 * id: 16 bytes (store_tx_queue_id); due: microseconds, wall clock; recipient: u32 from 0. Pure: encode and
 * decode only.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define QUEUE_KEY_MAX 32

enum queue_ret { RET_UNSET, RET_FULL, RET_HDRS }; /* RFC 3461 4.3 */

enum queue_notify { /* RFC 3461 4.1; 0: not given */
	NOTIFY_NEVER = 1,
	NOTIFY_SUCCESS = 2,
	NOTIFY_FAILURE = 4,
	NOTIFY_DELAY = 8,
};

enum queue_message_flag {
	QUEUE_8BIT = 1,     /* BODY=8BITMIME */
	QUEUE_BINARY = 2,   /* BODY=BINARYMIME */
	QUEUE_SMTPUTF8 = 4, /* came with SMTPUTF8 */
	QUEUE_TLS_ONLY = 8, /* REQUIRETLS */
};

struct queue_message {     /* Q 1 */
	slice sender;      /* "local@domain", empty for <> */
	slice envelope_id; /* ENVID, as given (xtext decoded) */
	enum queue_ret ret;
	uint8_t flags;
	uint64_t blob;
	uint64_t size;
	uint32_t account; /* who submitted it; 0: came from outside */
	uint32_t recipients;
	int64_t arrival_us;
};

enum queue_state { QUEUE_WAITING = 1, QUEUE_SENT = 2, QUEUE_FAILED = 3, QUEUE_HELD = 4 };

struct queue_recipient { /* Q 2 */
	slice address;
	slice original; /* ORCPT "type;address" (xtext decoded), empty when not given */
	uint8_t notify;
	enum queue_state state;
	uint32_t attempts;
	int64_t due_us;
	slice last_reply; /* of the remote server, one line, at most LIMIT_QUEUE_REPLY bytes */
};

slice queue_key_due(char out[QUEUE_KEY_MAX], int64_t due_us, const uint8_t id[16]);
slice queue_key_message(char out[QUEUE_KEY_MAX], const uint8_t id[16]);
slice queue_key_recipient(char out[QUEUE_KEY_MAX], const uint8_t id[16], uint32_t recipient);

void queue_message_encode(struct buf *out, const struct queue_message *m);
int queue_message_decode(slice in, struct queue_message *ret, err *e); /* ERR_CORRUPT; slices lie in `in` */
void queue_recipient_encode(struct buf *out, const struct queue_recipient *r);
int queue_recipient_decode(slice in, struct queue_recipient *ret, err *e);
