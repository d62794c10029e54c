/* posthouse queue */
#include "cli/cli.h"

#include <time.h>

#define LIST_DEFAULT 100
#define PAGE         500

/* ---- one message ---- */

/* "in 3m2s", "now" */
static void soon_add(struct buf *out, const json_t *due)
{
	struct cli_when w = cli_when(due);
	int64_t left = w.unix_s - (int64_t)time(NULL);
	char text[32];

	if (!w.known || left <= 0) {
		buf_addz(out, "now");
		return;
	}
	cli_duration_text((uint64_t)left, text);
	buf_addf(out, "in %s", text);
}

static void state_add(struct buf *out, const json_t *r)
{
	const char *state = cli_text(r, "state");
	long long attempts = cli_number(r, "attempts");

	if (!strcmp(state, "held")) {
		buf_addz(out, "held");
	} else if (strcmp(state, "waiting") != 0) {
		buf_addf(out, "%s, the sender is to be told ", state);
		soon_add(out, json_object_get(r, "due"));
	} else {
		buf_addz(out, attempts ? "next try " : "to be sent ");
		soon_add(out, json_object_get(r, "due"));
		if (attempts)
			buf_addf(out, ", tried %lld time%s", attempts, attempts == 1 ? "" : "s");
	}
}

/* "mx.far.test: 451 4.7.1 come back later" */
static void reply_add(struct buf *out, const json_t *r)
{
	const char *host = cli_text(r, "host"), *status = cli_text(r, "status");

	if (*host) {
		cli_text_add(out, host);
		buf_addz(out, ": ");
	}
	if (cli_number(r, "code"))
		buf_addf(out, "%lld ", cli_number(r, "code"));
	if (*status)
		buf_addf(out, "%s ", status);
	cli_text_add(out, cli_text(r, "reply"));
}

static void line_print(struct buf *b)
{
	printf("%.*s\n", (int)b->n, b->n ? b->p : "");
	buf_reset(b);
}

static void recipient_print(const json_t *r)
{
	struct buf b = BUF_INIT(8192);

	buf_addz(&b, "        ");
	cli_text_add(&b, cli_text(r, "address"));
	if (*cli_text(r, "via")) {
		buf_addz(&b, " (by way of ");
		cli_text_add(&b, cli_text(r, "via"));
		buf_addz(&b, ")");
	}
	buf_addz(&b, "  ");
	state_add(&b, r);
	line_print(&b);
	if (*cli_text(r, "reply")) {
		buf_addz(&b, "                ");
		reply_add(&b, r);
		line_print(&b);
	}
	buf_free(&b);
}

static void recipients_print(const json_t *m)
{
	const json_t *list = json_object_get(m, "recipients");
	long long rest = cli_number(m, "recipients_total") - (long long)json_array_size(list);

	for (size_t i = 0; i < json_array_size(list); i++)
		recipient_print(json_array_get(list, i));
	if (rest > 0)
		printf("        and %lld more\n", rest);
}

static void message_print(const json_t *m)
{
	struct buf b = BUF_INIT(4096);
	char size[32];

	cli_size_text((uint64_t)cli_number(m, "size"), size);
	buf_addf(&b, "%-26s %8s  %-12s  ", cli_text(m, "id"), size,
		cli_when(json_object_get(m, "arrival")).brief);
	cli_text_add(&b, *cli_text(m, "sender") ? cli_text(m, "sender") : "<>");
	line_print(&b);
	buf_free(&b);
	recipients_print(m);
}

/* ---- list ---- */

struct listing {
	struct cli *c;
	size_t wanted, shown;
	json_t *total, *next;
};

/* A queue may be long: rows are printed as they come, JSON too. */
static void page_take(struct listing *l, json_t *page)
{
	json_t *rows = json_object_get(page, "messages");

	if (l->c->json && !l->total)
		fputs("{\"result\":{\"messages\":[", stdout);
	else if (!l->c->json && l->shown == 0 && json_array_size(rows))
		printf("%-26s %8s  %-12s  %s\n", "ID", "SIZE", "CAME", "SENDER");
	for (size_t i = 0; i < json_array_size(rows); i++) {
		if (!l->c->json) {
			message_print(json_array_get(rows, i));
			continue;
		}
		if (l->shown + i)
			putchar(',');
		json_dumpf(json_array_get(rows, i), stdout, JSON_COMPACT);
	}
	l->shown += json_array_size(rows);
	json_decref(l->total);
	json_decref(l->next);
	l->total = json_incref(json_object_get(page, "total"));
	l->next = json_incref(json_object_get(page, "next"));
}

