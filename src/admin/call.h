/* Between the dispatcher and the handlers. Not for other rooms. */
#pragma once
#include "admin/admin.h"

#include <jansson.h>

struct admin_call {
	struct admin_session *session;
	struct store *store;
	json_t *params; /* an object whose members are checked against the method's table */
	json_t *result; /* an empty object that the handler fills */
	struct arena *arena;
};

/* 0, or -1 with the error that the peer gets. */
typedef int admin_handler(struct admin_call *c, err *e);

/* One request as it stands in a frame; appends its answer. */
PARKS void admin_request(struct admin_session *s, slice text, struct buf *out);

/* Parameters. A text that is not there is empty; a flag or number not there is `otherwise`. */
slice admin_param_text(const struct admin_call *c, const char *name);
bool admin_param_has(const struct admin_call *c, const char *name);
bool admin_param_bool(const struct admin_call *c, const char *name, bool otherwise);
uint64_t admin_param_number(const struct admin_call *c, const char *name, uint64_t otherwise);
/* An array of texts into the arena. */
struct slices admin_param_texts(const struct admin_call *c, const char *name);

/* Results. A failed allocation is found when the answer is written. */
void admin_put_text(json_t *object, const char *name, slice text);
void admin_put_number(json_t *object, const char *name, uint64_t n);
void admin_put_bool(json_t *object, const char *name, bool b);
/* Microseconds as "2026-03-01T12:00:00Z". */
void admin_put_time(json_t *object, const char *name, int64_t us);

/*
 * Pages: a list answers at most ADMIN_PAGE rows, then "next" holds what to pass as `after` for the following
 * ones.
 */
#define ADMIN_PAGE 500

/* "local@domain" in two. -1: ERR_SYNTAX. */
int admin_address_split(slice address, slice *ret_local, slice *ret_domain, err *e);

/* The account that a person means by an address, or by a name that only one domain has. -1: ERR_MISSING. */
int admin_account_of(struct store_snap *snap, slice login, uint32_t *ret, err *e);

admin_handler admin_domain_list, admin_domain_show, admin_domain_add, admin_domain_set, admin_domain_remove;
admin_handler admin_account_list, admin_account_show, admin_account_add, admin_account_set,
	admin_account_remove;
admin_handler admin_alias_list, admin_alias_show, admin_alias_add, admin_alias_set, admin_alias_remove;
admin_handler admin_route_list, admin_route_show, admin_route_add, admin_route_remove, admin_route_test;
admin_handler admin_mailbox_list, admin_mailbox_show, admin_mailbox_add, admin_mailbox_set,
	admin_mailbox_remove, admin_mailbox_share, admin_mailbox_unshare, admin_mailbox_rights;
admin_handler admin_queue_list, admin_queue_show, admin_queue_retry, admin_queue_hold, admin_queue_release,
	admin_queue_drop, admin_queue_bounce, admin_queue_shape;
admin_handler admin_trace;
