/* After a failed attempt: what next? A pure function. */
#ifndef KEXEC_ENGINE_RETRY_H
#define KEXEC_ENGINE_RETRY_H

#include <stdbool.h>
#include <stdint.h>
#include "fs/engine/classify.h"
#include "fs/engine/options.h"

struct retry_facts {
	enum error_class class;
	enum next_step next;       /* what the rule that matched says */
	bool lost;                 /* the job's machine went down under it */
	int lost_before;           /* earlier attempts of this run that were lost */
	int attempts;              /* made so far, this one included */
	int max_attempts;
	enum on_error on_error;
	bool more_backends;        /* a later name in the run's list of backends is enabled */
};

enum retry_verdict { RETRY_NO, RETRY_SAME, RETRY_OTHER /* the next backend, at once */ };

/*
 * - A lost attempt says nothing against the run: it is repeated once, also where the user allowed a
 *   single attempt (a machine that was switched off is no error of the notebook), later within
 *   max_attempts.
 * - Quota and infrastructure: the next backend in the list, whatever max_attempts says.
 * - Within max_attempts: what the rules call transient; with on_error "retry" everything but errors
 *   that come again with the same source and the same machine (code, data, missing_dep,
 *   dataset_missing, pandas_compat, gpu, kernelspec, no_internet, access).
 */
enum retry_verdict retry_judge(const struct retry_facts *f);

/* delay × multiplier^(attempts-1), ±20 % by `random` (any 64 bits), at most an hour. */
int64_t retry_delay_ns(double delay_seconds, double multiplier, int attempts, uint64_t random);

#endif
