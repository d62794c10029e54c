/* What the files of threads share. */
#pragma once
#include "imap/threads.h"

/* Room for at least n nodes, with what all steps need beside them. -1: ERR_LIMIT, ERR_TEMP. */
int threads_room(struct threads *t, uint32_t n, err *e);
uint32_t threads_node(struct threads *t, uint32_t message); /* there must be room */
void threads_append(struct threads *t, uint32_t parent, uint32_t child);
void threads_children_reset(struct threads *t, uint32_t node);
/* The slot of a hash, free or not. */
struct thread_slot *threads_slot(struct threads *t, uint64_t hash);
int threads_slots_clear(struct threads *t); /* -1: no memory */
/* Lets others run once in a while. */
PARKS int threads_breathe(struct threads *t, uint32_t done);
/* The message that a node is put in order by: its own, or its first child's. */
const struct thread_message *threads_message(const struct threads *t, uint32_t node);
/* Children of one node by sent date. */
PARKS int threads_sort_children(struct threads *t, uint32_t node);
/* Writes all nodes below THREAD_ROOT to t->list, parents first, and sets their parents. */
PARKS int threads_walk(struct threads *t, uint32_t *ret_n);
