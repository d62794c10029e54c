/* The messages, and step 1 of REFERENCES, which is done as they come. */
#include "base/wire.h"
#include "imap/threads_int.h"
#include "io/fiber.h"
#include "limits.h"

#define BREATH                                                                                               \
	16384 /* nodes looked at before others get their turn: some 2 ms, each is a cache miss or two */
#define SLOTS          4096
#define CLEAR_MAX      2097152 /* slots that are cleared at once: 32 MiB, some 5 ms */
#define STEPS_A_NODE   256     /* parents looked at for loops, a node on average; past that no link is made */
#define STEPS_AT_LEAST 1000000
#define WRITE_FULL     65536 /* bytes of an answer that are sent before the next */

/* ---- memory ---- */

static bool grow(void **p, uint32_t *cap, uint32_t n, size_t size)
{
	uint32_t more = *cap ? *cap : 1024;

	if (n <= *cap)
		return true;
	while (more < n)
		more *= 2;
	void *q = realloc(*p, more * size);
	if (!q)
		return false;
	*p = q;
	*cap = more;
	return true;
}

/* Filling it anew takes long when it is large, and is not where others could have their turn. */
static bool grow_slots(struct threads *t)
{
	uint32_t cap = t->slots_cap ? t->slots_cap * 2 : SLOTS;
	struct thread_slot *old = t->slots;
	uint32_t old_cap = t->slots_cap;

	while (old_cap == 0 && cap / 2 <= t->expected + t->expected / 4 && cap / 2 < LIMIT_IMAP_THREAD)
		cap *= 2;
	t->slots = calloc(cap, sizeof *t->slots);
	if (!t->slots) {
		t->slots = old;
		return false;
	}
	t->slots_cap = cap;
	for (uint32_t i = 0; i < old_cap; i++) {
		if (old[i].node)
			*threads_slot(t, old[i].hash) = old[i];
	}
	free(old);
	return true;
}

int threads_room(struct threads *t, uint32_t n, err *e)
{
	if (n > LIMIT_IMAP_THREAD)
		return err_set(e, ERR_LIMIT, "too many messages to thread at once: search for fewer");
	if (!grow((void **)&t->nodes, &t->nodes_cap, n, sizeof *t->nodes))
		return err_set(e, ERR_TEMP, "no memory");
	while (t->slots_cap / 2 <= t->nodes_n + 1) { /* ids, and later subjects: no more than nodes */
		if (!grow_slots(t))
			return err_set(e, ERR_TEMP, "no memory");
	}
	if (t->nodes_n == 0)
		t->nodes[t->nodes_n++] = (struct thread_node){.message = THREAD_NONE}; /* THREAD_ROOT */
	return 0;
}

void threads_free(struct threads *t)
{
	free(t->messages);
	free(t->nodes);
	free(t->slots);
	free(t->items);
	free(t->list);
	*t = (struct threads){0};
}

struct thread_slot *threads_slot(struct threads *t, uint64_t hash)
{
	uint32_t mask = t->slots_cap - 1, i = (uint32_t)hash & mask;

	while (t->slots[i].node && t->slots[i].hash != hash)
		i = (i + 1) & mask;
	return &t->slots[i];
}

int threads_slots_clear(struct threads *t)
{
	if (t->slots_cap == 0)
		return 0;
	if (t->slots_cap <= CLEAR_MAX) {
		memset(t->slots, 0, t->slots_cap * sizeof *t->slots);
		return 0;
	}
	free(t->slots); /* the system gives empty pages one by one, as they are used */
	t->slots = calloc(t->slots_cap, sizeof *t->slots);
	return t->slots ? 0 : -1;
}

uint32_t threads_node(struct threads *t, uint32_t message)
{
	t->nodes[t->nodes_n] = (struct thread_node){.message = message};
	return t->nodes_n++;
}

int threads_breathe(struct threads *t, uint32_t done)
{
	t->breath += done;
	if (t->breath < BREATH)
		return 0;
	t->breath = 0;
	return fiber_yield() < 0 ? -1 : 0;
}

/* ---- links ---- */

static void unlink_parent(struct threads *t, uint32_t node)
{
	struct thread_node *x = &t->nodes[node];

	if (x->parent != THREAD_ROOT)
		t->nodes[x->parent].children--;
	x->parent = THREAD_ROOT;
}

