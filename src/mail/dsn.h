/*
 * Delivery status notifications: multipart/report (RFC 3462/6522) with a text for people,
 * message/delivery-status (RFC 3464) and the original's header (text/rfc822-headers) or the original
 * (message/rfc822; message/global when it is UTF-8, RFC 6533). Pure.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

enum mail_dsn_kind {
	MAIL_DSN_FAILED,
	MAIL_DSN_DELAYED,
	MAIL_DSN_DELIVERED,
	MAIL_DSN_RELAYED,
	MAIL_DSN_EXPANDED
};

struct mail_dsn_recipient {
	enum mail_dsn_kind kind;
	slice address;     /* final recipient, "local@domain" */
	slice original;    /* ORCPT "type;address", or empty */
	uint8_t status[3]; /* RFC 3463; all 0: made from kind and code */
	uint16_t code;     /* of the remote's reply; 0: none came */
	slice reply;       /* its words without code and status, or what went wrong; may be empty */
	slice reason; /* what it means, a word of refusal_found.reason (queue/classify.h); empty: by status
			 and code */
	slice remote; /* the host that said so; empty: ourselves */
	int64_t last_attempt_us; /* wall clock; 0: none */
	int64_t retry_until_us;  /* DELAYED: wall clock */
};

struct mail_dsn {
	slice host;       /* our name: Reporting-MTA, From's domain */
	slice to;         /* "local@domain": the original's sender, or postmaster of a double bounce */
	slice message_id; /* unique part for Message-ID and boundaries: the queue id of the report, 26
			     characters */
	slice queue_id;   /* of the original, shown to people */
	slice language;   /* BCP 47; Chinese for "zh" and whatever begins so, else English; both are always in
			     the   text, this one first: a stranger's language is not known (empty: English
			     first)
			   */
	slice envelope_id; /* ENVID or empty */
	slice original;    /* the original message, or as much of it as is at hand */
	bool full;         /* RET=FULL: return it whole (the caller passed it whole); else its header only */
	bool utf8; /* the report may hold UTF-8 headers (SMTPUTF8 message): message/global-*, RFC 6533 */
	int64_t arrival_us, now_us;                  /* wall clock */
	const struct mail_dsn_recipient *recipients; /* all of one report; kinds may be mixed but DELAYED */
	size_t n;
};

#define MAIL_DSN_MAX (1024 * 1024) /* bytes of a header-only report about LIMIT_RECIPIENTS recipients */

/*
 * Appends the whole message: From "Mail Delivery System" <MAILER-DAEMON@host>, To, Subject (encoded words),
 * Date, Message-ID, Auto-Submitted: auto-replied (RFC 3834), MIME. CRLF line ends, lines under 998 octets.
 * All in 7 bits, the original included, unless `utf8`: then the parts that hold UTF-8 are message/global-...
 * in 8bit, as RFC 6533 wants, and To is UTF-8 when the address is. The text says in plain words, first in one
 * language then in the other: what happened, to which address, what it means (from the reason, the enhanced
 * status, the code), what one can do now, and then the remote's own words. The original's header is cut at
 * LIMIT_DSN_HEADER. An original that cannot be brought to 7 bits (mail/downgrade.h), or does not fit, is
 * returned as its header. Every slice may hold anything: it ends no line. out->max should be MAIL_DSN_MAX,
 * and with `full` the original's size and a half more. -1: ERR_LIMIT (it does not fit; no recipient, or too
 * many), ERR_TEMP.
 */
int mail_dsn_write(const struct mail_dsn *d, struct buf *out, err *e);
