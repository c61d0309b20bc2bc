/*
 * Who may start now: a pure function of what waits, what runs and what the machine may be used for,
 * so its tests are a table. Only runs on this machine take part; services look after themselves.
 */
#ifndef KEXEC_ENGINE_ALLOCATE_H
#define KEXEC_ENGINE_ALLOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct capacity {
	int jobs;             /* at once */
	int64_t memory_bytes; /* together */
	int gpus;             /* one job each */
};

struct demand {
	int64_t run;
	int priority;         /* 0-9, higher first */
	int64_t order;        /* earlier submissions first */
	int64_t memory_bytes; /* declared or measured, 0 unknown */
	bool gpu;
	bool local;           /* false: needs nothing of this machine */
};

enum fit {
	FIT_START,   /* may start now */
	FIT_JOBS,    /* all places are taken */
	FIT_MEMORY,  /* too little memory beside those that run */
	FIT_GPU,     /* all GPUs are taken */
	FIT_BEHIND,  /* would fit, but one before it in the queue waits for the same thing */
};

/*
 * Judge `count` waiting runs against `used` (jobs, memory and GPUs of those that run). `waiting` is
 * sorted in place into the order of the queue; fits[i] is the answer for waiting[i].
 *
 * A run that needs more memory than there is at all starts when nothing else runs: better alone than
 * never. A run held back by its size holds back those behind it that need memory too, so that many
 * small runs cannot starve a large one; one held back by a missing GPU holds back only GPU runs.
 */
void allocate(const struct capacity *capacity, const struct capacity *used, struct demand *waiting,
	size_t count, enum fit *fits);
const char *fit_text(enum fit fit); /* translated sentence for status */

#endif