static int pages_take(struct listing *l, json_t *params)
{
	int rc = 0;

	do {
		size_t left = l->wanted - l->shown;
		json_t *page = NULL;
		json_object_set_new(params, "limit", json_integer((json_int_t)(left < PAGE ? left : PAGE)));
		if (l->next)
			json_object_set(params, "after", l->next);
		rc = cli_call(l->c, l->c->command->method, json_deep_copy(params), &page);
		if (rc == 0)
			page_take(l, page);
		json_decref(page);
	} while (rc == 0 && l->next && l->shown < l->wanted);
	return rc;
}

static void list_end_json(const struct listing *l)
{
	fputs("],\"total\":", stdout);
	json_dumpf(l->total, stdout, JSON_COMPACT);
	if (l->next)
		printf(",\"next\":\"%s\"", json_string_value(l->next));
	fputs("}}\n", stdout);
}

static void list_end(const struct listing *l)
{
	long long messages = cli_number(l->total, "messages"),
		  recipients = cli_number(l->total, "recipients");

	if (messages == 0) {
		printf("the queue is empty\n");
		return;
	}
	if (l->shown == 0)
		printf("nothing in the queue is like that; ");
	else if (l->next)
		printf("%zu shown, --all shows all; ", l->shown);
	else if ((long long)l->shown < messages)
		printf("%zu shown; ", l->shown);
	printf("%lld message%s, %lld recipient%s in the queue\n", messages, messages == 1 ? "" : "s",
		recipients, recipients == 1 ? "" : "s");
}

int cli_queue_list(struct cli *c)
{
	bool whole = cli_has(c, OPT_WHOLE) || c->json;
	struct listing l = {.c = c, .wanted = whole ? SIZE_MAX : LIST_DEFAULT};
	json_t *params;
	int rc = cli_params(c, &params);

	if (rc != 0)
		return rc;
	const json_t *limit = json_object_get(params, "limit");
	if (limit)
		l.wanted = (size_t)json_integer_value(limit);
	rc = pages_take(&l, params);
	json_decref(params);
	if (rc == 0 && c->json)
		list_end_json(&l);
	else if (rc == 0)
		list_end(&l);
	json_decref(l.total);
	json_decref(l.next);
	return rc;
}

/* ---- show ---- */

static void lane_print(const json_t *lane)
{
	struct buf b = BUF_INIT(1024);

	if (!json_object_get(lane, "window"))
		return;
	cli_text_add(&b, cli_text(lane, "domain"));
	buf_addf(&b, ": %lld of at most %lld under way", cli_number(lane, "under_way"),
		cli_number(lane, "window"));
	if (json_object_get(lane, "rests_until")) {
		buf_addz(&b, "; it did not answer and is tried again ");
		soon_add(&b, json_object_get(lane, "rests_until"));
	}
	line_print(&b);
	buf_free(&b);
}

static void show_print(const json_t *m)
{
	static const struct {
		const char *key, *title;
	} lines[] = {{"sender", "sender"}, {"account", "submitted by"}, {"from", "From"},
		{"subject", "Subject"}, {"message_id", "Message-ID"}, {"envelope_id", "envelope id"}};
	struct buf b = BUF_INIT(8192);
	char size[32];

	cli_size_text((uint64_t)cli_number(m, "size"), size);
	printf("%s\n", cli_text(m, "id"));
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		const char *text = cli_text(m, lines[i].key);
		if (!json_object_get(m, lines[i].key))
			continue;
		buf_addf(&b, "%-14s ", lines[i].title);
		cli_text_add(&b, *text ? text : "<>");
		line_print(&b);
	}
	printf("%-14s %s\n", "size", size);
	printf("%-14s %s\n", "came", cli_when(json_object_get(m, "arrival")).brief);
	printf("%-14s %s\n", "tried until", cli_when(json_object_get(m, "expires")).brief);
	if (cli_number(m, "priority"))
		printf("%-14s %lld\n", "priority", cli_number(m, "priority"));
	const json_t *flags = json_object_get(m, "flags");
	for (size_t i = 0; i < json_array_size(flags); i++)
		printf("%s%s", i ? " " : "options        ", json_string_value(json_array_get(flags, i)));
	if (json_array_size(flags))
		putchar('\n');
	recipients_print(m);
	const json_t *lanes = json_object_get(m, "lanes");
	for (size_t i = 0; i < json_array_size(lanes); i++)
		lane_print(json_array_get(lanes, i));
	buf_free(&b);
}

/* Asks, and shows the answer as JSON or with print. */
static int ask_and_show(struct cli *c, void (*print)(const json_t *result))
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
		print(result);
	json_decref(result);
	return 0;
}

