/*
 * An attempt, from the intent to the news that its job has ended. Worker threads.
 *
 * The order that makes a submission happen once: the attempt's row with its token and the state
 * `submitting` are committed, then submit() is called. Whoever finds a run in `submitting` without
 * having made that commit itself asks find() before anything else; only JOB_ABSENT, which backends
 * give with proof alone, leads to submit() (again), with the same token. Any error of submit() but the
 * four that say for sure "not accepted" is a doubt and asks find() too.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/engine/alerts.h"
#include "fs/engine/internal.h"
#include "fs/engine/reserve.h"
#include "fs/engine/retry.h"

#define CALL_NS		   (60 * NS_PER_S) /* a call to a backend at most */
#define PENDING_NS	   (5 * NS_PER_S)  /* accepted, not started: look again */
#define CANCEL_NS	   (NS_PER_S)	   /* asked to end: look again */
#define DOUBT_NS	   (NS_PER_S)	   /* find() after a doubtful submit() */
#define BACKOFF_MAX_NS	   (300 * NS_PER_S)
#define QUOTA_NS	   (900 * NS_PER_S)
#define PUT_OFF_NS	   (2 * NS_PER_S)  /* the backend cannot take it now: ask again */
#define PUT_OFF_MAX_NS	   (60 * NS_PER_S)
#define FAILURES_TOLERATED 5 /* calls in a row without an answer; then it is unknown */
#define SUBMITS_TOLERATED  3 /* submissions in a row that proved not to have happened */

static int64_t deadline(void)
{
	return clock_boot_ns() + CALL_NS;
}

static int64_t poll_ns(const struct step *st)
{
	int seconds = st->e->config->poll_seconds;

	return (seconds > 0 ? seconds : 1) * NS_PER_S;
}

/* Soon, but not more often than the user wants to be asked. */
static int64_t pending_ns(const struct step *st)
{
	return poll_ns(st) < PENDING_NS ? poll_ns(st) : PENDING_NS;
}

/* 0.5, 1, 2, 4 … seconds. */
static int64_t backoff_ns(const struct step *st)
{
	int n = st->look->failures < 10 ? st->look->failures : 10;
	int64_t delay = (NS_PER_S / 4) << n;

	return delay < BACKOFF_MAX_NS ? delay : BACKOFF_MAX_NS;
}

/* ---- The job as backends see it ---- */

static int make_paths(struct step *st)
{
	char source[ENGINE_PATH_MAX];
	const char *state = st->e->state_path;

	engine_source_path(source, st->r.id);
	engine_attempt_path(st->attempt_path, st->r.id, st->a.pub.n, NULL);
	free(st->source);
	free(st->directory);
	st->source = st->directory = NULL;
	if (asprintf(&st->source, "%s/%s", state, source) < 0 ||
		asprintf(&st->directory, "%s/%s", state, st->attempt_path) < 0)
		return -ENOMEM;
	return io_mkdir_path(st->directory, 0700);
}

static int64_t in_ns(double hours)
{
	return hours > 0 && hours < 1e6 ? (int64_t)(hours * 3600e9) : 0;
}

static void fill_job(struct step *st)
{
	const struct options *o = &st->o;
	bool gpu = st->e->config->jobs_gpus > 0 || (st->b.vt->caps & BACKEND_NETWORK);

	st->job = (struct job){.run = st->r.id, .attempt = st->a.pub.n, .token = st->a.token,
		.name = st->r.name, .kind = run_kind_words[st->r.kind], .main = o->main,
		.source = st->source, .directory = st->directory, .parameters = o->parameters,
		.env = o->env, .datasets = o->datasets, .gpu = gpu ? o->gpu : NULL,
		.internet = o->internet, .fresh_slug = o->fresh_slug, .limit_ns = in_ns(o->hours),
		.memory_bytes = o->memory_gb > 0 && o->memory_gb < 1e6
					? (int64_t)(o->memory_gb * 1073741824.0) : 0};
}

int attempt_job(struct step *st)
{
	struct why why = {0};
	int rc = make_paths(st);

	if (!rc)
		rc = engine_backend_open(st->e, st->a.pub.backend, &st->b, &why);
	if (!rc) {
		fill_job(st);
		return 0;
	}
	st->look->failures++;
	step_later(st, backoff_ns(st));
	step_set_detail(st, why.err ? why_text(&why) : strerror(-rc));
	return rc;
}

