/* A post house's store in a temporary folder, and a fiber to use it on; for tests of mailbox/ and delivery/.
 */
#pragma once
#include "base/buf.h"
#include "mailbox/account.h"
#include "mailbox/change.h"
#include "mailbox/watch.h"
#include "mailbox/write.h"

struct fixture {
	char dir[256];
	const struct kv_engine *engine;
	struct store *store;
	struct watchers *watchers;
	struct watch_loop *watch_loop;
	struct mailbox_codec *codec;
	struct arena *arena;
	void *arg;
	bool damaged; /* by the test itself: what does not fit together is no fault */
};

typedef void fixture_fn(struct fixture *f);

void fixture_init(struct fixture *f, const struct kv_engine *engine);
/* Opens the store, runs fn on a fiber, closes it. Again on the same fixture: the store is opened anew. */
void fixture_run(struct fixture *f, fixture_fn *fn, void *arg);
void fixture_free(struct fixture *f); /* removes the folder */
/* All of it once for each engine. */
void fixture_each(fixture_fn *fn, void *arg);
/* Only the LMDB engine keeps anything over a close. */
void fixture_lmdb(struct fixture *f);

/* ---- short words for tests; each asserts that it works ---- */

uint32_t make_account(struct fixture *f, const char *localpart, const char *domain);
uint32_t make_mailbox(struct fixture *f, uint32_t account, const char *path);
uint32_t append_one(struct fixture *f, uint32_t account, uint32_t mailbox, const char *text, uint8_t flags);
/* n messages of one byte, in few intents. */
void append_many(struct fixture *f, uint32_t account, uint32_t mailbox, unsigned n);
void set_quota(struct fixture *f, uint32_t account, uint64_t bytes);
struct account_row read_account(struct fixture *f, uint32_t account);
/* False when it is not there. The slices of the row are gone. */
bool read_mailbox(struct fixture *f, uint32_t account, uint32_t mailbox, struct mailbox_row *ret);
bool read_path(struct fixture *f, uint32_t account, const char *path, struct mailbox_row *ret);
bool read_entry(
	struct fixture *f, uint32_t account, uint32_t mailbox, uint32_t uid, struct mailbox_entry *ret);
bool read_message(struct fixture *f, uint32_t account, uint64_t message, struct mailbox_message *ret);
bool blob_there(struct fixture *f, uint64_t blob);
/* "1:3,7" of all UIDs in the mailbox. */
const char *uid_text(struct fixture *f, uint32_t account, uint32_t mailbox);
struct uidset uids_of(const char *text);
const char *set_text(struct fixture *f, const struct uidset *s);
