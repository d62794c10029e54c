/* From linked messages to the tree that is told: steps 2 to 6 of REFERENCES, and ORDEREDSUBJECT (RFC 5256 3).
 */
#include "imap/threads_int.h"
#include "limits.h"

void threads_append(struct threads *t, uint32_t parent, uint32_t child)
{
	struct thread_node *up = &t->nodes[parent];

	t->nodes[child].parent = parent;
	t->nodes[child].next = 0;
	if (up->child)
		t->nodes[up->last].next = child;
	else
		up->child = child;
	up->last = child;
	up->children++;
}

void threads_children_reset(struct threads *t, uint32_t node)
{
	t->nodes[node].child = t->nodes[node].last = t->nodes[node].children = 0;
}

const struct thread_message *threads_message(const struct threads *t, uint32_t node)
{
	const struct thread_node *x = &t->nodes[node];

	return &t->messages[x->message != THREAD_NONE ? x->message : t->nodes[x->child].message];
}

static int reset_children(struct threads *t)
{
	for (uint32_t i = 0; i < t->nodes_n; i++) {
		threads_children_reset(t, i);
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	return 0;
}

/* Room for the steps: the tree has all nodes there will be, but for a dummy of two threads each. */
static int prepare(struct threads *t, err *e)
{
	uint32_t most = t->nodes_n + t->messages_n / 2 + 2;

	if (threads_room(t, most, e) < 0)
		return -1;
	t->items_n = most;
	t->items = malloc(2 * (size_t)most * sizeof *t->items);
	t->list = malloc((size_t)most * sizeof *t->list);
	return t->items && t->list ? 0 : err_set(e, ERR_TEMP, "no memory");
}

int threads_sort_children(struct threads *t, uint32_t node)
{
	uint32_t n = 0;

	if (t->nodes[node].child == t->nodes[node].last)
		return 0;
	for (uint32_t c = t->nodes[node].child; c; c = t->nodes[c].next) {
		const struct thread_message *m = threads_message(t, c);

		t->items[n++] = (struct order_item){
			.head = order_head(m->date), .tail = c, .number = (uint32_t)(m - t->messages)};
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	if (order_sort_heads(t->items, t->items + t->items_n, n) < 0)
		return -1;
	threads_children_reset(t, node);
	for (uint32_t i = 0; i < n; i++) {
		threads_append(t, node, t->items[i].tail);
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	return 0;
}

/* Children of the root, in t->list. */
static int list_threads(struct threads *t, uint32_t *ret_n)
{
	uint32_t n = 0;

	for (uint32_t c = t->nodes[THREAD_ROOT].child; c; c = t->nodes[c].next) {
		t->list[n++] = c;
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	*ret_n = n;
	return 0;
}

int threads_walk(struct threads *t, uint32_t *ret_n)
{
	uint32_t n;

	if (list_threads(t, &n) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = t->list[i];

		for (uint32_t c = t->nodes[at].child; c; c = t->nodes[c].next) {
			t->nodes[c].parent = at;
			t->list[n++] = c;
		}
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	*ret_n = n;
	return 0;
}

/* ---- REFERENCES ---- */

/* Step 2: lists of children, out of what was only known by the parents. */
static int gather(struct threads *t)
{
	if (reset_children(t) < 0)
		return -1;
	for (uint32_t i = 1; i < t->nodes_n; i++) {
		threads_append(t, t->nodes[i].parent, i);
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	return 0;
}

/* Children that are dummies give place to theirs; those of the root only when they have one at most. */
static int prune_children(struct threads *t, uint32_t node)
{
	uint32_t next, c = t->nodes[node].child;

	threads_children_reset(t, node);
	for (; c; c = next) {
		struct thread_node *x = &t->nodes[c];

		next = x->next;
		if (threads_breathe(t, 1 + (x->message == THREAD_NONE ? x->children : 0)) < 0)
			return -1;
		if (x->message != THREAD_NONE || (node == THREAD_ROOT && x->children > 1)) {
			threads_append(t, node, c);
			continue;
		}
		for (uint32_t k = x->child, after; k; k = after) {
			after = t->nodes[k].next;
			threads_append(t, node, k);
		}
	}
	return 0;
}

/* Step 3, from below. */
static int prune(struct threads *t)
{
	uint32_t n;

	if (threads_walk(t, &n) < 0)
		return -1;
	for (uint32_t i = n; i-- > 0;) {
		if (prune_children(t, t->list[i]) < 0 || threads_breathe(t, 1) < 0)
			return -1;
	}
	return prune_children(t, THREAD_ROOT);
}

/* Step 4: threads by sent date; a dummy goes by its first child. */
static int sort_threads(struct threads *t)
{
	for (uint32_t c = t->nodes[THREAD_ROOT].child; c; c = t->nodes[c].next) {
		if (t->nodes[c].message == THREAD_NONE && threads_sort_children(t, c) < 0)
			return -1;
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	return threads_sort_children(t, THREAD_ROOT);
}

static bool is_dummy(const struct threads *t, uint32_t node)
{
	return t->nodes[node].message == THREAD_NONE;
}

static bool is_reply(const struct threads *t, uint32_t node)
{
	return !is_dummy(t, node) && threads_message(t, node)->reply;
}

/* Step 5.B: one thread for each subject. */
static int fill_subjects(struct threads *t, uint32_t n)
{
	if (threads_slots_clear(t) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t node = t->list[i];
		uint64_t subject = threads_message(t, node)->subject;

		if (subject == 0)
			continue;
		struct thread_slot *slot = threads_slot(t, subject);
		bool better = slot->node && !is_dummy(t, slot->node) &&
			      (is_dummy(t, node) || (is_reply(t, slot->node) && !is_reply(t, node)));
		if (!slot->node || better)
			*slot = (struct thread_slot){subject, node};
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	return 0;
}

static void move_children(struct threads *t, uint32_t from, uint32_t to)
{
	for (uint32_t c = t->nodes[from].child, next; c; c = next) {
		next = t->nodes[c].next;
		threads_append(t, to, c);
	}
	threads_children_reset(t, from);
}

/*
 * Step 5.C for one thread that is not its subject's. While it runs, `next` of a thread is its place in the
 * list, where 0 stands for what has gone elsewhere.
 */
static void merge_one(struct threads *t, uint32_t node, struct thread_slot *slot)
{
	uint32_t with = slot->node, place = t->nodes[node].next;

	if (is_dummy(t, node) && is_dummy(t, with)) {
		move_children(t, node, with);
	} else if (is_dummy(t, with) || (is_reply(t, node) && !is_reply(t, with))) {
		threads_append(t, with, node);
	} else {
		uint32_t dummy = threads_node(t, THREAD_NONE), old = t->nodes[with].next;

		threads_append(t, dummy, with);
		threads_append(t, dummy, node);
		t->nodes[dummy].next = old;
		t->list[old] = dummy;
		slot->node = dummy;
	}
	t->list[place] = 0;
}

static int merge_subjects(struct threads *t)
{
	uint32_t n;

	if (list_threads(t, &n) < 0 || fill_subjects(t, n) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		t->nodes[t->list[i]].next = i;
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint64_t subject = threads_message(t, t->list[i])->subject;
		struct thread_slot *slot = subject ? threads_slot(t, subject) : NULL;

		if (slot && slot->node != t->list[i])
			merge_one(t, t->list[i], slot);
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	threads_children_reset(t, THREAD_ROOT);
	for (uint32_t i = 0; i < n; i++) {
		if (t->list[i])
			threads_append(t, THREAD_ROOT, t->list[i]);
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	return 0;
}

/* Step 6; only threads themselves can be dummies, so the root comes last and the others in any order. */
static int sort_all(struct threads *t)
{
	uint32_t n;

	if (threads_walk(t, &n) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		if (threads_sort_children(t, t->list[i]) < 0 || threads_breathe(t, 1) < 0)
			return -1;
	}
	return threads_sort_children(t, THREAD_ROOT);
}

int threads_references(struct threads *t, err *e)
{
	if (t->messages_n == 0)
		return 0;
	if (prepare(t, e) < 0)
		return -1;
	if (gather(t) < 0 || prune(t) < 0 || sort_threads(t) < 0 || merge_subjects(t) < 0 || sort_all(t) < 0)
		return err_set(e, ERR_CANCELED, "the session is told to end");
	return 0;
}

/* ---- ORDEREDSUBJECT ---- */

static int by_subject(struct threads *t)
{
	uint32_t n = t->messages_n, first = 0;
	struct order_item *tmp = t->items + t->items_n;

	for (uint32_t i = 0; i < n; i++) {
		t->items[i] = (struct order_item){.head = order_head(t->messages[i].date), .number = i};
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	if (order_sort_heads(t->items, tmp, n) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		t->items[i].tail = t->items[i].number;
		t->items[i].head = t->messages[t->items[i].tail].subject;
		t->items[i].number = i;
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	if (order_sort_heads(t->items, tmp, n) < 0)
		return -1;
	if (reset_children(t) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t node = t->messages[t->items[i].tail].node;
		bool same = i > 0 && t->items[i].head == t->items[i - 1].head;

		first = same ? first : node;
		threads_append(t, same ? first : THREAD_ROOT, node);
		if (threads_breathe(t, 1) < 0)
			return -1;
	}
	return threads_sort_children(t, THREAD_ROOT);
}

int threads_ordered(struct threads *t, err *e)
{
	if (t->messages_n == 0)
		return 0;
	if (prepare(t, e) < 0)
		return -1;
	return by_subject(t) < 0 ? err_set(e, ERR_CANCELED, "the session is told to end") : 0;
}
