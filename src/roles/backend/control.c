/* What `auth` and the control socket ask of the store. */
#include "admin/admin.h"
#include "base/log.h"
#include "roles/backend/queue.h"
#include <stdlib.h>

#define SECRET_MS     30000
#define VISITS_MAX    256 /* connections of the control socket at once */
#define STRANGERS_MAX 32  /* of them, when they come from those who may not administer */

void back_on_account_lookup(struct channel_request *q, void *arg)
{
	struct backend *b = backend_of(arg);
	struct msg_account_lookup m;
	struct store_snap snap;
	struct account_row row = {0};
	err e = {0};

	if (!msg_account_lookup_take(q, &m))
		return;
	int rc = store_snap_begin(b->store, &snap, &e);
	if (rc == 0) {
		rc = account_by_login(&snap, m.name, &row, &e);
		store_snap_end(&snap);
	}
	if (rc < 0) {
		channel_answer_error(q, e.kind, e.text);
		return;
	}
	struct msg_account_lookup_reply a = {0};
	if (rc == 1)
		a = (struct msg_account_lookup_reply){
			.found = 1, .account = row.id, .epoch = row.epoch, .enabled = row.enabled};
	msg_account_lookup_answer(q, &a);
}

/* ---- the admin methods' world ---- */

static int on_secret_set(void *ctx, uint32_t account, slice secret, err *e)
{
	struct backend *b = ctx;
	struct msg_secret_set m = {.account = account, .secret = secret};
	struct msg_secret_set_reply reply;
	struct channel_answer hold;

	if (ask_secret_set(role_peer(b->role, ROLE_AUTH), &m, &reply, &hold, loop_now() + SECRET_MS, e) < 0)
		return -1;
	channel_answer_free(&hold);
	return 0;
}

static int on_secret_remove(void *ctx, uint32_t account, err *e)
{
	struct backend *b = ctx;
	struct msg_secret_remove m = {.account = account};
	struct msg_secret_remove_reply reply;
	struct channel_answer hold;

	if (ask_secret_remove(role_peer(b->role, ROLE_AUTH), &m, &reply, &hold, loop_now() + SECRET_MS, e) <
		0)
		return -1;
	channel_answer_free(&hold);
	return 0;
}

static int on_status(void *ctx, struct buf *ret_json, err *e)
{
	struct backend *b = ctx;
	struct msg_supervisor_status_reply reply;
	struct channel_answer hold;

	if (ask_supervisor_status(b->role->supervisor, &(struct msg_supervisor_status){0}, &reply, &hold,
		    loop_now() + SECRET_MS, e) < 0)
		return -1;
	buf_add(ret_json, reply.json);
	channel_answer_free(&hold);
	return 0;
}

static const struct settings *on_settings(void *ctx)
{
	return ((struct backend *)ctx)->role->settings;
}

static void on_audit(void *ctx, const char *method, slice subject, uint32_t uid, enum err_kind result)
{
	(void)ctx;
	log_event(LOG_NOTICE, "admin", F_STR("method", method), F_SLICE("subject", subject),
		F_U64("uid", uid), F_STR("result", result == ERR_NONE ? "done" : err_kind_name(result)));
}

static const struct queue_clock *on_queue_clock(void *ctx)
{
	return back_queue_clock(ctx);
}

static void on_queue_wake(void *ctx, uint64_t lane)
{
	back_queue_wake(ctx, lane);
}

static int on_queue_lane(void *ctx, uint64_t lane, struct schedule_lane_info *ret)
{
	return schedule_lane(((struct backend *)ctx)->queue->plan, lane, ret);
}

static const struct admin_ops admin_ops = {
	.secret_set = on_secret_set,
	.secret_remove = on_secret_remove,
	.relay_secret_set = back_relay_secret_set,
	.relay_secret_remove = back_relay_secret_remove,
	.route_test = back_route_test,
	.routes_changed = back_routes_changed,
	.status = on_status,
	.settings = on_settings,
	.queue_clock = on_queue_clock,
	.queue_wake = on_queue_wake,
	.queue_lane = on_queue_lane,
	.audit = on_audit,
};

struct visit {
	struct backend *b;
	struct stream *io;
	uint32_t uid;
	bool allowed;
};

static void visit_fiber(void *arg)
{
	struct visit *v = arg;
	struct admin_session s = {v->io, v->b->store, v->uid, v->allowed, &admin_ops, v->b};

	admin_session_run(&s);
	stream_close(v->io);
	v->b->visits--;
	free(v);
}

void back_on_control(struct channel_request *q, void *arg)
{
	struct msg_control m;

	if (!msg_control_take(q, &m))
		return;
	struct backend *b = backend_of(arg);
	/* Strangers of this machine may ask what version this is; they cannot keep its administrators out. */
	bool room = b->visits < (m.allowed ? VISITS_MAX : STRANGERS_MAX);
	struct visit *v = m.socket >= 0 && room ? calloc(1, sizeof *v) : NULL;
	struct stream *io = m.socket >= 0 ? stream_new(m.socket) : NULL;

	if (v)
		*v = (struct visit){b, io, m.uid, m.allowed};
	if (!v || !io || !fiber_start("control", visit_fiber, v)) {
		stream_free(io);
		free(v);
		channel_answer_error(q, ERR_TEMP, room ? "no memory" : "too many visitors at once");
		return;
	}
	b->visits++;
	msg_control_answer(q, &(struct msg_control_reply){0});
}