/* ---- Beginning ---- */

static void send_job(struct step *st);

struct put_off {
	struct stamp due;
	const char *detail;
};

static void edit_put_off(struct run *r, void *arg)
{
	const struct put_off *p = arg;

	r->due = p->due;
	text_set(&r->detail, p->detail, DETAIL_MAX);
}

/* 2, 4, 8 … 60 seconds, each a tenth more or less: what waits for one thing must not ask in step. */
static int64_t put_off_ns(struct step *st)
{
	int n = st->look->put_off < 10 ? st->look->put_off : 10;
	int64_t delay = PUT_OFF_NS << n;
	uint64_t random = 0;

	st->look->put_off++;
	if (delay > PUT_OFF_MAX_NS)
		delay = PUT_OFF_MAX_NS;
	if (getrandom(&random, sizeof(random), 0) < 0)
		random = 0; /* only the jitter */
	return delay / 10 * 9 + (int64_t)(random % (uint64_t)(delay / 5));
}

static void put_off(struct step *st, int64_t delay_ns, const char *detail)
{
	struct put_off p = {.due = stamp_now(), .detail = detail};

	p.due.wall_ns += delay_ns;
	p.due.boot_ns += delay_ns;
	step_move_again(st, RUN_WAITING, detail, edit_put_off, &p);
}

/* An attempt that was put off before it was accepted (state `waiting`) is taken up again, with its
 * token; otherwise the next one begins. */
static bool new_attempt(struct step *st)
{
	int n = st->a.pub.n;

	if (n && strcmp(st->a.pub.state, run_state_words[RUN_WAITING]) == 0 &&
		strcmp(st->a.pub.backend, st->r.backend) == 0)
		return false;
	attempt_row_release(&st->a);
	st->a.pub.run = st->r.id;
	st->a.pub.n = n + 1;
	st->a.end.exit_code = -1;
	snprintf(st->a.pub.backend, sizeof(st->a.pub.backend), "%s", st->r.backend);
	snprintf(st->a.token, sizeof(st->a.token), "%s-%" PRId64 "-%d",
		store_installation(st->e->store), st->r.id, st->a.pub.n);
	return true;
}

static void edit_begun(struct run *r, void *arg)
{
	const struct attempt_row *a = arg;

	r->attempt = a->pub.n;
	r->started = a->pub.started;
	memset(&r->ended, 0, sizeof(r->ended));
	r->progress = -1;
	r->eta_ns = -1;
	free(r->external_id);
	r->external_id = NULL;
	text_set(&r->detail, "", DETAIL_MAX);
	text_set(&r->error_context, "", CONTEXT_MAX);
	free(r->error_lines);
	r->error_lines = NULL;
	text_set(&r->next_step, "", DETAIL_MAX);
	r->error_class[0] = '\0';
}

void attempt_begin(struct step *st)
{
	struct why why = {0};
	bool fresh;

	if (engine_backend_disabled(st->e, st->r.backend, &why) ||
		engine_backend_open(st->e, st->r.backend, &st->b, &why)) {
		st->a.pub.n = 0; /* the attempt before this one is not concerned */
		put_off(st, BACKEND_REOPEN_NS, why_text(&why));
		return;
	}
	if (disk_is_low(st->e->state_dirfd)) {
		st->a.pub.n = 0;
		put_off(st, put_off_ns(st), _("The disk is full; it starts when there is room."));
		return;
	}
	fresh = new_attempt(st);
	st->look->doubts = 0;
	st->a.pub.started = stamp_now();
	memset(&st->a.pub.ended, 0, sizeof(st->a.pub.ended));
	if (step_move_again(st, RUN_SUBMITTING, "", edit_begun, &st->a))
		return;
	if (!fresh) {
		attempt_look(st);
		return;
	}
	if (attempt_job(st) == 0)
		send_job(st);
	else
		st->look->find_first = true;
}

/* ---- News of the job ---- */

struct news {
	struct step *st;
	const struct job_status *status;
};

