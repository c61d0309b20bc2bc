/*
 * One push an attempt, whatever crashes when.
 *
 * kaggle.json with `intended` is on disk before SaveKernel is sent. Whoever finds it there without a
 * version looks for the push first and sends nothing until Kaggle has shown for two minutes that there is
 * none. A refusal that surely had no effect takes the intent back.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kaggle/kaggle.h"
#include "backends/kaggle/slug.h"
#include "backends/kaggle/source.h"
#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/log.h"
#include "fs/base/strbuf.h"

/* How long a push whose answer was lost may take to be seen. Status and listings of Kaggle trail by
 * seconds, its own time-out for a request is one minute; two are beyond both. */
#define SETTLE_NS      (120 * NS_PER_S)
#define SETTLE_ANSWERS 2 /* complete answers that show nothing, the last after that time */

/* ---- Looking for a push ---- */

static int give_remote(struct backend_conn *c, const struct job *job, const struct kaggle_record *r,
	struct strbuf *remote_id)
{
	struct kaggle_remote remote = {.version = r->version};
	int err;

	if (strlen(r->slug) >= sizeof(remote.slug))
		return -EBADMSG;
	strcpy(remote.slug, r->slug);
	err = kaggle_remote_print(&remote, remote_id);
	return err ? err : index_put(c, remote_id->buf, job->directory, r);
}

/* A service that did the work twice started two sessions: the one that nobody will look at is ended. */
static void end_doubles(struct backend_conn *c, struct kaggle *k, const struct kaggle_record *r,
	int64_t deadline_ns)
{
	struct kaggle_kernel kernel = {0};
	char token[TOKEN_MAX];
	bool ours;

	if (kaggle_get_kernel(k, r->slug, r->version + 1, deadline_ns, &kernel, NULL))
		return;
	ours = source_token(kernel.source, token) == 0 && strcmp(token, r->token) == 0;
	kaggle_kernel_release(&kernel);
	if (!ours)
		return;
	log_write(c->log, LOG_LEVEL_WARN, "kaggle_doubled", NULL, "%s: one push made versions %" PRId64
		" and %" PRId64 "; the second is asked to end", r->slug, r->version, r->version + 1);
	kaggle_cancel_session(k, r->slug, r->version + 1, deadline_ns, NULL);
}

/* Nothing of ours was shown: is that proof by now? */
static int count_answer(int dirfd, struct kaggle_record *r, enum job_state *state)
{
	bool settled = record_age_ns(&r->pushed) >= SETTLE_NS;

	*state = JOB_UNKNOWN;
	if (settled && r->answers + 1 >= SETTLE_ANSWERS) {
		*state = JOB_ABSENT;
		r->intended = false;
	}
	r->answers++;
	return record_write(dirfd, r);
}

/* Sets *state: JOB_PENDING where the push was found (r->version), JOB_UNKNOWN or JOB_ABSENT. */
static int look_for_push(struct backend_conn *c, int dirfd, struct kaggle_record *r, int64_t deadline_ns,
	enum job_state *state, struct why *why)
{
	struct kaggle *k = kaggle_client(c, why);
	int err = k ? find_version(c, k, dirfd, r, deadline_ns, why) : -EAGAIN;

	if (err < 0)
		return kaggle_denied(c, err) == -EACCES ? why_set(why, EAGAIN, "%s", why_text(why)) : -EAGAIN;
	if (err == 0)
		return count_answer(dirfd, r, state);
	*state = JOB_PENDING;
	err = record_write(dirfd, r);
	if (!err)
		end_doubles(c, k, r, deadline_ns);
	return err;
}

static int check_token(const struct job *job, const struct kaggle_record *r, struct why *why)
{
	return strcmp(r->token, job->token) == 0
		       ? 0
		       : why_set(why, EINVAL, _("%s holds another job."), job->directory);
}

/* What kaggle.json and, after a doubt, Kaggle say. JOB_ABSENT: nothing was pushed for this attempt. */
static int look(struct backend_conn *c, const struct job *job, int dirfd, int64_t deadline_ns,
	struct kaggle_record *r, enum job_state *state, struct why *why)
{
	int err = record_read(dirfd, r);

	*state = JOB_ABSENT;
	if (err == -ENOENT)
		return 0;
	if (!err)
		err = check_token(job, r, why);
	if (err)
		return why_set(why, -err, _("%s/%s cannot be used."), job->directory, RECORD_FILE);
	if (r->version)
		*state = JOB_PENDING;
	else if (r->intended)
		return look_for_push(c, dirfd, r, deadline_ns, state, why);
	return 0;
}

int kaggle_find(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct job_status *out, struct why *why)
{
	AUTO_FD int dirfd = kaggle_open_attempt(job, why);
	struct kaggle_record r;
	int err;

	record_init(&r);
	*out = (struct job_status){.state = JOB_UNKNOWN, .exit_code = -1, .progress = -1, .eta_ns = -1};
	err = dirfd < 0 ? dirfd : look(c, job, dirfd, deadline_ns, &r, &out->state, why);
	if (!err && r.version)
		err = give_remote(c, job, &r, remote_id);
	if (!err && r.version)
		err = kaggle_poll(c, remote_id->buf, deadline_ns, out, why);
	record_release(&r);
	return err;
}

/* ---- Sending ---- */

static bool has_session(enum kaggle_session s)
{
	return s == KAGGLE_QUEUED || s == KAGGLE_RUNNING || s == KAGGLE_CANCEL_REQUESTED;
}

/* The newest version before ours, and that no session of it is at work: a new version would not end it,
 * and unversioned pages of Kaggle would show one of the two. */
