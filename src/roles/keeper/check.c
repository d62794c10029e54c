/* posthouse store check and repair: everything against everything. */
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

/* The whole check into c and t; 0, -1. */
static int look(struct keeper *k, struct check *c, struct check_totals *t, err *e)
{
	struct mailbox_codec *codec = mailbox_codec_new();

	*c = (struct check){.store = k->store,
		.bodies = !k->quick,
		.found = found,
		.progress = keeper_progress,
		.arg = k};
	int rc = codec ? store_snap_begin(k->store, &c->snap, e) : err_set(e, ERR_TEMP, "out of memory");
	if (rc == 0)
		rc = check_whole(c, codec, t, e);
	store_snap_end(&c->snap);
	mailbox_codec_free(codec);
	return rc;
}

static json_t *sums(const struct check *c, const struct check_totals *t)
{
	return json_pack("{s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "findings",
		(json_int_t)c->findings, "quick", !c->bodies, "rows", (json_int_t)c->rows, "blobs",
		(json_int_t)c->blobs, "records", (json_int_t)c->records, "bytes", (json_int_t)c->bytes,
		"accounts", (json_int_t)t->mail.accounts, "mailboxes", (json_int_t)t->mail.mailboxes,
		"messages", (json_int_t)t->mail.messages, "expunged", (json_int_t)t->mail.expunged, "queued",
		(json_int_t)t->queued, "replayed", (json_int_t)store_opened(c->store)->replayed);
}

int keeper_check(struct keeper *k)
{
	struct check_totals t = {0};
	struct check c;
	err e = {0};

	if (look(k, &c, &t, &e) < 0)
		return keeper_fail(&e);
	opened(&c); /* what the start of the store met counts as found, too */
	keeper_say("result", sums(&c, &t));
	return c.findings ? KEEPER_FOUND : KEEPER_WELL;
}

/* ---- posthouse store repair ---- */

static int repaired(struct keeper *k, uint64_t before)
{
	struct check_totals t = {0};
	json_t *result;
	struct check c;
	err e = {0};

	k->findings = 0;
	if (look(k, &c, &t, &e) < 0)
		return keeper_fail(&e);
	result = sums(&c, &t);
	json_object_set_new(result, "before", json_integer((json_int_t)before));
	json_object_set_new(result, "note", json_string(store_opened(k->store)->text));
	keeper_say("result", result);
	return c.findings ? KEEPER_FOUND : KEEPER_WELL;
}

/*
 * The rows are made anew from the log, which must be sound for that: rows that a damaged place of it held
 * would be lost, and the key file has them.
 */
int keeper_repair(struct keeper *k)
{
	struct check_totals t = {0};
	struct check c;
	err e = {0};

	k->quick = false;
	if (k->rebuild)
		return repaired(k, 0);
	if (look(k, &c, &t, &e) < 0)
		return keeper_fail(&e);
	if (c.findings == c.log_findings) {
		if (c.log_findings)
			return err_set(&e, ERR_CORRUPT,
				       "the rows are sound and stay as they are; what is damaged in the log "
				       "cannot be "
				       "made again: restore those messages from a backup"),
			       keeper_fail(&e);
		return repaired(k, 0);
	}
	if (c.log_findings)
		return err_set(&e, ERR_CORRUPT,
			       "rows and log are both damaged: made anew from this log, the rows would lose "
			       "what only "
			       "the key file holds. Restore a backup; or accept that with: store repair "
			       "--rebuild"),
		       keeper_fail(&e);
	store_close(k->store);
	k->store = NULL;
	if (keeper_open(k, true, &e) < 0)
		return keeper_fail(&e);
	return repaired(k, c.findings);
}
