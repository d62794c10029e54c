#include "base/log.h"
#include "roles/supervisor/supervisor_int.h"
#include <unistd.h>

static void log_change(void *arg, const struct config_change *c)
{
	(void)arg;
	log_event(LOG_NOTICE, "config_changed", F_SLICE("setting", c->name), F_SLICE("before", c->before),
		F_SLICE("after", c->after), F_STR("takes_effect", c->restart ? "at the next start" : "now"));
}

static int offer_one(const struct child *c, int fd, uint64_t generation, err *e)
{
	struct msg_config m = {.generation = generation, .snapshot = fd};
	struct msg_config_reply reply;
	struct channel_answer hold;

	if (ask_config(c->channel, &m, &reply, &hold, loop_now() + START_MS, e) < 0)
		return -1;
	channel_answer_free(&hold);
	return 0;
}

static int commit_one(struct child *c, uint64_t generation, err *e)
{
	struct msg_config_commit_reply reply;
	struct channel_answer hold;

	if (ask_config_commit(c->channel, &(struct msg_config_commit){generation}, &reply, &hold,
		    loop_now() + START_MS, e) < 0)
		return -1;
	channel_answer_free(&hold);
	c->generation = generation;
	return 0;
}

int supervisor_catch_up(struct child *c, err *e)
{
	const struct settings *now = c->s->config.settings;

	while (c->generation != now->generation) {
		uint64_t generation = now->generation;
		AUTO_FD fd = settings_seal(now, e);

		if (fd < 0 || offer_one(c, fd, generation, e) < 0 || commit_one(c, generation, e) < 0)
			return -1;
		now = c->s->config.settings;
	}
	return 0;
}

/* Who dies meanwhile is no reason to refuse: its successor gets what is in force then. */
static int offer(struct supervisor *s, int fd, uint64_t generation, err *e)
{
	for (size_t i = 0; i < s->children_n; i++) {
		const struct child *c = &s->children[i];

		if (c->up && offer_one(c, fd, generation, e) < 0 && c->up)
			return -1;
	}
	return 0;
}

static void commit(struct supervisor *s, uint64_t generation)
{
	for (size_t i = 0; i < s->children_n; i++) {
		struct child *c = &s->children[i];
		err e = {0};

		/* One that came up after the offer has not heard of it. */
		if (c->up && commit_one(c, generation, &e) < 0 && c->up && supervisor_catch_up(c, &e) < 0 &&
			c->up)
			log_event(
				LOG_ERROR, "config_not_taken", F_STR("role", role_name(c->role)), F_ERR(&e));
	}
}

static void refuse(const char *text)
{
	log_event(LOG_ERROR, "config_refused", F_STR("why", text),
		F_STR("note", "the settings stay as they were"));
}

/* New listeners go to the frontends; a certificate that was replaced on disk is read again. */
static void apply_ports(struct supervisor *s, size_t old_ports)
{
	err e = {0};

	for (size_t k = 0; k < s->children_n; k++)
		for (size_t i = old_ports;
			s->children[k].role == ROLE_FRONTEND && s->children[k].up && i < s->ports_n; i++)
			if (supervisor_give_port(&s->children[k], &s->ports[i], &e) < 0)
				log_event(LOG_ERROR, "listen_failed", F_ERR(&e));
	supervisor_ports_prune(s, s->config.settings);
}

static void apply_key(struct supervisor *s)
{
	err e = {0};

	if (supervisor_load_key(s, s->config.settings, &e) < 0) {
		log_event(LOG_ERROR, "certificate_failed", F_ERR(&e), F_STR("note", "the one in use stays"));
		return;
	}
	for (size_t k = 0; k < s->children_n; k++)
		if (s->children[k].role == ROLE_FRONTEND && s->children[k].up &&
			supervisor_give_chain(&s->children[k], &e) < 0)
			log_event(LOG_ERROR, "certificate_failed", F_ERR(&e));
}

/* All roles validate, then all switch, or none. */
void supervisor_reload(struct supervisor *s)
{
	struct config next = {0};
	struct buf report = BUF_INIT(65536);
	err e = {0};

	if (!s->options->config_path) {
		refuse("this post house runs without a config file");
		return;
	}
	if (config_load(s->options->config_path, &next, &report) < 0) {
		buf_add_c(&report, 0);
		refuse(report.p ? report.p : "no memory");
		buf_free(&report);
		return;
	}
	buf_free(&report);
	next.settings->generation = s->config.settings->generation + 1;
	size_t old_ports = s->ports_n;
	AUTO_FD fd = settings_seal(next.settings, &e);
	if (fd < 0 || supervisor_ports_open(s, next.settings, &e) < 0 ||
		offer(s, fd, next.settings->generation, &e) < 0) {
		refuse(e.text);
		while (s->ports_n > old_ports)
			close(s->ports[--s->ports_n].fd);
		config_free(&next);
		return;
	}
	size_t changes = config_diff(s->config.settings, next.settings, log_change, NULL);
	struct config before = s->config;
	s->config = next;
	commit(s, next.settings->generation);
	apply_ports(s, old_ports);
	apply_key(s);
	config_free(&before);
	log_event(LOG_NOTICE, "config_reloaded", F_U64("changes", changes),
		F_U64("generation", s->config.settings->generation));
}
