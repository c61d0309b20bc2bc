/*
 * A Kaggle behind backends/kaggle/api.h, in memory that survives the process that uses it: what it was
 * asked to do is counted there, how it behaves is set by the test in `kg`.
 */
#ifndef KEXEC_TESTS_UNIT_KAGGLE_STUB_H
#define KEXEC_TESTS_UNIT_KAGGLE_STUB_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/kaggle/api.h"
#include "fs/base/clock.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define STUB_VERSIONS 8
#define STUB_SOURCE   65536
#define STUB_FILES    16
#define STUB_EVENTS   16

struct stub_version {
	char source[STUB_SOURCE];
	enum kaggle_session session;
	char failure[200];
};

struct stub_kernel {
	char slug[200];
	int versions;
	struct stub_version v[STUB_VERSIONS];
};

struct stub_file {
	char name[600];
	char text[200];
	int64_t announced; /* a size that it claims to have, 0: that of the text */
};

struct stub {
	struct stub_kernel kernels[4];
	/* what was done */
	int saves, uploads, creates, cancels, kernel_deletes, dataset_deletes, downloads;
	char dataset[200], dataset_status[40], zip[60000], title[200], datasets[400], machine[60];
	size_t zip_len;
	int session_seconds;
	bool is_private, gpu, tpu, internet;
	/* how it behaves */
	bool no_credentials, down, lose_reply, doubled, reset_before, masked, keep_queued, refuse_cancel;
	int refuse;        /* answer of the next SaveKernel, which then does nothing */
	int stale;         /* so many calls do not see the newest version */
	int strip;         /* sources come back: 1 without the token, 2 not at all */
	int status_err;    /* answer of every status */
	int dataset_waits; /* so many times it is not ready yet */
	char invalid[100];
	struct stub_file files[STUB_FILES];
	int file_count, expire; /* so many URLs have expired */
	int extra_files;        /* so many more, called "many/N" */
	const char *events[STUB_EVENTS];
	bool is_stderr[STUB_EVENTS];
	int event_count, cut_after; /* the connection breaks after so many, 0: never */
	bool log_ended;
	const char *stored_log;
	int64_t quota_left_s;
};

static struct stub *kg;

static inline void stub_open(void)
{
	kg = mmap(NULL, sizeof(*kg), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (kg == MAP_FAILED)
		abort();
}

static inline void stub_reset(void)
{
	memset(kg, 0, sizeof(*kg));
	kg->quota_left_s = 108000;
}

static struct stub_kernel *stub_find(const char *slug, bool make)
{
	for (size_t i = 0; i < sizeof(kg->kernels) / sizeof(kg->kernels[0]); i++) {
		struct stub_kernel *s = &kg->kernels[i];

		if (!s->slug[0] && make)
			snprintf(s->slug, sizeof(s->slug), "%s", slug);
		if (strcmp(s->slug, slug) == 0)
			return s;
	}
	return NULL;
}

static int stub_error(int err, struct why *why)
{
	return err ? why_set(why, -err, "the stub says so") : 0;
}

/* ---- The client ---- */

int kaggle_new(const struct config *config, struct log *log, struct kaggle **out, struct why *why)
{
	*out = kg->no_credentials ? NULL : (struct kaggle *)kg;
	return kg->no_credentials ? why_set(why, ENOENT, "put a token there") : 0;
}

void kaggle_free(struct kaggle *k)
{
}

void kaggle_stop(struct kaggle *k)
{
}

const char *kaggle_user(struct kaggle *k, int64_t deadline_ns, struct why *why)
{
	if (kg->down)
		stub_error(-EAGAIN, why);
	return kg->down ? NULL : "alice";
}

bool kaggle_reload(struct kaggle *k)
{
	return false;
}

int64_t kaggle_retry_ns(struct kaggle *k, const char *method)
{
	return 0;
}

/* ---- Kernels ---- */

static void stub_save(const struct kaggle_push *p)
{
	struct stub_kernel *s = stub_find(p->slug, true);
	struct stub_version *v;

	if (!s || s->versions >= STUB_VERSIONS)
		abort();
	v = &s->v[s->versions++];
	snprintf(v->source, sizeof(v->source), "%s", p->text);
	v->session = kg->keep_queued ? KAGGLE_QUEUED : KAGGLE_RUNNING;
	kg->saves++;
}

int kaggle_save_kernel(struct kaggle *k, const struct kaggle_push *p, int64_t deadline_ns,
	struct kaggle_pushed *out, struct why *why)
{
	memset(out, 0, sizeof(*out));
	if (kg->refuse) {
		int err = kg->refuse;

		kg->refuse = 0;
		return stub_error(err, why);
	}
	if (kg->reset_before) {
		kg->reset_before = false;
		return stub_error(-EUCLEAN, why);
	}
	stub_save(p);
	snprintf(kg->title, sizeof(kg->title), "%s", p->title);
	snprintf(kg->machine, sizeof(kg->machine), "%s", p->machine_shape ? p->machine_shape : "");
	kg->datasets[0] = '\0';
	for (const char *const *d = p->datasets; d && *d; d++)
		snprintf(kg->datasets + strlen(kg->datasets), sizeof(kg->datasets) - strlen(kg->datasets), "%s ", *d);
	kg->session_seconds = p->session_seconds;
	kg->is_private = p->is_private;
	kg->gpu = p->gpu;
	kg->tpu = p->tpu;
	kg->internet = p->internet;
	if (kg->doubled)
		stub_save(p);
	out->version = stub_find(p->slug, false)->versions - (kg->doubled ? 1 : 0);
	if (kg->lose_reply) {
		kg->lose_reply = false;
		return stub_error(-EUCLEAN, why);
	}
	out->invalid = kg->invalid[0] ? strdup(kg->invalid) : NULL;
	return 0;
}

void kaggle_pushed_release(struct kaggle_pushed *p)
{
	free(p->invalid);
}

/* As a service that drops what it does not know: the notebook without our key, the script without our line. */
static char *stub_source(const char *source)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	struct json *j = json_parse(source, strlen(source), 1 << 20, NULL);
	const char *line = strstr(source, "# kexec.token");

	if (kg->strip == 2)
		return strdup("");
	if (kg->strip == 1 && json_type(j) == JSON_OBJECT) {
		json_set(j, "metadata", json_object());
		json_print(j, &out, false);
	} else {
		strbuf_add(&out, source, kg->strip && line ? (size_t)(line - source) : strlen(source));
	}
	json_free(j);
	return strbuf_detach(&out, NULL);
}