/* Whether a link would close a loop: the child stands above the parent, or is it. */
static bool loops(struct threads *t, uint32_t parent, uint32_t child)
{
	if (parent == child)
		return true;
	if (t->nodes[child].children == 0)
		return false;
	for (uint32_t at = t->nodes[parent].parent; at != THREAD_ROOT; at = t->nodes[at].parent) {
		if (at == child || ++t->steps > STEPS_AT_LEAST + (uint64_t)t->nodes_n * STEPS_A_NODE)
			return true;
	}
	return false;
}

static void link_parent(struct threads *t, uint32_t parent, uint32_t child)
{
	if (loops(t, parent, child))
		return;
	t->nodes[child].parent = parent;
	t->nodes[parent].children++;
}

/* The node of an id, made when it is new. 0: e. */
static uint32_t node_of(struct threads *t, uint64_t id, err *e)
{
	if (threads_room(t, t->nodes_n + 2, e) < 0)
		return 0;
	struct thread_slot *slot = threads_slot(t, id);
	if (slot->node == 0) {
		*slot = (struct thread_slot){id, threads_node(t, THREAD_NONE)};
	}
	return slot->node;
}

/* Step 1.A: each reference below the one before it, unless it is below another already. *ret_last: 0: none.
 */
static int link_references(struct threads *t, const struct thread_of *m, uint32_t *ret_last, err *e)
{
	uint32_t last = 0;

	for (size_t i = 0; i + 8 <= m->parents.n; i += 8) {
		uint32_t node = node_of(t, be64_get(m->parents.p + i), e);

		if (!node)
			return -1;
		if (last && t->nodes[node].parent == THREAD_ROOT)
			link_parent(t, last, node);
		last = node;
	}
	*ret_last = last;
	return 0;
}

int threads_add(struct threads *t, const struct thread_of *m, err *e)
{
	uint32_t index = t->messages_n, last, node = 0;

	if (!grow((void **)&t->messages, &t->messages_cap, index + 1, sizeof *t->messages))
		return err_set(e, ERR_TEMP, "no memory");
	if (threads_room(t, t->nodes_n + 2, e) < 0 || link_references(t, m, &last, e) < 0)
		return -1;
	if (m->id) {
		node = node_of(t, m->id, e);
		if (!node)
			return -1;
		if (t->nodes[node].message != THREAD_NONE)
			node = 0; /* an earlier message has that id: this one gets one of its own */
	}
	if (threads_room(t, t->nodes_n + 2, e) < 0)
		return -1;
	if (!node)
		node = threads_node(t, THREAD_NONE);
	t->nodes[node].message = index;
	if (t->nodes[node].parent != last) { /* step 1.B: a truncated References was there before */
		unlink_parent(t, node);
		if (last)
			link_parent(t, last, node);
	}
	t->messages[t->messages_n++] = (struct thread_message){
		.number = m->number, .node = node, .date = m->date, .subject = m->subject, .reply = m->reply};
	return 0;
}

/* ---- the answer ---- */

int threads_write(const struct threads *t, uint32_t root, struct buf *out, int (*full)(void *arg), void *arg)
{
	uint32_t at = root;
	int rc;

	buf_add_c(out, '(');
	for (;;) {
		const struct thread_node *x = &t->nodes[at];

		if (x->message != THREAD_NONE)
			buf_add_u64(out, t->messages[x->message].number);
		if (out->n >= WRITE_FULL && (rc = full(arg)) < 0)
			return rc;
		if (x->child) {
			if (x->message != THREAD_NONE)
				buf_add_c(out, ' ');
			at = x->child;
			if (t->nodes[at].next || x->message == THREAD_NONE)
				buf_add_c(out, '(');
			continue;
		}
		buf_add_c(out, ')');
		/* up to where a sibling waits; the list of a parent of several ends with its last child's */
		while (at != root && t->nodes[at].next == 0) {
			uint32_t up = t->nodes[at].parent;

			if (t->nodes[up].child != at || t->nodes[up].message == THREAD_NONE)
				buf_add_c(out, ')');
			at = up;
		}
		if (at == root)
			return 0;
		at = t->nodes[at].next;
		buf_add_c(out, '(');
	}
}
