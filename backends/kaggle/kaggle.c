/*
 * Runs as versions of kernels on Kaggle. This file is the connection and the table; see
 *
 *   submit.c   one push an attempt, whatever crashes when     find.c     which version came from a push
 *   prepare.c  from a folder to a request                     source.c   the text that is pushed
 *   status.c   what Kaggle says of a version, and its end     joblog.c   log and metrics
 *   bring.c    outputs                                        own_files.c  what lies beside the entry file
 *   describe.c status and quota                               index.c    from a remote id to its attempt
 *   record.c   kaggle.json of an attempt                      claim.c    who is at which push
 *   quota.c    quota_hours                                    ledger.c   what sessions used
 *   named.c    kernels and data sets by name                  send.c     a folder as a data set
 *   api.h      the service itself
 */
#include "backends/kaggle/kaggle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backends/kaggle/credentials.h"
#include "backends/kaggle/named.h"
#include "backends/kaggle/slug.h"
#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/log.h"
#include "fs/base/strbuf.h"
#include "fs/engine/config.h"

#define AGAIN_NS (5 * NS_PER_S) /* credentials that were not there are looked for again */

/* How long a push whose answer was lost may take to be seen. Status and listings of Kaggle trail by
 * seconds, its own time-out for a request is one minute; two are beyond both. */
#define DOUBT_S 120

/* ---- open and close ---- */

static void backend_close(struct backend_conn *c)
{
	if (!c)
		return;
	kaggle_free(c->api);
	if (c->state >= 0)
		close(c->state);
	pthread_cond_destroy(&c->dropped);
	pthread_mutex_destroy(&c->books);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void init_locks(struct backend_conn *c)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->books, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->dropped, &attr);
	pthread_condattr_destroy(&attr);
}

static int backend_open(const struct backend_setup *setup, struct backend_conn **out, struct why *why)
{
	struct backend_conn *c = calloc(1, sizeof(*c));
	const struct json *own = json_get(setup->config ? setup->config->backends : NULL, "kaggle");

	*out = NULL;
	if (!c)
		return -ENOMEM;
	init_locks(c);
	c->config = setup->config;
	c->log = setup->log;
	c->parallel_versions = (int)json_number(json_get(own, "parallel_versions"), 1);
	c->doubt_ns = (int64_t)(json_number(json_get(own, "doubt_seconds"), DOUBT_S) * (double)NS_PER_S);
	c->quota_hours = json_number(json_get(own, "quota_hours"), -1);
	c->left = (struct kaggle_quota){-1, -1, -1, -1, -1, -1, 0};
	c->state = setup->state_dirfd < 0 ? -1 : index_open(setup->state_dirfd);
	if (setup->state_dirfd >= 0 && c->state < 0) {
		int err = c->state;

		backend_close(c);
		return why_set(why, -err, _("The folder for Kaggle's jobs cannot be opened: %s"), strerror(-err));
	}
	*out = c;
	return 0;
}

/* ---- The client ---- */

/* Lock held. */
static void connect_now(struct backend_conn *c)
{
	struct why why = {0};
	int err = kaggle_new(c->config, c->log, &c->api, &why);

	memset(&c->trouble, 0, sizeof(c->trouble));
	c->tried_ns = clock_boot_ns();
	if (!err)
		return;
	c->api = NULL;
	if (err == -ENOENT)
		why_set(&c->trouble, EACCES, "no credentials: %s", why_text(&why));
	else
		why_set(&c->trouble, EACCES, "unavailable: %s", why.err ? why_text(&why) : strerror(-err));
}

struct kaggle *kaggle_client(struct backend_conn *c, struct why *why)
{
	struct kaggle *k;

	pthread_mutex_lock(&c->lock);
	if (!c->api && (!c->tried_ns || clock_boot_ns() - c->tried_ns >= AGAIN_NS))
		connect_now(c);
	k = c->api;
	if (!k)
		why_set(why, EACCES, "%s", c->trouble.text);
	pthread_mutex_unlock(&c->lock);
	return k;
}

const char *kaggle_owner(struct backend_conn *c, struct kaggle *k, int64_t deadline_ns, struct why *why)
{
	const char *user = kaggle_user(k, deadline_ns, why);

	if (user) {
		pthread_mutex_lock(&c->lock);
		snprintf(c->user, sizeof(c->user), "%s", user);
		pthread_mutex_unlock(&c->lock);
	}
	return user;
}

int kaggle_denied(struct backend_conn *c, int err)
{
	struct kaggle *k = err == -EACCES ? kaggle_client(c, NULL) : NULL;

	return k && kaggle_reload(k) ? -EAGAIN : err;
}

