/* posthouse trace: the events of a message as a story. */
#include "cli/cli.h"

/* Appends before, the member and behind, when the member is there. */
static void add(struct buf *b, const char *before, const json_t *e, const char *key, const char *behind)
{
	const char *text = cli_text(e, key);

	if (!*text)
		return;
	buf_addz(b, before);
	cli_text_add(b, text);
	buf_addz(b, behind);
}

static void add_number(
	struct buf *b, const char *before, const json_t *e, const char *key, const char *behind)
{
	if (cli_number(e, key))
		buf_addf(b, "%s%lld%s", before, cli_number(e, key), behind);
}

/* ": mx.far.test [192.0.2.1], TLSv1.3, certificate good: 250 2.0.0 queued" */
static void add_server(struct buf *b, const json_t *e)
{
	add(b, ": ", e, "host", "");
	add(b, " [", e, "ip", "]");
	add(b, ", ", e, "tls", "");
	if (json_object_get(e, "verified"))
		buf_addz(b, cli_number(e, "verified") ? ", certificate good" : ", certificate not checked");
	add_number(b, ", by route ", e, "route", "");
	if (!json_object_get(e, "code") && !*cli_text(e, "reply"))
		return;
	buf_addz(b, ": ");
	add_number(b, "", e, "code", " ");
	add(b, "", e, "status", " ");
	add(b, "", e, "reply", "");
}

static void add_next(struct buf *b, const json_t *e)
{
	struct cli_when next = cli_when(json_object_get(e, "next")),
			at = cli_when(json_object_get(e, "time"));

	if (next.known)
		buf_addf(b, "; next try %s", strcmp(next.day, at.day) ? next.brief : next.clock);
}

static void tell_received(struct buf *b, const json_t *e)
{
	char size[32];

	cli_size_text((uint64_t)cli_number(e, "size"), size);
	add(b, "received from ", e, "sender", "");
	add(b, " for ", e, "recipients", "");
	if (*cli_text(e, "user")) {
		add(b, ", submitted by ", e, "user", "");
		add(b, " at ", e, "client", "");
	} else {
		add(b, ", brought by ", e, *cli_text(e, "client_name") ? "client_name" : "helo", "");
		add(b, " [", e, "client", "]");
	}
	add(b, " (", e, "protocol", "");
	add(b, ", ", e, "tls", "");
	if (*cli_text(e, "protocol"))
		buf_addz(b, ")");
	buf_addf(b, ", %s", size);
	add_number(b, ", into ", e, "mailboxes", cli_number(e, "mailboxes") == 1 ? " mailbox" : " mailboxes");
	add_number(b, ", ", e, "waiting", " to be sent");
}

static void tell_queued(struct buf *b, const json_t *e)
{
	add(b, "to be sent to ", e, "recipient", "");
	add_next(b, e);
}

static void tell_sent(struct buf *b, const json_t *e)
{
	add(b, "sent to ", e, "recipient", "");
	add(b, " by way of ", e, "via", "");
	add_server(b, e);
}

static void tell_delivered(struct buf *b, const json_t *e)
{
	add(b, "delivered to ", e, "recipient", "");
}

static void tell_deferred(struct buf *b, const json_t *e)
{
	add(b, "put off for ", e, "recipient", "");
	add_server(b, e);
	add_next(b, e);
}

static void tell_failed(struct buf *b, const json_t *e)
{
	add(b, "failed for ", e, "recipient", "");
	add_server(b, e);
	add(b, " (", e, "reason", ")");
}

static void tell_reported(struct buf *b, const json_t *e)
{
	if (!strcmp(cli_text(e, "sender"), "postmaster"))
		buf_addz(b, "postmaster told");
	else
		buf_addz(b, "sender told");
	add(b, " about ", e, "recipient", "");
	add(b, " (report ", e, "report", ")");
}

static void tell_not_reported(struct buf *b, const json_t *e)
{
	add(b, "nobody could be told about ", e, "recipient", "");
}

static void tell_held(struct buf *b, const json_t *e)
{
	add(b, "held: ", e, "recipient", "");
}

static void tell_released(struct buf *b, const json_t *e)
{
	add(b, "released: ", e, "recipient", "");
}

static void tell_retried(struct buf *b, const json_t *e)
{
	add(b, "to be tried at once: ", e, "recipient", "");
}

static void tell_dropped(struct buf *b, const json_t *e)
{
	add(b, "dropped, nobody told: ", e, "recipient", "");
}

static void tell_duplicate(struct buf *b, const json_t *e)
{
	add(b, "perhaps sent twice to ", e, "recipient", ": the program was cut off in the middle");
}

static const struct {
	const char *event;
	void (*tell)(struct buf *b, const json_t *e);
} stories[] = {
	{"received", tell_received},
	{"queued", tell_queued},
	{"sent", tell_sent},
	{"delivered", tell_delivered},
	{"deferred", tell_deferred},
	{"failed", tell_failed},
	{"reported", tell_reported},
	{"not_reported", tell_not_reported},
	{"held", tell_held},
	{"released", tell_released},
	{"retried", tell_retried},
	{"dropped", tell_dropped},
	{"possible_duplicate", tell_duplicate},
};

static void event_print(const json_t *e, const struct cli_when *at)
{
	const char *event = cli_text(e, "event");
	struct buf b = BUF_INIT(16384);

	for (size_t i = 0; i < COUNT_OF(stories); i++) {
		if (!strcmp(stories[i].event, event))
			stories[i].tell(&b, e);
	}
	if (b.n == 0) /* of a newer program */
		cli_text_add(&b, event);
	printf("%s  %.*s\n", at->clock, (int)b.n, b.n ? b.p : "");
	buf_free(&b);
}

static void trace_print(const struct cli *c, const json_t *result)
{
	const json_t *events = json_object_get(result, "events");
	const char *id = "";
	char day[24] = "";

	for (size_t i = 0; i < json_array_size(events); i++) {
		const json_t *e = json_array_get(events, i);
		struct cli_when at = cli_when(json_object_get(e, "time"));
		if (strcmp(id, cli_text(e, "id")) != 0) {
			id = cli_text(e, "id");
			printf("%s%s  %s\n", i ? "\n" : "", id, at.day);
		} else if (strcmp(day, at.day) != 0) {
			printf("%s\n", at.day);
		}
		snprintf(day, sizeof day, "%s", at.day);
		event_print(e, &at);
	}
	if (json_array_size(events) == 0)
		fprintf(stderr, "nothing is known of \"%s\"; older things: --since 30d\n", c->words[0]);
	else if (json_is_true(json_object_get(result, "more")))
		fprintf(stderr, "there may be more; see --limit and --since\n");
}

int cli_trace(struct cli *c)
{
	json_t *params, *result;
	int rc = cli_params(c, &params);

	if (rc == 0)
		rc = cli_call(c, c->command->method, params, &result);
	if (rc != 0)
		return rc;
	if (c->json)
		cli_result(c, result);
	else
		trace_print(c, result);
	json_decref(result);
	return 0;
}
