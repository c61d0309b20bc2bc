#include "fs/engine/allocate.h"

#include <stdlib.h>

#include "fs/base/i18n.h"

static int before(const void *a, const void *b)
{
	const struct demand *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return x->run < y->run ? -1 : x->run > y->run;
}

static bool memory_fits(const struct capacity *capacity, const struct capacity *used,
	const struct demand *d)
{
	if (used->jobs == 0)
		return true;
	return d->memory_bytes <= capacity->memory_bytes - used->memory_bytes;
}

static enum fit fit_one(const struct capacity *capacity, const struct capacity *used,
	const struct demand *d, bool memory_held)
{
	if (!d->local)
		return FIT_START;
	if (used->jobs >= capacity->jobs)
		return FIT_JOBS;
	if (d->gpu && used->gpus >= capacity->gpus)
		return FIT_GPU;
	if (!memory_fits(capacity, used, d))
		return FIT_MEMORY;
	return memory_held && d->memory_bytes ? FIT_BEHIND : FIT_START;
}

void allocate(const struct capacity *capacity, const struct capacity *used, struct demand *waiting,
	size_t count, enum fit *fits)
{
	struct capacity sum = *used;
	bool memory_held = false;

	qsort(waiting, count, sizeof(*waiting), before);
	for (size_t i = 0; i < count; i++) {
		const struct demand *d = &waiting[i];

		fits[i] = fit_one(capacity, &sum, d, memory_held);
		if (fits[i] == FIT_MEMORY)
			memory_held = true;
		if (fits[i] != FIT_START || !d->local)
			continue;
		sum.jobs++;
		sum.gpus += d->gpu;
		if (sum.memory_bytes > INT64_MAX - d->memory_bytes)
			sum.memory_bytes = INT64_MAX;
		else
			sum.memory_bytes += d->memory_bytes;
	}
}

const char *fit_text(enum fit fit)
{
	switch (fit) {
	case FIT_JOBS:
		return _("waits for a place: as many jobs run as may run at once");
	case FIT_MEMORY:
		return _("waits for memory: too little is left beside the jobs that run");
	case FIT_GPU:
		return _("waits for a GPU: all of them are taken");
	case FIT_BEHIND:
		return _("waits behind a larger run that waits for memory");
	default:
		return "";
	}
}
