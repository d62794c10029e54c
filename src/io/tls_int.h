/* What tls.c and tls_provider.c share. Not for other rooms. */
#pragma once
#include "io/tls.h"
#include <openssl/evp.h>

/* Adds the provider "posthouse" (keys whose private half is elsewhere) to the default library context. */
int tls_provider_load(err *e);

/*
 * A key that libssl takes for a private one; a signature is asked of sign(arg, key_id, ...). pub: of a
 * certificate, RSA, EC or Ed25519; a reference is taken. *error gets each answer of sign (0 or a negative
 * errno) and must outlive the key.
 */
EVP_PKEY *tls_provider_key(EVP_PKEY *pub, uint32_t key_id, tls_sign_fn *sign, void *arg, int *error, err *e);
