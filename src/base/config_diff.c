/* What a reload changes, for the log and for those who must restart. */
#include "base/config.h"

struct diff {
	struct buf name, before, after;
	void (*see)(void *arg, const struct config_change *);
	void *arg;
	size_t n;
};

static void tell(struct diff *d, bool restart, unsigned roles)
{
	struct config_change c = {
		buf_slice(&d->name), buf_slice(&d->before), buf_slice(&d->after), restart, roles};

	d->n++;
	d->see(d->arg, &c);
}

static void rows_diff(struct diff *d, const struct settings *x, const struct settings *y)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *row = &setting_table[i];
		if (setting_equal(row, x, y))
			continue;
		buf_reset(&d->name), buf_reset(&d->before), buf_reset(&d->after);
		setting_name(row, &d->name);
		setting_print(row, x, &d->before);
		setting_print(row, y, &d->after);
		tell(d, row->change == SETTING_RESTART, row->roles);
	}
}

static bool listens_hold(const struct settings *s, const struct settings_listen *l)
{
	for (size_t i = 0; i < s->listens_n; i++) {
		if (settings_listen_equal(&s->listens[i], l))
			return true;
	}
	return false;
}

/* Listeners of `of` that `in` does not have. Ports are opened with rights that are given up later: a restart.
 */
static void listens_diff(struct diff *d, const struct settings *of, const struct settings *in, bool came)
{
	for (size_t i = 0; i < of->listens_n; i++) {
		if (listens_hold(in, &of->listens[i]))
			continue;
		buf_reset(&d->name), buf_reset(&d->before), buf_reset(&d->after);
		buf_addz(&d->name, "listen");
		settings_listen_print(&of->listens[i], came ? &d->after : &d->before);
		tell(d, false, SETTING_SUPERVISOR | SETTING_FRONTEND);
	}
}

static const struct settings_domain *domain_find(const struct settings *s, slice name)
{
	for (size_t i = 0; i < s->domains_n; i++) {
		if (slice_eq(s->domains[i].name, name))
			return &s->domains[i];
	}
	return NULL;
}

static void domain_text(const struct settings_domain *d, struct buf *out)
{
	if (!d)
		return;
	buf_add(out, d->name);
	if (d->catchall.n) {
		buf_addz(out, " catchall ");
		buf_add(out, d->catchall);
	}
}

static void domains_diff(struct diff *d, const struct settings *of, const struct settings *in, bool came)
{
	for (size_t i = 0; i < of->domains_n; i++) {
		const struct settings_domain *one = &of->domains[i], *other = domain_find(in, one->name);
		if (other && (came || settings_domain_equal(one, other)))
			continue;
		buf_reset(&d->name), buf_reset(&d->before), buf_reset(&d->after);
		buf_addz(&d->name, "domain");
		domain_text(came ? other : one, &d->before);
		domain_text(came ? one : other, &d->after);
		tell(d, false, SETTING_BACKEND);
	}
}

size_t config_diff(const struct settings *before, const struct settings *after,
	void (*see)(void *arg, const struct config_change *), void *arg)
{
	struct diff d = {.name = BUF_INIT(256),
		.before = BUF_INIT(8192),
		.after = BUF_INIT(8192),
		.see = see,
		.arg = arg};

	rows_diff(&d, before, after);
	listens_diff(&d, before, after, false);
	listens_diff(&d, after, before, true);
	domains_diff(&d, before, after, false);
	domains_diff(&d, after, before, true);
	buf_free(&d.name);
	buf_free(&d.before);
	buf_free(&d.after);
	return d.n;
}
