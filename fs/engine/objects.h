/*
 * Things of a service by name (a kernel, a data set), and the parts of them that are brought when somebody
 * opens them. What was brought is kept in the state directory,
 *
 *   objects/<id>/<part>.json        which generation of the part is the newest, and of which version it is
 *   objects/<id>/<part>.<n>/<part>  a generation: a folder or a text; complete, for it got its name when it was
 *   objects/<id>/files/             of a data set: what is to be sent, written through the mount
 *
 * A newer generation stands beside the older one, so that who reads goes on in what he began; housekeeping
 * takes away what is superseded for ten minutes, and things that nobody opened for a week (data sets stay).
 *
 * Bringing is done by threads of its own (a service that hangs keeps no run waiting), one at a time for a
 * part. Nobody here waits: who asks is told to come again.
 */
#ifndef KEXEC_ENGINE_OBJECTS_H
#define KEXEC_ENGINE_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/engine/engine.h"

struct engine;
struct strbuf;
struct why;

#define OBJECT_NAME_MAX 256
#define OBJECT_WAIT_NS	(INT64_C(60000000000)) /* nobody waits longer for a part */
#define OBJECT_GENERATIONS 65535

struct object_row {
	int64_t id;
	char backend[32], kind[16];
	char name[OBJECT_NAME_MAX];
};

/* What somebody waits for. */
struct object_wait {
	int64_t id;
	char part[16];
	int64_t until_ns; /* boot time */
};

/* Has this backend things by name at all? */
bool engine_has_objects(struct engine *e, const char *backend);
/* Its number, given now if it has none and `make` is set. -ENOENT: no sound name, or none. Asks no service. */
int engine_object_find(struct engine *e, const char *backend, const char *kind, const char *name, bool make,
	int64_t *id);
int engine_object(struct engine *e, int64_t id, struct object_row *out); /* -ENOENT */
/* Data sets that were begun here, in ascending id after `after`. */
int engine_object_list(struct engine *e, const char *backend, const char *kind, int64_t after,
	int (*each)(void *arg, const struct object_row *row), void *arg);

/* The folder of what a data set is to consist of: made (-EEXIST), taken away when it is empty (-ENOTEMPTY,
 * -EBUSY: it is being sent), and where it is, relative to the state directory (-ENOENT: not begun). */
int engine_object_make(struct engine *e, int64_t id);
int engine_object_unmake(struct engine *e, int64_t id);
int engine_object_files(struct engine *e, int64_t id, char *path, size_t size);

/* Is the part as fresh as the backend's freshness wants it? 0: yes; 1: it is being brought, see `wait`; or
 * -errno: it was asked for a moment ago in vain. */
int engine_object_ask(struct engine *e, int64_t id, const char *part, struct object_wait *wait);
/* 1: not yet; else how it ended, -EAGAIN: the time is over. */
int engine_object_ready(struct engine *e, const struct object_wait *wait);
/* The newest generation that is there, 0 none. */
unsigned engine_object_generation(struct engine *e, int64_t id, const char *part);
/* Where a generation (0: the newest) of a part is, relative to the state directory. -ENOENT. */
int engine_object_path(struct engine *e, int64_t id, const char *part, unsigned generation, char *path, size_t size);
/* The text of a part, as it was brought last; nothing where it never was. */
int engine_object_text(struct engine *e, int64_t id, const char *part, struct strbuf *out);

/* The words of its ctl; and the sentence that explains the last refusal or failure. */
int engine_object_words(struct engine *e, int64_t id, struct strbuf *out);
void engine_object_refused(struct engine *e, int64_t id, const char *sentence);
/* `adopt`: the version whose source is there becomes a run, which is watched as if it had been submitted
 * here. -EEXIST: it is one already. -EAGAIN: the source is not there (engine_object_ask()). */
int engine_object_adopt(struct engine *e, uint64_t key, int64_t id, struct why *why);
/* `upload`: what lies in files/ becomes the next version. Answered when that is wanted durably. */
int engine_object_upload(struct engine *e, int64_t id, const char *note, struct why *why);

/* For the engine itself. */
struct objects;
int objects_open(struct engine *e, struct objects **out);
int objects_start(struct objects *o);                     /* what a dead server was to upload goes on */
bool objects_stop(struct objects *o, int64_t wait_ns);    /* as sched_stop() */
void objects_close(struct objects *o);                    /* after a successful stop; accepts NULL */
void objects_housekeep(struct objects *o);

#endif
