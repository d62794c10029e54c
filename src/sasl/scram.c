#include "sasl/scram.h"
#include "base/encode.h"
#include "base/hash.h"
#include "limits.h"

#define BINDING_MAX 64 /* bytes: a SHA-512 of a certificate */

static const slice bindings[] = {SLICE_INIT("tls-exporter"), SLICE_INIT("tls-server-end-point")};

/* ---- the texts ---- */

static bool is_value(slice s) /* printable, no comma */
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == ',')
			return false;
	return s.n > 0;
}

/* All up to the next comma or the end; the comma goes too. */
static slice field(slice *message)
{
	slice f = *message;

	if (!slice_cut(message, ',', &f))
		*message = slice_skip(*message, message->n);
	return f;
}

static bool is_attribute(slice f, char name)
{
	return f.n >= 2 && f.p[0] == name && f.p[1] == '=';
}

/* Extensions that we do not know may be skipped (RFC 5802 7), but for "m" they must look like some. */
static bool extensions_fine(slice rest)
{
	while (rest.n > 0) {
		slice f = field(&rest);

		if (f.n < 3 || !ascii_is_alpha(f.p[0]) || f.p[1] != '=' || memchr(f.p, 0, f.n))
			return false;
	}
	return true;
}

static const char *take_gs2(slice *rest, struct sasl_scram_first *f)
{
	slice whole = *rest, flag, authzid;

	if (!slice_cut(rest, ',', &flag) || !slice_cut(rest, ',', &authzid))
		return "SCRAM begins with n,, or y,, or p=...,,";
	if (is_attribute(flag, 'p')) {
		f->binding_name = slice_skip(flag, 2);
		if (!is_value(f->binding_name))
			return "a channel binding needs a name";
	} else if (flag.n != 1 || (flag.p[0] != 'n' && flag.p[0] != 'y')) {
		return "SCRAM begins with n,, or y,, or p=...,,";
	}
	f->binding = flag.p[0];
	if (authzid.n > 0) {
		if (!is_attribute(authzid, 'a') || authzid.n == 2)
			return "what stands behind the first comma is a=name or nothing";
		f->authzid = slice_skip(authzid, 2);
	}
	f->gs2 = slice_sub(whole, 0, (size_t)(rest->p - whole.p));
	return NULL;
}

const char *sasl_scram_first_parse(slice message, struct sasl_scram_first *ret)
{
	struct sasl_scram_first f = {0};
	slice rest = message, name, nonce;
	const char *why;

	if (message.n == 0 || message.n > LIMIT_SCRAM_MESSAGE)
		return "the first message of SCRAM is empty or too long";
	why = take_gs2(&rest, &f);
	if (why)
		return why;
	f.bare = rest;
	name = field(&rest);
	if (is_attribute(name, 'm'))
		return "that extension of SCRAM is not known here";
	nonce = field(&rest);
	if (!is_attribute(name, 'n') || name.n == 2)
		return "SCRAM needs n=name";
	f.name = slice_skip(name, 2);
	if (!is_attribute(nonce, 'r') || !is_value(slice_skip(nonce, 2)))
		return "SCRAM needs r=nonce behind the name";
	f.nonce = slice_skip(nonce, 2);
	if (f.nonce.n > LIMIT_SCRAM_NONCE)
		return "that nonce is too long";
	if (slice_ends(message, S(",")) || !extensions_fine(rest))
		return "what stands behind the nonce is no extension";
	*ret = f;
	return NULL;
}

static bool take_proof(slice text, uint8_t proof[SASL_SCRAM_KEY])
{
	struct buf raw = BUF_INIT(2 * SASL_SCRAM_KEY);
	bool ok = base64_decode(&raw, text) && raw.n == SASL_SCRAM_KEY;

	if (ok)
		memcpy(proof, raw.p, SASL_SCRAM_KEY);
	buf_free(&raw);
	return ok;
}

const char *sasl_scram_final_parse(slice message, struct sasl_scram_final *ret)
{
	struct sasl_scram_final f = {0};
	ptrdiff_t comma = slice_rfind_c(message, ',');
	slice rest, binding, nonce, proof;

	if (message.n > LIMIT_SCRAM_MESSAGE || comma < 0)
		return "the last message of SCRAM is c=...,r=...,p=...";
	f.unproven = rest = slice_sub(message, 0, (size_t)comma);
	proof = slice_skip(message, (size_t)comma + 1);
	binding = field(&rest);
	nonce = field(&rest);
	if (slice_ends(f.unproven, S(",")) || !is_attribute(binding, 'c') ||
		!is_value(slice_skip(binding, 2)) || !is_attribute(nonce, 'r') ||
		!is_value(slice_skip(nonce, 2)) || !extensions_fine(rest))
		return "the last message of SCRAM is c=...,r=...,p=...";
	if (!is_attribute(proof, 'p') || !take_proof(slice_skip(proof, 2), f.proof))
		return "SCRAM's proof is 32 bytes in base64";
	f.binding = slice_skip(binding, 2);
	f.nonce = slice_skip(nonce, 2);
	*ret = f;
	return NULL;
}

bool sasl_scram_name(slice text, char ret[], size_t *ret_n)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '=') {
			slice code = slice_sub(text, i, 3);

			if (!slice_ieq(code, S("=2C")) && !slice_eq(code, S("=3D")))
				return false;
			c = code.p[1] == '2' ? ',' : '=';
			i += 2;
		}
		if (c == 0 || n == LIMIT_SASL_NAME)
			return false;
		ret[n++] = c;
	}
	if (!utf8_valid(slice_make(ret, n)))
		return false;
	*ret_n = n;
	return true;
}

/* ---- the exchange ---- */

