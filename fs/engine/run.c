#include "fs/engine/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/i18n.h"
#include "fs/engine/store.h"

const char *const run_state_words[RUN_STATE_COUNT] = {
	[RUN_DRAFT] = "draft",
	[RUN_QUEUED] = "queued",
	[RUN_SUBMITTING] = "submitting",
	[RUN_RUNNING] = "running",
	[RUN_COLLECTING] = "collecting",
	[RUN_COMPLETE] = "complete",
	[RUN_REJECTED] = "rejected",
	[RUN_WAITING] = "waiting",
	[RUN_CONFIRM] = "confirm",
	[RUN_UNKNOWN] = "unknown",
	[RUN_CANCELLING] = "cancelling",
	[RUN_RETRYING] = "retrying",
	[RUN_FAILED] = "failed",
	[RUN_CANCELLED] = "cancelled",
	[RUN_SKIPPED] = "skipped",
};

#define TO(state) (1u << RUN_##state)

/*
 * The life of a run. A job that ended is always collected before its run is judged; only an attempt of
 * which nothing was ever sent may fail without that. `unknown` never leads back to `queued`: what may
 * have been sent is looked up, and only proof that it never arrived leads to `submitting` again, with
 * the same attempt and token. A run being cancelled ends in `cancelled`, whatever its job did last.
 */
static const unsigned moves[RUN_STATE_COUNT] = {
	[RUN_DRAFT] = TO(QUEUED) | TO(CONFIRM) | TO(REJECTED),
	[RUN_QUEUED] = TO(SUBMITTING) | TO(WAITING) | TO(FAILED) | TO(CANCELLED) | TO(SKIPPED),
	[RUN_WAITING] = TO(QUEUED) | TO(FAILED) | TO(CANCELLED) | TO(SKIPPED),
	[RUN_CONFIRM] = TO(QUEUED) | TO(FAILED) | TO(CANCELLED),
	[RUN_RETRYING] = TO(QUEUED) | TO(FAILED) | TO(CANCELLED),
	[RUN_SUBMITTING] = TO(RUNNING) | TO(COLLECTING) | TO(UNKNOWN) | TO(WAITING) | TO(RETRYING) |
			   TO(CANCELLING) | TO(FAILED),
	[RUN_RUNNING] = TO(COLLECTING) | TO(UNKNOWN) | TO(CANCELLING),
	[RUN_UNKNOWN] = TO(SUBMITTING) | TO(RUNNING) | TO(COLLECTING) | TO(CANCELLING),
	[RUN_COLLECTING] = TO(COMPLETE) | TO(FAILED) | TO(RETRYING) | TO(CANCELLING) | TO(CANCELLED),
	[RUN_CANCELLING] = TO(CANCELLED),
	[RUN_FAILED] = TO(QUEUED),
	[RUN_CANCELLED] = TO(QUEUED),
	[RUN_SKIPPED] = TO(QUEUED),
};

bool run_state_final(enum run_state s)
{
	return s == RUN_COMPLETE || s == RUN_REJECTED || s == RUN_FAILED || s == RUN_CANCELLED ||
	       s == RUN_SKIPPED;
}

bool run_move_allowed(enum run_state from, enum run_state to)
{
	if ((unsigned)from >= RUN_STATE_COUNT || (unsigned)to >= RUN_STATE_COUNT)
		return false;
	return moves[from] & (1u << to);
}

int run_state_parse(const char *word)
{
	for (int i = 0; i < RUN_STATE_COUNT; i++) {
		if (strcmp(word, run_state_words[i]) == 0)
			return i;
	}
	return -EINVAL;
}

void run_release(struct run *r)
{
	free(r->detail);
	free(r->error_context);
	free(r->error_lines);
	free(r->next_step);
	free(r->refusal);
	free(r->metric_name);
	free(r->external_id);
	free(r->options);
	memset(r, 0, sizeof(*r));
}

/* What a person should hear of, NULL for the rest. */
static const char *alert_of(const struct run *r)
{
	switch (r->state) {
	case RUN_CONFIRM:
		return _("It waits for the word confirm.");
	case RUN_FAILED:
	case RUN_REJECTED:
		return r->error_context && *r->error_context ? r->error_context : r->detail;
	case RUN_UNKNOWN:
		return r->detail;
	default:
		return NULL;
	}
}

/* From a waiting that was told last to where the run is now: the steps that were passed over. */
static int tell_passed(struct store *store, struct run *run, enum run_state from)
{
	enum run_state last = from, now = run->state;
	char *reason;
	int rc = store_last_event(store, run->id, &last, &reason);

	free(reason);
	if (rc == -ENOENT || (!rc && (last == from || last != RUN_WAITING)))
		return 0;
	if (!rc) {
		run->state = RUN_QUEUED;
		rc = store_add_event(store, run, RUN_WAITING, "");
	}
	if (!rc && from == RUN_SUBMITTING) {
		run->state = RUN_SUBMITTING;
		rc = store_add_event(store, run, RUN_QUEUED, "");
	}
	run->state = now;
	return rc;
}

int run_tell_passed(struct store *store, struct run *run)
{
	return tell_passed(store, run, run->state);
}

static int tell(struct store *store, struct run *run, enum run_state from, const char *reason)
{
	int rc = tell_passed(store, run, from);

	return rc ? rc : store_add_event(store, run, from, reason);
}

/* Does the newest event tell what this step would? */
static bool told_before(struct store *store, const struct run *run, enum run_state to,
	const char *reason)
{
	enum run_state last = RUN_DRAFT;
	char *text;
	bool same = store_last_event(store, run->id, &last, &text) == 0 && last == RUN_WAITING &&
		    (to != RUN_WAITING || strcmp(text, reason) == 0);

	free(text);
	return same;
}

static int move(struct store *store, struct run *run, enum run_state to, const char *reason,
	bool again, bool *told)
{
	enum run_state from = run->state;
	const char *alert;
	int rc;

	if (!run_move_allowed(from, to))
		return -EBUSY;
	*told = !again || !told_before(store, run, to, reason);
	run->state = to;
	run->answered = stamp_now();
	rc = store_put_run(store, run);
	if (!rc && *told)
		rc = tell(store, run, from, reason);
	alert = alert_of(run);
	if (!rc && alert)
		rc = store_add_alert(store, run, alert);
	return rc;
}

int run_move(struct store *store, struct run *run, enum run_state to, const char *reason)
{
	bool told;

	return move(store, run, to, reason, false, &told);
}

int run_move_again(struct store *store, struct run *run, enum run_state to, const char *reason,
	bool *told)
{
	bool own;

	return move(store, run, to, reason, true, told ? told : &own);
}
