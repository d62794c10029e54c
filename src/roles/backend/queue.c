/*
 * The queue's clerk: finds what is due, writes down what is handed out, and gives each parcel a fiber. It
 * lives on the main loop; the plan itself is queue/schedule.h.
 */
#include "roles/backend/queue.h"
#include "base/encode.h"
#include "base/log.h"
#include "limits.h"
#include "queue/event.h"
#include <stdlib.h>

#define MARK_MS   600000 /* how often the clock's mark is written when nothing is sent */
#define LOOK_MS   300000 /* the store is looked over so often, whatever the notes said */
#define FAILED_MS 1000
#define SWEEP_MS  60000
#define STEP_MS   20
#define DRAIN_MS  4000
/* A domain that has not answered yet gets one message at a time: silent ones must not fill all the places. */
#define FIRST_WINDOW 1
#define FIRST_GATE   10
#define DEAD_AFTER   3
#define REST_MIN_US  INT64_C(60000000)
#define REST_MAX_US  INT64_C(1800000000)
#define PARCELS      10000
#define LANES        65536

/* ---- settings ---- */

static int64_t us(uint64_t ms)
{
	return (int64_t)ms * 1000;
}

static void read_policy(struct back_queue *q, const struct settings *s)
{
	q->policy = (struct retry_policy){
		.retry_min = us(s->queue_retry_min),
		.retry_max =
			us(s->queue_retry_max > s->queue_retry_min ? s->queue_retry_max : s->queue_retry_min),
		.lifetime = us(s->queue_lifetime),
		.delay_notice = us(s->queue_delay_notice),
	};
}

static struct schedule_config plan_config(const struct back_queue *q, const struct settings *s)
{
	uint32_t most = (uint32_t)s->queue_concurrency, gate = (uint32_t)s->queue_host_concurrency;
	/* With quick retries (tests, an impatient owner) a rest of a minute would be the slowest of all. */
	int64_t rest = q->policy.retry_min < REST_MIN_US ? q->policy.retry_min : REST_MIN_US;
	int64_t longest = q->policy.retry_max < REST_MAX_US ? q->policy.retry_max : REST_MAX_US;
	return (struct schedule_config){
		.start = most < FIRST_WINDOW ? most : FIRST_WINDOW,
		.most = most,
		.gate_start = gate < FIRST_GATE ? gate : FIRST_GATE,
		.gate_most = gate,
		.account_most = (uint32_t)s->queue_account_concurrency,
		.total = LIMIT_TRANSMITS,
		.dead_after = DEAD_AFTER,
		.rest_min = rest,
		.rest_max = longest > rest ? longest : rest,
		.parcels = PARCELS,
		.lanes = LANES,
	};
}

/* ---- notes from the commit thread ---- */

static void wake_planner(struct back_queue *q)
{
	if (q->planner)
		fiber_wake(q->planner);
}

static void take_notes(struct loop_message *m)
{
	struct back_queue *q = (struct back_queue *)((char *)m - offsetof(struct back_queue, message));
	pthread_mutex_lock(&q->lock);
	q->posted = false;
	for (size_t i = 0; i < q->notes_n; i++)
		schedule_note(q->plan, q->notes[i].lane, q->notes[i].due_us);
	if (q->overflow)
		q->look = true;
	q->overflow = false;
	q->notes_n = 0;
	pthread_mutex_unlock(&q->lock);
	wake_planner(q);
}

static void add_note(struct back_queue *q, uint64_t lane, int64_t due_us)
{
	for (size_t i = q->notes_n; i > 0 && i + 8 > q->notes_n;
		i--) /* often the last few are of the same lane */
		if (q->notes[i - 1].lane == lane) {
			if (due_us < q->notes[i - 1].due_us)
				q->notes[i - 1].due_us = due_us;
			return;
		}
	if (q->notes_n == NOTES_MAX) {
		q->overflow = true;
		return;
	}
	q->notes[q->notes_n].lane = lane;
	q->notes[q->notes_n++].due_us = due_us;
}

void back_queue_on_group(struct back_queue *q, const struct store_note *notes, size_t n)
{
	uint64_t lane;
	int64_t due;
	bool post = false;
	for (size_t i = 0; i < n; i++) {
		if (!queue_note_read(&notes[i], &lane, &due))
			continue;
		pthread_mutex_lock(&q->lock);
		add_note(q, lane, due);
		if (!q->posted)
			post = q->posted = true;
		pthread_mutex_unlock(&q->lock);
	}
	if (post)
		loop_post(q->loop, &q->message);
}

