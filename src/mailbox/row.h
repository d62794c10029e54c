/*
 * Rows as bytes: a version byte, then fields. Decoding gives slices into the value; -1 is ERR_CORRUPT. The
 * store seals the values. Readers accept only the version they know: a newer format is refused when the store
 * is opened.
 */
#pragma once
#include "base/wire.h"
#include "mailbox/account.h"
#include "mailbox/rights.h"

#define ROW_VERSION 1
#define ROW_MAX     8192 /* no row of this room is longer, summaries apart */

void row_account_put(struct buf *out, const struct account_row *r);
int row_account_get(slice in, uint32_t id, struct account_row *ret, err *e);

void row_mailbox_put(struct buf *out, const struct mailbox_row *r);
int row_mailbox_get(slice in, uint32_t account, uint32_t id, struct mailbox_row *ret, err *e);

void row_message_put(struct buf *out, const struct mailbox_message *m);
int row_message_get(slice in, uint64_t id, struct mailbox_message *ret, err *e);
void row_place_put(struct buf *out, const struct message_place *p);

struct due_row { /* an expunged message; what restoring needs */
	uint32_t mailbox, uid;
	uint8_t flags;
	int64_t expunged_us;
	slice keywords; /* names with their NULs */
};
void row_due_put(struct buf *out, const struct due_row *r);
int row_due_get(slice in, struct due_row *ret, err *e);

struct domain_counters {
	uint32_t next_domain, next_account;
};
void row_counters_put(struct buf *out, const struct domain_counters *r);
int row_counters_get(slice in, struct domain_counters *ret, err *e);

void row_domain_put(struct buf *out, const struct domain_row *r);
int row_domain_get(slice in, uint32_t id, struct domain_row *ret, err *e);

/* An address row: the account it belongs to, or an alias, or (domain 0) accounts of a bare log-in name. */
enum address_kind { ADDRESS_ACCOUNT = 1, ADDRESS_ALIAS = 2, ADDRESS_LOGIN = 3 };
struct address_row {
	enum address_kind kind;
	uint32_t account;
	slice targets; /* of var length, bytes */
	slice owners;  /* u32 each; for ADDRESS_LOGIN the accounts */
};
void row_address_put(struct buf *out, const struct address_row *r);
int row_address_get(slice in, struct address_row *ret, err *e);

void row_forward_put(struct buf *out, const struct account_forward *r);
int row_forward_get(slice in, uint32_t account, struct account_forward *ret, err *e);

void row_grant_put(struct buf *out, const struct mailbox_grant *r);
int row_grant_get(slice in, struct mailbox_grant *ret, err *e); /* the grantee stays as it is */

void row_follow_put(struct buf *out, const struct mailbox_follow *r);
int row_follow_get(slice in, struct mailbox_follow *ret, err *e);

/* A row that holds one number. */
void row_id_put(struct buf *out, uint32_t id);
int row_id_get(slice in, uint32_t *ret, err *e);

static inline uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static inline int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
