/*
 * The life of a run: its states, the moves between them that are allowed, and the one function that
 * moves. Everything durable about a run is in the store; a `struct run` is a copy of one row.
 */
#ifndef KEXEC_ENGINE_RUN_H
#define KEXEC_ENGINE_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include "fs/base/clock.h"
#include "fs/engine/options.h"

enum run_state {
	RUN_DRAFT, RUN_QUEUED, RUN_SUBMITTING, RUN_RUNNING, RUN_COLLECTING, RUN_COMPLETE, RUN_REJECTED,
	RUN_WAITING, RUN_CONFIRM, RUN_UNKNOWN, RUN_CANCELLING, RUN_RETRYING, RUN_FAILED, RUN_CANCELLED,
	RUN_SKIPPED, RUN_STATE_COUNT
};

extern const char *const run_state_words[RUN_STATE_COUNT]; /* never translated */
bool run_state_final(enum run_state s);
bool run_move_allowed(enum run_state from, enum run_state to);
int run_state_parse(const char *word); /* enum value or -EINVAL */

#define RUN_NAME_MAX 255

/* Where a run is listed. */
enum run_place { PLACE_RUNS, PLACE_REMOVED, PLACE_STAGING /* dot-named draft: no run yet */, PLACE_CHILD };

struct run {
	int64_t id;                     /* never reused */
	int64_t version;                /* of the last change; grows over the whole store */
	unsigned incarnation;           /* of its directory; grows at each removal and return */
	char name[RUN_NAME_MAX + 1];    /* in runs/ or removed/ */
	char folder[RUN_NAME_MAX + 1];  /* as copied into queue/ */
	enum run_place place;
	int64_t parent;                 /* id, 0 = top level */
	enum run_state state;
	enum run_kind kind;
	char backend[32];               /* of the current attempt, "" unknown */
	int attempt;                    /* current attempts/<n>, 0 = none yet */
	double progress;                /* 0..1, <0 unknown */
	int64_t eta_ns;                 /* left at `answered`, <0 unknown */
	char *detail;                   /* one line for `status`, never NULL */
	struct stamp created, submitted, started, ended; /* started, ended: of the attempt */
	struct stamp answered;          /* of the news that status tells */
	char error_class[32];           /* "" none */
	char *error_context;            /* the message, never NULL */
	char *error_lines;              /* the lines that proved the class, one a line; or NULL */
	char *next_step;                /* what happens next after an error, never NULL */
	char *refusal;                  /* sentence of the last refused word, never NULL */
	char *metric_name;              /* the run's metric or NULL */
	double metric_value;            /* NaN unknown */
	double cost_usd;
	char *external_id;              /* of the attempt, or NULL */
	char *options;                  /* options_to_json text, NULL in a draft */
	int priority;                   /* 0-9 */
	int64_t changed_ns;             /* wall clock of the last change */
	int64_t queue_order;            /* place in the queue: the version at submission, 0 = draft */
	struct stamp due;               /* retrying, waiting: not before this; wall_ns 0 = at once */
	bool resting;                   /* a draft that will not be submitted by itself */
	struct stamp rested;            /* since when */
	struct stamp removed;           /* when it went to removed/ */
	int lost;                       /* attempts that died with their machine */
};

void run_release(struct run *r);

struct store;
/*
 * The one function that moves a run to another state, inside a transaction of the caller's: `run` was
 * read in it and may carry further changed fields; they are stored with the new state, a new version
 * and the event. `reason` is a sentence or "". States that need a person add an alert.
 * -EBUSY: not an allowed move.
 */
int run_move(struct store *store, struct run *run, enum run_state to, const char *reason);
/*
 * The same for a step of a repetition (a service that is away is asked again and again): no event
 * where the newest one says all there is to say, that the run waits, and why. The first event after
 * steps that were passed over is preceded by theirs, so the events always are a whole chain.
 * `told` (may be NULL): whether an event was written.
 */
int run_move_again(struct store *store, struct run *run, enum run_state to, const char *reason,
	bool *told);

/* Such steps, if there are any, are told now: the run stays in a state longer than was thought. */
int run_tell_passed(struct store *store, struct run *run);

/* Fields of `status`: STATE PROGRESS BACKEND ELAPSED [eta T] DETAIL (at ...), newline at the end. */
int run_status_line(const struct run *r, struct strbuf *out);
/* state.json, pretty printed, with the contract's keys (S1-42...S1-49, S2-87). */
int run_state_json(const struct run *r, struct strbuf *out);

#endif