/* ---- handing out ---- */

uint64_t back_lease_leave(struct send_job *j)
{
	struct lease *l = j->lease;
	j->lease = NULL;
	if (!l || --l->left > 0)
		return 0;
	uint64_t id = l->id;
	free(l);
	return id;
}

static void ended(struct back_queue *q)
{
	if (--q->under_way == 0)
		fiber_signal_all(&q->idle);
	wake_planner(q);
}

/* Of a parcel that was not settled. */
static void end_lease(struct back_queue *q, uint64_t lease)
{
	err e = {0};
	if (lease && queue_lease_end(q->b->store, lease, &e) < 0)
		log_event(LOG_ERROR, "queue_lease_not_ended", F_ERR(&e));
}

static void job_fiber(void *arg)
{
	struct send_job *j = arg;
	struct back_queue *q = j->q;
	j->outcome = SCHEDULE_NONE;
	if (j->p.lane == 0)
		back_here(j);
	else
		back_send(j);
	end_lease(q, back_lease_leave(j));
	schedule_done(q->plan, &j->p, j->outcome, j->gate, 0, queue_clock_now(&q->clock));
	if (j->more)
		schedule_note(q->plan, j->p.lane, j->p.due_us);
	free(j);
	ended(q);
}

static void give_back(struct back_queue *q, const struct parcel *p)
{
	schedule_back(q->plan, p);
	ended(q);
}

static void start_job(struct back_queue *q, const struct parcel *p, struct lease *lease, bool dead)
{
	struct send_job *j = calloc(1, sizeof *j);
	if (j)
		*j = (struct send_job){.q = q, .p = *p, .lease = lease, .dead = dead};
	if (j && fiber_start("send", job_fiber, j))
		return;
	if (lease && --lease->left == 0)
		free(lease); /* its row is found at the next start */
	free(j);
	give_back(q, p);
}

struct batch { /* parcels on their way to be leased */
	struct back_queue *q;
	struct parcel v[LIMIT_LEASE];
	size_t n;
};

static void lease_fiber(void *arg)
{
	struct batch *t = arg;
	struct back_queue *q = t->q;
	bool gone[LIMIT_LEASE] = {false};
	struct lease *l = calloc(1, sizeof *l);
	err e = {0};
	int rc = l ? queue_lease(q->b->store, &q->clock, t->v, t->n, gone, &l->id, &e) : -1;
	for (size_t i = 0; rc == 0 && i < t->n; i++)
		l->left += !gone[i];
	if (rc < 0)
		log_event(LOG_ERROR, "queue_lease_failed", F_ERR(&e));
	if (rc < 0 || l->left == 0) {
		free(l);
		l = NULL;
	}
	for (size_t i = 0; i < t->n; i++) {
		if (rc == 0 && !gone[i]) {
			start_job(q, &t->v[i], l, false);
		} else if (rc == 0) { /* dropped or held since it was loaded */
			schedule_done(q->plan, &t->v[i], SCHEDULE_NONE, 0, 0, queue_clock_now(&q->clock));
			ended(q);
		} else {
			give_back(q, &t->v[i]);
		}
	}
	free(t);
}

static void hand_out(struct back_queue *q, struct batch *t)
{
	if (!t)
		return;
	if (fiber_start("lease", lease_fiber, t))
		return;
	for (size_t i = 0; i < t->n; i++)
		give_back(q, &t->v[i]);
	free(t);
}

/* ---- loading ---- */

static int take(void *arg, const struct parcel *p)
{
	struct back_queue *q = arg;
	if (schedule_knows(q->plan, p))
		return 0;
	return p->account == 0 || schedule_account_room(q->plan, p->account) ? 1 : -1;
}

static void load(struct back_queue *q, const struct schedule_next *want, int64_t now)
{
	struct parcel v[64];
	struct queue_load l = {.lane = want->lane,
		.from_rank = want->rank,
		.now_us = now,
		.take = take,
		.arg = q,
		.ret = v,
		.max = want->n < COUNT_OF(v) ? want->n : COUNT_OF(v)};
	struct store_snap snap;
	err e = {0};
	int rc = store_snap_begin(q->b->store, &snap, &e);
	if (rc == 0) {
		rc = queue_load(&snap, &l, &e);
		store_snap_end(&snap);
	}
	if (rc < 0) {
		log_event(LOG_ERROR, "queue_load_failed", F_ERR(&e));
		l.ret_n = 0;
		l.ret_next_due = 0;
	}
	schedule_loaded(q->plan, want->lane, v, l.ret_n, l.ret_next_due, l.ret_skipped);
}

