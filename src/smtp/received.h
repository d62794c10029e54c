/* The trace field of RFC 5321 4.4 with the protocol names of RFC 3848 and RFC 6531. Pure. */
#pragma once
#include "mail/date.h"
#include "smtp/envelope.h"

/*
 * Appends "Received: ...CRLF": from helo (name [ip]), by host with protocol (TLS) id queue_id, for the
 * recipient when there is just one, and the date. Lines stay under 998 octets. A hidden client has no from
 * clause: RFC 5321 4.4 wants one, RFC 5322 3.6.7 does not, and all readers take the latter; any name put in
 * its place would be a lie that spam filters look up.
 */
void smtp_received_format(
	struct buf *out, const struct smtp_envelope *env, slice queue_id, struct mail_date date);

/* "ESMTPSA", "UTF8LMTP" and so on. */
slice smtp_protocol_name(const struct smtp_trace *t);
