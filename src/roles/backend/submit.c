#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/wire.h"
#include "delivery/delivery.h"
#include "limits.h"
#include "roles/backend/backend.h"
#include <stdlib.h>

#define TICKET_MS 10000

static size_t slot_of(const uint8_t handle[16])
{
	return be32_get(handle) & (SUBMITTER_SLOTS - 1); /* handles are random */
}

bool back_submitter(const struct backend *b, const struct channel *c, slice handle, uint32_t *ret_account)
{
	uint8_t frontend;

	*ret_account = 0;
	if (handle.n == 0)
		return true;
	if (handle.n != 16)
		return false;
	channel_peer(c, &frontend);
	for (const struct submitter *s = b->submitters[slot_of((const uint8_t *)handle.p)]; s; s = s->next)
		if (s->frontend == frontend && secret_eq(s->handle, handle.p, 16)) {
			*ret_account = s->account;
			return true;
		}
	return false;
}

static void forget(struct backend *b, bool (*match)(const struct submitter *, const void *), const void *arg)
{
	for (size_t i = 0; i < SUBMITTER_SLOTS; i++)
		for (struct submitter **at = &b->submitters[i]; *at;) {
			struct submitter *s = *at;

			if (match(s, arg)) {
				*at = s->next;
				free(s);
				b->submitters_n--;
			} else {
				at = &s->next;
			}
		}
}

static bool of_frontend(const struct submitter *s, const void *arg)
{
	return s->frontend == *(const uint8_t *)arg;
}

void back_forget_frontend(struct backend *b, uint8_t frontend)
{
	forget(b, of_frontend, &frontend);
}

int back_redeem(struct backend *b, const struct channel *from, slice ticket, uint8_t protocol,
	uint32_t *ret_account, err *e)
{
	struct msg_ticket m = {.ticket = ticket, .protocol = protocol};
	struct msg_ticket_reply reply;
	struct channel_answer hold;

	channel_peer(from, &m.frontend);
	if (ask_ticket(role_peer(b->role, ROLE_AUTH), &m, &reply, &hold, loop_now() + TICKET_MS, e) < 0)
		return -1;
	channel_answer_free(&hold);
	if (!reply.good)
		return err_set(e, ERR_DENIED, "a ticket that auth did not make, or that was used");
	*ret_account = reply.account;
	return 0;
}

/* 1 when the account may be used now. */
static int account_ready(struct backend *b, uint32_t account, struct arena *a, slice *ret_address, err *e)
{
	struct store_snap snap;
	struct account_row row;

	if (store_snap_begin(b->store, &snap, e) < 0)
		return -1;
	int rc = account_get(&snap, account, &row, e);
	if (rc == 1 && !row.enabled)
		rc = 0;
	if (rc == 1)
		rc = account_address(&snap, account, a, ret_address, e);
	store_snap_end(&snap);
	return rc;
}

void back_on_submitter(struct channel_request *q, void *arg)
{
	struct backend *b = backend_of(arg);
	struct msg_submitter m;
	struct arena *a = arena_new(4096);
	uint32_t account = 0;
	slice address = {0};
	err e = {0};

	if (!msg_submitter_take(q, &m)) {
		arena_free(a);
		return;
	}
	struct submitter *s = NULL;
	int rc = a ? back_redeem(b, channel_request_channel(q), m.ticket, m.protocol, &account, &e)
		   : err_set(&e, ERR_TEMP, "no memory");
	if (rc == 0)
		rc = account_ready(b, account, a, &address, &e) == 1
			     ? 0
			     : err_set(&e, ERR_DENIED, "the account is switched off");
	if (rc == 0 &&
		!channel_is_open(channel_request_channel(q))) /* it was forgotten before this one came */
		rc = err_set(&e, ERR_CLOSED, "the frontend is gone");
	if (rc == 0) {
		s = b->submitters_n < LIMIT_SUBMITTERS ? calloc(1, sizeof *s) : NULL;
		if (!s)
			err_set(&e, ERR_TEMP, "too many submission sessions");
	}
	if (!s) {
		channel_answer_error(q, e.kind, e.text);
	} else {
		random_bytes(s->handle, sizeof s->handle);
		s->account = account;
		channel_peer(channel_request_channel(q), &s->frontend);
		s->next = b->submitters[slot_of(s->handle)];
		b->submitters[slot_of(s->handle)] = s;
		b->submitters_n++;
		msg_submitter_answer(q, &(struct msg_submitter_reply){
						.handle = slice_make(s->handle, 16), .address = address});
	}
	arena_free(a);
}