static bool see_lane(void *arg, uint64_t lane, int64_t due_us)
{
	struct back_queue *q = arg;
	schedule_note(q->plan, lane, due_us);
	return true;
}

/* One step of a look over the whole store; the snapshot is gone before anything parks. */
static void look(struct back_queue *q, int64_t now)
{
	struct store_snap snap;
	err e = {0};
	if (!q->at.has)
		schedule_look(q->plan, now);
	q->at.see = see_lane;
	q->at.arg = q;
	int rc = store_snap_begin(q->b->store, &snap, &e);
	if (rc == 0) {
		rc = queue_look(&snap, &q->at, &e);
		store_snap_end(&snap);
	}
	if (rc < 0)
		log_event(LOG_ERROR, "queue_look_failed", F_ERR(&e));
	if (rc <= 0) {
		q->look = false;
		q->at = (struct queue_look){.has = false};
	}
}

/* ---- the planner ---- */

/* All that may go now. Returns when to ask again (queue time). */
static int64_t plan(struct back_queue *q)
{
	struct batch *t = NULL;
	int64_t at;
	for (;;) {
		int64_t now = queue_clock_now(&q->clock);
		struct schedule_next n = schedule_next(q->plan, now);
		at = n.at_us;
		if (n.want == SCHEDULE_WAIT)
			break;
		if (n.want == SCHEDULE_LOAD) {
			load(q, &n, now);
			continue;
		}
		q->under_way++;
		if (n.want == SCHEDULE_DEAD || n.parcel.lane == 0) {
			start_job(q, &n.parcel, NULL, n.want == SCHEDULE_DEAD);
			continue;
		}
		if (!t)
			t = calloc(1, sizeof *t);
		if (!t) {
			give_back(q, &n.parcel);
			break;
		}
		t->q = q;
		t->v[t->n++] = n.parcel;
		if (t->n == LIMIT_LEASE) {
			hand_out(q, t);
			t = NULL;
		}
	}
	hand_out(q, t);
	return at;
}

static void log_doubt(void *arg, const uint8_t id[16], slice address)
{
	char text[27];
	(void)arg;
	base32_id(id, text);
	log_event(LOG_WARN, "possible_duplicate", F_STR("queue_id", text), F_SLICE("recipient", address),
		F_STR("why", "it was under way when the program was cut off"));
}

static void adopt(struct back_queue *q)
{
	err e = {0};
	int rc;
	while ((rc = queue_adopt(q->b->store, log_doubt, NULL, &e)) == 1)
		;
	if (rc < 0)
		log_event(LOG_ERROR, "queue_leases_not_read", F_ERR(&e));
}

static void upgrade(struct back_queue *q)
{
	err e = {0};
	int rc;
	while ((rc = queue_upgrade(q->b->store, &e)) == 1)
		;
	if (rc < 0)
		log_event(LOG_ERROR, "queue_upgrade_failed", F_ERR(&e));
}

static void planner(void *arg)
{
	struct back_queue *q = arg;
	uint64_t marked = loop_now(), looked = 0;
	err e = {0};
	upgrade(q);
	adopt(q);
	q->look = true;
	while (!q->stopping && !fiber_canceled()) {
		int64_t now = queue_clock_now(&q->clock);
		if (!q->look && (schedule_room(q->plan, now) || loop_now() - looked > LOOK_MS))
			q->look = true;
		if (q->look) {
			look(q, now);
			looked = loop_now();
		}
		int64_t at = plan(q);
		if (q->look) {
			fiber_yield();
			continue;
		}
		if (loop_now() - marked > MARK_MS) {
			marked = loop_now();
			if (queue_mark(q->b->store, &q->clock, &e) < 0)
				log_event(LOG_WARN, "queue_mark_failed", F_ERR(&e));
		}
		int64_t wait = at == INT64_MAX ? us(LOOK_MS) : at - queue_clock_now(&q->clock);
		wait = wait < 0 ? 0 : wait > us(SWEEP_MS) ? us(SWEEP_MS) : wait;
		fiber_park(loop_now() + (uint64_t)(wait + 999) / 1000);
	}
	q->planner = NULL;
	fiber_signal_all(&q->idle);
}

