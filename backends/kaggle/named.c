/*
 * Kernels and data sets by name, whoever made them: their status, log, source and output, and how a kernel
 * that runs already becomes an attempt. What a kernel says is always of one version, the newest when it was
 * asked.
 */
#include "backends/kaggle/named.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/kaggle/metadata.h"
#include "backends/kaggle/slug.h"
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"

#define LOG_MAX	      (INT64_C(64) << 20)
#define LOG_LISTEN_NS (20 * NS_PER_S) /* to a job that never stops talking */
#define LOG_IDLE_NS   (2 * NS_PER_S)
#define TEXTS_MAX     1000

static bool named_valid(const char *kind, const char *name)
{
	if (strcmp(kind, "owner") == 0)
		return kaggle_owner_valid(name, strlen(name));
	if (strcmp(kind, "kernel") == 0)
		return kaggle_id_valid(name);
	return strcmp(kind, "dataset") == 0 && kaggle_slug_valid(name);
}

struct asked {
	struct backend_conn *c;
	struct kaggle *k;
	const char *slug;       /* "owner/slug" */
	int64_t deadline_ns;
	struct kaggle_kernel kernel;
	enum kaggle_session session;
	struct strbuf failure;
	struct why *why;
};

/* ---- status ---- */

static int write_text(int dirfd, const char *name, const struct strbuf *text)
{
	return text->err ? text->err : io_write_atomic(dirfd, name, text->buf, text->len, 0644);
}

static const char *state_word(enum kaggle_session s)
{
	switch (s) {
	case KAGGLE_NEW:
	case KAGGLE_QUEUED:
		return "queued";
	case KAGGLE_RUNNING:
		return "running";
	case KAGGLE_COMPLETE:
		return "complete";
	case KAGGLE_ERROR:
		return "failed";
	case KAGGLE_CANCEL_REQUESTED:
		return "cancelling";
	case KAGGLE_CANCELLED:
		return "cancelled";
	default:
		return "unknown";
	}
}

/* The fields of a run's status line; no percentage and no time are told by the service. */
static int end_line(struct strbuf *line)
{
	strbuf_adds(line, " (at ");
	clock_local(line, clock_wall_ns());
	return strbuf_adds(line, ")\n");
}

static int ask_session(struct asked *a)
{
	int err = kaggle_status(a->k, a->slug, a->kernel.version, a->deadline_ns, &a->session, &a->failure, a->why);

	/* A version that never had a session, e.g. one that was only saved. */
	if (err != -ENOENT)
		return err;
	a->session = KAGGLE_UNKNOWN;
	return 0;
}

static int bring_status(struct asked *a, int dirfd)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;
	int err = ask_session(a);

	if (err)
		return err;
	strbuf_addf(&line, "%s - kaggle - version %" PRId64, state_word(a->session), a->kernel.version);
	if (a->failure.len) {
		strbuf_adds(&line, ": ");
		escape_line(&line, a->failure.buf, a->failure.len, 1000);
	}
	end_line(&line);
	return write_text(dirfd, "status", &line);
}

/* ---- log ---- */

struct writer {
	int fd;
	int64_t left;
};

static int take_event(void *arg, const char *stream, double seconds, const char *text, size_t len)
{
	struct writer *w = arg;

	(void)stream;
	(void)seconds;
	if ((int64_t)len > w->left)
		len = (size_t)w->left;
	w->left -= (int64_t)len;
	return io_write_all(w->fd, text, len);
}

