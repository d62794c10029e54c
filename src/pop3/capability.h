/* What CAPA says (RFC 2449): only what holds at that moment. */
#pragma once
#include "io/stream.h"

struct pop3_capable {
	bool stls;              /* may be started now */
	bool passwords;         /* before login: one may be sent now */
	bool scram, scram_plus; /* and so may SCRAM-SHA-256, and with the binding to the channel */
};

PARKS int pop3_capabilities(struct stream *io, struct pop3_capable now); /* -errno or 0 */
