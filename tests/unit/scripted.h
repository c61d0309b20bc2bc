/*
 * A backend whose service is a folder: what it was asked to run is a line in its file `executions`, so
 * it survives the process that asked. How it behaves is set by the test in `script`.
 */
#ifndef KEXEC_TESTS_UNIT_SCRIPTED_H
#define KEXEC_TESTS_UNIT_SCRIPTED_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/backend.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

struct backend_conn {
	struct backend_setup setup;
	char name[16];
};

struct script {
	pthread_mutex_t lock;
	int submit_rc[16];     /* answers of the first submissions, 0 = accept */
	bool submit_effect;    /* an answer that is an error, though the job was taken */
	int submits;           /* calls so far */
	bool hold;             /* jobs go on until this is false */
	int lost;              /* so many jobs die with their machine */
	bool find_unknown;     /* find() and poll() have no evidence */
	int poll_errors;       /* so many calls of poll() have no answer */
	int failures;          /* so many jobs fail, with `log` */
	const char *log;
	const char *metrics;
	bool no_cancel;
	bool silent;           /* jobs tell no progress and no rest */
	int64_t rss;           /* memory that they use, 0 not told */
	int64_t lasts_ns;      /* they began so long ago */
	bool open_fails;
	int purge_errors;      /* so many calls of purge() fail */
	int purges;            /* calls so far */
	pthread_t purger;      /* the thread of the last one */
	struct backend_conn *conn;
};

static struct script script = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void script_reset(void)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	memset(&script, 0, sizeof(script));
	script.lock = lock;
}

static bool script_take(int *count)
{
	bool taken;

	pthread_mutex_lock(&script.lock);
	taken = *count > 0;
	*count -= taken;
	pthread_mutex_unlock(&script.lock);
	return taken;
}

static void service_path(const struct backend_conn *c, const char *token, const char *ext, char out[400])
{
	snprintf(out, 400, "%.200s-service/%.100s%s", c->setup.state_path, token, ext);
}

static bool service_has(const struct backend_conn *c, const char *token, const char *ext)
{
	char path[400];

	service_path(c, token, ext, path);
	return access(path, F_OK) == 0;
}

static void service_put(const struct backend_conn *c, const char *token, const char *ext, const char *text)
{
	char path[400];
	int fd;

	service_path(c, token, ext, path);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
	close(fd);
}

/* Was it ever started? That is a line in `executions`. */
static bool service_ran(const struct backend_conn *c, const char *token)
{
	char path[400], line[200];
	bool found = false;
	FILE *file;

	service_path(c, "executions", "", path);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = strncmp(line, token, strlen(token)) == 0 && line[strlen(token)] == '\n';
	if (file)
		fclose(file);
	return found;
}

static int scripted_open(const struct backend_setup *setup, struct backend_conn **out, struct why *why)
{
	struct backend_conn *c = calloc(1, sizeof(*c));
	char path[400];

	if (script.open_fails) {
		free(c);
		return why_set(why, ENOENT, "no Python");
	}
	c->setup = *setup;
	snprintf(path, sizeof(path), "%.200s-service", setup->state_path);
	mkdir(path, 0700);
	script.conn = c;
	*out = c;
	return 0;
}

static void scripted_close(struct backend_conn *c)
{
	free(c);
}