int cli_queue_show(struct cli *c)
{
	return ask_and_show(c, show_print);
}

/* ---- retry, hold, release, drop, bounce ---- */

struct changed {
	long long messages, recipients;
};

/* A long queue is done in several calls. */
static int change(struct cli *c, const json_t *params, bool dry, struct changed *ret)
{
	json_t *ask = json_deep_copy(params), *next = NULL;
	int rc;

	if (dry)
		json_object_set_new(ask, "dry_run", json_true());
	*ret = (struct changed){0, 0};
	do {
		json_t *result = NULL;
		rc = cli_call(c, c->command->method, json_deep_copy(ask), &result);
		ret->messages += cli_number(result, "messages");
		ret->recipients += cli_number(result, "recipients");
		next = json_object_get(result, "next");
		if (next)
			json_object_set(ask, "after", next);
		json_decref(result);
	} while (rc == 0 && next);
	json_decref(ask);
	return rc;
}

static void count_text(const struct changed *n, char out[96])
{
	snprintf(out, 96, "%lld message%s with %lld recipient%s", n->messages, n->messages == 1 ? "" : "s",
		n->recipients, n->recipients == 1 ? "" : "s");
}

/* 0: go on; it says why not. */
static int may_change(struct cli *c, const json_t *params)
{
	bool drop = !strcmp(c->command->verb, "drop");
	char text[96], question[200];
	struct changed n;

	if (!(c->command->options & OPT(YES)) || cli_has(c, OPT_YES) || cli_has(c, OPT_DRY_RUN))
		return 0;
	int rc = change(c, params, true, &n);
	if (rc != 0 || n.messages == 0)
		return rc;
	count_text(&n, text);
	snprintf(question, sizeof question,
		drop ? "Drop %s? Nobody is told." : "Give %s up and tell the senders?", text);
	return cli_confirm(c, question);
}

int cli_queue_change(struct cli *c)
{
	bool dry = cli_has(c, OPT_DRY_RUN);
	struct changed n;
	char text[96];
	json_t *params;
	int rc = cli_params(c, &params);

	if (rc != 0)
		return rc;
	rc = may_change(c, params);
	if (rc == 0)
		rc = change(c, params, dry, &n);
	json_decref(params);
	if (rc != 0)
		return rc;
	if (c->json) {
		json_t *o = json_pack("{s:{s:I, s:I}}", "result", "messages", (json_int_t)n.messages,
			"recipients", (json_int_t)n.recipients);
		cli_show_json(o);
		json_decref(o);
		return 0;
	}
	count_text(&n, text);
	if (n.messages == 0)
		printf("nothing of that kind is in the queue\n");
	else
		printf("%s%s: %s\n", dry ? "would be " : "", c->command->done, text);
	return 0;
}

/* ---- shape ---- */

static void shape_row(const char *name, const json_t *row)
{
	const json_t *ages = json_object_get(row, "ages");
	struct buf b = BUF_INIT(2048);

	cli_text_add(&b, name);
	printf("%-30.*s %7lld", (int)b.n, b.n ? b.p : "", cli_number(row, "total"));
	for (size_t i = 0; i < json_array_size(ages); i++)
		printf(" %6lld", (long long)json_integer_value(json_array_get(ages, i)));
	printf(" %6lld", cli_number(row, "held"));
	buf_reset(&b);
	if (json_object_get(row, "rests_until")) {
		buf_addz(&b, "  rests, next ");
		soon_add(&b, json_object_get(row, "rests_until"));
	} else if (cli_number(row, "under_way")) {
		buf_addf(&b, "  %lld under way", cli_number(row, "under_way"));
	}
	line_print(&b);
	buf_free(&b);
}

static void shape_print(const json_t *result)
{
	const json_t *minutes = json_object_get(result, "minutes"),
		     *rows = json_object_get(result, "destinations");

	printf("%-30s %7s", "MINUTES WAITING, LESS THAN", "T");
	for (size_t i = 0; i < json_array_size(minutes); i++)
		printf(" %6lld", (long long)json_integer_value(json_array_get(minutes, i)));
	printf(" %6s %6s\n", "more", "held");
	shape_row("TOTAL", json_object_get(result, "total"));
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		shape_row(*cli_text(row, "domain") ? cli_text(row, "domain") : "(here)", row);
	}
	if (json_object_get(result, "others"))
		shape_row("(others)", json_object_get(result, "others"));
}

int cli_queue_shape(struct cli *c)
{
	return ask_and_show(c, shape_print);
}
