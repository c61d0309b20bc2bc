/* What Kaggle says of a version, as the engine knows it; and the attempt to end one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "backends/kaggle/kaggle.h"
#include "backends/kaggle/slug.h"
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"

/* Just after a push its status may be 404, 403, or that of no session at all. */
#define SETTLE_NS (60 * NS_PER_S)

struct answer {
	enum kaggle_session session;
	struct strbuf failure;
};

static void set_detail(struct job_status *out, const char *text)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;

	escape_line(&line, text, strlen(text), sizeof(out->detail) - 1);
	snprintf(out->detail, sizeof(out->detail), "%s", line.buf);
}

static bool says(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (strcasestr(text, *words))
			return true;
	}
	return false;
}

static enum end_cause cause_of(const char *failure)
{
	static const char *const time[] = {"execution duration", "time limit", "timed out", "timeout",
		"max allowed execution", NULL};
	static const char *const memory[] = {"out of memory", "more memory", "memory limit", "oom", NULL};
	static const char *const disk[] = {"disk space", "out of disk", "no space left", NULL};

	if (says(failure, time))
		return END_TIME_LIMIT;
	if (says(failure, memory))
		return END_MEMORY;
	return says(failure, disk) ? END_DISK : END_ERROR;
}

/* ---- The record's part ---- */

/* The time of change of kaggle.json is that of the last evidence. */
static void keep_evidence(int dirfd)
{
	if (dirfd >= 0)
		utimensat(dirfd, RECORD_FILE, NULL, 0);
}

