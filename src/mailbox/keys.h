/*
 * Keys of the room's rows: a first byte, then numbers big-endian, so that rows sort as their ids do. Names
 * stand only in the name rows.
 *
 *   A acc 00              account
 *   A acc 01 mailbox      mailbox
 *   A acc 02 parent name  -> mailbox
 *   A acc 03 mailbox n    entry block
 *   A acc 04 message      message
 *   A acc 05 message      summary
 *   A acc 06 modseq n     change
 *   A acc 07 kind         a setting that is seldom read (enum key_setting)
 *   A acc 07 02 mailbox who name  metadata
 *   A acc 08 due message  expunged, restorable until due
 *   A acc 09 queue-id     delivery id of a retry, for some time
 *   A acc 0a mailbox grantee  rights granted to an account, 0: to anyone
 *   A acc 0b hash         subscription to a mailbox of another account
 *   A acc 0c              secret of the digests' hashes
 *   A acc 0c n            digests of the messages 4n to 4n+3: mailbox/digest.h
 *   D 00                  counters of domains and accounts
 *   D 01 id               domain
 *   D 02 name             -> domain id
 *   N domain localpart    address; domain 0: bare log-in names
 *   R blob acc message    who holds a blob
 *   S grantee acc mailbox for each rights row: what is shared with an account
 */
#pragma once
#include "store/kv.h"

struct key { /* of numbers only */
	char b[40];
	size_t n;
};
struct key_name { /* ends in a name */
	char b[KV_KEY_MAX];
	size_t n;
};
#define KEY_SLICE(k) slice_make((k).b, (k).n)

enum key_kind {
	KEY_ACCOUNT = 0,
	KEY_MAILBOX = 1,
	KEY_NAME = 2,
	KEY_BLOCK = 3,
	KEY_MESSAGE = 4,
	KEY_SUMMARY = 5,
	KEY_CHANGE = 6,
	KEY_SETTING = 7,
	KEY_DUE = 8,
	KEY_DELIVERY = 9,
	KEY_GRANT = 10,
	KEY_FOLLOW = 11,
	KEY_DIGEST = 12,
};

enum key_setting {
	SETTING_FORWARD = 1,
	SETTING_METADATA = 2, /* rows of their own: key_metadata */
	SETTING_METADATA_TOTAL = 3,
};

struct key key_account_all(uint32_t account);              /* prefix of all its rows */
struct key key_kind(uint32_t account, enum key_kind kind); /* prefix, and the account row itself */
struct key key_mailbox(uint32_t account, uint32_t mailbox);
struct key key_blocks(uint32_t account, uint32_t mailbox); /* prefix */
struct key key_block(uint32_t account, uint32_t mailbox, uint32_t number);
struct key key_message(uint32_t account, uint64_t message);
struct key key_summary(uint32_t account, uint64_t message);
struct key key_digests(uint32_t account, uint64_t number);
struct key key_change(uint32_t account, uint64_t modseq, uint16_t n);
struct key key_setting(uint32_t account, enum key_setting kind);
struct key key_due(uint32_t account, int64_t due_us, uint64_t message);
struct key key_delivery(uint32_t account, const uint8_t queue_id[16]);
struct key key_grants(uint32_t account, uint32_t mailbox); /* prefix */
struct key key_grant(uint32_t account, uint32_t mailbox, uint32_t grantee);
struct key key_follow(uint32_t account, const uint8_t hash[16]);
struct key key_shares(uint32_t grantee);                      /* prefix */
struct key key_shares_of(uint32_t grantee, uint32_t account); /* prefix */
struct key key_share(uint32_t grantee, uint32_t account, uint32_t mailbox);
struct key key_holders(uint64_t blob); /* prefix */
struct key key_holder(uint64_t blob, uint32_t account, uint64_t message);
struct key key_counters(void);
struct key key_domains(void); /* prefix */
struct key key_domain(uint32_t id);
struct key key_addresses(uint32_t domain); /* prefix */
/* The name must fit (KV_KEY_MAX - 16): callers check their own, smaller limits. */
void key_name(struct key_name *ret, uint32_t account, uint32_t parent, slice name);
/* Without who and name a prefix. The name is in lower case and fits, as above. */
struct key key_metadata_all(uint32_t account, uint32_t mailbox);
void key_metadata(struct key_name *ret, uint32_t account, uint32_t mailbox, uint32_t who, slice name);
void key_domain_name(struct key_name *ret, slice name);
void key_address(struct key_name *ret, uint32_t domain, slice localpart);