static void put_file(const char *directory, const char *name, const char *text)
{
	char path[400];
	FILE *f;

	snprintf(path, sizeof(path), "%.300s/%.80s", directory, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

static void run_job(struct backend_conn *c, const struct job *job)
{
	char line[200];

	if (service_ran(c, job->token)) /* the same token: found, not started again */
		return;
	if (script_take(&script.failures))
		service_put(c, job->token, ".fail", "");
	else if (script_take(&script.lost))
		service_put(c, job->token, ".lost", "");
	/* One write is all that happens: a process killed here has run it or has not. */
	snprintf(line, sizeof(line), "%s\n", job->token);
	service_put(c, "executions", "", line);
	put_file(job->directory, "log", script.log ? script.log : "fine\n");
	if (script.metrics)
		put_file(job->directory, "metrics.csv", script.metrics);
}

/* While workers may be in scripted_submit(). */
static inline int script_submits(void)
{
	pthread_mutex_lock(&script.lock);
	int n = script.submits;

	pthread_mutex_unlock(&script.lock);
	return n;
}

static int scripted_submit(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct why *why)
{
	int rc = 0, n;

	pthread_mutex_lock(&script.lock);
	n = script.submits++;
	if (n < 16)
		rc = script.submit_rc[n];
	pthread_mutex_unlock(&script.lock);
	if (!rc || script.submit_effect)
		run_job(c, job);
	if (rc)
		return why_set(why, -rc, "the service answers %d", rc);
	return strbuf_addf(remote_id, "job-%s", job->token);
}

static void look_up(struct backend_conn *c, const char *token, struct job_status *out)
{
	memset(out, 0, sizeof(*out));
	out->progress = -1;
	out->eta_ns = -1;
	out->exit_code = -1;
	out->cause = END_NONE;
	if (script.find_unknown) {
		out->state = JOB_UNKNOWN;
	} else if (!service_ran(c, token)) {
		out->state = JOB_ABSENT;
	} else if (service_has(c, token, ".cancel")) {
		out->state = JOB_ENDED;
		out->cause = END_CANCELLED;
	} else if (service_has(c, token, ".lost")) {
		out->state = JOB_LOST;
	} else if (script.hold) {
		out->state = JOB_RUNNING;
		out->max_rss_bytes = script.rss;
		if (!script.silent) {
			out->progress = 0.42;
			out->eta_ns = 1000 * NS_PER_S;
			snprintf(out->detail, sizeof(out->detail), "cell 3 of 7");
		}
	} else {
		bool failed = service_has(c, token, ".fail");

		out->state = JOB_ENDED;
		out->cause = failed ? END_ERROR : END_OK;
		out->exit_code = failed;
		out->max_rss_bytes = 1 << 20;
		out->cost_usd = 0.5;
	}
}

/* Stamps of a job that began script.lasts_ns ago. */
static void add_times(struct job_status *out)
{
	if (!script.lasts_ns || (out->state != JOB_RUNNING && out->state != JOB_ENDED))
		return;
	out->started = stamp_now();
	out->started.wall_ns -= script.lasts_ns;
	out->started.boot_ns -= script.lasts_ns;
	if (out->state == JOB_ENDED)
		out->ended = stamp_now();
}

static int scripted_find(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct job_status *out, struct why *why)
{
	look_up(c, job->token, out);
	add_times(out);
	if (out->state != JOB_ABSENT && out->state != JOB_UNKNOWN)
		strbuf_addf(remote_id, "job-%s", job->token);
	return 0;
}

static int scripted_poll(struct backend_conn *c, const char *remote_id, int64_t deadline_ns,
	struct job_status *out, struct why *why)
{
	if (script_take(&script.poll_errors))
		return why_set(why, EAGAIN, "the service is away");
	look_up(c, remote_id + strlen("job-"), out);
	add_times(out);
	return 0;
}

static int scripted_fetch(struct backend_conn *c, const struct job *job, const char *remote_id,
	int64_t deadline_ns, struct why *why)
{
	char part[400], whole[400];

	snprintf(part, sizeof(part), "%.300s/output.part", job->directory);
	snprintf(whole, sizeof(whole), "%.300s/output", job->directory);
	if (access(whole, F_OK) == 0)
		return 0;
	if (mkdir(part, 0700) && errno != EEXIST)
		return -errno;
	put_file(part, "result.txt", "42\n");
	return rename(part, whole) ? -errno : 0;
}

static int scripted_cancel(struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why)
{
	if (script.no_cancel)
		return -EOPNOTSUPP;
	service_put(c, remote_id + strlen("job-"), ".cancel", "");
	return 0;
}

/* What was forgotten is a line in the file `purged`. */
static int scripted_purge(struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why)
{
	char line[200];

	pthread_mutex_lock(&script.lock);
	script.purges++;
	script.purger = pthread_self();
	pthread_mutex_unlock(&script.lock);
	if (script_take(&script.purge_errors))
		return why_set(why, EAGAIN, "the service is away");
	snprintf(line, sizeof(line), "%s\n", remote_id);
	service_put(c, "purged", "", line);
	return 0;
}

static int scripted_describe(struct backend_conn *c, struct strbuf *status, struct strbuf *quota)
{
	strbuf_adds(status, "up\n");
	strbuf_adds(quota, "unlimited\n");
	return 0;
}

/* A test of things by name says which ones there are. */
#ifndef SCRIPTED_OBJECTS
#define SCRIPTED_OBJECTS NULL
#endif

#define SCRIPTED(word, bits)                                                                       \
	{                                                                                          \
		.api = BACKEND_API, .name = (word), .caps = (bits), .open = scripted_open,            \
		.close = scripted_close, .submit = scripted_submit, .find = scripted_find,         \
		.poll = scripted_poll, .fetch = scripted_fetch, .cancel = scripted_cancel,         \
		.purge = scripted_purge,                                                           \
		.describe = scripted_describe, .objects = SCRIPTED_OBJECTS,                          \
	}

static const struct backend scripted_local = SCRIPTED("local", BACKEND_CANCEL | BACKEND_PUSHES);
static const struct backend scripted_cloud = SCRIPTED("kaggle", BACKEND_CANCEL | BACKEND_NETWORK);
static const struct backend *const scripted_backends[] = {&scripted_local, &scripted_cloud, NULL};

/* Tell the engine that a job has news, as a backend's own thread would. */
static inline void service_push(const char *remote_id, bool ended)
{
	script.conn->setup.changed(script.conn->setup.arg, remote_id, ended);
}

#endif
