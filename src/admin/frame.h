/*
 * The frames of the control socket, for both of its ends. A frame is 4 bytes of length, big-endian, and that
 * many bytes of JSON, one object:
 *
 *   {"method": "account.add", "params": {"address": "alice@example.test", "password": "..."}}
 *   {"result": {...}}     or     {"error": {"code": "exists", "message": "..."}}
 *
 * Several questions may follow one another on a connection; each is answered before the next is read. Pure.
 */
#pragma once
#include "base/slice.h"

#define ADMIN_FRAME_HEAD 4
#define ADMIN_FRAME_MAX  1048576 /* bytes of JSON */
#define ADMIN_JSON_DEPTH 64 /* jansson calls itself once a level; deeper would overflow a fiber's stack */

void admin_frame_head_write(uint32_t n, uint8_t ret[ADMIN_FRAME_HEAD]);
/* False: 0, or over max. */
bool admin_frame_head_read(const uint8_t head[ADMIN_FRAME_HEAD], uint32_t max, uint32_t *ret_n);

/* False when arrays and objects are nested more than max deep. Looks at nothing else. */
bool admin_json_depth(slice text, unsigned max);
