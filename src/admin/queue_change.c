/* queue.retry, hold, release, drop and bounce */
#include "admin/queue_int.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/wire.h"
#include "limits.h"

#define CHANGE_MS    20000 /* of one call; then "next" says where to go on */
#define CHANGE_ROWS  2000  /* recipients of one intent, unless one message has more */
#define CHANGE_LANES 256   /* destinations woken one by one; beyond, all */

static const unsigned states_of[] = {
	[QUEUE_RETRY] = 1u << QUEUE_WAITING,
	[QUEUE_HOLD] = 1u << QUEUE_WAITING,
	[QUEUE_RELEASE] = 1u << QUEUE_HELD,
	[QUEUE_DROP] = 1u << QUEUE_WAITING | 1u << QUEUE_HELD,
	[QUEUE_BOUNCE] = 1u << QUEUE_WAITING | 1u << QUEUE_HELD,
};

struct change {
	const struct admin_call *c;
	enum queue_action action;
	struct queue_want want;
	struct store_snap snap;
	bool dry;
	uint64_t last_ms; /* what came later is not meant */
	/* the messages of one intent */
	uint8_t ids[QUEUE_CHANGE_MOST][16];
	size_t n, rows;
	uint64_t lanes[CHANGE_LANES];
	size_t lanes_n, lanes_before; /* before: without the message under work */
	/* the walk */
	uint8_t at[16];      /* under work, or where to go on */
	bool open, one, end; /* open: some of its recipients were seen; one: no other message */
	uint32_t fit, of;    /* its recipients that are meant, and all */
	size_t looked;
	/* done */
	uint64_t messages, recipients;
};

/* ---- one intent ---- */

static void lane_keep(struct change *g, uint64_t lane)
{
	for (size_t i = g->lanes_n; i > 0; i--) {
		if (g->lanes[i - 1] == lane)
			return;
	}
	if (g->lanes_n < CHANGE_LANES)
		g->lanes[g->lanes_n++] = lane;
}

/* Before and after the change: a destination that rests would put off at once what is due. */
static void wake(const struct change *g)
{
	const struct admin_session *s = g->c->session;

	if (g->action != QUEUE_RETRY)
		return;
	if (g->lanes_n == CHANGE_LANES)
		s->ops->queue_wake(s->ctx, 0);
	for (size_t i = 0; i < g->lanes_n && g->lanes_n < CHANGE_LANES; i++) {
		if (g->lanes[i]) /* lane 0 never rests */
			s->ops->queue_wake(s->ctx, g->lanes[i]);
	}
}

static int flush(struct change *g, err *e)
{
	const struct admin_session *s = g->c->session;
	uint32_t changed = 0;
	int rc = 0;

	if (g->n && !g->dry) {
		wake(g);
		rc = queue_change(g->c->store, s->ops->queue_clock(s->ctx), &g->ids[0][0], g->n, g->action,
			g->want.domain, 0, admin_param_text(g->c, "reason"), &changed, e);
		wake(g);
		g->recipients += changed;
	}
	g->n = g->rows = g->lanes_n = 0;
	return rc;
}

static bool full(const struct change *g)
{
	return g->n == QUEUE_CHANGE_MOST || g->rows >= CHANGE_ROWS || g->looked >= QUEUE_STEP;
}

/* ---- the walk ---- */

/* All recipients of the message at `at` were seen. */
static void message_end(struct change *g)
{
	struct queue_message m;

	g->open = false;
	if (g->fit == 0 || (g->want.has_sender && (queue_get(&g->snap, g->at, &m, NULL) != 1 ||
							  !queue_want_message(&g->want, &m)))) {
		g->lanes_n = g->lanes_before;
		return;
	}
	memcpy(g->ids[g->n++], g->at, sizeof g->at);
	g->rows += g->of;
	g->messages++;
	if (g->dry)
		g->recipients += g->fit;
}

static bool message_begin(struct change *g, const uint8_t id[16])
{
	if (g->one && memcmp(id, g->at, sizeof g->at) != 0)
		return false;
	memcpy(g->at, id, sizeof g->at);
	if (!g->one && be64_get(id) >> 16 > g->last_ms)
		return false;
	g->end = !full(g);
	g->open = g->end;
	g->fit = g->of = 0;
	g->lanes_before = g->lanes_n;
	return g->open;
}

static bool see(void *arg, const uint8_t id[16], uint64_t lane, const struct queue_recipient *r)
{
	struct change *g = arg;

	if (g->open && memcmp(id, g->at, sizeof g->at) != 0)
		message_end(g);
	if (!g->open && !message_begin(g, id))
		return false;
	g->looked++;
	g->of++;
	if (queue_want_recipient(&g->want, r)) {
		g->fit++;
		if (g->action == QUEUE_RETRY)
			lane_keep(g, lane);
	}
	return true;
}

