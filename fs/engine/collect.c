/*
 * The end of an attempt: bring what it left, say why it failed, check what was expected, write the
 * report, make all of it durable, and only then say how it ended. Every part can be done again after a
 * crash. Worker threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/log.h"
#include "fs/base/strbuf.h"
#include "fs/engine/metrics.h"
#include "fs/engine/outcome.h"
#include "fs/engine/report.h"

#define FETCH_NS	(600 * NS_PER_S)
#define FETCH_TRIES	5
#define AWAY_TRIES	240 /* of a service that is away, once a minute: what it holds is not lost */
#define AWAY_MAX_NS	(60 * NS_PER_S)
#define LOG_TAIL	((size_t)256 << 10)
#define NOTEBOOK_MAX	((size_t)64 << 20)
#define RETRY_NS	(2 * NS_PER_S)
#define DISK_RETRY_NS	(5 * NS_PER_S)

/* ---- What the job left ---- */

static bool disk_full(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT || rc == -EROFS;
}

static int fetch(struct step *st, struct why *why)
{
	int64_t deadline = clock_boot_ns() + FETCH_NS;

	if (!st->a.pub.external_id)
		return 0;
	if (st->b.vt->logs)
		st->b.vt->logs(st->b.conn, &st->job, st->a.pub.external_id, deadline, NULL);
	return st->b.vt->fetch(st->b.conn, &st->job, st->a.pub.external_id, deadline, why);
}

/* "Not now" of a service may last for hours, and each call goes on with what the last one left; whoever
 * has cancelled does not wait so long. */
static int tries_for(const struct step *st, int rc)
{
	bool away = (rc == -EAGAIN || rc == -ETIMEDOUT) && (st->b.vt->caps & BACKEND_NETWORK);

	return away && st->r.state != RUN_CANCELLING ? AWAY_TRIES : FETCH_TRIES;
}

static int64_t fetch_delay(const struct step *st, int rc)
{
	int64_t delay = RETRY_NS * st->look->failures;

	if (disk_full(rc))
		return DISK_RETRY_NS;
	return delay < AWAY_MAX_NS ? delay : AWAY_MAX_NS;
}

/* -EAGAIN: another look is due. Other errors are final for a job of which nothing can be brought. */
static int fetch_or_wait(struct step *st, struct why *why)
{
	int rc = fetch(st, why);

	if (!rc)
		return 0;
	if (!disk_full(rc) && ++st->look->failures >= tries_for(st, rc))
		return rc == -EAGAIN ? -ETIMEDOUT : rc;
	step_set_detail(st, why->err ? why_text(why) : strerror(-rc));
	step_later(st, fetch_delay(st, rc));
	return -EAGAIN;
}

static int open_attempt(const struct step *st)
{
	return io_open_dir(st->e->state_dirfd, st->attempt_path);
}