static double attempt_cost(const struct job_status *status)
{
	return status->cost_usd > 0 && isfinite(status->cost_usd) ? status->cost_usd : 0;
}

/* The run's cost is the sum of its attempts'; `a` still holds what was known of this one. */
static void edit_news(struct run *r, void *arg)
{
	const struct news *news = arg;
	const struct job_status *status = news->status;
	struct attempt_row *a = &news->st->a;
	double cost = attempt_cost(status);

	r->progress = status->progress >= 0 ? fmin(status->progress, 1) : -1;
	r->eta_ns = status->eta_ns;
	text_set(&r->detail, status->detail, DETAIL_MAX);
	if (status->started.wall_ns)
		r->started = a->pub.started = status->started;
	r->cost_usd += cost - a->pub.cost_usd;
	a->pub.cost_usd = cost;
	if (a->pub.external_id)
		text_set(&r->external_id, a->pub.external_id, 1000);
	r->answered = stamp_now();
}

static void edit_external(struct run *r, void *arg)
{
	const struct step *st = arg;

	if (st->a.pub.external_id)
		text_set(&r->external_id, st->a.pub.external_id, 1000);
}

static bool same_news(const struct step *st, const struct job_status *s)
{
	const struct run *r = &st->r;
	const char *known = r->external_id ? r->external_id : "";

	return st->a.pub.external_id && strcmp(known, st->a.pub.external_id) == 0 &&
	       fabs(r->progress - (s->progress >= 0 ? fmin(s->progress, 1) : -1)) < 1e-9 &&
	       strcmp(r->detail, s->detail) == 0;
}

static void tell_output(struct step *st)
{
	engine_tell(st->e, CHANGE_OUTPUT, &st->r, &st->r);
}

static int64_t monitor_limit(const struct step *st)
{
	double hours = st->o.max_hours > 0 ? st->o.max_hours : st->e->config->monitor_hours;

	return in_ns(hours);
}

static bool past_monitor(const struct step *st)
{
	struct stamp now = stamp_now();
	int64_t limit = monitor_limit(st);

	return limit && st->r.started.wall_ns && stamp_since(&st->r.started, &now) > limit;
}

/* Where an answer "running" leads: past the monitor limit a run is unknown and stays so, still looked
 * up, until its job ends. */
static enum run_state alive_state(const struct step *st, enum job_state job)
{
	if (st->r.state == RUN_CANCELLING)
		return RUN_CANCELLING;
	if (job == JOB_PENDING && st->r.state != RUN_RUNNING)
		return RUN_SUBMITTING;
	return past_monitor(st) ? RUN_UNKNOWN : RUN_RUNNING;
}

static void take_alive(struct step *st, struct job_status *status)
{
	struct news news = {st, status};
	struct stamp now = stamp_now();
	enum run_state to = alive_state(st, status->state);
	const char *reason = "";

	alerts_eta(st, status);
	alerts_news(st, status);
	if (to == RUN_UNKNOWN) {
		reason = _("the monitor limit has passed; it is still looked up");
		snprintf(status->detail, sizeof(status->detail), "%s", reason);
	}
	if (to == RUN_UNKNOWN && st->r.state == RUN_SUBMITTING)
		to = RUN_RUNNING; /* the next look says so */
	if (to == st->r.state && same_news(st, status) &&
		stamp_since(&st->r.answered, &now) < poll_ns(st) * 9 / 10) {
		tell_output(st);
		return;
	}
	if (step_move(st, to, reason, edit_news, &news) == 0)
		tell_output(st);
}

static void edit_unknown(struct run *r, void *arg)
{
	text_set(&r->detail, arg, DETAIL_MAX);
	r->eta_ns = -1;
	r->answered = stamp_now();
}

static void become_unknown(struct step *st, const char *why)
{
	char detail[DETAIL_MAX + 1];

	snprintf(detail, sizeof(detail), "%s", why);
	if (st->r.state == RUN_UNKNOWN || st->r.state == RUN_CANCELLING)
		step_set_detail(st, detail);
	else
		step_move(st, RUN_UNKNOWN, detail, edit_unknown, detail);
}

