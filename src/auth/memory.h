/*
 * A bounded memory of tags that expire: which secrets were lately good or wrong, which addresses lately
 * logged in. It never grows; when a place is wanted the tag nearest to its end makes room. Tags are keyed
 * hashes, so nobody can aim.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAG_SIZE 16

struct memory;

struct memory *memory_new(size_t places); /* a multiple of 4; NULL: out of memory */
void memory_free(struct memory *m);       /* wipes; NULL is fine */
void memory_add(struct memory *m, const uint8_t tag[TAG_SIZE], uint64_t now_ms, uint64_t ttl_ms);
bool memory_has(const struct memory *m, const uint8_t tag[TAG_SIZE], uint64_t now_ms);