static int read_before(struct backend_conn *c, struct kaggle *k, struct kaggle_record *r, int64_t deadline_ns,
	struct why *why)
{
	struct kaggle_kernel kernel = {0};
	enum kaggle_session session = KAGGLE_UNKNOWN;
	int err = kaggle_get_kernel(k, r->slug, 0, deadline_ns, &kernel, why);

	r->before = err ? 0 : kernel.version;
	kaggle_kernel_release(&kernel);
	if (err == -ENOENT || err == -EACCES)
		return 0; /* not there, or (names are masked) not ours: the push itself tells */
	if (err || c->parallel_versions || !r->before)
		return err;
	err = kaggle_status(k, r->slug, r->before, deadline_ns, &session, NULL, why);
	if (err == -ENOENT || err == -EACCES)
		return 0;
	if (!err && has_session(session))
		return why_set(why, EAGAIN, _("Version %lld of %s is still at work; this one waits for it."),
			(long long)r->before, r->slug);
	return err;
}

static int announce(int dirfd, struct push *p)
{
	int err = io_write_durable(dirfd, RECORD_SENT, p->text.buf, p->text.len, 0600);

	p->record.intended = true;
	p->record.answers = 0;
	p->record.pushed = stamp_now();
	return err ? err : record_write(dirfd, &p->record);
}

static int withdraw(int dirfd, struct kaggle_record *r)
{
	r->intended = false;
	return record_write(dirfd, r);
}

/* Errors after which nothing can have happened, as the engine knows them; 0: anything may have. */
static int refusal(int err)
{
	switch (err) {
	case -EAGAIN:
	case -EDQUOT:
	case -EACCES:
	case -EINVAL:
		return err;
	case -ENOENT:
	case -EEXIST:
		return -EINVAL;
	default:
		return 0;
	}
}

static int keep_pushed(int dirfd, struct kaggle_record *r, const struct kaggle_pushed *pushed)
{
	r->version = pushed->version;
	if (pushed->invalid && !(r->invalid = strdup(pushed->invalid)))
		return -ENOMEM;
	return record_write(dirfd, r);
}

static int send_push(struct backend_conn *c, struct kaggle *k, int dirfd, struct push *p, int64_t deadline_ns,
	struct why *why)
{
	struct kaggle_pushed pushed = {0};
	int err = announce(dirfd, p), sure;

	if (!err)
		err = fault_point("kaggle.push.before");
	if (err) { /* nothing was sent */
		withdraw(dirfd, &p->record);
		return why_set(why, EAGAIN, _("The push cannot be written down: %s."), strerror(-err));
	}
	err = kaggle_save_kernel(k, &p->request, deadline_ns, &pushed, why);
	sure = err ? refusal(err) : 0;
	if (sure)
		err = withdraw(dirfd, &p->record) ? -EUCLEAN : kaggle_denied(c, sure);
	else if (err || pushed.version <= 0 || fault_point("kaggle.push.after") ||
		 keep_pushed(dirfd, &p->record, &pushed))
		err = -EUCLEAN;
	/* It runs without what it needs, and would only use up the allowance until it fails. */
	if (!err && pushed.invalid)
		kaggle_cancel_session(k, p->record.slug, pushed.version, deadline_ns, NULL);
	kaggle_pushed_release(&pushed);
	return err;
}

static int prepare_and_send(struct backend_conn *c, const struct job *job, int dirfd, struct push *p,
	int64_t deadline_ns, struct why *why)
{
	struct kaggle *k = kaggle_client(c, why);
	struct dataset d = {0};
	const char *user;
	int err;

	if (!k)
		return -EACCES;
	user = kaggle_owner(c, k, deadline_ns, why);
	if (!user)
		return why && why->err ? kaggle_denied(c, -why->err) : -EAGAIN;
	err = push_prepare(job, user, p, why);
	if (!err)
		err = read_before(c, k, &p->record, deadline_ns, why);
	if (!err)
		err = dataset_attach(c, k, job, user, dirfd, deadline_ns, &d, why);
	if (!err)
		err = push_finish(job, d.slug, d.probe, p, why);
	dataset_release(&d);
	return err ? kaggle_denied(c, err) : send_push(c, k, dirfd, p, deadline_ns, why);
}

/* Before anything was sent every trouble is "not now" or "never", none is a doubt. */
static int without_doubt(int err, struct why *why)
{
	if (!err || err == -EUCLEAN || refusal(err) == err)
		return err;
	if (refusal(err))
		return refusal(err);
	return why_set(why, EAGAIN, "%s", why && why->err ? why_text(why) : strerror(-err));
}

int kaggle_submit(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct why *why)
{
	AUTO_FD int dirfd = kaggle_open_attempt(job, why);
	enum job_state state = JOB_ABSENT;
	struct kaggle_record r;
	struct push p;
	int err;

	record_init(&r);
	push_init(&p);
	err = dirfd < 0 ? dirfd : look(c, job, dirfd, deadline_ns, &r, &state, why);
	if (err && r.intended)
		err = -EUCLEAN; /* of what may have been pushed nothing but find() may say that it was not */
	if (!err && state == JOB_UNKNOWN)
		err = why_set(why, EUCLEAN, _("It is not known yet whether Kaggle took the push."));
	if (!err && state == JOB_ABSENT) {
		err = without_doubt(prepare_and_send(c, job, dirfd, &p, deadline_ns, why), why);
		if (!err)
			err = give_remote(c, job, &p.record, remote_id) ? -EUCLEAN : 0;
	} else if (!err) {
		err = give_remote(c, job, &r, remote_id);
	}
	push_release(&p);
	record_release(&r);
	return err;
}
