/* Accepting. The supervisor opens the ports; a role gets the listening descriptor. */
#pragma once
#include "io/loop.h"

struct listener;
/*
 * Calls accepted(arg, fd) on the loop's stack for every connection: fd is non-blocking, close-on-exec, the
 * callee's. Takes fd over. NULL: out of memory. When descriptors run out it pauses 100 ms and goes on.
 */
struct listener *listener_new(int fd, void (*accepted)(void *arg, int fd), void *arg);
void listener_free(struct listener *l);
