/*
 * The store: what is durable about runs, as rows. Everything here is private to the engine.
 *
 * Writing: one connection. store_begin() takes its lock, store_end() commits or rolls back and lets
 * it go; the functions marked "in a transaction" are called between the two, by that thread. Nothing
 * else than the store (and a mkdir) happens while the lock is held.
 * Reading: any thread, through a small pool of further connections; a read sees the last commit.
 */
#ifndef KEXEC_ENGINE_STORE_H
#define KEXEC_ENGINE_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include "backends/backend.h"
#include "fs/engine/engine.h"

struct db;
struct store;
struct why;

#define STORE_SCHEMA_VERSION 6
#define STORE_ALERTS_MAX     1000
#define STORE_EVENTS_MAX     10000 /* of one run that are shown: the newest */

/* Open DIRECTORY/kexec.db, migrating it; answers of other connections than this one are dropped.
 * -EPROTONOSUPPORT: written by a newer version. */
int store_open(const char *directory, uint64_t connection, struct store **out, struct why *why);
void store_close(struct store *s);
const char *store_installation(const struct store *s); /* 32 hexadecimal digits, for ever the same */
bool store_rebooted(const struct store *s); /* the machine was started since the store was last open */
/* What time it is, for the next boot to tell how long the machine was off (meta.h). */
int store_note_clock(struct store *s);
int64_t store_version(struct store *s);     /* of the newest committed change */

/* ---- Transactions ---- */
int store_begin(struct store *s);
/* Commit when rc is 0, else roll back; returns rc or why the commit failed. */
int store_end(struct store *s, int rc);
/* After a transaction that failed with rc: true, once, when it failed for lack of space and some was
 * found (reserve.h): worth another try. */
bool store_made_room(struct store *s, int rc);
bool store_reserve(struct store *s); /* make the reserve again where there is room; is it there? */

/* Once-only answers, in a transaction. store_answer: 1 = answered before (*rc, *value), 0 = not. */
int store_answer(struct store *s, uint64_t key, int *rc, int64_t *value);
int store_put_answer(struct store *s, uint64_t key, int rc, int64_t value);

/* In a transaction: */
int store_add_run(struct store *s, struct run *r); /* fills id and version */
int store_get_run(struct store *s, int64_t id, struct run *out);
int store_put_run(struct store *s, struct run *r); /* a new version, changed_ns; every other field as given */
int store_delete_run(struct store *s, int64_t id); /* its files become trash, its jobs leftovers */
int store_add_event(struct store *s, const struct run *r, enum run_state from, const char *reason);
/* What the newest event says; the text is the caller's. -ENOENT without events. */
int store_last_event(struct store *s, int64_t run, enum run_state *to, char **reason);
int store_add_alert(struct store *s, const struct run *r, const char *text);
/* An alert that is raised once for `what` of an attempt (run 0: of the machine), until it is lowered. */
int store_raise(struct store *s, const struct run *r, int attempt, const char *what, const char *text);
int store_lower(struct store *s, int64_t run, int attempt, const char *what);
/* base, or base-2, base-3 …: the first name that no other run than `self` has there. A base that is
 * too long is cut at a character. */
int store_free_name(struct store *s, enum run_place place, const char *base, int64_t self,
	char out[RUN_NAME_MAX + 1]);
int store_name_taken(struct store *s, enum run_place place, const char *name, int64_t self); /* 1, 0 */
int store_folder_taken(struct store *s, const char *folder, int64_t self); /* by a draft: 1, 0 */

/* One attempt with what only the engine needs. */
struct attempt_row {
	struct attempt pub;
	char token[65];
	bool ended_row; /* the job's end was seen; `end` holds it */
	bool lost;      /* its machine went down: end.cause is END_NONE */
	struct job_status end; /* cause, exit_code, signal, cpu_ns, max_rss_bytes, detail */
};
void attempt_row_release(struct attempt_row *a);
int store_put_attempt(struct store *s, const struct attempt_row *a); /* in a transaction; inserts or replaces */
int store_finish_trash(struct store *s, int64_t id); /* in a transaction */

