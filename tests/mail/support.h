/* What the tests of mail/ share: vectors from outside the project, and small conveniences. */
#pragma once
/* cmocka wants these four in front of it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define MEGABYTE ((size_t)1 << 20)

static inline void check_slice_at(const char *file, int line, slice got, slice want)
{
	if (slice_eq(got, want) && !got.p == !want.p)
		return;
	if (slice_eq(got, want) && got.n == 0 && got.p && want.p)
		return;
	print_error("%s:%d: got %s\"%.*s\", want %s\"%.*s\"\n", file, line, got.p ? "" : "NULL ", (int)got.n,
		got.n ? got.p : "", want.p ? "" : "NULL ", (int)want.n, want.n ? want.p : "");
	fail();
}
#define check_slice(got, want) check_slice_at(__FILE__, __LINE__, (got), (want))

/* The path of a file of vectors; false (and a line saying so) where the folder is not there. */
static inline bool vector_path(char *path, size_t n, const char *name)
{
	const char *shared = getenv("POSTHOUSE_SHARED");
	snprintf(path, n, "%s/data/%s", shared ? shared : SOURCE_ROOT "/../shared", name);
	if (access(path, R_OK) == 0)
		return true;
	print_message("skipped: no vectors at %s\n", path);
	return false;
}

static inline bool file_read(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "rb");
	char block[4096];
	size_t n;
	if (!f)
		return false;
	while ((n = fread(block, 1, sizeof block, f)) > 0)
		buf_add(out, (slice){block, n});
	fclose(f);
	return !out->failed;
}

/* The bytes with each LF that no CR stands before turned into CRLF. */
static inline void to_crlf(struct buf *out, slice in)
{
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\n' && (i == 0 || in.p[i - 1] != '\r'))
			buf_add_c(out, '\r');
		buf_add_c(out, in.p[i]);
	}
}

/* A copy in a heap block of exactly its size, so that a sanitizer sees one byte read too much. */
static inline char *exact_copy(slice s)
{
	char *p = malloc(s.n ? s.n : 1);
	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}
