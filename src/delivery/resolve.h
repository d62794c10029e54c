/*
 * Recipients to accounts and remote addresses: aliases and the forwards of accounts are followed, loops and
 * floods stopped, each target once.
 */
#pragma once
#include "delivery/delivery.h"
#include "limits.h"
#include "mailbox/view.h"

struct target {
	uint32_t account; /* 0: remote */
	slice address; /* "local@domain" as SMTP writes it: of a remote target, and of one that did not take
			  it */
	slice via; /* remote: the address here, "local@domain", whose alias or forward sent it outside; empty:
		      named by the sender */
	size_t original; /* index of the recipient it came from first */
	enum delivery_result result;
};

struct visit { /* the row of an alias, or of an account with forwards, that was followed */
	uint32_t domain;
	slice local;
};

struct resolve {
	struct view view;
	struct arena *arena;
	uint64_t size; /* of the message */
	bool may_relay;
	const slice *delivered_to; /* of struct delivery */
	size_t n_delivered_to;
	struct target *targets;
	size_t n, cap;
	struct visit visits[LIMIT_ALIAS_VISITS];
	size_t n_visits;
};

/*
 * Adds the targets of one recipient that are not there yet. *ret: OK when at least one target takes it (new
 * or found before); else why not. When it leads too far (DELIVERY_LOOP), its targets are taken back. Reads
 * only. 0 or -1.
 */
int resolve_recipient(
	struct resolve *r, slice local, slice domain, size_t original, enum delivery_result *ret, err *e);

/* "local@domain" with the local part quoted where it must be. p == NULL: no memory. */
slice resolve_address_text(struct arena *a, slice local, slice domain);
