#include "dns/mx.h"
#include "base/hash.h"
#include "limits.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- addresses ---- */

static bool address_parse(slice text, struct dns_address *ret)
{
	struct dns_address v = {0};
	char z[46];

	if (text.n == 0 || text.n >= sizeof z || memchr(text.p, 0, text.n))
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = 0;
	v.family = inet_pton(AF_INET, z, v.ip) == 1 ? 4 : inet_pton(AF_INET6, z, v.ip) == 1 ? 6 : 0;
	if (v.family == 0)
		return false;
	*ret = v;
	return true;
}

bool dns_literal_parse(slice text, struct dns_address *ret)
{
	struct dns_address v;

	if (!slice_starts(text, S("[")) || !slice_ends(text, S("]")))
		return false;
	slice inner = slice_sub(text, 1, text.n - 2);
	bool six = slice_istarts(inner, S("IPv6:"));

	if (!address_parse(six ? slice_skip(inner, 5) : inner, &v) || (v.family == 6) != six)
		return false;
	*ret = v;
	return true;
}

void dns_address_text(const struct dns_address *v, char ret[46])
{
	inet_ntop(v->family == 4 ? AF_INET : AF_INET6, v->ip, ret, 46);
}

/* ---- MX ---- */

/* RFC 1123 2.1, and the underscore, which hosts in the wild have all the same. */
static bool is_host(slice name)
{
	bool digits = true; /* of the present label */

	for (size_t i = 0, label = 0; i < name.n; i++) {
		char c = name.p[i], next = i + 1 < name.n ? name.p[i + 1] : '.';

		if (c == '.') {
			label = 0;
			digits = true;
			continue;
		}
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '_' &&
			(c != '-' || label == 0 || next == '.'))
			return false;
		digits = digits && ascii_is_digit(c);
		label++;
	}
	return !digits; /* of the last label: 192.0.2.1 is no host */
}

enum dns_mx_kind dns_mx_record(slice rdata, uint16_t *ret_preference, char ret_name[256])
{
	char name[256];

	if (rdata.n < 3)
		return DNS_MX_BROKEN;
	uint16_t preference = (uint16_t)((uint8_t)rdata.p[0] << 8 | (uint8_t)rdata.p[1]);
	slice rest = slice_skip(rdata, 2);

	if (slice_eq(rest, S("\0"))) {
		*ret_preference = preference;
		return DNS_MX_ROOT;
	}
	if (!dns_name_text(&rest, name) || rest.n > 0 || !is_host(slice_of(name)))
		return DNS_MX_BROKEN;
	*ret_preference = preference;
	memcpy(ret_name, name, sizeof name);
	return DNS_MX_HOST;
}

static void shuffle(void *v, size_t n, size_t size)
{
	char *p = v, swap[sizeof(struct dns_mx_host)];
	_Static_assert(sizeof swap >= sizeof(struct dns_address), "the largest of those shuffled");

	for (size_t i = n; i > 1; i--) {
		size_t k = (size_t)(random_u64() % i);

		memcpy(swap, p + (i - 1) * size, size);
		memmove(p + (i - 1) * size, p + k * size, size);
		memcpy(p + k * size, swap, size);
	}
}

static bool is_known(const struct dns_mx *m, slice name)
{
	for (size_t i = 0; i < m->n; i++)
		if (slice_eq(m->hosts[i].name, name))
			return true;
	return false;
}

/* Shuffled before, so that those of one preference stay in the order of the dice: insertion keeps it. */
static void sort(struct dns_mx_host *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct dns_mx_host one = v[i];
		size_t k = i;

		for (; k > 0 && v[k - 1].preference > one.preference; k--)
			v[k] = v[k - 1];
		v[k] = one;
	}
}

/* The first of each name; RFC 5321 5.1: from ourselves on nothing is tried. */
static void keep(const struct dns_mx_host *v, size_t n, slice self, struct dns_mx *ret)
{
	size_t end = n;

	for (size_t i = 0; i < n; i++)
		if (slice_ieq(v[i].name, self)) {
			ret->loop = true;
			for (end = i; end > 0 && v[end - 1].preference == v[i].preference; end--)
				;
			break;
		}
	for (size_t i = 0; i < end && ret->n < LIMIT_MX_HOSTS; i++)
		if (!is_known(ret, v[i].name))
			ret->hosts[ret->n++] = v[i];
}

void dns_mx_read(const slice *records, size_t n, slice self, struct arena *a, struct dns_mx *ret)
{
	struct dns_mx_host *v = arena_new_n(a, struct dns_mx_host, n ? n : 1);
	char name[256];
	size_t good = 0;

	ret->hosts = arena_new_n(a, struct dns_mx_host, LIMIT_MX_HOSTS);
	ret->n = 0;
	if (!v || !ret->hosts) {
		ret->status = DNS_TEMP;
		return;
	}
	ret->status = DNS_OK;
	for (size_t i = 0; i < n; i++) {
		uint16_t preference;
		enum dns_mx_kind kind = dns_mx_record(records[i], &preference, name);

		if (kind == DNS_MX_ROOT && preference == 0 && n == 1) {
			ret->null_mx = true;
			return;
		}
		if (kind != DNS_MX_HOST)
			continue;
		v[good] = (struct dns_mx_host){arena_copy(a, slice_of(name)), preference};
		if (!v[good].name.p) {
			ret->status = DNS_TEMP;
			return;
		}
		good++;
	}
	ret->broken = good == 0;
	shuffle(v, good, sizeof *v);
	sort(v, good);
	keep(v, good, self, ret);
}

