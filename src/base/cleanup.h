/* Scope-bound release of descriptors and heap blocks; always initialise, hand on with TAKE_FD. */
#pragma once
#include <stdlib.h>
#include <unistd.h>

#define AUTO(fn) __attribute__((cleanup(fn)))

static inline void auto_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
static inline void auto_free(void *p)
{
	free(*(void **)p);
}

#define AUTO_FD   AUTO(auto_close) int
#define AUTO_FREE AUTO(auto_free)
#define TAKE_FD(fd)                                                                                          \
	__extension__({                                                                                      \
		int *fd_ = &(fd);                                                                            \
		int got_ = *fd_;                                                                             \
		*fd_ = -1;                                                                                   \
		got_;                                                                                        \
	})
#define COUNT_OF(a) (sizeof(a) / sizeof *(a))
#define MUST_USE    __attribute__((warn_unused_result))
/* Marks a declaration: the function may park the calling fiber. */
#define PARKS
