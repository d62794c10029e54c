#include "mailbox/watch.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
	BUCKETS = 1024, /* chains of watches by account */
	PENDING = 1024, /* changed mailboxes that wait for a loop; more: it is told that everything changed */
	SLOTS = PENDING * 2,
};

struct pending { /* open addressing by (account, mailbox); account 0: free */
	uint32_t account, mailbox;
	uint64_t modseq;
};

struct table {
	struct pending slot[SLOTS];
	uint16_t used[PENDING]; /* the slots that are taken, in the order they were */
	unsigned n;
	bool all;
};

struct watch_loop {
	struct loop *loop;
	struct loop_message message;
	pthread_mutex_t lock;  /* held for some memory accesses only, never while something waits */
	struct table *filling; /* by the commit thread */
	bool posted;
	struct table *draining; /* by the loop */
	struct watch *bucket[BUCKETS];
	struct watch *cursor; /* the next one to call: watch_stop moves it on */
	atomic_uint watching; /* how many watches there are */
};

struct watchers {
	struct watch_loop *loop[WATCH_LOOPS_MAX];
	size_t n;
};

static uint32_t mix(uint64_t v)
{
	v *= UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(v >> 32);
}

struct watchers *watchers_new(void)
{
	return calloc(1, sizeof(struct watchers));
}

static void watch_loop_free(struct watch_loop *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l->filling);
	free(l->draining);
	free(l);
}

void watchers_free(struct watchers *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n; i++)
		watch_loop_free(w->loop[i]);
	free(w);
}

/* ---- the loop's side ---- */

static void call(struct watch_loop *l, uint32_t account, uint32_t mailbox, uint64_t modseq)
{
	struct watch *w = l->bucket[mix(account) % BUCKETS];
	for (; w; w = l->cursor) {
		l->cursor = w->next;
		if (w->account == account && (mailbox == 0 || w->mailbox == 0 || w->mailbox == mailbox))
			w->changed(w, mailbox, modseq);
	}
}

static void call_all(struct watch_loop *l)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct watch *w = l->bucket[i]; w; w = l->cursor) {
			l->cursor = w->next;
			w->changed(w, w->mailbox, 0);
		}
}

static void drain(struct loop_message *m)
{
	struct watch_loop *l =
		(struct watch_loop *)(void *)((char *)m - offsetof(struct watch_loop, message));
	pthread_mutex_lock(&l->lock);
	struct table *t = l->filling;
	l->filling = l->draining;
	l->draining = t;
	l->posted = false;
	pthread_mutex_unlock(&l->lock);
	if (t->all)
		call_all(l);
	else
		for (unsigned i = 0; i < t->n; i++) {
			const struct pending *p = &t->slot[t->used[i]];
			call(l, p->account, p->mailbox, p->modseq);
		}
	for (unsigned i = 0; i < t->n; i++)
		t->slot[t->used[i]] = (struct pending){0};
	t->n = 0;
	t->all = false;
}

struct watch_loop *watchers_add_loop(struct watchers *w, struct loop *loop)
{
	if (w->n == WATCH_LOOPS_MAX)
		return NULL;
	struct watch_loop *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	pthread_mutex_init(&l->lock, NULL);
	l->loop = loop;
	l->message.run = drain;
	l->filling = calloc(1, sizeof *l->filling);
	l->draining = calloc(1, sizeof *l->draining);
	if (!l->filling || !l->draining) {
		watch_loop_free(l);
		return NULL;
	}
	w->loop[w->n++] = l;
	return l;
}

struct watch *watch_chain(const struct watch_loop *l, uint32_t account)
{
	return l->bucket[mix(account) % BUCKETS];
}

void watch_start(struct watch_loop *l, struct watch *w)
{
	struct watch **head = &l->bucket[mix(w->account) % BUCKETS];
	w->loop = l;
	w->next = *head;
	w->link = head;
	if (w->next)
		w->next->link = &w->next;
	*head = w;
	atomic_fetch_add(&l->watching, 1);
}

void watch_stop(struct watch *w)
{
	if (!w->link)
		return;
	if (w->loop->cursor == w)
		w->loop->cursor = w->next;
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	w->link = NULL;
	w->next = NULL;
	atomic_fetch_sub(&w->loop->watching, 1);
}

/* ---- the commit thread's side ---- */

static void fill(struct table *t, const struct store_note *note)
{
	if (t->all || note->account == 0)
		return;
	uint32_t at = mix((uint64_t)note->account << 32 | note->mailbox) % SLOTS;
	while (t->slot[at].account) {
		struct pending *p = &t->slot[at];
		if (p->account == note->account && p->mailbox == note->mailbox) {
			if (note->modseq > p->modseq)
				p->modseq = note->modseq;
			return;
		}
		at = (at + 1) % SLOTS;
	}
	if (t->n == PENDING) {
		t->all = true;
		return;
	}
	t->slot[at] = (struct pending){note->account, note->mailbox, note->modseq};
	t->used[t->n++] = (uint16_t)at;
}

void watchers_on_group(void *arg, const struct store_note *notes, size_t n)
{
	struct watchers *w = arg;
	if (n == 0)
		return;
	for (size_t i = 0; i < w->n; i++) {
		struct watch_loop *l = w->loop[i];
		/* Who begins to watch just now reads its snapshot after that, and the group is in it already.
		 */
		if (atomic_load(&l->watching) == 0)
			continue;
		pthread_mutex_lock(&l->lock);
		for (size_t j = 0; j < n; j++)
			fill(l->filling, &notes[j]);
		bool post = !l->posted;
		l->posted = true;
		pthread_mutex_unlock(&l->lock);
		/* The message is ours again since drain took the table: until then posted stayed set. */
		if (post)
			loop_post(l->loop, &l->message);
	}
}
