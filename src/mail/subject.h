/* The base subject (RFC 5256 2.1): what is left of a Subject without "Re:", "[list]" and "(fwd)". Pure. */
#pragma once
#include "base/buf.h"

/*
 * Appends the base subject of `utf8`, a Subject with its encoded words decoded; the case stays. Returns
 * whether the message is a reply or forward: something that says so was taken off ("[list]" alone does not).
 * Linear time.
 */
bool mail_subject_base(struct buf *out, slice utf8);