void back_on_submitter_end(struct channel_request *q, void *arg)
{
	struct backend *b = backend_of(arg);
	struct msg_submitter_end m;
	uint8_t frontend;

	if (!msg_submitter_end_take(q, &m))
		return;
	channel_peer(channel_request_channel(q), &frontend);
	for (struct submitter **at = m.handle.n == 16 ? &b->submitters[slot_of((const uint8_t *)m.handle.p)]
						      : NULL;
		at && *at; at = &(*at)->next)
		if ((*at)->frontend == frontend && secret_eq((*at)->handle, m.handle.p, 16)) {
			struct submitter *s = *at;

			*at = s->next;
			free(s);
			b->submitters_n--;
			break;
		}
	msg_submitter_end_answer(q, &(struct msg_submitter_end_reply){0});
}

void back_on_sender_check(struct channel_request *q, void *arg)
{
	struct backend *b = backend_of(arg);
	struct msg_sender_check m;
	struct store_snap snap;
	uint32_t account;
	err e = {0};

	if (!msg_sender_check_take(q, &m))
		return;
	if (!back_submitter(b, channel_request_channel(q), m.handle, &account) || account == 0) {
		channel_answer_error(q, ERR_DENIED, "log in again");
		return;
	}
	int rc = store_snap_begin(b->store, &snap, &e);
	if (rc == 0) {
		rc = delivery_sender_allowed(&snap, account, m.local, m.domain, &e);
		store_snap_end(&snap);
	}
	if (rc < 0)
		channel_answer_error(q, e.kind, e.text);
	else
		msg_sender_check_answer(q, &(struct msg_sender_check_reply){.allowed = rc == 1});
}

/* Time, the store's epoch, a counter and chance. */
void back_make_id(struct backend *b, uint8_t id[16])
{
	uint64_t ms = (uint64_t)clock_wall_us() / 1000u;

	be64_put(id, ms << 16 | b->epoch);
	be64_put(id + 8, ++b->id_counter << 32 | (random_u64() & 0xffffffffu));
}

void back_on_recipient(struct channel_request *q, void *arg)
{
	struct backend *b = backend_of(arg);
	struct msg_recipient m;
	struct store_snap snap;
	struct delivery_verdict v = {0};
	uint32_t account;
	uint8_t id[16];
	err e = {0};

	if (!msg_recipient_take(q, &m))
		return;
	if (!back_submitter(b, channel_request_channel(q), m.handle, &account)) {
		channel_answer_error(q, ERR_DENIED, "log in again");
		return;
	}
	int rc = store_snap_begin(b->store, &snap, &e);
	if (rc == 0) {
		rc = delivery_recipient(&snap, m.local, m.domain, m.size, account != 0, &v, &e);
		store_snap_end(&snap);
	}
	if (rc < 0) {
		log_event(LOG_ERROR, "recipient_unjudged", F_ERR(&e));
		channel_answer_error(q, e.kind, e.text);
		return;
	}
	back_make_id(b, id);
	msg_recipient_answer(q, &(struct msg_recipient_reply){.verdict = (uint8_t)v.result,
					.local_delivery = v.local,
					.queue_id = slice_make(id, sizeof id)});
}
