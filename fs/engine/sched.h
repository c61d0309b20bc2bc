/*
 * The scheduler: one thread that knows what is due and who may start, and a pool of workers that do
 * it. It knows runs only as items (id, state, when to look next); what a look does is the engine's
 * `step`, called by a worker, never twice at once for one run.
 *
 * Times are CLOCK_BOOTTIME; the thread sleeps on a timerfd of that clock, so neither a jump of the
 * wall clock nor a suspended machine delays or repeats anything.
 */
#ifndef KEXEC_ENGINE_SCHED_H
#define KEXEC_ENGINE_SCHED_H

#include <stdbool.h>
#include <stdint.h>
#include "fs/engine/allocate.h"
#include "fs/engine/run.h"

struct sched;

#define SCHED_WORKERS 8
#define SCHED_REMOTE  5 /* of them at most in calls to services, which may hang: the rest is for this machine */
#define SCHED_NEVER   INT64_MAX

/* What is known of a run when its step begins, and what the step wants remembered. In memory only. */
struct look {
	int64_t run;
	bool find_first;  /* nobody knows what became of the last call: ask by token before anything */
	bool pushed;      /* the backend said that there is news */
	int failures;     /* calls in a row that failed */
	int doubts;       /* submissions of this attempt whose answer was no answer */
	int put_off;      /* times in a row that it was to wait before it was accepted */
	int64_t next_ns;  /* out: when to look again (boot time); SCHED_NEVER = at a change; -1 (as it
	                   * comes) = as the state says that the step led to, else in half a minute */
};

/* What of a run matters for its place in the queue; the caller works it out outside any lock. */
struct sched_need {
	int64_t memory_bytes;
	bool gpu, local;
	int64_t deadline_ns; /* wall clock, 0 none */
	int64_t fresh_ns;    /* an answer older than this is asked for again when somebody reads; 0: news is pushed */
};

struct sched_setup {
	struct capacity capacity;
	void (*step)(void *arg, struct look *look);           /* worker threads */
	void (*held)(void *arg, int64_t run, const char *why); /* worker threads: why it does not start */
	int64_t (*housekeep)(void *arg);                       /* worker threads: boot time of the next one */
	void *arg;
};

int sched_open(const struct sched_setup *setup, struct sched **out);
int sched_start(struct sched *s); /* threads; items may be known before */
/* True when every thread has ended within the time; else the threads go on and nothing may be freed. */
bool sched_stop(struct sched *s, int64_t wait_ns);
void sched_close(struct sched *s); /* after a successful stop; accepts NULL */

/*
 * A run has changed (any thread, after the commit): an item appears with the first working state and
 * goes with a final one; news older than what is known is dropped. A new state is looked at at once,
 * or when run->due says. `need` may be NULL where it is known already.
 */
void sched_update(struct sched *s, const struct run *run, const struct sched_need *need);
bool sched_knows(struct sched *s, int64_t run);
/* Look at it now; find_first as in struct look. No-op for a run that is not known. */
void sched_poke(struct sched *s, int64_t run, bool find_first);
/* News from a backend: at once when it ended, else at most four times a second. An id that nobody
 * knows yet may belong to a submission in flight: then those are looked at once more. */
void sched_news(struct sched *s, const char *backend, const char *remote_id, bool ended);
void sched_housekeep(struct sched *s); /* now */

void sched_answered(struct sched *s, int64_t run); /* its backend has just answered a question about it */
/*
 * Fresh answers for readers. Is the last answer about this run older than its fresh_ns, and is it with a
 * backend now? Then `backend` (at least 32 bytes) receives whose it is and *fresh_ns how long answers count.
 */
bool sched_stale(struct sched *s, int64_t run, char *backend, int64_t *fresh_ns);
/* Look now at everything with that backend whose last answer is older than its fresh_ns. */
void sched_refresh(struct sched *s, const char *backend);
/* Of those that were stale at that time (boot time): how many have had no answer since? */
int sched_unanswered(struct sched *s, const char *backend, int64_t since_ns);

#endif