int kaggle_open_attempt(const struct job *job, struct why *why)
{
	int fd = open(job->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? why_set(why, errno, _("%s cannot be opened: %s"), job->directory, strerror(errno)) : fd;
}

/* ---- check and purge ---- */

static void warn_quota(struct backend_conn *c, const struct push *p, struct strbuf *warnings)
{
	struct kaggle_quota q;
	double left;

	pthread_mutex_lock(&c->lock);
	q = c->left;
	pthread_mutex_unlock(&c->lock);
	left = q.gpu_total_s - q.gpu_used_s - (q.gpu_reserved_s > 0 ? q.gpu_reserved_s : 0);
	if (p->request.gpu && q.gpu_total_s >= 0 && q.gpu_used_s >= 0 && left < p->request.session_seconds)
		strbuf_addf(warnings, _("Of this week's GPU time %.1f h are left; the job may take %.1f h\n"),
			left > 0 ? left / 3600 : 0, p->request.session_seconds / 3600.0);
}

/* The service is not asked: who we are is known once it was asked for something else. */
static int check_push(struct backend_conn *c, const struct job *job, struct push *p, struct strbuf *warnings,
	struct why *why)
{
	char user[sizeof(c->user)];
	int err;

	pthread_mutex_lock(&c->lock);
	memcpy(user, c->user, sizeof(user));
	pthread_mutex_unlock(&c->lock);
	err = push_prepare(job, *user ? user : NULL, p, why);
	if (!err)
		err = push_finish(job, NULL, NULL, p, why);
	if (err)
		return err;
	strbuf_adds(warnings, p->warnings.buf);
	warn_quota(c, p, warnings);
	if (job->memory_bytes)
		strbuf_adds(warnings, _("Kaggle's machines have the memory they have: \"memory_gb\" does nothing\n"));
	return warnings->err;
}

static int backend_check(struct backend_conn *c, const struct job *job, struct strbuf *warnings, struct why *why)
{
	struct push p;
	int err;

	if (!kaggle_client(c, why))
		return -EINVAL; /* as it is, the job cannot be sent */
	push_init(&p);
	err = check_push(c, job, &p, warnings, why);
	push_release(&p);
	return err;
}

static int forget(struct backend_conn *c, struct kaggle *k, const char *remote_id, const struct index_entry *e,
	int64_t deadline_ns, struct why *why)
{
	struct kaggle_remote remote;
	int err = kaggle_remote_parse(remote_id, &remote);

	if (!err && e->fresh)
		err = kaggle_delete_kernel(k, remote.slug, deadline_ns, why);
	if (err == -ENOENT || err == -EACCES) /* gone already; names are masked */
		err = 0;
	if (!err && e->dataset)
		err = dataset_purge(c, k, remote_id, e->dataset, deadline_ns, why);
	return err;
}

static bool still_at_work(struct backend_conn *c, const char *remote_id, int64_t deadline_ns)
{
	struct job_status status;

	return kaggle_poll(c, remote_id, deadline_ns, &status, NULL) == 0 &&
	       (status.state == JOB_RUNNING || status.state == JOB_PENDING);
}

static int backend_purge(struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why)
{
	struct index_entry e;
	struct kaggle *k;
	int err = index_get(c, remote_id, &e);

	if (err)
		return err == -ENOENT ? 0 : err; /* purged before, or never ours */
	k = e.fresh || e.dataset ? kaggle_client(c, why) : NULL;
	if (e.fresh && k && still_at_work(c, remote_id, deadline_ns))
		err = why_set(why, EBUSY, _("The job is still running."));
	else if (k)
		err = forget(c, k, remote_id, &e, deadline_ns, why);
	else if (e.fresh || e.dataset)
		err = -EAGAIN;
	index_entry_release(&e);
	return err ? err : index_remove(c, remote_id);
}

/* Also where they are there and cannot be used: then the backend says why. */
static bool has_credentials(const struct config *config)
{
	struct credentials_places places = {.config = config};
	struct credentials credentials;
	int err = credentials_find(&places, 0, &credentials, NULL);

	if (!err)
		credentials_release(&credentials);
	return err != -ENOENT;
}

/* No BACKEND_CANCEL: cancel() asks, and what Kaggle does with that is said, not promised. */
extern const struct backend kaggle_backend;
const struct backend kaggle_backend = {
	.api = BACKEND_API,
	.name = "kaggle",
	.caps = BACKEND_GPU | BACKEND_NETWORK,
	.open = backend_open,
	.close = backend_close,
	.submit = kaggle_submit,
	.find = kaggle_find,
	.poll = kaggle_poll,
	.fetch = kaggle_fetch,
	.logs = kaggle_logs,
	.cancel = kaggle_cancel,
	.check = backend_check,
	.purge = backend_purge,
	.credentials = has_credentials,
	.describe = kaggle_describe,
	.objects = &kaggle_named,
};
