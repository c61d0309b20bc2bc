/*
 * What every backend promises. A backend runs jobs somewhere; it knows nothing of runs, the store or
 * the mount. One `const struct backend` is its only exported symbol; registry.c finds it by name.
 *
 * Threads: every entry is called from worker threads, several at once on one connection, and may
 * block until `deadline_ns` (CLOCK_BOOTTIME); it returns -ETIMEDOUT after that.
 * Errors: 0 or -errno with a sentence in why. -EAGAIN: not now, try later (rate limit, service away).
 * -EACCES: credentials. -EDQUOT: allowance used up. -EINVAL: the job itself is wrong. -EUCLEAN: it
 * may or may not have happened: the engine calls find() before anything else.
 *
 * tests/contract holds every backend to this: a new one adds its backend_<name>.c there.
 */
#ifndef KEXEC_BACKENDS_BACKEND_H
#define KEXEC_BACKENDS_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include "fs/base/clock.h"

struct config;
struct json;
struct log;
struct strbuf;
struct why;

#define BACKEND_API 1

enum backend_caps {
	BACKEND_GPU = 1 << 0,
	BACKEND_CANCEL = 1 << 1,  /* cancel() really ends the job */
	BACKEND_PUSHES = 1 << 2,  /* calls `changed` by itself: polling on read is not needed */
	BACKEND_PAID = 1 << 3,
	BACKEND_NETWORK = 1 << 4, /* needs the network */
};

struct backend_setup {
	const struct config *config;
	struct log *log;
	const char *program;     /* absolute path of kexecfs itself (supervisor mode) */
	const char *state_path;  /* hidden from jobs */
	const char *mountpoint;  /* hidden from jobs */
	int state_dirfd;         /* -1: nothing will be run, and nothing may be made (--doctor asks describe() only) */
	/* Told when a job has news (BACKEND_PUSHES), from a thread of the backend's own. */
	void (*changed)(void *arg, const char *remote_id, bool ended);
	void *arg;
};

/* One attempt. Texts are borrowed for the call. */
struct job {
	int64_t run;
	int attempt;
	const char *token;       /* derived from installation, run and attempt; recognises a repetition */
	const char *name;        /* run name, any UTF-8 */
	const char *kind;        /* run_kind word: notebook, script, train */
	const char *main;        /* entry file in the source */
	const char *source;      /* absolute path, read-only */
	const char *directory;   /* absolute path of attempts/<n>, exists, the backend's to write */
	const struct json *parameters, *env, *datasets; /* objects or NULL */
	const char *gpu;         /* NULL, "any" or a type */
	bool internet;
	bool fresh_slug;         /* a new name on the service, though the folder gives one */
	int64_t limit_ns;        /* wall limit, 0 = none */
	int64_t memory_bytes;    /* 0 = none */
};

enum job_state {
	JOB_ABSENT,   /* the backend is sure that it never got it: may be submitted */
	JOB_PENDING,  /* accepted, not started */
	JOB_RUNNING,
	JOB_ENDED,    /* see cause, exit_code */
	JOB_LOST,     /* evidence that it died without a record (machine went down): may be run again */
	JOB_UNKNOWN,  /* no evidence either way */
};

enum end_cause {
	END_NONE, END_OK, END_ERROR /* nonzero exit or failing cell */, END_SIGNAL, END_TIME_LIMIT,
	END_MEMORY, END_CANCELLED, END_SETUP /* could not be started: no Python, no kernel */, END_DISK,
	END_CAUSE_COUNT
};
extern const char *const end_cause_words[END_CAUSE_COUNT];

struct job_status {
	enum job_state state;
	enum end_cause cause;
	int exit_code;           /* of the job, -1 unknown */
	int signal;              /* 0 none */
	double progress;         /* 0..1, <0 unknown */
	int64_t eta_ns;          /* <0 unknown */
	struct stamp started, ended;
	int64_t cpu_ns, max_rss_bytes; /* 0 unknown */
	double cost_usd;
	char detail[256];        /* e.g. "cell 3 of 7", one line */
};

struct backend_conn;

/* A thing of the service that somebody names, whether or not a run made it. Texts are borrowed. */
struct object {
	const char *kind; /* "kernel", "dataset" */
	const char *name; /* "owner/slug", "slug": valid() was true */
};

/*
 * Such things, for backends whose service has them. Every entry but send() and adopt() is mandatory; the
 * errors are those above, and -ENOENT: the service has none of that name, -EACCES: or says that it is not
 * for this user.
 */
