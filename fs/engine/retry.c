#include "fs/engine/retry.h"

#include <math.h>

#include "fs/base/clock.h"

#define DELAY_MAX_S 3600.0

static bool deterministic(enum error_class class)
{
	return class == ERROR_CODE || class == ERROR_MISSING_DEP || class == ERROR_DATASET_MISSING ||
	       class == ERROR_PANDAS_COMPAT || class == ERROR_GPU || class == ERROR_KERNELSPEC ||
	       class == ERROR_NO_INTERNET || class == ERROR_ACCESS || class == ERROR_DATA;
}

static bool transient(const struct retry_facts *f)
{
	return f->next == NEXT_RETRY || f->class == ERROR_NETWORK_TIMEOUT || f->class == ERROR_INFRA;
}

enum retry_verdict retry_judge(const struct retry_facts *f)
{
	if (f->lost && (f->lost_before == 0 || f->attempts < f->max_attempts))
		return RETRY_SAME;
	if (f->more_backends &&
		(f->next == NEXT_BACKEND || f->class == ERROR_QUOTA || f->class == ERROR_INFRA))
		return RETRY_OTHER;
	if (f->attempts >= f->max_attempts)
		return RETRY_NO;
	if (transient(f))
		return RETRY_SAME;
	return f->on_error == ON_ERROR_RETRY && !deterministic(f->class) ? RETRY_SAME : RETRY_NO;
}

int64_t retry_delay_ns(double delay_seconds, double multiplier, int attempts, uint64_t random)
{
	double jitter = 0.8 + 0.4 * ((double)(random >> 11) / 9007199254740992.0);
	double seconds = delay_seconds * pow(multiplier, attempts - 1);

	if (!(seconds > 0))
		return 0;
	if (seconds > DELAY_MAX_S)
		seconds = DELAY_MAX_S;
	return (int64_t)(seconds * jitter * (double)NS_PER_S);
}
