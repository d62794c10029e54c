/* The routes in memory, and what the admin methods do with those of them that other roles know of. */
#include "admin/admin.h"
#include "base/log.h"
#include "queue/route.h"
#include "roles/backend/backend.h"
#include "roles/common/transmit.h"

#define SECRET_MS 30000
#define TEST_MS   150000 /* outbound gives up sooner */

int back_routes_load(struct backend *b, err *e)
{
	struct store_snap snap;
	struct routes *now;

	if (store_snap_begin(b->store, &snap, e) < 0)
		return -1;
	now = routes_load(&snap, e);
	store_snap_end(&snap);
	if (!now)
		return -1;
	routes_free(b->routes);
	b->routes = now;
	return 0;
}

void back_routes_free(struct backend *b)
{
	routes_free(b->routes);
	b->routes = NULL;
}

void back_route_job(const struct route *r, struct transmit_route *ret)
{
	*ret = (struct transmit_route){
		.id = r->id,
		.host = r->host,
		.port = r->port,
		.tls = (uint8_t)r->tls,
		.mechanism = (uint8_t)r->mechanism,
		.flags = r->flags,
		.user = r->user,
		.source = r->source,
	};
}

/* ---- for admin ---- */

int back_relay_secret_set(void *ctx, uint32_t route, slice secret, err *e)
{
	struct backend *b = ctx;
	struct msg_relay_secret_set m = {.route = route, .secret = secret};
	struct msg_relay_secret_set_reply reply;
	struct channel_answer hold;

	if (ask_relay_secret_set(
		    role_peer(b->role, ROLE_AUTH), &m, &reply, &hold, loop_now() + SECRET_MS, e) < 0)
		return -1;
	channel_answer_free(&hold);
	return 0;
}

int back_relay_secret_remove(void *ctx, uint32_t route, err *e)
{
	struct backend *b = ctx;
	struct msg_relay_secret_remove m = {.route = route};
	struct msg_relay_secret_remove_reply reply;
	struct channel_answer hold;

	if (ask_relay_secret_remove(
		    role_peer(b->role, ROLE_AUTH), &m, &reply, &hold, loop_now() + SECRET_MS, e) < 0)
		return -1;
	channel_answer_free(&hold);
	return 0;
}

int back_route_test(void *ctx, const struct route *r, struct admin_dialogue *ret, err *e)
{
	struct backend *b = ctx;
	struct transmit_job job = {.domain = r->match == ROUTE_RECIPIENT_DOMAIN ? r->value : (slice){0}};
	struct buf text = BUF_INIT(TRANSMIT_JOB_MAX);
	struct msg_route_test_reply reply;
	struct channel_answer hold;

	if (slice_starts(job.domain, S("."))) /* of all below it, the one that is surely there */
		job.domain = slice_skip(job.domain, 1);
	back_route_job(r, &job.route);
	transmit_job_encode(&text, &job);
	struct msg_route_test m = {.job = buf_slice(&text)};
	int rc = text.failed ? err_set(e, ERR_TEMP, "out of memory")
			     : ask_route_test(role_peer(b->role, ROLE_OUTBOUND), &m, &reply, &hold,
				       loop_now() + TEST_MS, e);
	buf_free(&text);
	if (rc < 0)
		return -1;
	ret->good = reply.good;
	buf_add(&ret->lines, reply.dialogue);
	buf_add(&ret->text, reply.text);
	channel_answer_free(&hold);
	return ret->lines.failed || ret->text.failed ? err_set(e, ERR_TEMP, "out of memory") : 0;
}

void back_routes_changed(void *ctx)
{
	err e;

	if (back_routes_load(ctx, &e) == 0)
		back_queue_wake(ctx, 0); /* what could not be reached may have another way now */
	else
		log_event(LOG_ERROR, "routes_not_loaded", F_ERR(&e),
			F_STR("note", "the routes as they were stay in force"));
}
