/*
 * The engine: the store, the scheduler and the backends behind one door. What mount/, page/ and
 * main.c may call. Every function may be called from any thread, unless it says otherwise; those
 * that write wait for one durable transaction (about a millisecond), none waits for a backend.
 *
 * State directory:
 *   kexec.db                     the only SQLite database
 *   reserve                      space that the store gives up on a full disk (reserve.h)
 *   objects/<id>/                what was brought of things of services, and data sets to be sent (objects.h)
 *   runs/<id>/source/            the draft while it is one, the frozen source afterwards
 *   runs/<id>/{validation.txt,validation.json,report.md,changes}
 *   runs/<id>/attempts/<n>/      job.json supervisor.json log metrics.csv progress.json end.json sent/ output/
 */
#ifndef KEXEC_ENGINE_ENGINE_H
#define KEXEC_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "fs/engine/run.h"

struct backend;
struct config;
struct engine;
struct log;
struct strbuf;
struct why;

/* What changed, told after the transaction that changed it, with no lock held, possibly from the
 * scheduler thread, a worker, or the caller's own thread. Must return quickly. */
enum change_what {
	CHANGE_STATE = 1 << 0,   /* status, state.json, ctl, and what appears or disappears with a state */
	CHANGE_NEW = 1 << 1,     /* appeared in `place` under `name` */
	CHANGE_GONE = 1 << 2,    /* left `old_place`/`old_name` */
	CHANGE_OUTPUT = 1 << 3,  /* log, metrics.csv or progress of the attempt grew */
	CHANGE_UNQUEUED = 1 << 4, /* the folder left queue/ (submitted or dropped) */
};
struct change {
	int64_t run;
	unsigned what;
	unsigned incarnation;
	enum run_state state;
	enum run_place place, old_place;
	const char *name, *old_name, *folder;
};
struct engine_sink {
	void (*changed)(void *arg, const struct change *change);
	void *arg;
};

struct engine_setup {
	int state_dirfd;            /* owned by the caller, open for the engine's life */
	const char *state_path;     /* absolute */
	const char *mountpoint;     /* absolute; hidden from jobs */
	const struct config *config;
	struct log *log;
	struct engine_sink sink;
	uint64_t connection;        /* id of this FUSE connection; scopes `once` keys */
	const char *program;        /* absolute path of kexecfs, passed on to the backends */
	const struct backend *const *backends; /* NULL-terminated; NULL: backend_all() */
};

/* Open the store (migrating it) and know every run in a working state. */
int engine_open(const struct engine_setup *setup, struct engine **out, struct why *why);
/* Begin to work: threads that start, look after and collect runs. Readers and words are served without. */
int engine_start(struct engine *e);
/* Stop threads (a call to a backend in flight is waited for, at most 5 s) and close. Local jobs go on. */
void engine_close(struct engine *e);

/* ---- Reading. Results are copies; release runs with run_release(). -ENOENT when absent. ---- */
int engine_run(struct engine *e, int64_t id, struct run *out);
int engine_find(struct engine *e, enum run_place place, const char *name, int64_t *id);
int engine_find_draft(struct engine *e, const char *folder, int64_t *id); /* drafts, dot-named too */
int engine_find_latest(struct engine *e, const char *folder, int64_t *id);

/* List in ascending id from `after` (0 = start), stable while rows come and go. A nonzero return of
 * `each` stops (without error). */
struct engine_entry {
	int64_t id;
	unsigned incarnation;
	enum run_state state;
	int64_t mtime_ns; /* wall, of the last change */
	const char *name;
};
enum engine_list { LIST_RUNS, LIST_REMOVED, LIST_DRAFTS /* name = folder */, LIST_LATEST /* name = folder */ };
int engine_list(struct engine *e, enum engine_list list, int64_t after,
	int (*each)(void *arg, const struct engine_entry *entry), void *arg);
/* Full rows, newest first, at most `limit`; for runs.csv and the dashboard. */
int engine_recent(struct engine *e, size_t limit, int (*each)(void *arg, const struct run *r), void *arg);
/* Number of runs by state, place PLACE_RUNS. */
int engine_counts(struct engine *e, int64_t counts[RUN_STATE_COUNT]);
/* The version of the newest change of all; runs changed after `version`, ascending. */
int64_t engine_version(struct engine *e);
int engine_changed_since(struct engine *e, int64_t version, int (*each)(void *arg, const struct run *r), void *arg);

