/* posthouse status and version. */
#include "cli/cli.h"

enum { WELL = 0, AMISS = 1, DOWN = 2 }; /* as monitoring programs have it */

static const char *sandbox_text(const json_t *role, char out[64])
{
	const json_t *s = json_object_get(role, "sandbox");

	if (!s)
		return "-";
	long long landlock = (long long)json_integer_value(json_object_get(s, "landlock"));
	int n = snprintf(out, 64, "%s", json_is_true(json_object_get(s, "seccomp")) ? "seccomp" : "");
	if (landlock > 0)
		snprintf(out + n, 64 - (size_t)n, "%slandlock-%lld", n ? "," : "", landlock);
	return *out ? out : "none";
}

static void role_show(const json_t *role)
{
	char name[64], up[32], sandbox[64];
	const json_t *connections = json_object_get(role, "connections");

	snprintf(name, sizeof name, "%s", json_string_value(json_object_get(role, "role")));
	if (json_integer_value(json_object_get(role, "instance")) > 0)
		snprintf(name + strlen(name), sizeof name - strlen(name), "/%lld",
			(long long)json_integer_value(json_object_get(role, "instance")));
	cli_duration_text((uint64_t)json_integer_value(json_object_get(role, "uptime_s")), up);
	if (!json_is_true(json_object_get(role, "up")))
		snprintf(up, sizeof up, "DOWN");
	printf("%-12s %8lld  %-8s %9lld  %-20s ", name,
		(long long)json_integer_value(json_object_get(role, "pid")), up,
		(long long)json_integer_value(json_object_get(role, "restarts")),
		sandbox_text(role, sandbox));
	if (connections)
		printf("%11lld\n", (long long)json_integer_value(connections));
	else
		printf("%11s\n", "-");
}

/* Sentences about what is not as it should be; returns the exit code. */
static int judge(const json_t *result, bool say)
{
	const json_t *roles = json_object_get(result, "roles"), *store = json_object_get(result, "store");
	int rc = WELL;

	for (size_t i = 0; i < json_array_size(roles); i++) {
		const json_t *role = json_array_get(roles, i);
		const char *name = json_string_value(json_object_get(role, "role"));
		const char *weak =
			json_string_value(json_object_get(json_object_get(role, "sandbox"), "weakness"));
		if (!json_is_true(json_object_get(role, "up"))) {
			rc = AMISS;
			if (say)
				printf("! %s does not run; see the log for its end\n", name);
		}
		if (weak && say)
			printf("! %s: %s\n", name, weak);
	}
	if (json_is_true(json_object_get(store, "suspect"))) {
		rc = AMISS;
		if (say)
			printf("! the store met a write error and takes nothing more; mend the disk, then "
			       "start again\n");
	}
	return rc;
}

static void admins_show(const json_t *result)
{
	const json_t *admins = json_object_get(result, "admin");

	for (size_t i = 0; i < json_array_size(admins); i++)
		printf("%s %s", i ? "," : "looked after by", json_string_value(json_array_get(admins, i)));
	if (json_array_size(admins))
		putchar('\n');
}

static long long count(const json_t *object, const char *name)
{
	return (long long)json_integer_value(json_object_get(object, name));
}

/* What waits to go out, and what a person should know of its way. */
static void queue_show(const json_t *roles)
{
	const json_t *queue = NULL, *outbound = NULL;

	for (size_t i = 0; i < json_array_size(roles); i++) {
		const json_t *role = json_array_get(roles, i), *found = json_object_get(role, "queue");
		const char *name = json_string_value(json_object_get(role, "role"));

		queue = found ? found : queue;
		outbound = name && !strcmp(name, "outbound") ? role : outbound;
	}
	if (!queue)
		return;
	printf("queue: %lld messages for %lld recipients, %lld under way; since the start %lld sent, %lld "
	       "put "
	       "off, %lld given up\n",
		count(queue, "messages"), count(queue, "recipients"), count(queue, "under_way"),
		count(queue, "sent"), count(queue, "deferred"), count(queue, "failed"));
	if (count(queue, "resting"))
		printf("       %lld destinations cannot be reached at present: posthouse queue shape\n",
			count(queue, "resting"));
	if (json_is_true(json_object_get(outbound, "direct_closed")))
		printf("! no mail server can be reached: port 25 outwards seems to be closed; see: posthouse "
		       "help route\n");
}

static void status_show(const json_t *result)
{
	const json_t *roles = json_object_get(result, "roles"), *store = json_object_get(result, "store");
	char up[32], size[32];

	cli_duration_text((uint64_t)json_integer_value(json_object_get(result, "uptime_s")), up);
	printf("%s: posthouse %s, process %lld, up %s\n", json_string_value(json_object_get(result, "host")),
		json_string_value(json_object_get(result, "version")),
		(long long)json_integer_value(json_object_get(result, "pid")), up);
	admins_show(result);
	printf("\n%-12s %8s  %-8s %9s  %-20s %s\n", "ROLE", "PID", "UP", "RESTARTS", "SANDBOX",
		"CONNECTIONS");
	for (size_t i = 0; i < json_array_size(roles); i++)
		role_show(json_array_get(roles, i));
	cli_size_text((uint64_t)json_integer_value(json_object_get(store, "bytes")), size);
	printf("\nstore: %lld changes in %lld groups, %s written since the start\n",
		(long long)json_integer_value(json_object_get(store, "intents")),
		(long long)json_integer_value(json_object_get(store, "groups")), size);
	queue_show(roles);
}

int cli_status(struct cli *c)
{
	json_t *result = NULL;
	err e = {0};
	int rc = cli_config(c);

	if (rc != 0)
		return rc;
	rc = cli_call_quiet(c, "status", json_object(), &result, &e);
	if (rc == EX_NOPERM)
		return cli_fail(c, rc, "denied", "%s", e.text);
	if (rc != 0)
		return cli_fail(c, DOWN, err_kind_name(e.kind), "%s", e.text);
	if (c->json) {
		json_t *o = json_pack("{s:O}", "result", result);
		cli_show_json(o);
		json_decref(o);
	} else {
		status_show(result);
	}
	rc = judge(result, !c->json);
	json_decref(result);
	return rc;
}

int cli_version(struct cli *c)
{
	json_t *result = NULL;
	const char *running = NULL;
	err e = {0};

	/* The other program is asked only when there is one: its absence is no error here. */
	if (cli_config(c) == 0 && cli_call_quiet(c, "version", json_object(), &result, &e) == 0)
		running = json_string_value(json_object_get(result, "version"));
	if (c->json) {
		json_t *o = json_pack(
			"{s:{s:s, s:s?}}", "result", "version", POSTHOUSE_VERSION, "running", running);
		cli_show_json(o);
		json_decref(o);
	} else {
		printf("posthouse %s\n", POSTHOUSE_VERSION);
		if (running && strcmp(running, POSTHOUSE_VERSION) != 0)
			printf("the one that runs is %s\n", running);
	}
	json_decref(result);
	return 0;
}