static int bring_log(struct asked *a, int dirfd)
{
	AUTO_FD int fd = openat(dirfd, "log", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct writer w = {.fd = fd, .left = LOG_MAX};
	int64_t listen = clock_boot_ns() + LOG_LISTEN_NS;
	bool ended;
	int err;

	if (fd < 0)
		return -errno;
	err = kaggle_log(a->k, a->slug, a->kernel.version, LOG_IDLE_NS,
		listen < a->deadline_ns ? listen : a->deadline_ns, take_event, &w, &ended, a->why);
	/* What a job said so far, or nothing as long as it waits for its turn. */
	return err == -ETIMEDOUT && w.left < LOG_MAX ? 0 : err;
}

/* ---- source ---- */

static const char *ending_of(const struct kaggle_kernel *kernel)
{
	if (strcmp(kernel->kernel_type, "notebook") == 0)
		return strcmp(kernel->language, "r") == 0 ? ".irnb" : ".ipynb";
	if (strcmp(kernel->language, "r") == 0)
		return ".R";
	if (strcmp(kernel->language, "rmarkdown") == 0)
		return ".Rmd";
	return strcmp(kernel->language, "julia") == 0 ? ".jl" : ".py";
}

static int copy_texts(const struct json *from, const char *key, struct json *to, const char *as)
{
	struct json *list = json_array();
	int err = list ? 0 : -ENOMEM, n = 0;

	for (const struct json *t = json_first(json_get(from, key)); t && !err && n < TEXTS_MAX; t = json_next(t), n++) {
		if (json_text(t) && *json_text(t))
			err = json_append_text(list, json_text(t));
	}
	if (err) {
		json_free(list);
		return err;
	}
	return json_set(to, as, list);
}

static int copy_text(const struct json *from, const char *key, struct json *to, const char *as)
{
	const char *text = json_text(json_get(from, key));

	return text && *text ? json_set_text(to, as, text) : 0;
}

static int copy_flag(const struct json *from, const char *key, struct json *to, const char *as)
{
	return json_set_bool(to, as, json_bool(json_get(from, key), false));
}

/* Without its id: that would be somebody else's kernel, or a new version of one's own. And private. */
static int describe(const struct kaggle_kernel *kernel, const char *code_file, struct json *to)
{
	const struct json *from = kernel->metadata;
	int err = json_set_text(to, "title", kernel->title);

	err = err ? err : json_set_text(to, "code_file", code_file);
	err = err ? err : json_set_text(to, "language", kernel->language);
	err = err ? err : json_set_text(to, "kernel_type", kernel->kernel_type);
	err = err ? err : json_set_bool(to, "is_private", true);
	err = err ? err : copy_flag(from, "enableGpu", to, "enable_gpu");
	err = err ? err : copy_flag(from, "enableTpu", to, "enable_tpu");
	err = err ? err : copy_flag(from, "enableInternet", to, "enable_internet");
	err = err ? err : copy_texts(from, "datasetDataSources", to, "dataset_sources");
	err = err ? err : copy_texts(from, "competitionDataSources", to, "competition_sources");
	err = err ? err : copy_texts(from, "kernelDataSources", to, "kernel_sources");
	err = err ? err : copy_texts(from, "modelDataSources", to, "model_sources");
	err = err ? err : copy_texts(from, "categoryIds", to, "keywords");
	err = err ? err : copy_text(from, "dockerImage", to, "docker_image");
	return err ? err : copy_text(from, "machineShape", to, "machine_shape");
}

static int write_metadata(const struct kaggle_kernel *kernel, const char *code_file, int dirfd)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct json *j = json_object();
	int err = j ? describe(kernel, code_file, j) : -ENOMEM;

	if (!err)
		err = json_print(j, &text, true);
	json_free(j);
	if (!err)
		err = strbuf_addch(&text, '\n');
	return err ? err : write_text(dirfd, METADATA_FILE, &text);
}

static int bring_source(struct asked *a, int dirfd)
{
	char code_file[KAGGLE_SLUG_MAX + 16];

	if (!a->kernel.source[0])
		return why_set(a->why, EACCES, _("Kaggle does not give the source of %s back."), a->slug);
	if (mkdirat(dirfd, "source", 0755))
		return -errno;
	AUTO_FD int folder = io_open_dir(dirfd, "source");

	if (folder < 0)
		return folder;
	snprintf(code_file, sizeof(code_file), "%s%s", strchr(a->slug, '/') + 1, ending_of(&a->kernel));
	int err = io_write_atomic(folder, code_file, a->kernel.source, strlen(a->kernel.source), 0644);

	return err ? err : write_metadata(&a->kernel, code_file, folder);
}

/* ---- output ---- */

static bool is_over(enum kaggle_session s)
{
	return s == KAGGLE_COMPLETE || s == KAGGLE_ERROR || s == KAGGLE_CANCELLED;
}

static int put_record(int dirfd, const char *slug, const char *token, int64_t version)
{
	struct kaggle_record r;
	int err;

	record_init(&r);
	r.slug = strdup(slug);
	r.token = strdup(token);
	r.version = version;
	r.intended = true; /* nothing is ever sent for it */
	r.pushed = stamp_now();
	err = r.slug && r.token ? record_write(dirfd, &r) : -ENOMEM;
	record_release(&r);
	return err;
}

/* The way of an attempt's output, with the folder as the attempt's. */
static int bring_output(struct asked *a, int dirfd)
{
	AUTO_BUF struct strbuf remote_id = STRBUF_INIT;
	char directory[40];
	const struct job job = {.directory = directory, .source = directory};
	int err = ask_session(a);

	if (!err && !is_over(a->session))
		return why_set(a->why, EAGAIN, _("Version %lld of %s has not ended: it has no output yet."),
			(long long)a->kernel.version, a->slug);
	snprintf(directory, sizeof(directory), "/proc/self/fd/%d", dirfd);
	strbuf_addf(&remote_id, "%s/v%" PRId64, a->slug, a->kernel.version);
	if (!err)
		err = remote_id.err ? remote_id.err : put_record(dirfd, a->slug, "", a->kernel.version);
	return err ? err : kaggle_fetch(a->c, &job, remote_id.buf, a->deadline_ns, a->why);
}

