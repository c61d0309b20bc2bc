/* What the files of the engine share. Nobody outside fs/engine includes this. */
#ifndef KEXEC_ENGINE_INTERNAL_H
#define KEXEC_ENGINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include "backends/backend.h"
#include "fs/base/why.h"
#include "fs/engine/classify.h"
#include "fs/engine/config.h"
#include "fs/engine/engine.h"
#include "fs/engine/sched.h"
#include "fs/engine/store.h"

#define BACKENDS_MAX	   16
#define REMOVED_KEPT_NS	   (INT64_C(7) * 24 * 3600 * NS_PER_S)
#define BACKEND_REOPEN_NS  (30 * NS_PER_S)

/* One backend; opened when it is first needed, so that a start waits for none. */
struct engine_backend {
	struct engine *engine;
	const struct backend *vt;
	pthread_mutex_t lock; /* guards what follows */
	bool open;
	int64_t tried_ns;     /* boot time of the last attempt to open it, 0 never */
	struct backend_handle handle;
	struct why trouble;   /* why it is not open */
	/* freshness.c; boot times, 0 never */
	_Atomic int64_t asked_ns;     /* when readers last had it asked */
	_Atomic int64_t next_wait_ns; /* until then nobody waits for it */
};

struct engine {
	int state_dirfd;
	char *state_path, *mountpoint, *program;
	const struct config *config;
	struct log *log;
	struct engine_sink sink;
	int lock_fd;          /* held while this process works on the state directory */
	struct store *store;
	struct sched *sched;
	struct objects *objects;
	pthread_mutex_t classifier_lock;
	struct classifier *classifier; /* NULL until a run has failed: engine_classifier() */
	struct engine_backend backends[BACKENDS_MAX];
	int backend_count;
	const char *names[BACKENDS_MAX + 1];
};

/* ---- engine.c ---- */

const struct classifier *engine_classifier(struct engine *e); /* NULL only without memory */

/* Tell the sink and the scheduler, after the commit and without locks. `before` may be NULL for a new
 * run; only its place and name are read. */
void engine_tell(struct engine *e, unsigned what, const struct run *before, const struct run *after);
/* Begin a transaction for a request that must act only once. True: it is finished already (answered
 * before, or the store failed) with *rc and *value, and no transaction is open. */
bool engine_once(struct engine *e, uint64_t key, int *rc, int64_t *value);
struct engine_backend *engine_backend_named(struct engine *e, const char *name); /* NULL unknown */
/* Did the user switch it off? Then nothing is started there; what runs there is followed to its end. */
bool engine_backend_disabled(struct engine *e, const char *name, struct why *why);
/* A usable handle: 0, -ENOENT no such backend, else why it could not be opened. May block: workers. */
int engine_backend_open(struct engine *e, const char *name, struct backend_handle *out, struct why *why);
int64_t engine_fresh_ns(const struct engine *e, const char *backend); /* for how long an answer counts */
/* What the scheduler must know of it; reads its options. */
void engine_need(struct engine *e, const struct run *r, struct sched_need *out);
int64_t engine_housekeep(void *arg); /* struct engine; trash.c */
/* Tell backends to forget the jobs of runs that are gone (leftovers.c). Blocks for half a minute at most,
 * as backends keep their deadlines. True: there are more, soon. */
bool engine_forget_leftovers(struct engine *e);
int engine_repair_drafts(struct engine *e);
int engine_make_run_dir(struct engine *e, int64_t run);

/* Replace *slot by a copy of text, cut to `max` bytes at a character; keeps the old one without memory. */
void text_set(char **slot, const char *text, size_t max);
#define DETAIL_MAX  400
#define CONTEXT_MAX 2000

/* ---- Moving (move.c) ---- */

/*
 * One durable step in the life of a run, by a worker or a command: the run is read again in the
 * transaction and must still be in `from`; `edit` changes its fields; `attempt` is stored with it.
 * to == from is news without a change of state: no event.
 */
struct move {
	int64_t run;
	enum run_state from, to;
	const char *reason;
	void (*edit)(struct run *r, void *arg);
	void *arg;
	const struct attempt_row *attempt;
	uint64_t key;            /* of a once-only request, 0 none: stored with the effect */
	unsigned also;           /* further CHANGE_ bits */
	bool stays;              /* it will stay in this state: run_tell_passed() */
	bool again;              /* a step of a repetition: run_move_again() */
};
/* 0, -ESTALE when it is not in `from` any more, -ENOENT, or why the store failed. `after` may be NULL,
 * else the new row (released by the caller on success). */
int engine_move(struct engine *e, const struct move *m, struct run *after);

/* ---- Steps (steps.c, attempt.c, collect.c): worker threads ---- */

struct step {
	struct engine *e;
	struct look *look;
	struct run r;
	struct options o;
	struct attempt_row a;      /* the current attempt; a.pub.n == 0: none */
	struct backend_handle b;
	struct job job;
	char *source, *directory;  /* absolute paths in job */
	char attempt_path[ENGINE_PATH_MAX];
};
void engine_step(void *arg, struct look *look);
void engine_held(void *arg, int64_t run, const char *why);

/* As engine_move for the run of the step, with its attempt; the copy in the step follows. When a
 * `cancel` came in between, the attempt is saved all the same and -ESTALE returned. */
int step_move(struct step *st, enum run_state to, const char *reason,
	void (*edit)(struct run *r, void *arg), void *arg);
/* The same for a step of a repetition (run_move_again). */
int step_move_again(struct step *st, enum run_state to, const char *reason,
	void (*edit)(struct run *r, void *arg), void *arg);
void step_later(struct step *st, int64_t delay_ns);
int step_set_detail(struct step *st, const char *detail);

void attempt_begin(struct step *st);  /* queued and allowed: intent to disk, then submit */
void attempt_look(struct step *st);   /* submitting, running, unknown, cancelling */
int attempt_job(struct step *st);     /* fill st->job and st->b; 0 or -errno (already noted) */
void collect(struct step *st);        /* collecting */
void collect_cancelled(struct step *st); /* cancelling, and the job has ended: to cancelled */
/* The attempt could not be sent, for good: another backend, a retry, or failed. submitting. */
void attempt_refused(struct step *st, enum error_class class, const char *sentence);

/* Write `changes` durably into the run's folder `dirfd`, against the previous run of the folder's name: at
 * submission, and again when the run has ended and its metric is known. 0 or -errno. */
int engine_write_changes(struct engine *e, const struct run *r, int dirfd);

#endif
