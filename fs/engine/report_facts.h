/* What report.c tells, read from the store and the attempts' folders. Private to the report. */
#ifndef KEXEC_ENGINE_REPORT_FACTS_H
#define KEXEC_ENGINE_REPORT_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "fs/base/clock.h"
#include "fs/engine/classify.h"
#include "fs/engine/engine.h"

#define REPORT_STEPS    200 /* state changes that are listed */
#define REPORT_ATTEMPTS 50
#define REPORT_FILES    200

struct report_step {
	char from[16], to[16];
	int attempt;
	struct stamp at;   /* boot_id "" where only the wall clock time is known */
	int64_t lasted_ns; /* <0: the state it ended in */
	char *reason;
};
struct report_steps {
	struct report_step list[REPORT_STEPS];
	size_t count, left_out; /* the oldest are left out */
};
int steps_read(struct engine *e, int64_t run, struct report_steps *out);
/* One more, now: the run's last move, which is not among the events yet. */
int steps_add(struct report_steps *s, const char *from, const char *to, int attempt,
	const char *reason);
void steps_release(struct report_steps *s);

struct attempt_facts {
	struct attempt attempt;
	bool ended; /* end.json says how: */
	struct job_status end;
	struct diagnosis why; /* class ERROR_NONE when nothing failed */
};
/* What the run says of all its attempts. */
struct attempt_about {
	const char *main; /* the notebook's name in the output, or NULL */
	bool offline;     /* "internet": false */
};
/* `known`: the attempt where the store does not know its end yet, or NULL. -ENOENT when there is no such
 * attempt. */
int attempt_facts_read(struct engine *e, const struct classifier *c, int64_t run, int n,
	const struct attempt *known, const struct attempt_about *about, struct attempt_facts *out);
void attempt_facts_release(struct attempt_facts *f);

/* A regular file's last `max` bytes; nothing when it is absent or no regular file. */
int read_tail(int dirfd, const char *path, size_t max, struct strbuf *out);

#endif