/* Events past their days go in small steps. */
static void event_sweeper(void *arg)
{
	struct back_queue *q = arg;
	err e = {0};
	while (!q->stopping && fiber_sleep(SWEEP_MS) == 0) {
		int64_t before = queue_clock_to_wall(&q->clock, queue_clock_now(&q->clock)) -
				 us(q->b->role->settings->trace_keep);
		int rc;
		while ((rc = event_sweep(q->b->store, before, &e)) == 1 && fiber_sleep(STEP_MS) == 0)
			;
		if (rc < 0)
			log_event(LOG_ERROR, "event_sweep_failed", F_ERR(&e));
	}
}

/* ---- for the role ---- */

int back_queue_new(struct backend *b, err *e)
{
	struct back_queue *q = calloc(1, sizeof *q);
	if (!q)
		return err_set(e, ERR_TEMP, "no memory");
	q->b = b;
	q->loop = loop_self();
	q->message.run = take_notes;
	pthread_mutex_init(&q->lock, NULL);
	read_policy(q, b->role->settings);
	struct schedule_config c = plan_config(q, b->role->settings);
	q->plan = schedule_new(&c);
	if (!q->plan) {
		free(q);
		return err_set(e, ERR_TEMP, "no memory");
	}
	b->queue = q;
	return 0;
}

int back_queue_start(struct backend *b, err *e)
{
	struct back_queue *q = b->queue;
	struct queue_mark mark;
	struct store_snap snap;
	if (store_snap_begin(b->store, &snap, e) < 0)
		return -1;
	int rc = queue_mark_read(&snap, &mark, e);
	store_snap_end(&snap);
	if (rc < 0)
		return -1;
	queue_clock_start(&q->clock, mark.queue_us, mark.wall_us);
	q->planner = fiber_start("queue", planner, q);
	if (!q->planner || !fiber_start("events", event_sweeper, q))
		return err_set(e, ERR_TEMP, "no memory");
	return 0;
}

void back_queue_reload(struct backend *b)
{
	struct back_queue *q = b->queue;
	read_policy(q, b->role->settings);
	struct schedule_config c = plan_config(q, b->role->settings);
	schedule_configure(q->plan, &c);
	wake_planner(q);
}

/* Nothing new is handed out; what is under way may end within a few seconds. */
void back_queue_drain(struct backend *b)
{
	struct back_queue *q = b->queue;
	uint64_t until = loop_now() + DRAIN_MS;
	err e = {0};
	q->stopping = true;
	wake_planner(q);
	while ((q->under_way > 0 || q->planner) && fiber_signal_wait(&q->idle, until) == 0)
		;
	if (queue_mark(b->store, &q->clock, &e) < 0)
		log_event(LOG_WARN, "queue_mark_failed", F_ERR(&e));
}

const struct queue_clock *back_queue_clock(const struct backend *b)
{
	return &b->queue->clock;
}

void back_queue_wake(struct backend *b, uint64_t lane)
{
	schedule_wake(b->queue->plan, lane);
	wake_planner(b->queue);
}

void back_queue_status(struct backend *b, struct buf *json)
{
	const struct back_queue *q = b->queue;
	struct schedule_stats st = {0};
	struct queue_counters c = {0};
	struct store_snap snap;
	schedule_stats(q->plan, &st);
	if (store_snap_begin(b->store, &snap, NULL) == 0) {
		queue_count(&snap, &c, NULL);
		store_snap_end(&snap);
	}
	buf_addf(json,
		",\"queue\":{\"messages\":%llu,\"recipients\":%llu,\"under_way\":%zu,\"lanes\":%zu,"
		"\"resting\":%zu,"
		"\"sent\":%llu,\"deferred\":%llu,\"failed\":%llu,\"reports\":%llu,\"unreported\":%llu}",
		(unsigned long long)c.messages, (unsigned long long)c.recipients, st.under_way, st.lanes,
		st.resting, (unsigned long long)q->sent, (unsigned long long)q->deferred,
		(unsigned long long)q->failed, (unsigned long long)q->reports,
		(unsigned long long)q->unreported);
}

void back_queue_free(struct backend *b)
{
	if (!b->queue)
		return;
	schedule_free(b->queue->plan);
	pthread_mutex_destroy(&b->queue->lock);
	free(b->queue);
	b->queue = NULL;
}
