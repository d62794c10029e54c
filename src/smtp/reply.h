/* Replies: one place where they are made, so that each line is right and short and no stranger's byte breaks
 * it. */
#pragma once
#include "smtp/session.h"

/*
 * Writes a reply; it is gathered and goes out when the session waits (RFC 2920 3.2). status: "5.5.1", or NULL
 * for replies without one. The text may have several lines (LF between); lines are broken so that none is
 * over 512 octets (RFC 5321 4.5.3.1.5). Control characters become `?`, and so does what is not ASCII unless
 * the transaction has SMTPUTF8. When the connection is of no use any more the session is done.
 */
PARKS void smtp_reply(struct smtp_session *s, unsigned code, const char *status, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

struct smtp_answer {
	uint16_t code;
	const char *status, *text;
};
/* The reply to a verdict on an address, and to the same verdict on a whole message. */
const struct smtp_answer *smtp_answer_address(enum smtp_verdict v);
const struct smtp_answer *smtp_answer_message(enum smtp_verdict v);
/* The reply to a failure of begin, write or end. */
const struct smtp_answer *smtp_answer_error(enum err_kind kind);
