/* A fault to order: the n-th matching call on a file under a folder fails. In libfault.so (see fault.c). */
#pragma once
#include <stdbool.h>

#define FAULT_SHORT (-1) /* instead of an errno: a write takes only half */

__attribute__((visibility("default"))) void fault_arm(
	const char *dir, const char *call, unsigned nth, int error);
/* The same, and every later one, too: a disk that stays full. */
__attribute__((visibility("default"))) void fault_arm_from(
	const char *dir, const char *call, unsigned nth, int error);
__attribute__((visibility("default"))) void fault_disarm(void);
/* Name of the call that failed since fault_arm, NULL: none has. */
__attribute__((visibility("default"))) const char *fault_fired(void);