bool sasl_scram_binds(const struct sasl_scram_ops *ops, void *ctx)
{
	struct buf data = BUF_INIT(BINDING_MAX);
	bool any = false;

	for (size_t i = 0; i < COUNT_OF(bindings) && !any; i++)
		any = ops->binding(ctx, bindings[i], &data);
	buf_free(&data);
	return any;
}

/* What lasts from the first message to the proof. */
struct exchange {
	const struct sasl_scram *s;
	struct buf message;            /* client-first-message */
	struct buf server;             /* server-first-message */
	struct buf bound;              /* what c= must be: the header and the channel's binding */
	struct sasl_scram_first first; /* slices into message */
};

/* RFC 5802 6: a "y" where we did offer -PLUS means that somebody between us took the offer off. */
static int check_binding(struct exchange *x, err *e)
{
	const struct sasl_scram *s = x->s;
	const struct sasl_scram_first *f = &x->first;

	if (s->plus && f->binding != 'p')
		return err_set(e, ERR_SYNTAX, "SCRAM-SHA-256-PLUS needs a channel binding: p=tls-exporter,,");
	if (!s->plus && f->binding == 'p')
		return err_set(e, ERR_SYNTAX, "a channel binding goes with SCRAM-SHA-256-PLUS");
	if (f->binding == 'y' && sasl_scram_binds(s->ops, s->ctx))
		return err_set(e, ERR_SYNTAX,
			"SCRAM-SHA-256-PLUS was offered, and you did not see it: somebody stands between us");
	buf_add(&x->bound, f->gs2);
	if (s->plus && !s->ops->binding(s->ctx, f->binding_name, &x->bound))
		return err_set(e, ERR_SYNTAX, "that channel binding is not to be had on this connection");
	return x->bound.failed ? err_set(e, ERR_TEMP, "out of memory") : 0;
}

static int begin(struct exchange *x, const slice *initial, err *e)
{
	const struct sasl_scram *s = x->s;
	char name[LIMIT_SASL_NAME], authzid[LIMIT_SASL_NAME];
	size_t name_n, authzid_n;
	slice text;
	const char *why;

	if (initial)
		text = *initial;
	else if (!s->ask(s->arg, S(""), &text))
		return err_set(e, ERR_CANCELED, "ended by the client");
	buf_add(&x->message, text);
	why = text.n > LIMIT_SCRAM_MESSAGE ? "that is too long"
					   : sasl_scram_first_parse(buf_slice(&x->message), &x->first);
	if (!why && (!sasl_scram_name(x->first.name, name, &name_n) ||
			    !sasl_scram_name(x->first.authzid, authzid, &authzid_n)))
		why = "that name is malformed or too long";
	if (why)
		return err_set(e, ERR_SYNTAX, "%s", why);
	if (check_binding(x, e) < 0)
		return -1;
	return s->ops->first(s->ctx, slice_make(name, name_n), slice_make(authzid, authzid_n), x->first.nonce,
		&x->server, e);
}

static bool binding_is(const struct exchange *x, slice text)
{
	struct buf said = BUF_INIT(LIMIT_SCRAM_MESSAGE);
	bool ok = base64_decode(&said, text) && said.n == x->bound.n && secret_eq(said.p, x->bound.p, said.n);

	buf_free(&said);
	return ok;
}

static int prove(struct exchange *x, uint8_t signature[SASL_SCRAM_KEY], err *e)
{
	const struct sasl_scram *s = x->s;
	struct sasl_scram_final f;
	slice text, ours = buf_slice(&x->server);
	const char *why;

	if (x->server.failed)
		return err_set(e, ERR_TEMP, "out of memory");
	if (!s->ask(s->arg, ours, &text))
		return err_set(e, ERR_CANCELED, "ended by the client");
	why = sasl_scram_final_parse(text, &f);
	if (why)
		return err_set(e, ERR_SYNTAX, "%s", why);
	if (!slice_eq(f.nonce, slice_skip(field(&ours), 2)))
		return err_set(e, ERR_SYNTAX, "that nonce is not the one of this exchange");
	if (!binding_is(x, f.binding))
		return err_set(e, ERR_DENIED, "the channel binding is of another connection");
	return s->ops->proof(s->ctx, x->first.bare, &f, signature, e);
}

/* No protocol of ours has room for data with its success, so the signature is a challenge of its own. */
static int show(const struct sasl_scram *s, const uint8_t signature[SASL_SCRAM_KEY], err *e)
{
	struct buf text = BUF_INIT(64);
	slice answer;
	int rc = 0;

	buf_addz(&text, "v=");
	base64_encode(&text, slice_make(signature, SASL_SCRAM_KEY));
	if (text.failed)
		rc = err_set(e, ERR_TEMP, "out of memory");
	else if (!s->ask(s->arg, buf_slice(&text), &answer))
		rc = err_set(e, ERR_CANCELED, "ended by the client");
	else if (answer.n > 0)
		rc = err_set(e, ERR_SYNTAX, "nothing may follow the proof");
	buf_free(&text);
	return rc;
}

int sasl_scram_run(const struct sasl_scram *s, const slice *initial, err *e)
{
	struct exchange x = {.s = s,
		.message = BUF_INIT(LIMIT_SCRAM_MESSAGE),
		.server = BUF_INIT(LIMIT_SCRAM_MESSAGE),
		.bound = BUF_INIT(LIMIT_SCRAM_MESSAGE + BINDING_MAX)};
	uint8_t signature[SASL_SCRAM_KEY];
	int rc = begin(&x, initial, e);

	if (rc == 0)
		rc = prove(&x, signature, e);
	if (rc == 0)
		rc = show(s, signature, e);
	buf_free(&x.message);
	buf_free(&x.server);
	buf_free(&x.bound);
	return rc;
}