static void edit_ended(struct run *r, void *arg)
{
	const struct news *news = arg;
	double was = r->progress;

	edit_news(r, arg);
	if (news->status->cause != END_OK && r->progress < 0)
		r->progress = was;
	r->eta_ns = -1;
	r->ended = news->st->a.pub.ended;
}

/* The job has ended, or died with its machine. From here on the attempt's row knows how. */
static void take_end(struct step *st, struct job_status *status)
{
	struct news news = {st, status};
	struct attempt_row *a = &st->a;
	int rc;

	if (status->state == JOB_LOST) {
		status->cause = END_NONE;
		if (!status->detail[0])
			snprintf(status->detail, sizeof(status->detail), "%s",
				_("the machine went down under it"));
	}
	alerts_news(st, status);
	a->ended_row = true;
	a->lost = status->state == JOB_LOST;
	a->end = *status;
	a->pub.ended = status->ended.wall_ns ? status->ended : stamp_now();
	text_set(&a->pub.detail, status->detail, DETAIL_MAX);
	if (st->r.state == RUN_CANCELLING) {
		rc = step_move(st, RUN_CANCELLING, NULL, edit_ended, &news);
		if (!rc)
			collect_cancelled(st);
		return;
	}
	step_move(st, RUN_COLLECTING, status->detail, edit_ended, &news);
}

static void edit_gone(struct run *r, void *arg)
{
	text_set(&r->detail, _("cancelled before it was sent"), DETAIL_MAX);
	r->ended = stamp_now();
}

/* The backend is sure that it never got this attempt, or has it no more. */
static void take_absent(struct step *st, struct job_status *status)
{
	if (st->r.state == RUN_CANCELLING) {
		st->a.pub.ended = stamp_now();
		step_move(st, RUN_CANCELLED, "", edit_gone, NULL);
		return;
	}
	if (st->a.pub.external_id && (st->r.state == RUN_RUNNING || st->r.state == RUN_UNKNOWN)) {
		/* It was there once: so it is lost, and not to be taken for never sent. */
		status->state = JOB_LOST;
		take_end(st, status);
		return;
	}
	if (st->r.state != RUN_SUBMITTING && step_move(st, RUN_SUBMITTING, "", NULL, NULL))
		return;
	send_job(st);
}

static void take_status(struct step *st, struct job_status *status)
{
	st->look->failures = 0;
	switch (status->state) {
	case JOB_ABSENT:
		take_absent(st, status);
		break;
	case JOB_PENDING:
		step_later(st, pending_ns(st));
		take_alive(st, status);
		break;
	case JOB_RUNNING:
		step_later(st, poll_ns(st));
		take_alive(st, status);
		break;
	case JOB_ENDED:
	case JOB_LOST:
		take_end(st, status);
		break;
	default:
		step_later(st, poll_ns(st));
		st->look->find_first = true;
		become_unknown(st, _("the backend has no evidence of what became of it"));
	}
	sched_answered(st->e->sched, st->r.id); /* who waits for the news reads them now */
}

/* A call that asks had no answer. */
static void no_answer(struct step *st, int rc, const struct why *why)
{
	if (++st->look->failures >= FAILURES_TOLERATED)
		become_unknown(st, why->err ? why_text(why) : strerror(-rc));
	step_later(st, backoff_ns(st));
}

static void clean_status(struct job_status *status)
{
	memset(status, 0, sizeof(*status));
	status->state = JOB_UNKNOWN;
	status->progress = -1;
	status->eta_ns = -1;
	status->exit_code = -1;
}

/* Hostile figures: a cause out of range would index beyond its words. */
static void check_status(struct job_status *status)
{
	status->detail[sizeof(status->detail) - 1] = '\0';
	if ((unsigned)status->cause >= END_CAUSE_COUNT)
		status->cause = END_ERROR;
	if (!isfinite(status->progress))
		status->progress = -1;
}

static void poll_job(struct step *st)
{
	struct job_status status;
	struct why why = {0};
	int rc;

	clean_status(&status);
	rc = st->b.vt->poll(st->b.conn, st->a.pub.external_id, deadline(), &status, &why);
	check_status(&status);
	if (!rc && st->b.vt->logs && (status.state == JOB_RUNNING || status.state == JOB_ENDED))
		st->b.vt->logs(st->b.conn, &st->job, st->a.pub.external_id, deadline(), NULL);
	if (rc) {
		no_answer(st, rc, &why);
		return;
	}
	if (status.state == JOB_ABSENT)
		status.state = JOB_UNKNOWN; /* only find() proves absence */
	take_status(st, &status);
}