/* The last LOG_TAIL bytes; an absent or odd log gives none. */
static void read_log_tail(int dirfd, struct strbuf *out)
{
	AUTO_FD int fd = openat(dirfd, "log", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	AUTO_FREE char *tail = malloc(LOG_TAIL);
	struct stat st;
	int got;

	if (fd < 0 || !tail || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	if (st.st_size > (off_t)LOG_TAIL && lseek(fd, -(off_t)LOG_TAIL, SEEK_END) < 0)
		return;
	got = io_read_all(fd, tail, LOG_TAIL);
	if (got > 0)
		strbuf_add(out, tail, (size_t)got);
}

/* A file below output/, which is a stranger's: no link may lead out of it. */
static int open_output(int dirfd, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)flags | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	AUTO_FD int output = io_open_dir(dirfd, "output");
	long fd;

	if (output < 0)
		return output;
	if (flags & O_PATH)
		how.flags &= ~(uint64_t)O_NONBLOCK;
	fd = syscall(SYS_openat2, output, path, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

static void read_notebook(const struct step *st, int dirfd, struct strbuf *out)
{
	AUTO_FD int fd = -1;
	AUTO_FREE char *text = NULL;
	struct stat file;
	int got;

	if (st->r.kind != KIND_NOTEBOOK || !st->o.main)
		return;
	fd = open_output(dirfd, st->o.main, O_RDONLY);
	if (fd < 0 || fstat(fd, &file) || !S_ISREG(file.st_mode) || file.st_size <= 0 ||
		file.st_size > (off_t)NOTEBOOK_MAX || !(text = malloc((size_t)file.st_size)))
		return;
	got = io_read_all(fd, text, (size_t)file.st_size);
	if (got > 0)
		strbuf_add(out, text, (size_t)got);
}

static const char *missing_file(const struct step *st, int dirfd)
{
	for (char **path = st->o.expect; path && *path; path++) {
		AUTO_FD int fd = open_output(dirfd, *path, O_PATH);

		if (fd < 0)
			return *path;
	}
	return NULL;
}

static void read_metric(const struct step *st, int dirfd, struct outcome *out)
{
	AUTO_BUF struct strbuf csv = STRBUF_INIT;

	if (io_read(dirfd, "metrics.csv", METRICS_MAX_BYTES, &csv))
		return;
	if (metrics_best(csv.buf, csv.len, st->o.metric_name, st->o.metric_max, out->metric_name,
		    &out->metric_value))
		out->metric_name[0] = '\0';
}

/* ---- Judging ---- */

static void diagnose(const struct step *st, int dirfd, struct outcome *out)
{
	AUTO_BUF struct strbuf log = STRBUF_INIT;
	AUTO_BUF struct strbuf notebook = STRBUF_INIT;

	read_log_tail(dirfd, &log);
	read_notebook(st, dirfd, &notebook);
	const struct classifier *rules = engine_classifier(st->e);
	struct classify_facts facts = {.end = &st->a.end, .offline = !st->o.internet, .log = log.buf,
		.log_len = log.len, .notebook = notebook.len ? notebook.buf : NULL,
		.notebook_len = notebook.len};

	if (rules)
		classify(rules, &facts, &out->diagnosis);
	if (out->diagnosis.class == ERROR_NONE)
		out->diagnosis.class = ERROR_UNKNOWN;
	if (!out->diagnosis.message[0] && !out->diagnosis.exception[0])
		outcome_context(out, st->a.end.detail[0] ? st->a.end.detail
							 : end_cause_words[st->a.end.cause]);
}

static void blame(struct outcome *out, enum error_class class, enum next_step next,
	const char *sentence)
{
	out->diagnosis.class = class;
	out->diagnosis.next = next;
	outcome_context(out, sentence);
}

static void judge_good_end(const struct step *st, int dirfd, struct outcome *out)
{
	const char *missing = missing_file(st, dirfd);
	char sentence[512];

	out->to = RUN_COMPLETE;
	if (!missing)
		return;
	snprintf(sentence, sizeof(sentence), _("It ended well but left no %.400s, which \"expect\" names."),
		missing);
	blame(out, ERROR_CODE, NEXT_PERSON, sentence);
}

static void judge(const struct step *st, int fetched, const struct why *why, struct outcome *out)
{
	AUTO_FD int dirfd = open_attempt(st);

	memset(out, 0, sizeof(*out));
	out->lost = st->a.lost;
	read_metric(st, dirfd, out);
	if (st->a.end.cause == END_CANCELLED && !out->lost) {
		out->to = RUN_CANCELLED;
		return;
	}
	if (out->lost)
		blame(out, ERROR_INFRA, NEXT_RETRY, st->a.end.detail);
	else if (st->a.end.cause != END_OK)
		diagnose(st, dirfd, out);
	else if (fetched)
		blame(out, ERROR_INFRA, NEXT_PERSON, why->err ? why_text(why) : strerror(-fetched));
	else
		judge_good_end(st, dirfd, out);
	if (out->diagnosis.class != ERROR_NONE)
		outcome_of_failure(st, out);
}

/* ---- Writing it down ---- */

/* The report and the changes are about the run as it will be: the same edit on a copy, and the move to come. */
static int write_report(struct step *st, struct outcome *outcome, const char *reason)
{
	struct attempt attempt = st->a.pub;
	struct report_last last = {.from = st->r.state, .reason = reason,
		.attempt = st->a.pub.n ? &attempt : NULL};
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	AUTO_FD int dirfd = -1;
	char path[ENGINE_PATH_MAX];
	struct run copy;
	int rc = store_read_run(st->e->store, st->r.id, &copy);

	if (rc)
		return rc;
	outcome_edit(&copy, outcome);
	copy.state = outcome->to;
	snprintf(attempt.state, sizeof(attempt.state), "%s", run_state_words[outcome->to]);
	rc = report_render(st->e, &copy, &last, &text);
	snprintf(path, sizeof(path), "runs/%lld", (long long)st->r.id);
	if (!rc && (dirfd = io_open_dir(st->e->state_dirfd, path)) < 0)
		rc = dirfd;
	if (!rc)
		rc = engine_write_changes(st->e, &copy, dirfd); /* the metric is known now */
	run_release(&copy);
	return rc ? rc : io_write_durable(dirfd, "report.md", text.buf, text.len, 0644);
}

/* What the job left must outlive a power cut once `complete` could be read. */
static int make_durable(const struct step *st)
{
	int rc = fault_point("collect.syncfs");

	if (rc)
		return rc;
	return syncfs(st->e->state_dirfd) ? -errno : 0;
}

static void conclude(struct step *st, struct outcome *outcome)
{
	const char *reason = outcome->diagnosis.class == ERROR_NONE ? "" : outcome->diagnosis.message;
	int rc = run_state_final(outcome->to) ? write_report(st, outcome, reason) : 0;

	if (!rc)
		rc = make_durable(st);
	if (!rc) {
		step_move(st, outcome->to, reason, outcome_edit, outcome);
		return;
	}
	log_write(st->e->log, LOG_LEVEL_WARN, "collect", NULL, "run %lld: %s", (long long)st->r.id,
		strerror(-rc));
	step_set_detail(st, strerror(-rc));
	step_later(st, disk_full(rc) ? DISK_RETRY_NS : RETRY_NS);
}

void collect(struct step *st)
{
	struct outcome outcome;
	struct why why = {0};
	int rc;

	if (!st->a.ended_row) {
		attempt_look(st);
		return;
	}
	if (attempt_job(st))
		return;
	rc = fetch_or_wait(st, &why);
	if (rc == -EAGAIN)
		return;
	judge(st, rc, &why, &outcome);
	conclude(st, &outcome);
}

void collect_cancelled(struct step *st)
{
	struct outcome outcome = {.to = RUN_CANCELLED};
	struct why why = {0};

	if (attempt_job(st) || fetch_or_wait(st, &why) == -EAGAIN)
		return;
	conclude(st, &outcome);
}

/* ---- An attempt that was never accepted ---- */

void attempt_refused(struct step *st, enum error_class class, const char *sentence)
{
	struct outcome outcome = {0};

	blame(&outcome, class, NEXT_PERSON, sentence);
	outcome_of_failure(st, &outcome);
	if (class == ERROR_QUOTA && outcome.to == RUN_FAILED)
		return; /* nothing else to try: it waits for the allowance */
	st->a.pub.ended = stamp_now();
	text_set(&st->a.pub.detail, sentence, DETAIL_MAX);
	if (outcome.to == RUN_FAILED && write_report(st, &outcome, sentence))
		log_write(st->e->log, LOG_LEVEL_WARN, "report", NULL, "run %lld has no report",
			(long long)st->r.id);
	step_move(st, outcome.to, sentence, outcome_edit, &outcome);
}
