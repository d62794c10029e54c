/*
 * The outbound role: may connect out, holds no mail and no files but the public roots of certificates. The
 * backend hands it one message for one domain at a time; it finds the way, sends, and hands back what was
 * said of each recipient. It keeps nothing: what it forgets the backend sends again.
 */
#include "roles/outbound/outbound.h"

extern const struct sandbox outbound_sandbox;

#define DRAIN_MS 4000
#define WORKERS  1 /* for what would hold up the loop: looking through large messages, reading roots */

static int prepare(struct role_run *r, err *e)
{
	struct outbound *o = r->state;

	o->role = r;
	out_roots_open(o);
	o->pool = out_pool_new();
	return o->pool ? 0 : err_set(e, ERR_TEMP, "no memory");
}

static void handlers(channel_handler **table)
{
	table[MESSAGE_TRANSMIT] = out_on_transmit;
	table[MESSAGE_ROUTE_TEST] = out_on_route_test;
}

/*
 * Nobody waits for the results any more, and the next backend begins with the same messages: what is not
 * sent by now is left to it.
 */
static void peer(struct role_run *r, enum role who, uint8_t instance, bool up)
{
	(void)instance;
	if (who == ROLE_BACKEND && !up)
		out_work_cancel(r->state, true);
}

/* Those that wait or connect end now; those amid a message get their time. */
static void drain(struct role_run *r)
{
	struct outbound *o = r->state;
	uint64_t until = loop_now() + DRAIN_MS;

	out_pool_drain(o->pool);
	out_work_cancel(o, false);
	while (o->works && fiber_signal_wait(&o->emptied, until) == 0)
		;
}

static void status(struct role_run *r, struct buf *json)
{
	const struct outbound *o = r->state;
	struct out_pool_stats s;

	out_pool_stats(o->pool, &s);
	buf_addf(json,
		",\"messages\":%zu,\"connections\":%zu,\"idle\":%zu,\"waiting\":%zu,\"sent\":%llu,"
		"\"deferred\":%llu,\"failed\":%llu,\"direct_closed\":%s",
		o->works_n, s.open, s.idle, s.waiting, (unsigned long long)o->sent,
		(unsigned long long)o->deferred, (unsigned long long)o->failed,
		o->direct_closed_until > loop_now() ? "true" : "false");
}

static void end(struct role_run *r)
{
	struct outbound *o = r->state;

	tls_context_free(o->tls[0]);
	tls_context_free(o->tls[1]);
}

int main(int argc, char **argv)
{
	static struct outbound state = {.roots = -1};
	static const struct role_ops ops = {
		.role = ROLE_OUTBOUND,
		.sandbox = &outbound_sandbox,
		.workers = WORKERS,
		.prepare = prepare,
		.handlers = handlers,
		.peer = peer,
		.drain = drain,
		.status = status,
		.end = end,
	};

	return role_main(argc, argv, &ops, &state);
}
