/* What CAPA says (RFC 2449), before and after login. */
#pragma once
#include "io/stream.h"

/* stls, passwords: offered now. authenticated: after login. -errno or 0. */
PARKS int pop3_capabilities(struct stream *io, bool stls, bool passwords, bool authenticated);
