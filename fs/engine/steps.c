/*
 * One look at a run, by a worker: what its state asks for now. Never twice at once for one run. Every
 * change goes through step_move(), which finds out whether a command came in between.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/log.h"
#include "fs/engine/internal.h"

#define STORE_RETRY_NS (2 * NS_PER_S)

void step_later(struct step *st, int64_t delay_ns)
{
	st->look->next_ns = clock_boot_ns() + delay_ns;
}

/* The state as an attempt shows it. */
static void word_attempt(struct attempt_row *a, enum run_state to)
{
	snprintf(a->pub.state, sizeof(a->pub.state), "%s",
		to == RUN_RETRYING ? run_state_words[RUN_FAILED] : run_state_words[to]);
}

/* A command came in between. What is known of the attempt (above all its external id) is kept. */
static void save_attempt(struct step *st)
{
	struct run now;
	struct move m = {.run = st->r.id, .from = RUN_CANCELLING, .to = RUN_CANCELLING,
		.attempt = &st->a};

	word_attempt(&st->a, RUN_CANCELLING);
	if (engine_move(st->e, &m, &now) == 0) {
		run_release(&st->r);
		st->r = now;
	}
}

static int move(struct step *st, enum run_state to, const char *reason,
	void (*edit)(struct run *r, void *arg), void *arg, bool again)
{
	struct run now;
	struct move m = {.run = st->r.id, .from = st->r.state, .to = to, .reason = reason,
		.edit = edit, .arg = arg, .attempt = st->a.pub.n ? &st->a : NULL, .again = again};
	int rc;

	if (st->a.pub.n)
		word_attempt(&st->a, to);
	rc = engine_move(st->e, &m, &now);
	if (!rc) {
		run_release(&st->r);
		st->r = now;
		return 0;
	}
	if (rc == -ESTALE && st->a.pub.n)
		save_attempt(st);
	/* Full, read-only or broken: nothing was promised, so the same is tried again. */
	st->look->find_first = true;
	step_later(st, rc == -ESTALE ? 0 : STORE_RETRY_NS);
	if (rc != -ESTALE)
		log_write(st->e->log, LOG_LEVEL_ERROR, "store", NULL,
			"a change of run %lld cannot be stored: %s", (long long)st->r.id,
			strerror(-rc));
	return rc;
}

int step_move(struct step *st, enum run_state to, const char *reason,
	void (*edit)(struct run *r, void *arg), void *arg)
{
	return move(st, to, reason, edit, arg, false);
}

int step_move_again(struct step *st, enum run_state to, const char *reason,
	void (*edit)(struct run *r, void *arg), void *arg)
{
	return move(st, to, reason, edit, arg, true);
}

static void edit_detail(struct run *r, void *arg)
{
	text_set(&r->detail, arg, DETAIL_MAX);
	r->answered = stamp_now();
}

int step_set_detail(struct step *st, const char *detail)
{
	char copy[DETAIL_MAX + 1];

	if (strcmp(st->r.detail, detail) == 0)
		return 0;
	snprintf(copy, sizeof(copy), "%s", detail);
	return step_move(st, st->r.state, NULL, edit_detail, copy);
}

void engine_held(void *arg, int64_t run, const char *why)
{
	char copy[DETAIL_MAX + 1];
	struct move m = {.run = run, .from = RUN_QUEUED, .to = RUN_QUEUED, .edit = edit_detail,
		.arg = copy, .stays = true};

	snprintf(copy, sizeof(copy), "%s", why);
	engine_move(arg, &m, NULL); /* only a hint: no harm if it is lost */
}

/* ---- Before anything is sent ---- */

static void edit_deadline(struct run *r, void *arg)
{
	snprintf(r->error_class, sizeof(r->error_class), "%s", error_class_words[ERROR_TIME_LIMIT]);
	text_set(&r->error_context, _("Its deadline passed before it could start."), CONTEXT_MAX);
	text_set(&r->detail, r->error_context, DETAIL_MAX);
	text_set(&r->next_step, next_step_text(ERROR_TIME_LIMIT, NEXT_PERSON), DETAIL_MAX);
	r->ended = stamp_now();
}

static bool deadline_passed(const struct step *st)
{
	return st->o.deadline_ns && clock_wall_ns() >= st->o.deadline_ns;
}

static void edit_queued(struct run *r, void *arg)
{
	memset(&r->due, 0, sizeof(r->due));
	text_set(&r->detail, "", DETAIL_MAX);
}

/* waiting and retrying: their time has come. */
static void look_at_waiting(struct step *st)
{
	if (st->r.state == RUN_WAITING)
		step_move_again(st, RUN_QUEUED, "", edit_queued, NULL);
	else
		step_move(st, RUN_QUEUED, "", edit_queued, NULL);
}

static bool not_started(enum run_state s)
{
	return s == RUN_QUEUED || s == RUN_WAITING || s == RUN_RETRYING || s == RUN_CONFIRM;
}

static void look_at(struct step *st)
{
	if (not_started(st->r.state) && deadline_passed(st)) {
		st->a.pub.n = 0; /* the attempt before it has its own end */
		step_move(st, RUN_FAILED, "deadline", edit_deadline, NULL);
		return;
	}
	switch (st->r.state) {
	case RUN_QUEUED:
		attempt_begin(st);
		break;
	case RUN_WAITING:
	case RUN_RETRYING:
		st->a.pub.n = 0;
		look_at_waiting(st);
		break;
	case RUN_SUBMITTING:
	case RUN_RUNNING:
	case RUN_UNKNOWN:
	case RUN_CANCELLING:
		attempt_look(st);
		break;
	case RUN_COLLECTING:
		collect(st);
		break;
	default:
		/* Two tellers overtook each other, and the scheduler heard the older news last. */
		sched_update(st->e->sched, &st->r, NULL);
		st->look->next_ns = SCHED_NEVER;
	}
}

static int read_options(struct step *st)
{
	size_t len = st->r.options ? strlen(st->r.options) : 0;
	struct json *json = len ? json_parse(st->r.options, len, len, NULL) : NULL;
	int rc = json ? options_from_json(json, &st->o, NULL) : 0;

	json_free(json);
	return rc;
}

/* 0, or -errno: then the look is repeated later. */
static int load_step(struct step *st)
{
	int rc = store_read_run(st->e->store, st->look->run, &st->r);

	if (!rc)
		rc = read_options(st);
	if (!rc && st->r.attempt)
		rc = store_read_attempt(st->e->store, st->r.id, st->r.attempt, &st->a);
	return rc;
}

/* There is no such run any more. */
static void forget(struct step *st)
{
	struct run gone = {.id = st->look->run, .version = INT64_MAX, .state = RUN_CANCELLED};

	sched_update(st->e->sched, &gone, NULL);
}

void engine_step(void *arg, struct look *look)
{
	struct step st = {.e = arg, .look = look};
	int rc;

	options_init(&st.o);
	rc = load_step(&st);
	if (rc == -ENOENT)
		forget(&st);
	else if (rc)
		log_write(st.e->log, LOG_LEVEL_ERROR, "store", NULL,
			"run %lld cannot be read: %s", (long long)look->run, strerror(-rc));
	else
		look_at(&st);
	free(st.source);
	free(st.directory);
	attempt_row_release(&st.a);
	options_release(&st.o);
	run_release(&st.r);
}
