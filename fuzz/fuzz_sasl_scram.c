/* A whole SCRAM exchange with a stranger: the input's lines are what he says, one a challenge. */
#include "sasl/scram.h"
#include <stdlib.h>

struct stranger {
	slice left;
	bool bound;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_binding(void *ctx, slice name, struct buf *ret)
{
	const struct stranger *s = ctx;

	buf_addz(ret, s->bound ? "0123456789abcdef" : "");
	return s->bound && slice_eq(name, S("tls-exporter"));
}

/* What comes here was found good, so it must be. */
static int on_first(void *ctx, slice name, slice authzid, slice nonce, struct buf *ret, err *e)
{
	(void)ctx;
	(void)authzid;
	if (nonce.n == 0 || slice_find_c(nonce, ',') >= 0 || slice_find_c(name, 0) >= 0)
		abort();
	buf_addz(ret, "r=");
	buf_add(ret, nonce);
	buf_addz(ret, ",s=AAAA,i=4096");
	return name.p && name.n && name.p[0] == 't' ? err_set(e, ERR_TEMP, "not now") : 0;
}

static int on_proof(void *ctx, slice bare, const struct sasl_scram_final *final,
	uint8_t ret_signature[SASL_SCRAM_KEY], err *e)
{
	(void)ctx;
	if (bare.n < 5 || final->unproven.n < 6)
		abort();
	memcpy(ret_signature, final->proof, SASL_SCRAM_KEY);
	return final->proof[0] == 0 ? 0 : err_set(e, ERR_DENIED, "no");
}

static bool ask(void *arg, slice challenge, slice *ret)
{
	struct stranger *s = arg;
	slice line = s->left;

	(void)challenge;
	if (s->left.n == 0)
		return false;
	if (!slice_cut(&s->left, '\n', &line))
		s->left = slice_skip(s->left, s->left.n);
	*ret = line;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sasl_scram_ops ops = {on_binding, on_first, on_proof};
	uint8_t *copy = malloc(size ? size : 1); /* of its size: an over-read is seen */

	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	for (int i = 0; i < 4; i++) {
		struct stranger s = {slice_make(copy, size), i & 1};
		struct sasl_scram x = {&ops, &s, (i & 2) != 0, ask, &s};
		err e = {0};

		if (sasl_scram_run(&x, NULL, &e) < 0 && e.kind == ERR_NONE)
			abort();
	}
	free(copy);
	return 0;
}
