#include "admin/admin.h"
#include "base/log.h"
#include "roles/backend/backend.h"

#define SWEEP_PAUSE_MS 60000
#define GUARD_MS       250
#define REST_ROUNDS    4  /* of the guard: every second; mapping 200 MiB again costs some 5 ms */
#define SWEEP_STEP_MS  50 /* between two steps while more waits: others come first */

static void on_peer(struct role_run *r, enum role peer, uint8_t instance, bool up)
{
	if (peer == ROLE_FRONTEND && !up)
		back_forget_frontend(r->state, instance);
}

static void handlers(channel_handler **table)
{
	table[MESSAGE_SUBMITTER] = back_on_submitter;
	table[MESSAGE_SUBMITTER_END] = back_on_submitter_end;
	table[MESSAGE_SENDER_CHECK] = back_on_sender_check;
	table[MESSAGE_RECIPIENT] = back_on_recipient;
	table[MESSAGE_DELIVER] = back_on_deliver;
	table[MESSAGE_SPOOL] = back_on_spool;
	table[MESSAGE_SESSION] = back_on_session;
	table[MESSAGE_CONTROL] = back_on_control;
	table[MESSAGE_ACCOUNT_LOOKUP] = back_on_account_lookup;
}

/* What is due to be forgotten for good goes in small steps. */
static void sweeper(void *arg)
{
	struct backend *b = arg;
	struct sweep w = {0};
	err e;

	while (fiber_sleep(SWEEP_PAUSE_MS) == 0) {
		int rc;

		while ((rc = mailbox_sweep(b->store, &w, &e)) == 1 && fiber_sleep(SWEEP_STEP_MS) == 0)
			;
		if (rc < 0)
			log_event(LOG_ERROR, "sweep_failed", F_ERR(&e));
	}
}

/*
 * A failed write or sync leaves the store suspect: it takes nothing more. The cure is to end and be started
 * again, which recovers the store from what is on the disk.
 */
static void guard(void *arg)
{
	struct backend *b = arg;
	struct store_stats stats;
	unsigned rounds = 0;

	while (fiber_sleep(GUARD_MS) == 0) {
		if (++rounds % REST_ROUNDS == 0)
			store_rest(b->store);
		store_stats(b->store, &stats);
		if (stats.suspect) {
			log_event(LOG_ERROR, "store_suspect",
				F_STR("note", "the backend starts again and recovers it"));
			loop_stop(b->role->loop);
			break;
		}
	}
}

static void follow_file(void *arg)
{
	struct backend *b = arg;
	err e;

	if (admin_apply(b->store, b->role->settings, &e) < 0)
		log_event(LOG_ERROR, "domains_not_applied", F_ERR(&e));
}

static int prepare(struct role_run *r, err *e)
{
	(void)r;
	(void)e;
	admin_prepare();
	return 0;
}

/* After each group, on the commit thread. */
static void on_group(void *arg, const struct store_note *notes, size_t n)
{
	struct backend *b = arg;

	back_queue_on_group(b->queue, notes, n);
	watchers_on_group(b->watchers, notes, n);
}

static int start(struct role_run *r, err *e)
{
	struct backend *b = r->state;
	struct store_stats stats;

	b->role = r;
	b->watchers = watchers_new();
	if (!b->watchers)
		return err_set(e, ERR_TEMP, "no memory");
	struct store_config config = {
		.dir = ".", /* the sandbox made it the working directory */
		.engine = &kv_lmdb,
		.map_bytes = r->settings->store_map,
		.volume_bytes = r->settings->store_volume,
		.on_group = on_group,
		.arg = b,
	};
	if (back_queue_new(b, e) < 0 || store_open(&config, &b->store, e) < 0 || back_loops_start(b, e) < 0 ||
		store_start(b->store, e) < 0 || back_routes_load(b, e) < 0 || back_queue_start(b, e) < 0)
		return -1;
	store_stats(b->store, &stats);
	b->epoch = stats.epoch;
	b->sweeper = fiber_start("sweep", sweeper, b);
	if (!b->sweeper || !fiber_start("apply", follow_file, b) || !fiber_start("guard", guard, b))
		return err_set(e, ERR_TEMP, "no memory");
	return 0;
}

static void reload(struct role_run *r, const struct settings *before)
{
	(void)before;
	back_queue_reload(r->state);
	if (!fiber_start("apply", follow_file, r->state))
		log_event(LOG_ERROR, "domains_not_applied", F_STR("why", "no memory"));
}

static void drain(struct role_run *r)
{
	back_loops_drain(r->state);
	back_queue_drain(r->state);
}

/* The session loops, but for the first one, which every role tells of. */
static void loops_status(const struct backend *b, struct buf *json)
{
	const char *longest;

	buf_addz(json, ",\"loops\":[");
	for (unsigned i = 1; i < b->loops_n; i++) {
		uint64_t us = loop_longest_us(b->loops[i].loop, &longest);

		buf_addf(json, "%s{\"longest_us\":%llu,\"longest\":\"%s\",\"stalls\":%llu}", i > 1 ? "," : "",
			(unsigned long long)us, longest, (unsigned long long)loop_stalls(b->loops[i].loop));
	}
	buf_addz(json, "]");
}

static void status(struct role_run *r, struct buf *json)
{
	struct backend *b = r->state;
	struct store_stats s;

	loops_status(b, json);
	store_stats(b->store, &s);
	buf_addf(json,
		",\"sessions\":%u,\"sessions_total\":%llu,\"delivered\":%llu,\"store\":{\"suspect\":%s,"
		"\"groups\":%llu,"
		"\"intents\":%llu,\"bytes\":%llu,\"volume\":%llu,\"volume_used\":%llu,\"engine_bytes\":%llu,"
		"\"epoch\":%u,\"longest_group_us\":%llu}",
		back_sessions(b), (unsigned long long)b->sessions_total, (unsigned long long)b->delivered,
		s.suspect ? "true" : "false", (unsigned long long)s.groups, (unsigned long long)s.intents,
		(unsigned long long)s.bytes, (unsigned long long)s.volume, (unsigned long long)s.volume_used,
		(unsigned long long)s.engine_bytes, s.epoch,
		(unsigned long long)store_longest_group_us(b->store));
	back_queue_status(b, json);
}

static void end(struct role_run *r)
{
	struct backend *b = r->state;

	back_loops_end(b);
	store_close(b->store);
	back_queue_free(b);
	back_routes_free(b);
}

int main(int argc, char **argv)
{
	static struct backend state;
	static const struct role_ops ops = {
		.role = ROLE_BACKEND,
		.sandbox = &backend_sandbox,
		.workers = 4,
		.prepare = prepare,
		.start = start,
		.handlers = handlers,
		.peer = on_peer,
		.reload = reload,
		.drain = drain,
		.status = status,
		.end = end,
	};

	return role_main(argc, argv, &ops, &state);
}
