/*
 * What a server's refusal means. By the code and the enhanced status first, then by a table of what the large
 * providers and block lists say in words, because many say 550 where they mean "later" and 4xx where they
 * mean "never". Pure.
 */
#pragma once
#include "base/slice.h"

enum refusal {
	REFUSAL_RETRY,   /* temporary: try again by the usual back-off */
	REFUSAL_SLOW,    /* we send too fast, or too many connections: slow the destination down, try again */
	REFUSAL_GREY,    /* greylisting: try again soon (5 to 15 minutes) */
	REFUSAL_GIVE_UP, /* permanent for this recipient */
	REFUSAL_ALARM,   /* permanent or long-lasting, and the owner must act: our address is on a block list,
			    no PTR,   SPF or DKIM wrong, account of a relay locked; recipients are failed when the
			    code is 5xx,   else retried; the log and status tell */
};

struct refusal_found {
	enum refusal kind;
	const char
		*reason; /* a word for logs and DSN texts: "blocked", "no_ptr", "rate", "greylisted", "full",
			    "unknown_user", "spam", "auth", "tls", "size", ...; "" when only the code spoke */
	const char *advice; /* a sentence for the owner (English), or NULL */
};

/* code: 400 to 599 (0: the connection broke: RETRY); status all 0: none was given; host: the server's name.
 */
struct refusal_found refusal_classify(uint16_t code, const uint8_t status[3], slice text, slice host);
