/*
 * The keeper does what is done to a store while no post house runs on it: one job, then it ends. The command
 * line starts it with the store's folder on descriptor 3 and reads what it prints: JSON, one object a line.
 *
 *   {"progress": {"what": "rows", "done": 1, "total": 2}}   total 0: not known
 *   {"finding": {"kind": "damaged", "text": "..."}}
 *   {"result": {...}}   or   {"error": {"code": "...", "message": "..."}}, the last line
 *
 * Exit codes: 0; 1: there were findings; 69: the store is in use; 70: an error.
 */
#pragma once
#include "store/check.h"

#include <jansson.h>

#define KEEPER_FD_STORE 3

enum keeper_end { KEEPER_WELL = 0, KEEPER_FOUND = 1, KEEPER_IN_USE = 69, KEEPER_FAILED = 70 };

struct keeper {
	struct store *store;
	bool rebuild;       /* --rebuild */
	bool quick;         /* --quick */
	uint64_t map_bytes; /* --map */
	uint64_t told_ms;   /* when progress was said last */
	uint64_t findings;  /* said so far */
};

/* A line on standard output; takes value over. */
void keeper_say(const char *key, json_t *value);
/* arg: the keeper. Some times a second. */
void keeper_progress(void *arg, const char *what, uint64_t done, uint64_t total);
int keeper_fail(const err *e); /* says it; the exit code */

/* The jobs, with the store open. An exit code. */
typedef int keeper_job(struct keeper *k);
keeper_job keeper_check, keeper_repair, keeper_stats;

/* Opens the store of the folder that is the working one. 0, -1. */
int keeper_open(struct keeper *k, bool rebuild, err *e);
