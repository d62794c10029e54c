/*
 * Talks: what a client says and what the server must answer, as a file one can read. The server's session
 * runs on a fiber at one end of a socket pair, the file is played at the other; once as it stands and once
 * byte by byte.
 *
 *   # a comment
 *   @ word rest          a directive: of the runner (below), else of the protocol's fake world
 *   C: text              the client says text and CRLF; neighbouring C lines go out in one write (pipelined)
 *   C> text              the same without CRLF
 *   C*100: text          a hundred times; C*100> text the same without CRLF
 *   S: pattern           the server's next line, ended by CRLF; `*` in the pattern is any text
 *   S~ pattern           the same, after any number of other lines
 *
 * In what the client says \r \n \t \0 \\ and \xHH are bytes. Directives of the runner:
 *
 *   @ whole              not byte by byte (first in the file)
 *   @ clock 300000       the clock jumps forward by that many ms
 *   @ eof                the client closes its sending side
 *   @ cancel             the server's fiber is cancelled
 *   @ closed             the server must have closed: nothing more comes
 */
#pragma once
#include "base/buf.h"
#include "io/stream.h"

enum talk_result { TALK_OK, TALK_UNKNOWN, TALK_FAILED }; /* of a directive; FAILED: it printed why */

/* A protocol's side of it. */
struct talk_server {
	const char *name;
	void *(*begin)(void); /* the fake world of one run */
	/* Settings come before the first C or S line; later ones may check what has come of the talk. */
	enum talk_result (*directive)(void *world, slice word, slice rest);
	PARKS void (*serve)(void *world, struct stream *io); /* the session; the runner closes the stream */
	void (*end)(void *world);
};

/* Plays folder/prefix*.talk in the order of their names; prints what failed. Returns the number of failed
 * runs, or -1. */
int talk_run_all(const char *folder, const char *prefix, const struct talk_server *server);

/* Backslash sequences to bytes. False: one that is not known. */
bool talk_unescape(slice in, struct buf *out);
/* `*` in the pattern is any text. */
bool talk_match(slice pattern, slice text);
