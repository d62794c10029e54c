/* What is under way: a deadline for each, one that looks after all, and how it ends. */
#include "base/log.h"
#include "roles/outbound/outbound.h"

#define MIND_MS   1000
#define SECRET_MS 10000

static void cancel_overdue(struct outbound *o)
{
	for (struct out_work *w = o->works; w; w = w->next)
		if (loop_now() >= w->until) {
			w->overdue = true;
			fiber_cancel(w->fiber);
		}
}

/* One fiber as long as there is something to look after; an idle role has no timer. */
static void mind(void *arg)
{
	struct outbound *o = arg;

	while ((out_pool_sweep(o->pool) || o->works) && fiber_sleep(MIND_MS) == 0)
		cancel_overdue(o);
	o->minding = false;
}

bool out_work_begin(struct outbound *o, struct out_work *w, uint64_t until)
{
	if (o->role->draining)
		return false;
	*w = (struct out_work){.next = o->works, .fiber = fiber_self(), .until = until};
	if (o->works)
		o->works->prev = w;
	o->works = w;
	o->works_n++;
	if (!o->minding)
		o->minding = fiber_start("mind", mind, o) != NULL;
	return true;
}

void out_work_end(struct outbound *o, struct out_work *w)
{
	*(w->prev ? &w->prev->next : &o->works) = w->next;
	if (w->next)
		w->next->prev = w->prev;
	o->works_n--;
	fiber_signal_all(&o->emptied);
}

void out_work_cancel(struct outbound *o, bool all)
{
	for (struct out_work *w = o->works; w; w = w->next)
		if (all || !w->amid)
			fiber_cancel(w->fiber);
}

int out_secret(struct outbound *o, uint32_t route, char ret[LIMIT_SECRET], size_t *ret_n, err *e)
{
	struct channel *auth = role_peer_wait(o->role, ROLE_AUTH, loop_now() + SECRET_MS);
	struct msg_relay_secret m = {.route = route};
	struct msg_relay_secret_reply reply;
	struct channel_answer hold;

	if (ask_relay_secret(auth, &m, &reply, &hold, loop_now() + SECRET_MS, e) < 0)
		return -1;
	*ret_n = reply.secret.n;
	if (reply.secret.n)
		memcpy(ret, reply.secret.p, reply.secret.n);
	explicit_bzero(hold.block, hold.body.n);
	channel_answer_free(&hold);
	return 0;
}
