/* Where an account's mail goes elsewhere: a row of its own, and a flag in the account's that says there is
 * one. */
#pragma once
#include "limits.h"
#include "mailbox/tx.h"

#define FORWARD_MAX (LIMIT_ALIAS_TARGETS * 400) /* bytes of all targets */

/* For an account whose row says that it forwards. 1, 0, -1; slices as those of view_get. */
int forward_lookup(struct view v, uint32_t account, struct account_forward *ret, err *e);

/* The targets of the settings as they are stored. ERR_SYNTAX: one is no address; ERR_LIMIT. */
int forward_encode(const struct account_settings *set, struct buf *out, err *e);
/* Carries out has_forward and has_keep; targets: as encoded. The caller writes the account's row. set may be
 * NULL. */
int forward_tx_set(struct account_tx *a, const struct account_settings *set, slice targets, err *e);