/* On one snapshot, from `at` on. `end`: that was all. */
static int walk(struct change *g, err *e)
{
	uint8_t from[16];

	memcpy(from, g->at, sizeof from);
	g->end = true;
	g->looked = 0;
	int rc = queue_each_recipient(&g->snap, from, see, g, e);
	if (rc == 0 && g->open)
		message_end(g);
	g->open = false;
	return rc;
}

static int over_queue(struct change *g, err *e)
{
	slice after = admin_param_text(g->c, "after");
	uint64_t until = clock_boot_ms() + CHANGE_MS;
	int rc = 0;

	if (after.n && !base32_id_parse(after, g->at))
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is no id of a message", SLICE_ARG(after));
	while (rc == 0 && !g->end && clock_boot_ms() < until) {
		if (store_snap_begin(g->c->store, &g->snap, e) < 0)
			return -1;
		rc = walk(g, e);
		store_snap_end(&g->snap);
		if (rc == 0)
			rc = flush(g, e);
		if (rc == 0 && fiber_yield() < 0)
			rc = err_set(e, ERR_CANCELED, "the program ends");
	}
	if (rc == 0 && !g->end)
		queue_put_id(g->c->result, "next", g->at);
	return rc;
}

/* ---- those that were named ---- */

static int over_ids(struct change *g, const uint8_t (*ids)[16], size_t n, err *e)
{
	int rc = 0;

	g->one = true;
	for (size_t i = 0; i < n && rc == 0; i++) {
		memcpy(g->at, ids[i], sizeof g->at);
		if (store_snap_begin(g->c->store, &g->snap, e) < 0)
			return -1;
		rc = walk(g, e);
		store_snap_end(&g->snap);
		if (rc == 0 && (full(g) || i + 1 == n))
			rc = flush(g, e);
	}
	return rc;
}

/* All of them, before anything is done to one. */
static int ids_find(struct change *g, struct slices names, uint8_t (*ret)[16], err *e)
{
	int rc = 0;

	if (store_snap_begin(g->c->store, &g->snap, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n && rc == 0; i++)
		rc = queue_id_find(&g->snap, names.v[i], ret[i], e);
	store_snap_end(&g->snap);
	return rc;
}

static int change(struct change *g, err *e)
{
	const struct admin_call *c = g->c;
	struct slices names = admin_param_texts(c, "ids");
	bool all = admin_param_bool(c, "all", false);

	if (queue_want_read(c, &g->want, e) < 0)
		return -1;
	if (names.n == 0 && !all && !g->want.domain.n && !g->want.has_sender)
		return err_set(e, ERR_SYNTAX, "which messages? Name their ids, a domain, a sender, or all");
	if (all && (names.n || g->want.domain.n || g->want.has_sender))
		return err_set(e, ERR_SYNTAX, "all messages, or some of them?");
	g->want.states = states_of[g->action];
	if (!names.n)
		return over_queue(g, e);
	uint8_t(*ids)[16] = arena_alloc(c->arena, names.n, 16, 1);
	if (!ids)
		return err_set(e, ERR_TEMP, "out of memory");
	return ids_find(g, names, ids, e) < 0 ? -1 : over_ids(g, (const uint8_t(*)[16])ids, names.n, e);
}

static int change_as(struct admin_call *c, enum queue_action action, err *e)
{
	struct change *g = arena_new_1(c->arena, struct change);

	if (!g)
		return err_set(e, ERR_TEMP, "out of memory");
	g->c = c;
	g->action = action;
	g->dry = admin_param_bool(c, "dry_run", false);
	g->last_ms = (uint64_t)clock_wall_us() / 1000;
	if (change(g, e) < 0)
		return -1;
	admin_put_number(c->result, "messages", g->messages);
	admin_put_number(c->result, "recipients", g->recipients);
	return 0;
}

int admin_queue_retry(struct admin_call *c, err *e)
{
	return change_as(c, QUEUE_RETRY, e);
}

int admin_queue_hold(struct admin_call *c, err *e)
{
	return change_as(c, QUEUE_HOLD, e);
}

int admin_queue_release(struct admin_call *c, err *e)
{
	return change_as(c, QUEUE_RELEASE, e);
}

int admin_queue_drop(struct admin_call *c, err *e)
{
	return change_as(c, QUEUE_DROP, e);
}

int admin_queue_bounce(struct admin_call *c, err *e)
{
	return change_as(c, QUEUE_BOUNCE, e);
}
