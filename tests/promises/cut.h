/*
 * Power cuts to order. In libcut.so (see cut.c), linked to a test before libc: it keeps what of a store's
 * folder is certainly on disk, and writes down at a given call what a power cut at that moment might leave.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define CUT_API __attribute__((visibility("default")))

/* Watches a store's folder; all that is in it now is on disk. Syncs there are no longer made, only noted. */
CUT_API void cut_watch(const char *dir, uint64_t seed);
/* Before the n-th call from now on that could change the folder, fn runs; all other such calls wait. */
CUT_API void cut_at(unsigned nth, void (*fn)(void *arg), void *arg);
CUT_API bool cut_fired(void);
/* In fn, or when nothing goes on: fills the empty folder `to` with what might be left. */
CUT_API void cut_image(const char *to);
CUT_API void cut_unwatch(void);