static void only_host(slice name, slice self, struct arena *a, struct dns_mx *ret)
{
	ret->hosts = arena_new_1(a, struct dns_mx_host);
	slice copy = arena_copy(a, name);

	if (!ret->hosts || !copy.p) {
		ret->status = DNS_TEMP;
		return;
	}
	ret->status = DNS_OK;
	ret->loop = slice_ieq(name, self);
	ret->hosts[0].name = copy;
	ret->n = ret->loop ? 0 : 1;
}

static void read_literal(slice domain, struct arena *a, struct dns_mx *ret)
{
	struct dns_address v;
	char text[46];

	ret->literal = true;
	if (dns_literal_parse(domain, &v)) {
		dns_address_text(&v, text);
		only_host(slice_of(text), S(""), a, ret);
	} else {
		ret->status = DNS_OK;
		ret->broken = true;
	}
}

void dns_mx_find(struct channel *resolver, slice domain, slice self, uint64_t deadline, struct arena *a,
	struct dns_mx *ret)
{
	struct dns_answer answer;

	*ret = (struct dns_mx){.status = DNS_TEMP};
	if (slice_starts(domain, S("["))) {
		read_literal(domain, a, ret);
		return;
	}
	dns_ask(resolver, domain, DNS_MX, deadline, a, &answer);
	ret->secure = answer.secure;
	ret->status = answer.status;
	if (answer.status == DNS_OK && answer.n > 0) {
		dns_mx_read(answer.records, answer.n, self, a, ret);
	} else if (answer.status == DNS_NODATA || answer.status == DNS_OK) {
		ret->implicit = true;
		only_host(domain, self, a, ret);
	}
}

/* ---- addresses of a host ---- */

struct family { /* one of the two questions */
	struct channel *resolver;
	slice host;
	enum dns_type type;
	uint64_t deadline;
	struct arena *a;
	struct fiber *asker;
	struct dns_answer answer;
	bool done;
};

static void ask_family(void *arg)
{
	struct family *f = arg;

	dns_ask(f->resolver, f->host, f->type, f->deadline, f->a, &f->answer);
	f->done = true;
	if (f->asker)
		fiber_wake(f->asker);
}

static void ask_both(struct family *six, struct family *four)
{
	six->asker = fiber_self();
	struct fiber *other = fiber_start("dns", ask_family, six);

	ask_family(four);
	if (!other) {
		six->asker = NULL;
		ask_family(six);
		return;
	}
	if (fiber_canceled())
		fiber_cancel(other);
	fiber_park_firmly(&six->done);
}

/* Those of one family, shuffled. */
static size_t take(const struct family *f, struct dns_address *v)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	size_t n = 0, size = f->type == DNS_A ? 4 : 16;

	for (size_t i = 0; f->answer.status == DNS_OK && i < f->answer.n && n < LIMIT_DNS_RECORDS; i++) {
		slice one = f->answer.records[i];

		if (one.n != size || (size == 16 && memcmp(one.p, mapped, sizeof mapped) == 0))
			continue;
		v[n].family = size == 4 ? 4 : 6;
		memcpy(v[n++].ip, one.p, size);
	}
	shuffle(v, n, sizeof *v);
	return n;
}

static enum dns_status none_status(const struct family *six, const struct family *four)
{
	static const enum dns_status order[] = {DNS_BOGUS, DNS_TEMP, DNS_NODATA, DNS_NXDOMAIN};

	for (size_t i = 0; i < COUNT_OF(order); i++)
		if ((six->done && six->answer.status == order[i]) ||
			(four->done && four->answer.status == order[i]))
			return order[i];
	return DNS_NODATA; /* records that are no addresses */
}

static void mix(const struct family *six, const struct family *four, struct dns_addresses *ret)
{
	struct dns_address *v = arena_new_n(four->a, struct dns_address, 2 * LIMIT_DNS_RECORDS);

	ret->v = arena_new_n(four->a, struct dns_address, LIMIT_MX_ADDRESSES);
	ret->status = DNS_TEMP;
	if (!v || !ret->v)
		return;
	size_t sixes = take(six, v), fours = take(four, v + LIMIT_DNS_RECORDS);

	for (size_t i = 0; i < sixes || i < fours; i++) {
		if (i < sixes && ret->n < LIMIT_MX_ADDRESSES)
			ret->v[ret->n++] = v[i];
		if (i < fours && ret->n < LIMIT_MX_ADDRESSES)
			ret->v[ret->n++] = v[LIMIT_DNS_RECORDS + i];
	}
	ret->status = ret->n > 0 ? DNS_OK : none_status(six, four);
	ret->secure = (!six->done || six->answer.secure) && (!four->done || four->answer.secure);
}

void dns_addresses_find(struct channel *resolver, slice host, enum dns_families families, uint64_t deadline,
	struct arena *a, struct dns_addresses *ret)
{
	struct family four = {resolver, host, DNS_A, deadline, a}, six = four;
	struct dns_address self;

	six.type = DNS_AAAA;
	*ret = (struct dns_addresses){.status = DNS_TEMP};
	if (address_parse(host, &self)) {
		ret->v = arena_new_1(a, struct dns_address);
		if (!ret->v)
			return;
		ret->v[0] = self;
		ret->n = 1;
		ret->status = DNS_OK;
		return;
	}
	if (families == DNS_BOTH)
		ask_both(&six, &four);
	else
		ask_family(families == DNS_ONLY_4 ? &four : &six);
	mix(&six, &four, ret);
}
