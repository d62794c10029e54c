/*
 * An error with its context. Library rooms never log: they fill an err and return -1; the role logs once.
 * `kind` decides the protocol's answer, `text` is a sentence for a person.
 */
#pragma once
#include <stdint.h>

enum err_kind {
	ERR_NONE,
	ERR_SYNTAX,   /* the peer's words are wrong: 501, BAD */
	ERR_LIMIT,    /* a named limit of limits.h is passed: 452, 552, NO [LIMIT] */
	ERR_DENIED,   /* not allowed: 550, NO */
	ERR_MISSING,  /* the thing named does not exist: 550, NO [NONEXISTENT] */
	ERR_EXISTS,   /* the thing named exists already: NO [ALREADYEXISTS] */
	ERR_CONFLICT, /* a condition (UNCHANGEDSINCE, expected value) does not hold */
	ERR_QUOTA,    /* over quota: 452/552, NO [OVERQUOTA] */
	ERR_TEMP,     /* try later: 451, NO [UNAVAILABLE] */
	ERR_IO,       /* the system said no: 451, NO [SERVERBUG] */
	ERR_CORRUPT,  /* stored data fails its check */
	ERR_CLOSED,   /* the peer or the channel is gone */
	ERR_TIMEOUT,  /* a deadline passed */
	ERR_CANCELED, /* this fiber was told to end */
	ERR_NOPERM,   /* who asks lacks a right that others may have: NO [NOPERM] */
};

typedef struct err {
	enum err_kind kind;
	int sys; /* errno, or 0 */
	const char *where;
	char text[200];
} err;

#define ERR_STR_(x) #x
#define ERR_STR(x)  ERR_STR_(x)
#define ERR_WHERE   __FILE__ ":" ERR_STR(__LINE__)

static inline int err_failed(void) /* a call, so that a caller may also drop the value */
{
	return -1;
}

/* Both evaluate to -1, so that a failing function can end with `return err_set(e, KIND, ...)`. e may be NULL.
 */
#define err_set(e, kind, ...) (err_set_at((e), (kind), 0, ERR_WHERE, __VA_ARGS__), err_failed())
#define err_sys(e, kind, ...) (err_set_errno((e), (kind), ERR_WHERE, __VA_ARGS__), err_failed())

void err_set_at(err *e, enum err_kind kind, int sys, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 5, 6), cold));
/* As err_set_at with the present errno, whose text is appended to the sentence. */
void err_set_errno(err *e, enum err_kind kind, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 4, 5), cold));
const char *err_kind_name(enum err_kind kind);
/* The text of an errno value, thread-safe, never NULL. */
const char *err_sys_text(int sys);
