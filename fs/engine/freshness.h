/*
 * Fresh answers for who reads `status`: one look at everything stale of a backend, however many readers,
 * and at most one wait a backend within its freshness.
 *
 * Backends that push their news (this machine) are never asked and nobody waits for them.
 */
#ifndef KEXEC_ENGINE_FRESHNESS_H
#define KEXEC_ENGINE_FRESHNESS_H

#include <stdbool.h>
#include <stdint.h>

struct engine;

#define FRESHNESS_WAIT_NS (INT64_C(2000000000)) /* nobody waits longer */

struct freshness {
	int backend;       /* index of the backend, for engine_fresh() */
	int64_t since_ns;  /* answers from then on count; boot time, as until_ns */
	int64_t until_ns;  /* wait no longer */
};

/* Should the reader of this run's status wait for news? True: its backend has been asked (now, or a moment
 * ago by somebody else), and `out` says for what to wait. Takes no transaction; any thread. */
bool engine_refresh(struct engine *e, int64_t run, struct freshness *out);
/* Has everything been answered, or is the time over? In the latter case nobody waits for this backend for the
 * next half minute. */
bool engine_fresh(struct engine *e, const struct freshness *f);

#endif
