/*
 * What a server's refusal means. First by a table of what the large providers and block lists say in words,
 * because many say 550 where they mean "later" and 4xx where they mean "never"; then by the enhanced status
 * and the code. Pure.
 */
#pragma once
#include "base/slice.h"

enum refusal {
	REFUSAL_RETRY,   /* temporary: try again by the usual back-off */
	REFUSAL_SLOW,    /* we send too fast, or too many connections: slow the destination down, try again */
	REFUSAL_GREY,    /* greylisting: try again soon (5 to 15 minutes) */
	REFUSAL_GIVE_UP, /* permanent for this recipient */
	REFUSAL_ALARM,   /* permanent or long-lasting, and the owner must act: our address is on a block list,
			    no PTR, SPF or DKIM wrong, account of a relay locked; recipients are failed when
			    the code is 5xx, else retried; the log and status tell */
};

struct refusal_found {
	enum refusal kind;
	/*
	 * A word for logs and for the texts of reports (mail/dsn.h): unknown_user, disabled, moved,
	 * bad_address, host_not_found, null_mx, full, size, list, spam, virus, content, policy, blocked,
	 * rate, greylisted, no_ptr, helo, auth, bad_sender, login, tls, relay, loop, recipients, smtputf8,
	 * busy; "" when only the code spoke.
	 */
	const char *reason;
	const char *advice; /* a sentence for the owner (English), or NULL; never NULL with ALARM */
};

/*
 * code: 400 to 599 (0: the connection broke: RETRY); status all 0: none was given; host: the server's name.
 * Of the text 1 KiB is looked at; addresses in it count as names, not as words. Some 25 us.
 */
struct refusal_found refusal_classify(uint16_t code, const uint8_t status[3], slice text, slice host);