struct backend_objects {
	/* Sound for paths and requests? Asks nobody; "owner" is the kind of the first part of a kernel's name. */
	bool (*valid)(const char *kind, const char *name);
	/* Bring `part` ("status", "log": text files; "source", "output": folders) into the empty folder dirfd
	 * under the part's name; what else is left there is ignored. `known`: the version whose part is there
	 * already ("" none): 1 when that still is what would be brought. `version` receives what it is of. */
	int (*fetch)(struct backend_conn *c, const struct object *o, const char *part, const char *known,
		int dirfd, int64_t deadline_ns, struct strbuf *version, struct why *why);
	/* A version of it becomes the attempt of which `job` says the token and the directory (no more), as if
	 * submit() had made it: the functions of struct backend work with remote_id. Asks no service. */
	int (*adopt)(struct backend_conn *c, const struct object *o, const char *version,
		const struct job *job, int64_t deadline_ns, struct strbuf *remote_id, struct why *why);
	/* What is in the folder dirfd becomes the thing, made or as its next version, with a note about it.
	 * Not repeatable: -EUCLEAN after a doubt. */
	int (*send)(struct backend_conn *c, const struct object *o, int dirfd, const char *note,
		int64_t deadline_ns, struct why *why);
};

struct backend {
	int api;                 /* BACKEND_API */
	const char *name;        /* the word users write */
	unsigned caps;
	/* Mandatory. Called once; starts the backend's own threads if it has any. */
	int (*open)(const struct backend_setup *setup, struct backend_conn **out, struct why *why);
	void (*close)(struct backend_conn *c); /* accepts NULL; jobs go on */
	/* Mandatory. Start the job; fill remote_id. Calling it again with the same token must find the
	 * first one and not start a second. */
	int (*submit)(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
		struct strbuf *remote_id, struct why *why);
	/* Mandatory. After a doubt: did submit() of this token take effect? JOB_ABSENT only with proof. */
	int (*find)(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
		struct strbuf *remote_id, struct job_status *out, struct why *why);
	/* Mandatory. Repeatable, no effects. */
	int (*poll)(struct backend_conn *c, const char *remote_id, int64_t deadline_ns,
		struct job_status *out, struct why *why);
	/* Mandatory. Bring what the job left into directory/output (complete or not at all: a directory
	 * output.part that is renamed). Repeatable after a crash. An error, and nothing is brought, while
	 * the job lives (-EBUSY) and of one that it never got. */
	int (*fetch)(struct backend_conn *c, const struct job *job, const char *remote_id,
		int64_t deadline_ns, struct why *why);
	/* Optional: bring new log text into directory/log and metrics.csv. NULL: the backend writes them
	 * while the job runs. */
	int (*logs)(struct backend_conn *c, const struct job *job, const char *remote_id,
		int64_t deadline_ns, struct why *why);
	/* Optional (BACKEND_CANCEL). Repeatable; 0 also when it has ended already. */
	int (*cancel)(struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why);
	/* Optional: checks before submission that only the backend can make; problems as sentences. Never waits
	 * for a service. -EINVAL with why: it must not be submitted so. */
	int (*check)(struct backend_conn *c, const struct job *job, struct strbuf *warnings, struct why *why);
	/* Optional: forget what is left of an ended job on the service; 0 also when nothing is. Repeatable.
	 * -EBUSY: it lives. What was brought before stays. Called when the run is deleted for good; until it
	 * answers 0 (or -EINVAL) it is tried again for a day. */
	int (*purge)(struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why);
	/* Optional: has this user credentials for it? Asks no service. NULL: it needs none. */
	bool (*credentials)(const struct config *config);
	/* Mandatory: one line for backends/<name>/status, and the text of quota. */
	int (*describe)(struct backend_conn *c, struct strbuf *status, struct strbuf *quota);
	/* Optional: things of the service by name. */
	const struct backend_objects *objects;
};

/* registry.c: every backend that was built in; the wrappers below are never listed. */
const struct backend *backend_find(const char *name);
const struct backend *const *backend_all(void); /* NULL-terminated */

/* A connection as callers hold it: the vtable and its state. Optional entries that are NULL answer
 * -EOPNOTSUPP through these, so that nobody else checks. */
struct backend_handle {
	const struct backend *vt;
	struct backend_conn *conn;
};

/* trace.c: logs every call and answer. fault.c: before and after every effect passes fault_point()
 * ("local.submit.before", ...). Both wrap an open handle and own it from then on. */
int backend_trace(struct backend_handle inner, struct log *log, struct backend_handle *out);
int backend_fault(struct backend_handle inner, struct backend_handle *out);

#endif