static void find_job(struct step *st)
{
	AUTO_BUF struct strbuf remote = STRBUF_INIT;
	struct job_status status;
	struct why why = {0};
	int rc;

	clean_status(&status);
	rc = st->b.vt->find(st->b.conn, &st->job, deadline(), &remote, &status, &why);
	check_status(&status);
	if (rc) {
		st->look->find_first = true;
		no_answer(st, rc, &why);
		return;
	}
	if (remote.len)
		text_set(&st->a.pub.external_id, remote.buf, 1000);
	st->look->find_first = false;
	take_status(st, &status);
}

/* ---- Sending ---- */

/* The backend said for sure that it did not take the job. */
static void not_taken(struct step *st, int rc, const struct why *why)
{
	const char *sentence = why->err ? why_text(why) : strerror(-rc);

	switch (rc) {
	case -EAGAIN:
		put_off(st, put_off_ns(st), sentence);
		break;
	case -EDQUOT:
		attempt_refused(st, ERROR_QUOTA, sentence);
		if (st->r.state == RUN_SUBMITTING)
			put_off(st, QUOTA_NS, sentence);
		break;
	case -EACCES:
		attempt_refused(st, ERROR_ACCESS, sentence);
		break;
	default:
		attempt_refused(st, ERROR_UNKNOWN, sentence);
	}
}

static bool surely_not_taken(int rc)
{
	return rc == -EAGAIN || rc == -EDQUOT || rc == -EACCES || rc == -EINVAL;
}

static void accepted(struct step *st, const struct strbuf *remote)
{
	st->look->failures = st->look->doubts = st->look->put_off = 0;
	text_set(&st->a.pub.external_id, remote->buf, 1000);
	if (step_move(st, st->r.state, NULL, edit_external, st) == 0) {
		st->look->find_first = false;
		poll_job(st);
	}
}

/* Only after the commit of the intent in this very step, or after JOB_ABSENT. */
static void send_job(struct step *st)
{
	AUTO_BUF struct strbuf remote = STRBUF_INIT;
	struct why why = {0};
	int rc;

	if (st->look->doubts >= SUBMITS_TOLERATED) {
		attempt_refused(st, ERROR_INFRA, st->r.detail);
		return;
	}
	rc = st->b.vt->submit(st->b.conn, &st->job, deadline(), &remote, &why);
	if (!rc && remote.len && !remote.err) {
		accepted(st, &remote);
		return;
	}
	if (surely_not_taken(rc)) {
		not_taken(st, rc, &why);
		return;
	}
	st->look->doubts++;
	st->look->find_first = true;
	step_later(st, DOUBT_NS);
	step_set_detail(st, why.err ? why_text(&why) : strerror(rc ? -rc : EPROTO));
}

/* ---- Ending it ---- */

static void cancel_job(struct step *st)
{
	struct why why = {0};
	int rc = -EOPNOTSUPP;

	if (st->b.vt->cancel)
		rc = st->b.vt->cancel(st->b.conn, st->a.pub.external_id, deadline(), &why);
	step_later(st, CANCEL_NS);
	if (rc == -EOPNOTSUPP)
		step_set_detail(st, _("this backend cannot end it; waiting for its end"));
	else if (rc)
		step_set_detail(st, why.err ? why_text(&why) : strerror(-rc));
	if (rc)
		step_later(st, pending_ns(st));
}

void attempt_look(struct step *st)
{
	bool cancelling = st->r.state == RUN_CANCELLING;

	if (cancelling && st->a.ended_row) {
		collect_cancelled(st);
		return;
	}
	if (attempt_job(st))
		return;
	if (st->look->find_first || !st->a.pub.external_id)
		find_job(st);
	else
		poll_job(st);
	/* Still cancelling after the news: the job lives, so end it. */
	if (cancelling && st->r.state == RUN_CANCELLING && !st->a.ended_row && st->a.pub.external_id)
		cancel_job(st);
}
