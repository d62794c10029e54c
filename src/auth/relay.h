/*
 * The secrets with which we log in at smart hosts, under the ids of their routes; in the store of secrets.
 * They cannot be kept as verifiers: the other server must be shown them. They are on disk as they are, in a
 * folder that only this role may open, and a reader gets one at a time.
 */
#pragma once
#include "auth/credential.h"
#include "base/buf.h"

/* 1 to LIMIT_SECRET bytes; replaces the one before. Durable when it returns 0. ERR_LIMIT, ERR_TEMP, ERR_IO.
 */
PARKS int relay_secret_set(struct credentials *c, uint32_t route, slice secret, err *e);
PARKS int relay_secret_remove(struct credentials *c, uint32_t route, err *e); /* 0 also when there was none */
/* Appends it to *out, whose bytes the caller wipes. ERR_MISSING, ERR_CORRUPT. */
int relay_secret_get(struct credentials *c, uint32_t route, struct buf *out, err *e);
