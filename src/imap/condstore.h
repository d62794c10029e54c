/*
 * CONDSTORE and QRESYNC (RFC 7162): the arguments they add to commands, and what a client learns of the time
 * since its last visit.
 */
#pragma once
#include "imap/session_int.h"

/*
 * What any CONDSTORE enabling command does (RFC 7162 3.1): from here on FETCH responses tell UID and MODSEQ.
 * The first one with a mailbox selected says HIGHESTMODSEQ; so call it before anything else of the command is
 * written.
 */
void imap_condstore_enable(struct imap_session *s);
/* "* OK [HIGHESTMODSEQ n] why" */
void imap_write_highest(struct imap_session *s, uint64_t modseq, const char *why);
/* "MODSEQ (n)", the item of a FETCH response. */
void imap_write_modseq(struct buf *out, uint64_t modseq);
/* "* VANISHED ..." lines of bounded length. 0 or a negative errno. */
PARKS int imap_write_vanished(struct imap_session *s, const struct uidset *uids, bool earlier);
/* UIDs as the client counts, by s->by_uid; all of them are members of the view. 0, -1 out of memory. */
int imap_numbers(const struct imap_session *s, const struct uidset *uids, struct uidset *ret);

/* A mod-sequence: a number up to 2^63-1 (RFC 7162 7). */
bool imap_take_modseq(struct imap_args *a, uint64_t *ret);

/* ---- SELECT and EXAMINE ---- */

struct imap_open_params {
	bool condstore, qresync;
	uint32_t uidvalidity;
	uint64_t modseq;
	bool has_known, has_match;
	struct imap_seqset known;                  /* UIDs */
	struct imap_seqset match_seqs, match_uids; /* message sequence match data: 3.2.5.2 */
};
/* The parameters behind the mailbox name, if any. enabled: ENABLE QRESYNC was said. False: a->why. */
bool imap_take_open_params(struct imap_args *a, bool enabled, struct imap_open_params *ret);
/*
 * Tells what went and what changed since the client's mod-sequence; the mailbox is open and described. 0; -1:
 * e.
 */
PARKS int imap_open_resync(struct imap_session *s, const struct imap_open_params *p, err *e);

/* ---- FETCH ---- */

struct imap_changedsince {
	bool is, vanished;
	uint64_t modseq;
};
/* One modifier of the list behind FETCH's items, whose name is taken. False with a->why empty: not of here.
 */
bool imap_take_changedsince(struct imap_args *a, slice name, struct imap_changedsince *ret);
/* Why a modifier may not stand in this command, NULL: it may. */
const char *imap_changedsince_refusal(const struct imap_session *s, const struct imap_changedsince *c);
/*
 * Takes out of *uids (of the view) what has not changed since; with VANISHED tells of what is gone of the
 * named UIDs. 0; -1: e.
 */
PARKS int imap_changedsince_apply(struct imap_session *s, const struct imap_changedsince *c,
	const struct uidset *named, struct uidset *uids, err *e);