static void tell_age(int dirfd, struct job_status *out)
{
	AUTO_BUF struct strbuf age = STRBUF_INIT;
	struct stat st;
	int64_t now = clock_wall_ns(), seen;

	if (dirfd < 0 || fstatat(dirfd, RECORD_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	seen = (int64_t)st.st_mtim.tv_sec * NS_PER_S;
	clock_hms(&age, now > seen ? now - seen : 0);
	snprintf(out->detail, sizeof(out->detail), _("Kaggle last said something of it %s ago"), age.buf);
}

static int keep_moment(int dirfd, const struct kaggle_record *r)
{
	return dirfd < 0 ? 0 : record_write(dirfd, r);
}

/* A job that was never seen running began, as far as anybody knows, when it was pushed. */
static int keep_ended(struct backend_conn *c, const char *remote_id, int dirfd, struct kaggle_record *r)
{
	int err;

	if (r->ended.wall_ns)
		return 0;
	if (!r->started.wall_ns)
		r->started = r->pushed;
	r->ended = record_now();
	err = keep_moment(dirfd, r);
	if (!err)
		ledger_add(c, remote_id, r);
	return err;
}

/* ---- The mapping ---- */

static void end_with(struct job_status *out, enum end_cause cause, const char *detail)
{
	out->state = JOB_ENDED;
	out->cause = cause;
	out->exit_code = cause == END_OK ? 0 : cause == END_ERROR ? 1 : -1;
	set_detail(out, detail);
}

static void map(const struct answer *a, struct job_status *out)
{
	enum end_cause cause;

	switch (a->session) {
	case KAGGLE_QUEUED:
		out->state = JOB_PENDING;
		set_detail(out, _("in Kaggle's queue"));
		break;
	case KAGGLE_RUNNING:
		out->state = JOB_RUNNING;
		break;
	case KAGGLE_CANCEL_REQUESTED:
		out->state = JOB_RUNNING;
		set_detail(out, _("Kaggle was asked to end it"));
		break;
	case KAGGLE_COMPLETE:
		end_with(out, END_OK, "");
		break;
	case KAGGLE_ERROR:
		end_with(out, cause_of(a->failure.buf), a->failure.buf);
		break;
	case KAGGLE_CANCELLED: /* also how Kaggle ends what exceeds a limit, which its sentence then says */
		cause = cause_of(a->failure.buf);
		end_with(out, cause == END_ERROR ? END_CANCELLED : cause, a->failure.buf);
		break;
	default:
		out->state = JOB_UNKNOWN;
	}
}

/* No session, or none that is shown: normal just after a push. */
static void no_evidence(const struct kaggle_record *r, int dirfd, struct job_status *out)
{
	if (r->pushed.wall_ns && !r->started.wall_ns && record_age_ns(&r->pushed) < SETTLE_NS) {
		out->state = JOB_PENDING;
		set_detail(out, _("pushed; Kaggle does not show it yet"));
		return;
	}
	out->state = JOB_UNKNOWN;
	tell_age(dirfd, out);
}

static int take(struct backend_conn *c, const char *remote_id, int dirfd, struct kaggle_record *r,
	const struct answer *a, struct job_status *out)
{
	int err = 0;

	map(a, out);
	if (out->state == JOB_UNKNOWN) {
		no_evidence(r, dirfd, out);
		return 0;
	}
	keep_evidence(dirfd);
	if (out->state == JOB_RUNNING && !r->started.wall_ns) {
		r->started = record_now();
		err = keep_moment(dirfd, r);
	} else if (out->state == JOB_ENDED) {
		err = keep_ended(c, remote_id, dirfd, r);
	}
	out->started = r->started;
	out->ended = r->ended;
	return err;
}

static int ask(struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct answer *a,
	struct why *why)
{
	struct kaggle_remote remote;
	struct kaggle *k;

	if (kaggle_remote_parse(remote_id, &remote))
		return why_set(why, EINVAL, _("%s names no version of a kernel."), remote_id);
	k = kaggle_client(c, why);
	return k ? kaggle_status(k, remote.slug, remote.version, deadline_ns, &a->session, &a->failure, why)
		 : -EAGAIN;
}

static int poll_with(struct backend_conn *c, const char *remote_id, int dirfd, struct kaggle_record *r,
	int64_t deadline_ns, struct job_status *out, struct why *why)
{
	struct answer a = {.session = KAGGLE_UNKNOWN};
	int err;

	if (r->invalid) {
		end_with(out, END_SETUP, r->invalid);
		err = keep_ended(c, remote_id, dirfd, r);
		out->started = r->started;
		out->ended = r->ended;
		return err;
	}
	strbuf_init(&a.failure, 65536);
	err = ask(c, remote_id, deadline_ns, &a, why);
	if (err == -ENOENT || err == -EACCES) {
		kaggle_denied(c, err);
		no_evidence(r, dirfd, out);
		err = 0;
	} else if (!err) {
		err = take(c, remote_id, dirfd, r, &a, out);
	}
	strbuf_release(&a.failure);
	return err;
}

int kaggle_poll(struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct job_status *out,
	struct why *why)
{
	AUTO_FD int dirfd = index_find(c, remote_id);
	struct kaggle_record r;
	int err;

	*out = (struct job_status){.state = JOB_UNKNOWN, .exit_code = -1, .progress = -1, .eta_ns = -1};
	if (dirfd < 0 || record_read(dirfd, &r))
		record_init(&r); /* the state was moved: Kaggle still knows */
	err = poll_with(c, remote_id, r.slug ? dirfd : -1, &r, deadline_ns, out, why);
	record_release(&r);
	return err;
}

/* ---- Ending it ---- */

/* What a person wants to know of a session that cannot be ended: for how long it may go on. */
static int refused(const struct kaggle_record *r, int err, struct why *why)
{
	AUTO_BUF struct strbuf limit = STRBUF_INIT;
	AUTO_BUF struct strbuf until = STRBUF_INIT;
	int64_t session = r->session_seconds * NS_PER_S;

	if (!session)
		return err;
	clock_hms(&limit, session);
	if (!r->started.wall_ns)
		return why_set(why, -err, _("Kaggle does not end it; it may bill for %s once it starts"), limit.buf);
	clock_local(&until, r->started.wall_ns + session);
	return why_set(why, -err, _("Kaggle does not end it; it may still bill until %s at the latest"),
		until.buf);
}

int kaggle_cancel(struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why)
{
	AUTO_FD int dirfd = index_find(c, remote_id);
	struct kaggle *k = kaggle_client(c, why);
	struct job_status status;
	struct kaggle_remote remote;
	struct kaggle_record r;
	int err = kaggle_remote_parse(remote_id, &remote);

	if (err || !k)
		return err ? err : -EAGAIN;
	if (kaggle_poll(c, remote_id, deadline_ns, &status, NULL) == 0 && status.state == JOB_ENDED)
		return 0;
	err = kaggle_cancel_session(k, remote.slug, remote.version, deadline_ns, why);
	if (!err || err == -EAGAIN)
		return err;
	if (dirfd < 0 || record_read(dirfd, &r))
		record_init(&r);
	err = refused(&r, err, why);
	record_release(&r);
	return err;
}
