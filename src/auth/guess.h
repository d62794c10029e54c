/*
 * Who guesses passwords: failures counted by address (IPv6: by its /64), one forgotten a minute. Small and
 * bounded; it forgets at a restart. Nothing parks.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct guesses;

#define GUESS_REFUSE UINT32_MAX

struct guesses *guesses_new(void); /* NULL: out of memory */
void guesses_free(struct guesses *g);
/*
 * Before a check: how long the answer to this address must wait, in ms: nothing up to 3 failures, then a
 * second each, up to 5; GUESS_REFUSE from 20 on: answer at once that it may not, without a hash. address:
 * IPv6, or IPv4 mapped into it.
 */
uint32_t guess_delay(const struct guesses *g, const uint8_t address[16], uint64_t now_ms);
void guess_failed(struct guesses *g, const uint8_t address[16], uint64_t now_ms);
/* A good log-in forgives half of the failures: an attacker who has one account gains little by it. */
void guess_good(struct guesses *g, const uint8_t address[16], uint64_t now_ms);
