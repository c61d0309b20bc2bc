/*
 * What trace.c and fault.c share: a backend around another one, all of whose calls pass two functions.
 * It keeps the shape of the one inside: an optional entry that is NULL there is NULL here.
 */
#ifndef KEXEC_BACKENDS_WRAP_H
#define KEXEC_BACKENDS_WRAP_H

#include "backends/backend.h"
#include "fs/base/why.h"

enum wrap_kind {
	WRAP_TELLS, /* nothing is asked of a service: check, describe, object.adopt */
	WRAP_ASKS,  /* no effect: find, poll, logs, object.fetch */
	WRAP_ACTS,  /* may have happened though the answer is an error: submit, fetch, cancel, purge, object.send */
};

/* One call on its way. */
struct wrap_call {
	const char *entry;
	enum wrap_kind kind;
	const char *remote_id;           /* given by the caller, or NULL */
	struct strbuf *found;            /* submit, find: the id that comes back; else NULL */
	const struct job_status *status; /* find, poll: what comes back; else NULL */
	struct why *why;                 /* never NULL in `before` and `after` */
	/* The wrapper's own: */
	struct wrapper *w;
	struct why own_why;
	int64_t begun_ns;
	int err;
};

struct wrapper {
	struct backend vt;               /* what callers see */
	struct backend_objects objects;  /* of vt, where there are any */
	struct backend_handle inner;
	int (*before)(struct wrap_call *call);          /* an error is the answer; nothing is called */
	int (*after)(struct wrap_call *call, int err);  /* returns the answer; err is that of the call */
	void *arg;                       /* borrowed */
};

/* `out` owns `inner` from then on, unless there is no memory (-ENOMEM). Either function may be NULL. */
int wrap(struct backend_handle inner, int (*before)(struct wrap_call *call),
	int (*after)(struct wrap_call *call, int err), void *arg, struct backend_handle *out);

#endif
