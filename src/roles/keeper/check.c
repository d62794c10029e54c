/* posthouse store check: everything against everything. */
#include "mailbox/check.h"
#include "base/cleanup.h"
#include "queue/check.h"
#include "roles/keeper/keeper.h"

/* A store that is damaged all over is told of once. */
#define FINDINGS_MAX 10000

static void found(void *arg, enum check_what what, const char *text)
{
	struct keeper *k = arg;

	if (k->findings++ < FINDINGS_MAX)
		keeper_say("finding", json_pack("{s:s, s:s}", "kind", check_what_name(what), "text", text));
}

/* What the start of the store met counts as found, too. */
static void opened(struct check *c)
{
	const struct store_open_report *r = store_opened(c->store);

	if (r->corrupt)
		check_found(c, CHECK_DAMAGED, "%s", r->text);
}

static void tell(const struct check *c, const struct check_totals *t)
{
	keeper_say("result",
		json_pack("{s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "findings",
			(json_int_t)c->findings, "quick", !c->bodies, "rows", (json_int_t)c->rows, "blobs",
			(json_int_t)c->blobs, "records", (json_int_t)c->records, "bytes",
			(json_int_t)c->bytes, "accounts", (json_int_t)t->mail.accounts, "mailboxes",
			(json_int_t)t->mail.mailboxes, "messages", (json_int_t)t->mail.messages, "expunged",
			(json_int_t)t->mail.expunged, "queued", (json_int_t)t->queued, "replayed",
			(json_int_t)store_opened(c->store)->replayed));
}

int keeper_check(struct keeper *k)
{
	struct mailbox_codec *codec = mailbox_codec_new();
	struct check c = {.store = k->store,
		.bodies = !k->quick,
		.found = found,
		.progress = keeper_progress,
		.arg = k};
	struct check_totals t = {0};
	err e = {0};
	int rc = codec ? store_snap_begin(k->store, &c.snap, &e) : err_set(&e, ERR_TEMP, "out of memory");

	if (rc == 0) {
		opened(&c);
		rc = check_whole(&c, codec, &t, &e);
	}
	store_snap_end(&c.snap);
	if (rc == 0)
		tell(&c, &t);
	mailbox_codec_free(codec);
	return rc < 0 ? keeper_fail(&e) : c.findings ? KEEPER_FOUND : KEEPER_WELL;
}
