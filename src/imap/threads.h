/*
 * Threads of messages (RFC 5256 3): ORDEREDSUBJECT, and REFERENCES by its six steps. Messages are added in
 * the order of their numbers; then one of the two builds the tree. Nothing recurses, no step is quadratic;
 * memory is bounded by LIMIT_IMAP_THREAD. Ids and subjects come as hashes of 64 bits under a secret key
 * (mail/digest.h): two of 1,000,000 are taken for one once in 30 million times.
 */
#pragma once
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "imap/order.h"

#define THREAD_ROOT 0u         /* the node above all threads; as a parent: none */
#define THREAD_NONE UINT32_MAX /* a dummy's message */

struct thread_node {
	uint32_t parent, child, last, next, children;
	uint32_t message; /* index, or THREAD_NONE */
};

struct thread_message {
	uint32_t number; /* as the client is told */
	uint32_t node;
	int64_t date;
	uint64_t subject; /* hash of the folded base subject, 0: it is empty */
	bool reply;       /* or forward */
};

struct thread_slot {
	uint64_t hash;
	uint32_t node; /* 0: free */
};

struct threads { /* a zeroed one is empty */
	struct thread_message *messages;
	struct thread_node *nodes;
	struct thread_slot *slots;
	struct order_item *items; /* two halves of the same size */
	uint32_t *list;           /* all nodes, parents first */
	uint32_t messages_n, messages_cap, nodes_n, nodes_cap, slots_cap, items_n;
	uint32_t expected; /* messages there may be, set by the caller: the table of ids is not made anew then
			    */
	uint64_t steps, breath;
};

struct thread_of {
	uint32_t number;
	bool reply;
	int64_t date;
	uint64_t subject, id; /* 0: none */
	slice parents; /* u64 big-endian each, the oldest first; for threads_references only, as id is */
};

/* -1: ERR_LIMIT, ERR_TEMP. */
int threads_add(struct threads *t, const struct thread_of *m, err *e);
/* -1: ERR_TEMP, ERR_CANCELED. */
PARKS int threads_references(struct threads *t, err *e);
PARKS int threads_ordered(struct threads *t, err *e);
/*
 * Appends one thread, "(3 6 (4 23)(44 7 96))", beginning with `root`, a child of THREAD_ROOT. `full` empties
 * out where it has become long. 0, or what `full` said when that was negative.
 */
PARKS int threads_write(
	const struct threads *t, uint32_t root, struct buf *out, int (*full)(void *arg), void *arg);
void threads_free(struct threads *t);
