/*
 * The other side of sasl/scram.h for tests: knows the exchange of RFC 7677 3 (user "user", password "pencil")
 * by heart, and with `bound` a channel whose tls-exporter is 32 times "x".
 */
#pragma once
#include "sasl/scram.h"
#include <stdio.h>

#define SCRAM_CLIENT_FIRST "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define SCRAM_SERVER_FIRST                                                                                   \
	"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define SCRAM_UNPROVEN     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SCRAM_PROOF        "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SCRAM_SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

struct scram_world {
	bool bound, busy;
	const char *proof; /* 32 bytes that are good; NULL: those of the RFC */
	char name[64];
};

static inline bool scram_world_binding(void *ctx, slice name, struct buf *ret)
{
	const struct scram_world *w = ctx;

	if (!w->bound || !slice_eq(name, S("tls-exporter")))
		return false;
	for (int i = 0; i < 32; i++)
		buf_add_c(ret, 'x');
	return true;
}

static inline int scram_world_first(
	void *ctx, slice name, slice authzid, slice nonce, struct buf *ret, err *e)
{
	struct scram_world *w = ctx;

	if (w->busy)
		return err_set(e, ERR_TEMP, "not now");
	(void)authzid;
	(void)snprintf(w->name, sizeof w->name, "%.*s", (int)name.n, name.p);
	buf_addz(ret, "r=");
	buf_add(ret, nonce);
	buf_addz(ret, strstr(SCRAM_SERVER_FIRST, "%hv"));
	return 0;
}

static inline int scram_world_proof(void *ctx, slice bare, const struct sasl_scram_final *final,
	uint8_t ret_signature[SASL_SCRAM_KEY], err *e)
{
	/* the two in base64 above */
	static const char proof[] = "\x74\x7c\xdb\x65\xaa\x56\x22\x4e\x23\x52\x13\x7e\x52\xd7\xbd\xca"
				    "\xd6\xa0\xf7\x38\xdf\x30\x78\x2c\xaa\x69\xa2\xcf\xb0\x27\x75\x54",
			  signature[] = "\xea\xba\xe2\x4d\x10\x62\xdb\x75\xa9\x45\x1f\xf0\xb6\xea\x7e\x98"
					"\xc8\x54\x65\x49\xff\x74\x1e\x67\x2d\x32\x51\xb2\x39\x7d\xe4\x6e";
	const struct scram_world *w = ctx;

	if (!slice_eq(bare, S("n=user,r=rOprNGfwEbeRWgbNEkqO")) ||
		memcmp(final->proof, w->proof ? w->proof : proof, SASL_SCRAM_KEY) != 0 ||
		(!w->bound && !slice_eq(final->unproven, S(SCRAM_UNPROVEN))))
		return err_set(e, ERR_DENIED, "wrong name or password");
	memcpy(ret_signature, signature, SASL_SCRAM_KEY);
	return 0;
}

static const struct sasl_scram_ops scram_world_ops = {
	scram_world_binding, scram_world_first, scram_world_proof};
