/*
 * What a mail transaction says of its message before the content comes: the envelope (RFC 5321 2.3.1) with
 * the parameters of SIZE, 8BITMIME, BINARYMIME, SMTPUTF8, DSN, AUTH, FUTURERELEASE, DELIVERBY, MT-PRIORITY
 * and REQUIRETLS, and what the Received field needs to know.
 */
#pragma once
#include "mail/address.h"

/*
 * What is said of a sender, a recipient or a whole message. 1 to 7 are those of delivery/delivery.h, in its
 * order. Replies (code, status, text) stand in one table in smtp/reply.c; `end` is the reply after the
 * content.
 */
enum smtp_verdict {
	SMTP_OK = 1,
	SMTP_UNKNOWN = 2,  /* 550 5.1.1: nobody has this address here */
	SMTP_RELAY = 3,    /* 550 5.7.1: not our domain, and no log-in that may send there */
	SMTP_FULL = 4,     /* 452 4.2.2: over quota */
	SMTP_DISABLED = 5, /* 550 5.2.1: the account is switched off */
	SMTP_LOOP = 6,     /* 554 5.4.6: aliases in a circle, or too many hops */
	SMTP_TEMP = 7,     /* 451 4.3.0: could not be judged now */
	SMTP_SENDER,       /* 550 5.7.1: a sender that does not belong to the account */
	SMTP_REFUSED,      /* 550 5.7.1: policy; say more in the text */
	SMTP_TOO_BIG,      /* 552 5.3.4 */
	SMTP_NO_ROOM,      /* 452 4.3.1: disk or memory are short; try again */
	SMTP_NO_MAIL,      /* 556 5.1.10: the domain takes no mail (RFC 7504, null MX) */
	SMTP_VERDICT_COUNT,
};

enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };

enum smtp_ret { SMTP_RET_UNSET, SMTP_RET_FULL, SMTP_RET_HDRS }; /* RFC 3461 4.3 */

enum smtp_hold { SMTP_HOLD_NONE, SMTP_HOLD_FOR, SMTP_HOLD_UNTIL }; /* RFC 4865 5 */

enum smtp_notify { /* RFC 3461 4.1; 0: not given */
	SMTP_NOTIFY_NEVER = 1,
	SMTP_NOTIFY_SUCCESS = 2,
	SMTP_NOTIFY_FAILURE = 4,
	SMTP_NOTIFY_DELAY = 8,
};

struct smtp_recipient {
	struct mail_path path; /* may be Postmaster without a domain */
	slice local;           /* the local part without quotes */
	slice original;        /* ORCPT as "type;address", xtext decoded; empty: not given */
	uint8_t notify;        /* enum smtp_notify */
	uint8_t result;        /* enum smtp_verdict, set by message_end */
};

/* What a Received field tells (smtp/received.h). */
struct smtp_trace {
	slice helo;                               /* what the client called itself; empty: nothing */
	slice address;                            /* its IP in text; empty: a local socket */
	slice name;                               /* the name of that IP (PTR); empty: not known */
	slice host;                               /* who we are */
	slice tls;                                /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: none */
	bool extended, lmtp, utf8, authenticated; /* extended: EHLO */
	bool hidden;                              /* helo, address and name are not to be shown */
};

struct smtp_envelope {
	struct smtp_trace trace;
	struct mail_path sender; /* a mailbox or the null path */
	slice sender_local;      /* without quotes */
	uint64_t size;           /* as announced by SIZE=; 0: not */
	slice id;                /* ENVID, xtext decoded; empty: not given */
	slice auth;              /* AUTH= parameter, xtext decoded, "<>" included; empty: not given */
	enum smtp_body body;
	enum smtp_ret ret;
	bool smtputf8;
	bool require_tls;      /* RFC 8689: never to be passed on without TLS */
	enum smtp_hold hold;   /* which of the two was given */
	int64_t hold_s;        /* HOLDFOR: seconds; HOLDUNTIL: seconds since 1970 UTC */
	int64_t release_s;     /* what that comes to, wall clock; 0: at once. Set by the session */
	char by_mode;          /* RFC 2852: 'N'otify or 'R'eturn; 0: BY= was not given */
	bool by_trace;         /* and relays are to be reported */
	int32_t by_s;          /* seconds from MAIL; zero and less only with N */
	int64_t by_deadline_s; /* what that comes to, wall clock. Set by the session */
	bool has_priority;     /* MT-PRIORITY= was given */
	int8_t priority;       /* RFC 6710: -9 to 9; the session puts 0 where it may not be asked for */
	struct smtp_recipient *recipients; /* those accepted, in order */
	size_t n;
};