/* ---- Asking ---- */

/* What a version left and how it was written never change. */
static bool lasts(const char *part)
{
	return strcmp(part, "source") == 0 || strcmp(part, "output") == 0;
}

static int bring_part(struct asked *a, const char *part, int dirfd)
{
	if (strcmp(part, "status") == 0)
		return bring_status(a, dirfd);
	if (strcmp(part, "log") == 0)
		return bring_log(a, dirfd);
	return strcmp(part, "source") == 0 ? bring_source(a, dirfd) : bring_output(a, dirfd);
}

static int fetch_kernel(struct asked *a, const char *part, const char *known, int dirfd, struct strbuf *version)
{
	int err = kaggle_get_kernel(a->k, a->slug, 0, a->deadline_ns, &a->kernel, a->why);

	if (err)
		return err;
	strbuf_addf(version, "%" PRId64, a->kernel.version);
	if (version->err)
		err = version->err;
	else if (a->kernel.version < 1)
		err = why_set(a->why, ENOENT, _("%s has no version."), a->slug);
	else if (lasts(part) && strcmp(known, version->buf) == 0)
		err = 1;
	else
		err = bring_part(a, part, dirfd);
	kaggle_kernel_release(&a->kernel);
	return err;
}

static int fetch_dataset(struct asked *a, const char *name, const char *part, int dirfd, struct strbuf *version)
{
	AUTO_BUF struct strbuf slug = STRBUF_INIT, line = STRBUF_INIT;
	const char *user = kaggle_owner(a->c, a->k, a->deadline_ns, a->why);
	char status[40] = "";
	int err;

	if (!user)
		return -EACCES;
	if (strcmp(part, "status") != 0)
		return -ENOENT;
	strbuf_addf(&slug, "%s/%s", user, name);
	err = slug.err ? slug.err : kaggle_dataset_status(a->k, slug.buf, a->deadline_ns, status, a->why);
	if (err == -ENOENT || err == -EACCES) /* names are masked: it is ours, so it is not there */
		strbuf_adds(&line, "absent - kaggle -");
	else if (err)
		return err;
	else
		escape_line(&line, status, strlen(status), sizeof(status));
	if (!err)
		strbuf_adds(&line, " - kaggle -");
	strbuf_addf(&line, " %s", slug.buf);
	end_line(&line);
	strbuf_adds(version, "-");
	return write_text(dirfd, part, &line);
}

static int named_fetch(struct backend_conn *c, const struct object *o, const char *part, const char *known,
	int dirfd, int64_t deadline_ns, struct strbuf *version, struct why *why)
{
	struct asked a = {.c = c, .k = kaggle_client(c, why), .slug = o->name, .deadline_ns = deadline_ns,
		.session = KAGGLE_UNKNOWN, .why = why};
	int err;

	if (!a.k)
		return -EACCES;
	strbuf_init(&a.failure, 65536);
	if (strcmp(o->kind, "dataset") == 0)
		err = fetch_dataset(&a, o->name, part, dirfd, version);
	else
		err = fetch_kernel(&a, part, known, dirfd, version);
	strbuf_release(&a.failure);
	return kaggle_denied(c, err);
}

/* ---- adopt ---- */

static int named_adopt(struct backend_conn *c, const struct object *o, const char *version, const struct job *job,
	int64_t deadline_ns, struct strbuf *remote_id, struct why *why)
{
	AUTO_FD int dirfd = open(job->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct kaggle_remote remote;
	struct kaggle_record r;
	int err = dirfd < 0 ? -errno : 0;

	(void)deadline_ns; /* the disk only */
	strbuf_addf(remote_id, "%s/v%s", o->name, version);
	if (!err)
		err = remote_id->err ? remote_id->err : kaggle_remote_parse(remote_id->buf, &remote);
	if (!err)
		err = put_record(dirfd, remote.slug, job->token, remote.version);
	if (!err)
		err = record_read(dirfd, &r);
	if (err)
		return why && !why->err ? why_set(why, -err, _("It cannot be adopted: %s"), strerror(-err)) : err;
	err = index_put(c, remote_id->buf, job->directory, &r);
	record_release(&r);
	return err;
}

const struct backend_objects kaggle_named = {
	.valid = named_valid,
	.fetch = named_fetch,
	.adopt = named_adopt,
	.send = dataset_send,
};
