/* What is announced (RFC 9051 7.2.2): one list, and only what holds at that moment. */
#pragma once
#include "base/buf.h"

struct imap_capable {           /* before login */
	bool starttls;          /* may be started now */
	bool login;             /* a password may be sent now */
	bool scram, scram_plus; /* and so may SCRAM-SHA-256, and with the binding to the channel */
};

/* "IMAP4rev1 ...", without the word CAPABILITY. */
void imap_capability_login(struct buf *out, struct imap_capable now);
/* messagelimit 0: none (RFC 9738). */
void imap_capability_session(struct buf *out, uint64_t appendlimit, uint32_t messagelimit);
