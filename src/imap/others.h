/*
 * Mailboxes of other accounts and their names: "Other Users/<address>/<path>" (RFC 2342). In an address '/'
 * is written =2F, and '=' =3D: it is one level.
 */
#pragma once
#include "imap/session_int.h"

#define IMAP_OTHERS MAILBOX_OTHERS "/"

/*
 * Takes IMAP_OTHERS and the owner's level off a name. 1: *ret_account is he and *ret_path what is left, maybe
 * nothing; 0: no such account; -1.
 */
int imap_others_read(struct imap_session *s, slice name, uint32_t *ret_account, slice *ret_path, err *e);
/* The name of a path of that account, without a path that of the owner's level; in the arena. 1, 0 there is
 * no such account, -1. */
int imap_others_name(
	struct store_snap *snap, uint32_t account, slice path, struct arena *a, slice *ret, err *e);

/*
 * All mailboxes that the session may list, as mailbox_list: its own, then those that others share with it and
 * those of others that it subscribes to, by their names, under levels that are \Noselect. Of these `rights`
 * says what it may do. 0, -1.
 */
int imap_list_all(struct imap_session *s, struct store_snap *snap, struct arena *a, struct mailbox_item **ret,
	size_t *ret_n, err *e);

void imap_write_myrights(struct imap_session *s, slice name, unsigned rights);
