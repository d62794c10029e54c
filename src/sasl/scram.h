/*
 * The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677), for any protocol that carries
 * SASL. It knows the texts and no secret: two questions go to whoever holds the verifiers, and neither the
 * stored key nor the password comes here. Names and passwords are compared as they come (RFC 4013 leaves
 * ASCII as it is; a client that prepares others sends NFKC, which is what keyboards type).
 */
#pragma once
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

#define SASL_SCRAM_KEY 32

struct sasl_scram_first {   /* client-first-message, RFC 5802 7 */
	char binding;       /* 'n', 'y' (the client could, but saw no offer) or 'p' */
	slice binding_name; /* with 'p' */
	slice gs2;          /* the header, its last comma included */
	slice bare;
	slice name, authzid; /* as they stand: =2C and =3D are still in them */
	slice nonce;
};

struct sasl_scram_final { /* client-final-message */
	slice binding;    /* base64 */
	slice nonce;      /* the client's and the server's */
	slice unproven;   /* client-final-message-without-proof */
	uint8_t proof[SASL_SCRAM_KEY];
};

/* Slices into the message. NULL, or a sentence about what is wrong with it. Pure. */
const char *sasl_scram_first_parse(slice message, struct sasl_scram_first *ret);
const char *sasl_scram_final_parse(slice message, struct sasl_scram_final *ret);
/* A saslname without its =2C and =3D. False: other `=`, a NUL, no UTF-8, or over LIMIT_SASL_NAME bytes. */
bool sasl_scram_name(slice text, char ret[], size_t *ret_n);

struct sasl_scram_ops {
	/*
	 * The connection's channel binding of that name ("tls-exporter"...) into ret. False: none. With any
	 * of those of sasl_scram_binds, -PLUS is to be offered.
	 */
	bool (*binding)(void *ctx, slice name, struct buf *ret);
	/*
	 * The name and the client's nonce are known: server-first-message into ret, of an unknown user too.
	 * -1: ERR_DENIED, or anything else: not now. The implementer keeps what ties `proof` to it.
	 */
	PARKS int (*first)(void *ctx, slice name, slice authzid, slice nonce, struct buf *ret, err *e);
	/* Is the proof right? 0 and the server's signature; -1: ERR_DENIED it is not, anything else: not now.
	 */
	PARKS int (*proof)(void *ctx, slice bare, const struct sasl_scram_final *final,
		uint8_t ret_signature[SASL_SCRAM_KEY], err *e);
};

/* Whether -PLUS may be offered on this connection. */
bool sasl_scram_binds(const struct sasl_scram_ops *ops, void *ctx);

struct sasl_scram {
	const struct sasl_scram_ops *ops;
	void *ctx;
	bool plus; /* the client chose SCRAM-SHA-256-PLUS */
	/*
	 * Sends a challenge and gets the answer, both without base64; the answer holds until the next call.
	 * False: the client cancelled, spoke no base64 or is gone, and ask has said so.
	 */
	PARKS bool (*ask)(void *arg, slice challenge, slice *ret);
	void *arg;
};

/*
 * The whole exchange. initial: the decoded initial response, NULL: none. 0: the client knows the password
 * and has been shown that we know it, too. -1: ERR_DENIED wrong name or password, ERR_SYNTAX against the RFC
 * (the text says what, for the client), ERR_CANCELED ask ended it, anything else: not now.
 */
PARKS int sasl_scram_run(const struct sasl_scram *s, const slice *initial, err *e);