/* A job of a run that is gone, which its backend is still to forget. */
struct leftover {
	int64_t run;
	int attempt;
	char backend[32];
	char external_id[1004]; /* as long as the engine keeps it */
	int64_t since_ns;       /* wall clock */
	int tries;              /* that failed */
};
/* In a transaction: it is forgotten (or given up), or it was tried once more. */
int store_finish_leftover(struct store *s, const struct leftover *l);
int store_keep_leftover(struct store *s, const struct leftover *l);

/* ---- Reading, any thread ---- */
bool store_answered(struct store *s, uint64_t key, int *rc, int64_t *value); /* as store_answer */
int store_read_run(struct store *s, int64_t id, struct run *out);
int store_read_attempt(struct store *s, int64_t run, int n, struct attempt_row *out);
int store_attempt_count(struct store *s, int64_t run);
int store_find(struct store *s, enum run_place place, const char *name, int64_t *id);
int store_find_draft(struct store *s, const char *folder, int64_t *id);
int store_find_latest(struct store *s, const char *folder, int64_t *id);
int store_find_previous(struct store *s, const char *folder, int64_t before, int64_t *id);
/* Up to `max` entries after the id; the count or -errno. */
struct store_entry {
	struct engine_entry e;
	char name[RUN_NAME_MAX + 1];
};
int store_list(struct store *s, enum engine_list list, int64_t after, struct store_entry *out, int max);
/* Whole runs, up to max; the caller releases each; the count or -errno. */
int store_recent(struct store *s, int64_t before, struct run *out, int max);        /* newest first */
int store_changed_since(struct store *s, int64_t version, struct run *out, int max); /* ascending version */
int store_active(struct store *s, int64_t after, struct run *out, int max);  /* those with work to do */
int store_removed(struct store *s, int64_t after, struct run *out, int max); /* ascending id */
int store_counts(struct store *s, int64_t counts[RUN_STATE_COUNT]);
int store_events(struct store *s, int64_t run, struct strbuf *out); /* JSON lines */
/* When the newest events of the run were, at most `max`, in their order; wall_ns 0 where that is not
 * known (written by an older version). The count or -errno. */
int store_event_stamps(struct store *s, int64_t run, struct stamp *out, int max);
int store_alerts(struct store *s, struct strbuf *out);              /* JSON lines */
int store_leftovers(struct store *s, struct leftover *out, int max); /* least tried first; count or -errno */
int64_t store_next_trash(struct store *s); /* id of a run whose files are to be deleted, 0 none */
/* Mean memory in bytes of the last runs of that folder, 0 unknown. */
int64_t store_mean_memory(struct store *s, const char *folder);
bool store_raised(struct store *s, int64_t run, int attempt, const char *what);
/* Mean time in ns that the last complete runs of that folder took, 0 unknown. */
int64_t store_mean_time(struct store *s, const char *folder);

/* ---- Things of services by name (store_objects.c) ---- */
struct object_row;
int store_add_object(struct store *s, const char *backend, const char *kind, const char *name,
	int64_t *id); /* in a transaction */
int store_use_object(struct store *s, int64_t id);  /* in a transaction: somebody opened it now */
int store_drop_object(struct store *s, int64_t id); /* in a transaction */
int store_find_object(struct store *s, const char *backend, const char *kind, const char *name, int64_t *id);
int store_read_object(struct store *s, int64_t id, struct object_row *out);
/* Up to max of a kind after the id; and of all but that kind those opened last before `before_ns`. The
 * count or -errno. */
int store_objects(struct store *s, const char *backend, const char *kind, int64_t after,
	struct object_row *out, int max);
int store_old_objects(struct store *s, const char *but, int64_t before_ns, int64_t *ids, int max);
/* The run of which an attempt is that job of the backend; 0 none. */
int64_t store_run_of_job(struct store *s, const char *backend, const char *external_id);

/* For the tests: the hot queries, NULL-terminated, and the writer's connection. */
extern const char *const store_hot_queries[];
struct db *store_db(struct store *s);

#endif
