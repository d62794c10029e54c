/*
 * A server for tests of the SMTP client: a script, a step a line, played at the other end of a socket pair.
 *
 *   S: text          says text and CRLF
 *   S> text          says text
 *   S*100: text      a hundred times; S*100> without CRLF
 *   C: pattern       the next line must match (`*`: any text)
 *   D: text          content of DATA: all up to CRLF.CRLF must be this, as it stands on the wire
 *   B: text          "BDAT n LAST" and n bytes, which must be this
 *   #                content of DATA is read, whatever it is; %: of BDAT
 *   H: A,B 5,C       the greeting and EHLO with these extensions; L: with LHLO
 *   E: A,B 5,C       EHLO with these extensions
 *   M                MAIL, taken
 *   R                RCPT, taken
 *   T                the handshake of TLS
 *   P: ms            waits
 *   X                closes at once; W: closes the writing side and reads on
 *
 * In texts \r \n \t \0 \\ and \xHH are bytes. What is left of the dialogue at the end of the script may only
 * be QUIT, which is answered.
 */
#pragma once
#include "base/buf.h"
#include "io/stream.h"

struct scripted {
	const char *script;
	unsigned steps; /* play only so many, then close; 0: all */
	size_t cut;     /* of the last of them, say only so many bytes; 0: all */
	bool bytes;     /* say everything byte by byte */
	struct tls_context *tls;
	/* out */
	char failed[256]; /* what went wrong, "" if nothing did */
	unsigned played;
	bool content_read; /* all of a message has come in */
	bool quit;
};

PARKS void scripted_serve(struct scripted *s, struct stream *io); /* closes the stream */
unsigned scripted_steps(const char *script);
