#include "mailbox/keys.h"
#include "base/wire.h"
#include <assert.h>

static void put8(struct key *k, uint8_t v)
{
	k->b[k->n++] = (char)v;
}

static void put32(struct key *k, uint32_t v)
{
	be32_put(k->b + k->n, v);
	k->n += 4;
}

static void put64(struct key *k, uint64_t v)
{
	be64_put(k->b + k->n, v);
	k->n += 8;
}

struct key key_account_all(uint32_t account)
{
	struct key k = {.n = 0};
	put8(&k, 'A');
	put32(&k, account);
	return k;
}

struct key key_kind(uint32_t account, enum key_kind kind)
{
	struct key k = key_account_all(account);
	put8(&k, (uint8_t)kind);
	return k;
}

static struct key kind_u64(uint32_t account, enum key_kind kind, uint64_t id)
{
	struct key k = key_kind(account, kind);
	put64(&k, id);
	return k;
}

struct key key_mailbox(uint32_t account, uint32_t mailbox)
{
	struct key k = key_kind(account, KEY_MAILBOX);
	put32(&k, mailbox);
	return k;
}

struct key key_blocks(uint32_t account, uint32_t mailbox)
{
	struct key k = key_kind(account, KEY_BLOCK);
	put32(&k, mailbox);
	return k;
}

struct key key_block(uint32_t account, uint32_t mailbox, uint32_t number)
{
	struct key k = key_blocks(account, mailbox);
	put32(&k, number);
	return k;
}

struct key key_message(uint32_t account, uint64_t message)
{
	return kind_u64(account, KEY_MESSAGE, message);
}

struct key key_summary(uint32_t account, uint64_t message)
{
	return kind_u64(account, KEY_SUMMARY, message);
}

struct key key_digests(uint32_t account, uint64_t number)
{
	return kind_u64(account, KEY_DIGEST, number);
}

struct key key_change(uint32_t account, uint64_t modseq, uint16_t n)
{
	struct key k = kind_u64(account, KEY_CHANGE, modseq);
	put8(&k, (uint8_t)(n >> 8));
	put8(&k, (uint8_t)n);
	return k;
}

struct key key_setting(uint32_t account, enum key_setting kind)
{
	struct key k = key_kind(account, KEY_SETTING);
	put8(&k, (uint8_t)kind);
	return k;
}

struct key key_due(uint32_t account, int64_t due_us, uint64_t message)
{
	struct key k = kind_u64(account, KEY_DUE, due_us < 0 ? 0 : (uint64_t)due_us);
	put64(&k, message);
	return k;
}

struct key key_delivery(uint32_t account, const uint8_t queue_id[16])
{
	struct key k = key_kind(account, KEY_DELIVERY);
	memcpy(k.b + k.n, queue_id, 16);
	k.n += 16;
	return k;
}

struct key key_grants(uint32_t account, uint32_t mailbox)
{
	struct key k = key_kind(account, KEY_GRANT);
	put32(&k, mailbox);
	return k;
}

struct key key_grant(uint32_t account, uint32_t mailbox, uint32_t grantee)
{
	struct key k = key_grants(account, mailbox);
	put32(&k, grantee);
	return k;
}

struct key key_follow(uint32_t account, const uint8_t hash[16])
{
	struct key k = key_kind(account, KEY_FOLLOW);
	memcpy(k.b + k.n, hash, 16);
	k.n += 16;
	return k;
}

struct key key_shares(uint32_t grantee)
{
	struct key k = {.n = 0};
	put8(&k, 'S');
	put32(&k, grantee);
	return k;
}

struct key key_shares_of(uint32_t grantee, uint32_t account)
{
	struct key k = key_shares(grantee);
	put32(&k, account);
	return k;
}

struct key key_share(uint32_t grantee, uint32_t account, uint32_t mailbox)
{
	struct key k = key_shares_of(grantee, account);
	put32(&k, mailbox);
	return k;
}

struct key key_holders(uint64_t blob)
{
	struct key k = {.n = 0};
	put8(&k, 'R');
	put64(&k, blob);
	return k;
}

struct key key_holder(uint64_t blob, uint32_t account, uint64_t message)
{
	struct key k = key_holders(blob);
	put32(&k, account);
	put64(&k, message);
	return k;
}

static struct key domain_kind(uint8_t kind)
{
	struct key k = {.n = 0};
	put8(&k, 'D');
	put8(&k, kind);
	return k;
}

struct key key_counters(void)
{
	return domain_kind(0);
}

struct key key_domains(void)
{
	return domain_kind(1);
}

struct key key_domain(uint32_t id)
{
	struct key k = domain_kind(1);
	put32(&k, id);
	return k;
}

struct key key_addresses(uint32_t domain)
{
	struct key k = {.n = 0};
	put8(&k, 'N');
	put32(&k, domain);
	return k;
}

static void with_name(struct key_name *ret, const struct key *head, slice name)
{
	assert(head->n + name.n <= sizeof ret->b);
	memcpy(ret->b, head->b, head->n);
	if (name.n)
		memcpy(ret->b + head->n, name.p, name.n);
	ret->n = head->n + name.n;
}

void key_name(struct key_name *ret, uint32_t account, uint32_t parent, slice name)
{
	struct key k = key_kind(account, KEY_NAME);
	put32(&k, parent);
	with_name(ret, &k, name);
}

struct key key_metadata_all(uint32_t account, uint32_t mailbox)
{
	struct key k = key_setting(account, SETTING_METADATA);
	put32(&k, mailbox);
	return k;
}

void key_metadata(struct key_name *ret, uint32_t account, uint32_t mailbox, uint32_t who, slice name)
{
	struct key k = key_metadata_all(account, mailbox);
	put32(&k, who);
	with_name(ret, &k, name);
}

void key_domain_name(struct key_name *ret, slice name)
{
	struct key k = domain_kind(2);
	with_name(ret, &k, name);
}

void key_address(struct key_name *ret, uint32_t domain, slice localpart)
{
	struct key k = key_addresses(domain);
	with_name(ret, &k, localpart);
}
