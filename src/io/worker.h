/* Blocking or heavy work goes to the worker pool (libuv's) while the fiber parks. */
#pragma once
#include "io/fiber.h"

/*
 * Runs fn(arg) on a pool thread and returns when it is done. It cannot be cancelled half-way: arg stays in
 * use until the return, whatever happens to the fiber. fn must not touch the loop, fibers or logs of this
 * thread.
 */
PARKS void worker_run(void (*fn)(void *arg), void *arg);

/* Starts `n` pool threads now (1 to 8): they must be started after the sandbox stands. */
void worker_start(unsigned n);