int kaggle_get_kernel(struct kaggle *k, const char *slug, int64_t version, int64_t deadline_ns,
	struct kaggle_kernel *out, struct why *why)
{
	struct stub_kernel *s = stub_find(slug, false);
	int64_t newest = s ? s->versions : 0;

	memset(out, 0, sizeof(*out));
	if (kg->down)
		return stub_error(-EAGAIN, why);
	if (kg->stale && newest) {
		kg->stale--;
		newest--;
	}
	if (!newest || version > newest)
		return stub_error(kg->masked ? -EACCES : -ENOENT, why);
	out->version = version ? version : newest;
	out->source = stub_source(s->v[out->version - 1].source);
	return 0;
}

void kaggle_kernel_release(struct kaggle_kernel *kernel)
{
	free(kernel->source);
	memset(kernel, 0, sizeof(*kernel));
}

int kaggle_status(struct kaggle *k, const char *slug, int64_t version, int64_t deadline_ns,
	enum kaggle_session *out, struct strbuf *failure, struct why *why)
{
	struct stub_kernel *s = stub_find(slug, false);

	*out = KAGGLE_UNKNOWN;
	if (kg->down || kg->status_err)
		return stub_error(kg->down ? -EAGAIN : kg->status_err, why);
	if (!s || version > s->versions)
		return stub_error(-ENOENT, why);
	*out = s->v[version - 1].session;
	if (failure)
		strbuf_adds(failure, s->v[version - 1].failure);
	return 0;
}

int kaggle_delete_kernel(struct kaggle *k, const char *slug, int64_t deadline_ns, struct why *why)
{
	struct stub_kernel *s = stub_find(slug, false);

	if (!s)
		return stub_error(-ENOENT, why);
	kg->kernel_deletes++;
	s->versions = 0;
	return 0;
}

int kaggle_cancel_session(struct kaggle *k, const char *slug, int64_t version, int64_t deadline_ns, struct why *why)
{
	struct stub_kernel *s = stub_find(slug, false);

	if (kg->refuse_cancel || !s || version > s->versions)
		return stub_error(-EACCES, why);
	s->v[version - 1].session = KAGGLE_CANCELLED;
	kg->cancels++;
	return 0;
}

int kaggle_list(struct kaggle *k, const char *method, const struct json *request, int64_t deadline_ns,
	struct json **out, struct why *why)
{
	*out = kg->down ? NULL : json_object();
	return kg->down ? stub_error(-EAGAIN, why) : 0;
}

int kaggle_get_quota(struct kaggle *k, int64_t deadline_ns, struct kaggle_quota *out, struct why *why)
{
	*out = (struct kaggle_quota){3600, 0, 3600.0 + (double)kg->quota_left_s, -1, -1, -1,
		clock_wall_ns() / NS_PER_S + 86400};
	return kg->down ? stub_error(-EAGAIN, why) : 0;
}

/* ---- Outputs and logs ---- */

