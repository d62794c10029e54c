/* What the files of a server session share. */
#pragma once
#include "smtp/reply.h"

/* A wrong command: the reply, and one error more. */
#define smtp_wrong(s, code, status, ...) ((s)->errors++, smtp_reply((s), (code), (status), __VA_ARGS__))

void smtp_session_end(struct smtp_session *s, enum smtp_end end);
/* The stream gave rc, a negative errno: the last word, if there is one, and the end. */
void smtp_session_lost(struct smtp_session *s, ssize_t rc);
/* Forgets the transaction; content under way is given up. */
void smtp_transaction_reset(struct smtp_session *s);
/* How the client may be told of an err: its text where it is meant for people, else the standard one. */
const char *smtp_text(const err *e, const char *standard);

/* The lines of EHLO for the extensions in extension.c. */
void smtp_extensions_write(const struct smtp_session *s, struct buf *out);
/*
 * What the envelope asks for in such extensions, made absolute. ret_lowered: a priority was asked for that
 * this client may not ask for. False: it cannot be had, replied.
 */
bool smtp_extensions_settle(struct smtp_session *s, bool *ret_lowered);

void smtp_auth_run(struct smtp_session *s, slice args);
/* "PLAIN LOGIN" and what else may be used on this connection now. */
void smtp_auth_names(const struct smtp_session *s, struct buf *out);
void smtp_data_run(struct smtp_session *s, slice args);
void smtp_bdat_run(struct smtp_session *s, slice args);
/* Gives up content under way; why: for the log. */
void smtp_intake_abort(struct smtp_session *s, const char *why);