/* JSON lines of the run's state changes. */
int engine_events(struct engine *e, int64_t run, struct strbuf *out);
/* When the newest of them were, at most `max`, in their order: for durations, which the wall clock times
 * of engine_events() cannot tell when somebody turned the clock. wall_ns 0: not known. The count. */
int engine_event_stamps(struct engine *e, int64_t run, struct stamp *out, int max);
/* alerts (JSON lines, newest last, at most 1,000). */
int engine_alerts(struct engine *e, struct strbuf *out);

struct attempt {
	int64_t run;
	int n;
	char backend[32];
	char state[16];          /* run_state word of the attempt */
	char *external_id;       /* or NULL */
	struct stamp started, ended;
	char *detail;            /* exit status, signal, limits: one line */
	double cost_usd;
};
int engine_attempt(struct engine *e, int64_t run, int n, struct attempt *out);
void attempt_release(struct attempt *a);
int engine_attempt_count(struct engine *e, int64_t run); /* attempts are 1..count */

/* ---- Once-only answers. `key` is a request's unique number in this connection, 0 = none. A writing
 * call with a key that was carried out before (by a server that died after the commit) changes
 * nothing and returns the stored result again. ---- */

/* Was a call with this key carried out before? Its result (0 or -errno) and value (an id or 0). */
bool engine_answered(struct engine *e, uint64_t key, int *result, int64_t *value);

/* A new draft: row, directory runs/<id>/source/. -EEXIST when a draft folder has that name. */
int engine_draft_make(struct engine *e, uint64_t key, const char *folder, int64_t *id);
/* Rename a draft folder; leaving a dot-name makes it a run. `*asked` true when that submits at once. */
int engine_draft_rename(struct engine *e, uint64_t key, int64_t id, const char *folder, bool *asked);
/* Remove the draft, its row and files. The caller has made sure that it is empty or wants it so. */
int engine_draft_drop(struct engine *e, uint64_t key, int64_t id);
/* What status says of a draft ("receiving 3 files"), resting = will not be submitted by itself. No
 * event; no commit when nothing changed. */
int engine_draft_note(struct engine *e, int64_t id, const char *detail, bool resting);
bool engine_draft_resting(struct engine *e, int64_t id, int64_t *since_boot_ns);
/* Submit: reads the frozen runs/<id>/source/, decides kind, backend and name, runs the checks, makes
 * the source durable, and moves to queued, confirm or rejected. The caller has frozen the folder. */
int engine_submit(struct engine *e, int64_t id, struct why *why);

/* A word for a run: checked against its state, stored as a wish, answered at once.
 * -EINVAL unknown verb or arguments, -EBUSY not valid in this state, -EPERM not allowed. The sentence
 * is stored and shown by engine_words(). Verbs: submit (drafts: the mount handles it), cancel, retry,
 * confirm, priority N, lookup. */
int engine_command(struct engine *e, uint64_t key, int64_t run, int argc, char *const argv[], struct why *why);
/* The text of runs/<run>/ctl: last refusal, then one line a verb that is valid now. */
int engine_words(struct engine *e, int64_t run, struct strbuf *out);
int engine_refusal(struct engine *e, int64_t run, const char *sentence); /* the mount's own refusals */

int engine_remove(struct engine *e, uint64_t key, int64_t run);   /* to removed/; -EBUSY unless ended */
int engine_restore(struct engine *e, uint64_t key, int64_t run, const char *name); /* removed/ -> runs/ */
int engine_rename(struct engine *e, uint64_t key, int64_t run, const char *name);  /* ended runs; -EEXIST */
int engine_purge(struct engine *e, uint64_t key, int64_t run);    /* from removed/ for good */

/* Paths relative to the state directory, into buf (at least ENGINE_PATH_MAX). */
#define ENGINE_PATH_MAX 128
const char *engine_source_path(char *buf, int64_t run);
const char *engine_run_file_path(char *buf, int64_t run, const char *name);
const char *engine_attempt_path(char *buf, int64_t run, int n, const char *name); /* name NULL: the dir */

/* Names of the backends, also those that are switched off, NULL-terminated, owned by the engine; status
 * line of one. */
const char *const *engine_backends(struct engine *e);
int engine_backend_status(struct engine *e, const char *backend, struct strbuf *out);
int engine_backend_quota(struct engine *e, const char *backend, struct strbuf *out);
int engine_state_dirfd(struct engine *e);
const struct config *engine_config(struct engine *e);

#endif
