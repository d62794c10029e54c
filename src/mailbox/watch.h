/*
 * Who hears of a change. After each group the commit thread posts what changed to every loop, before the
 * answers; there the watchers of that mailbox are called, on the loop's own stack: they note it and wake
 * their stream or fiber.
 *
 * Between thread and loop lies a bounded table; notes for one mailbox melt into one with the highest modseq;
 * when more mailboxes changed than fit, every watcher of that loop is called.
 */
#pragma once
#include "io/loop.h"
#include "store/store.h"

struct watchers;   /* one a store: what store_config.arg points to */
struct watch_loop; /* one a loop: belongs to its thread */

#define WATCH_LOOPS_MAX 64

struct watchers *watchers_new(void);    /* NULL: out of memory */
void watchers_free(struct watchers *w); /* after store_close */
/* Adds a loop; before store_start, from any thread. NULL: no memory or too many. */
struct watch_loop *watchers_add_loop(struct watchers *w, struct loop *l);
/* store_config.on_group, with arg = struct watchers. Thread-safe towards the loops. */
void watchers_on_group(void *arg, const struct store_note *notes, size_t n);

struct watch {                     /* lies in the session; zeroed before use */
	uint32_t account, mailbox; /* mailbox 0: all of the account */
	/* modseq 0: something changed, look yourself. Must not park, may call watch_stop on itself or others.
	 */
	void (*changed)(struct watch *w, uint32_t mailbox, uint64_t modseq);
	struct watch_loop *loop;
	struct watch *next, **link;
};
/* On the loop's thread. A change that is durable before this call may still be reported once. */
void watch_start(struct watch_loop *l, struct watch *w);
void watch_stop(struct watch *w); /* idempotent */
/* The first of a chain (by `next`) that has all watches of the account, among others. */
struct watch *watch_chain(const struct watch_loop *l, uint32_t account);