int kaggle_outputs(struct kaggle *k, const char *slug, int64_t version, size_t max, int64_t deadline_ns,
	kaggle_file *file, void *arg, struct strbuf *log, struct why *why)
{
	char url[40], name[40];
	int err = kg->down ? stub_error(-EAGAIN, why) : 0;

	if (!err && (size_t)kg->file_count + (size_t)kg->extra_files > max)
		return -E2BIG;
	for (int i = 0; i < kg->file_count && !err; i++) {
		snprintf(url, sizeof(url), "%d", i);
		err = file(arg, kg->files[i].name, url);
	}
	for (int i = 0; i < kg->extra_files && !err; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		err = file(arg, name, "0");
	}
	if (!err && log && kg->stored_log)
		strbuf_adds(log, kg->stored_log);
	return err;
}

int kaggle_download(struct kaggle *k, const char *url, int dirfd, const char *name, int64_t max,
	int64_t deadline_ns, struct why *why)
{
	const struct stub_file *f = &kg->files[atoi(url)];

	if (kg->expire) {
		kg->expire--;
		return stub_error(-ESTALE, why);
	}
	if (f->announced > max)
		return stub_error(-EFBIG, why);
	kg->downloads++;
	return io_write_durable(dirfd, name, f->text, strlen(f->text), 0644);
}

int kaggle_log(struct kaggle *k, const char *slug, int64_t version, int64_t idle_ns, int64_t deadline_ns,
	kaggle_log_event *event, void *arg, bool *ended, struct why *why)
{
	int err = kg->down ? stub_error(-EAGAIN, why) : 0;

	*ended = false;
	for (int i = 0; i < kg->event_count && !err; i++) {
		if (kg->cut_after && i == kg->cut_after)
			return 0;
		err = event(arg, kg->is_stderr[i] ? "stderr" : "stdout", i, kg->events[i], strlen(kg->events[i]));
	}
	*ended = !err && kg->log_ended;
	return err;
}

/* ---- Data sets ---- */

int kaggle_upload(struct kaggle *k, const char *type, int dirfd, const char *name, const char *as,
	int64_t deadline_ns, struct strbuf *token, struct why *why)
{
	AUTO_BUF struct strbuf zip = STRBUF_INIT;

	if (io_read(dirfd, name, sizeof(kg->zip), &zip))
		abort();
	memcpy(kg->zip, zip.buf, zip.len);
	kg->zip_len = zip.len;
	kg->uploads++;
	return strbuf_adds(token, "blob");
}

int kaggle_dataset_create(struct kaggle *k, const struct kaggle_dataset *d, int64_t deadline_ns, struct why *why)
{
	snprintf(kg->dataset, sizeof(kg->dataset), "%s", d->slug);
	snprintf(kg->dataset_status, sizeof(kg->dataset_status), "BLOBS_RECEIVED");
	kg->creates++;
	return 0;
}

int kaggle_dataset_version(struct kaggle *k, const struct kaggle_dataset *d, int64_t deadline_ns, struct why *why)
{
	return -EOPNOTSUPP;
}

int kaggle_dataset_status(struct kaggle *k, const char *slug, int64_t deadline_ns, char status[static 40], struct why *why)
{
	if (strcmp(slug, kg->dataset) != 0)
		return stub_error(-EACCES, why);
	if (kg->dataset_waits > 0)
		kg->dataset_waits--;
	else if (strcmp(kg->dataset_status, "FAILED") != 0)
		strcpy(kg->dataset_status, "READY");
	snprintf(status, 40, "%s", kg->dataset_status);
	return 0;
}

int kaggle_dataset_delete(struct kaggle *k, const char *slug, int64_t deadline_ns, struct why *why)
{
	kg->dataset_deletes++;
	kg->dataset[0] = '\0';
	return 0;
}

/* ---- Competitions: no part of a run ---- */

int kaggle_submissions_left(struct kaggle *k, const char *competition, int64_t deadline_ns, int *left, struct why *why)
{
	return -EOPNOTSUPP;
}

int kaggle_submit_file(struct kaggle *k, const char *competition, int dirfd, const char *name,
	const char *description, int64_t deadline_ns, int64_t *ref, struct why *why)
{
	return -EOPNOTSUPP;
}

int kaggle_submit_kernel(struct kaggle *k, const char *competition, const char *slug, int64_t version,
	const char *file, const char *description, int64_t deadline_ns, int64_t *ref, struct why *why)
{
	return -EOPNOTSUPP;
}

int kaggle_leaderboard(struct kaggle *k, const char *competition, int64_t deadline_ns, struct strbuf *csv, struct why *why)
{
	return -EOPNOTSUPP;
}

int kaggle_competition_file(struct kaggle *k, const char *competition, const char *file, int dirfd,
	const char *name, int64_t max, int64_t deadline_ns, struct why *why)
{
	return -EOPNOTSUPP;
}

#endif
