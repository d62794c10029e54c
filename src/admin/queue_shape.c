/* queue.shape: which destinations have how much waiting, and for how long. */
#include "admin/queue_int.h"
#include "base/clock.h"
#include "base/wire.h"
#include "limits.h"

#define SHAPE_DEFAULT 20
#define SHAPE_DOMAINS 10000 /* counted each; the rest is one sum */
#define SHAPE_SLOTS   32768

static const uint16_t ages[] = {5, 10, 20, 40, 80, 160, 320, 640, 1280}; /* minutes; and more */
#define SHAPE_AGES (COUNT_OF(ages) + 1)

struct row {
	uint64_t lane;
	slice domain; /* empty: done here; p NULL: a free slot */
	uint64_t total, held, by_age[SHAPE_AGES];
};

struct shape {
	struct admin_call *c;
	struct row *slots; /* SHAPE_SLOTS, open addressing by lane */
	struct row all, others;
	size_t n, looked;
	uint64_t now_ms;
	uint8_t at[16];
	bool has_at, end;
};

static struct row *row_of(struct shape *s, uint64_t lane, slice domain)
{
	size_t i = (size_t)(lane ^ lane >> 32) % SHAPE_SLOTS;

	while (s->slots[i].domain.p && !slice_eq(s->slots[i].domain, domain))
		i = (i + 1) % SHAPE_SLOTS;
	struct row *row = &s->slots[i];
	if (row->domain.p)
		return row;
	if (s->n == SHAPE_DOMAINS)
		return &s->others;
	slice name = domain.n ? arena_copy(s->c->arena, domain) : S("");
	if (!name.p)
		return &s->others;
	s->n++;
	*row = (struct row){.lane = lane, .domain = name};
	return row;
}

static void count(struct row *row, size_t age, bool held)
{
	if (held) {
		row->held++;
		return;
	}
	row->total++;
	row->by_age[age]++;
}

static bool see(void *arg, const uint8_t id[16], uint64_t lane, const struct queue_recipient *r)
{
	struct shape *s = arg;
	uint64_t came = be64_get(id) >> 16, minutes = s->now_ms > came ? (s->now_ms - came) / 60000 : 0;
	size_t age = 0;

	if (!s->has_at || memcmp(s->at, id, sizeof s->at) != 0) {
		memcpy(s->at, id, sizeof s->at);
		s->has_at = true;
		if (s->looked >= QUEUE_STEP) { /* the next step begins with it */
			s->end = false;
			return false;
		}
	}
	s->looked++;
	if (r->state != QUEUE_WAITING && r->state != QUEUE_HELD)
		return true;
	while (age < COUNT_OF(ages) && minutes >= ages[age])
		age++;
	count(row_of(s, lane, lane ? r->domain : (slice){"", 0}), age, r->state == QUEUE_HELD);
	count(&s->all, age, r->state == QUEUE_HELD);
	return true;
}

static int look(struct shape *s, err *e)
{
	struct store_snap snap;
	uint8_t from[16];

	if (store_snap_begin(s->c->store, &snap, e) < 0)
		return -1;
	memcpy(from, s->at, sizeof from);
	s->looked = 0;
	s->end = true;
	int rc = queue_each_recipient(&snap, s->has_at ? from : NULL, see, s, e);
	store_snap_end(&snap);
	if (rc == 0 && fiber_yield() < 0)
		return err_set(e, ERR_CANCELED, "the program ends");
	return rc;
}

static int by_total(const void *a, const void *b)
{
	const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;

	if (x->total + x->held != y->total + y->held)
		return x->total + x->held < y->total + y->held ? 1 : -1;
	return slice_cmp(x->domain, y->domain);
}

static json_t *row_put(json_t *o, const struct row *row)
{
	json_t *list = json_array();

	admin_put_number(o, "total", row->total);
	for (size_t i = 0; i < SHAPE_AGES; i++)
		json_array_append_new(list, json_integer((json_int_t)row->by_age[i]));
	json_object_set_new(o, "ages", list);
	admin_put_number(o, "held", row->held);
	return o;
}

static void add(struct row *to, const struct row *row)
{
	to->total += row->total;
	to->held += row->held;
	for (size_t i = 0; i < SHAPE_AGES; i++)
		to->by_age[i] += row->by_age[i];
}

static int rows_put(struct shape *s, size_t limit, err *e)
{
	const struct row **v = arena_new_n(s->c->arena, const struct row *, s->n + 1);
	json_t *list = json_array();
	size_t n = 0;

	json_object_set_new(s->c->result, "destinations", list);
	if (!v)
		return err_set(e, ERR_TEMP, "out of memory");
	for (size_t i = 0; i < SHAPE_SLOTS; i++) {
		if (s->slots[i].domain.p)
			v[n++] = &s->slots[i];
	}
	qsort(v, n, sizeof *v, by_total);
	for (size_t i = 0; i < n; i++) {
		if (i >= limit) {
			add(&s->others, v[i]);
			continue;
		}
		json_t *o = row_put(json_object(), v[i]);
		admin_put_text(o, "domain", v[i]->domain);
		if (v[i]->lane)
			queue_put_lane(s->c, o, v[i]->lane);
		json_array_append_new(list, o);
	}
	if (s->others.total || s->others.held)
		json_object_set_new(s->c->result, "others", row_put(json_object(), &s->others));
	return 0;
}

int admin_queue_shape(struct admin_call *c, err *e)
{
	uint64_t limit = admin_param_number(c, "limit", SHAPE_DEFAULT);
	struct shape *s = arena_new_1(c->arena, struct shape);
	json_t *minutes = json_array();
	int rc = 0;

	for (size_t i = 0; i < COUNT_OF(ages); i++)
		json_array_append_new(minutes, json_integer(ages[i]));
	json_object_set_new(c->result, "minutes", minutes);
	if (limit == 0 || limit > ADMIN_PAGE)
		return err_set(e, ERR_SYNTAX, "1 to %d destinations can be shown", ADMIN_PAGE);
	if (s) {
		s->slots = arena_new_n(c->arena, struct row, SHAPE_SLOTS);
		s->c = c;
		s->now_ms = (uint64_t)clock_wall_us() / 1000;
	}
	if (!s || !s->slots)
		return err_set(e, ERR_TEMP, "out of memory");
	while (rc == 0 && !s->end)
		rc = look(s, e);
	json_object_set_new(c->result, "total", row_put(json_object(), &s->all));
	return rc == 0 ? rows_put(s, (size_t)limit, e) : rc;
}
