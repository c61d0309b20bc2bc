/*
 * An engine of nothing but rows, for tests of the page. Include in one source file of a program. Every
 * name of the engine that the page uses is here: one that is not would draw in the real one beside it.
 */
#ifndef KEXEC_TESTS_FAKE_ENGINE_H
#define KEXEC_TESTS_FAKE_ENGINE_H

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/base/strbuf.h"
#include "fs/engine/engine.h"

#define FAKE_RUNS_MAX 3000

struct engine {
	struct run runs[FAKE_RUNS_MAX]; /* oldest first; texts are borrowed */
	size_t count;
	const char *alerts;
	int dirfd;
	size_t walked; /* rows given out so far */
	int fail_recent, fail_counts, fail_alerts;
};

const char *const run_state_words[RUN_STATE_COUNT] = {"draft", "queued", "submitting", "running",
	"collecting", "complete", "rejected", "waiting", "confirm", "unknown", "cancelling",
	"retrying", "failed", "cancelled", "skipped"};
const char *const run_kind_words[KIND_COUNT] = {
	"-", "notebook", "script", "train", "study", "plan", "spec"};

bool run_state_final(enum run_state s)
{
	return s == RUN_COMPLETE || s == RUN_REJECTED || s == RUN_FAILED || s == RUN_CANCELLED ||
	       s == RUN_SKIPPED;
}

int engine_recent(
	struct engine *e, size_t limit, int (*each)(void *arg, const struct run *r), void *arg)
{
	for (size_t i = e->count; i > 0 && limit > 0; i--, limit--) {
		e->walked++;
		if (each(arg, &e->runs[i - 1]))
			break;
	}
	return e->fail_recent;
}

int engine_counts(struct engine *e, int64_t counts[RUN_STATE_COUNT])
{
	for (size_t s = 0; s < RUN_STATE_COUNT; s++)
		counts[s] = 0;
	for (size_t i = 0; i < e->count; i++)
		if (e->runs[i].place == PLACE_RUNS)
			counts[e->runs[i].state]++;
	return e->fail_counts;
}

int engine_alerts(struct engine *e, struct strbuf *out)
{
	return e->fail_alerts ? e->fail_alerts : strbuf_adds(out, e->alerts ? e->alerts : "");
}

int engine_state_dirfd(struct engine *e)
{
	return e->dirfd;
}

const char *engine_attempt_path(char *buf, int64_t run, int n, const char *name)
{
	snprintf(buf, ENGINE_PATH_MAX, "runs/%" PRId64 "/attempts/%d/%s", run, n, name);
	return buf;
}

static inline struct stamp fake_ago(double seconds)
{
	struct stamp s = stamp_now();

	s.wall_ns -= (int64_t)(seconds * (double)NS_PER_S);
	s.boot_ns -= (int64_t)(seconds * (double)NS_PER_S);
	return s;
}

/* A new newest run of that name, with every field set to something valid. */
static inline struct run *fake_add(struct engine *e, const char *name, enum run_state state)
{
	struct run *r = &e->runs[e->count++];

	*r = (struct run){.id = (int64_t)e->count,
		.state = state,
		.kind = KIND_NOTEBOOK,
		.place = PLACE_RUNS,
		.progress = -1,
		.eta_ns = -1,
		.detail = (char *)"",
		.error_context = (char *)"",
		.next_step = (char *)"",
		.refusal = (char *)"",
		.metric_value = NAN,
		.created = fake_ago(4000),
		.submitted = fake_ago(3990)};
	snprintf(r->name, sizeof(r->name), "%s", name);
	snprintf(r->folder, sizeof(r->folder), "%s", name);
	if (state != RUN_DRAFT && state != RUN_QUEUED)
		snprintf(r->backend, sizeof(r->backend), "local");
	return r;
}

#endif
