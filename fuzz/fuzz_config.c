/*
 * The configuration file, whole: words, blocks, includes, values, and what is printed again from them. The
 * input is cut at NUL bytes into files /c/0, /c/1 ... that may include one another.
 */
#include "base/config.h"
#include "limits.h"

#include <assert.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int piece_read(void *arg, slice path, struct arena *a, slice *ret_text, err *e)
{
	slice rest = *(const slice *)arg, head;
	uint64_t wanted;

	(void)a;
	if (!slice_starts(path, S("/c/")) || !slice_to_u64(slice_skip(path, 3), 1000, &wanted))
		return err_set(e, ERR_MISSING, "no such file");
	for (uint64_t i = 0; slice_cut(&rest, 0, &head); i++) {
		if (i == wanted) {
			*ret_text = head;
			return 0;
		}
		if (i + 1 == wanted && !memchr(rest.p, 0, rest.n)) {
			*ret_text = rest;
			return 0;
		}
	}
	if (wanted == 0) {
		*ret_text = rest;
		return 0;
	}
	return err_set(e, ERR_MISSING, "no such file");
}

static int pieces_match(
	void *arg, slice folder, slice pattern, struct arena *a, slice *ret, size_t max, err *e)
{
	(void)arg, (void)pattern, (void)a, (void)e;
	if (!slice_eq(folder, S("/c")) || max < 2)
		return 0;
	ret[0] = S("/c/1"), ret[1] = S("/c/2");
	return 2;
}

static void change_see(void *arg, const struct config_change *c)
{
	(void)arg;
	assert(c->name.n > 0);
}

static void settings_again(const struct settings *s)
{
	struct buf b = BUF_INIT(LIMIT_SETTINGS_BYTES);
	struct settings *again;
	err e;

	settings_encode(s, &b);
	if (!b.failed) {
		int rc = settings_decode(buf_slice(&b), &again, &e);
		assert(rc == 0);
		assert(config_diff(s, again, change_see, NULL) == 0);
		settings_free(again);
	}
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	slice text = slice_make(data, n);
	struct config_source source = {piece_read, pieces_match, &text};
	struct buf report = BUF_INIT(65536);
	struct config c;

	if (config_parse(&source, S("/c/0"), &c, &report) == 0) {
		assert(report.n == 0);
		settings_again(c.settings);
		config_free(&c);
	} else {
		assert(report.n > 0);
	}
	buf_free(&report);
	return 0;
}
