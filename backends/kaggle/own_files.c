/*
 * The files beside the entry file as one private data set, named after their content: what is there
 * already is not sent again, and making it twice is making it once.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/kaggle/folder_files.h"
#include "backends/kaggle/kaggle.h"
#include "backends/kaggle/slug.h"
#include "fs/base/archive.h"
#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/sha256.h"
#include "fs/base/strbuf.h"

#define ZIP_FILE    ".files.zip"
#define ZIP_NAME    "source.zip" /* as the set-up code looks for it */
#define HASH_DIGITS 32
#define BLOCK	    65536
#define BYTES_MAX   (INT64_C(20) << 30)
/* An upload cannot be continued by the next call, so one that is under way may outlast the deadline of a
 * submission: cutting it off would begin it anew for ever. */
#define UPLOAD_NS   (900 * NS_PER_S)
#define LOOK_MS	    1000 /* between two questions whether Kaggle is done with it */

/* ---- What it is called ---- */

static int hash_file(struct sha256 *s, int dirfd, const char *path, char *block)
{
	AUTO_FD int fd = folder_files_open(dirfd, path);
	struct stat st;
	char size[32];
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fd < 0 ? fd : -errno;
	snprintf(size, sizeof(size), "%" PRId64, (int64_t)st.st_size);
	sha256_add(s, path, strlen(path) + 1);
	sha256_add(s, size, strlen(size) + 1);
	while ((n = read(fd, block, BLOCK)) > 0)
		sha256_add(s, block, (size_t)n);
	return n < 0 ? -errno : 0;
}

static int hash_files(int dirfd, const struct file_list *list, int64_t deadline_ns, char hex[SHA256_HEX])
{
	AUTO_FREE char *block = malloc(BLOCK);
	int err = block ? 0 : -ENOMEM;
	struct sha256 s;

	sha256_begin(&s);
	for (size_t i = 0; i < list->count && !err; i++) {
		err = hash_file(&s, dirfd, list->paths[i], block);
		if (!err && clock_boot_ns() > deadline_ns)
			err = -ETIMEDOUT;
	}
	if (!err)
		sha256_hex(&s, hex);
	return err;
}

static int name_it(int source, const struct file_list *list, const char *user, int64_t deadline_ns,
	struct dataset *out)
{
	char hex[SHA256_HEX];
	int err = hash_files(source, list, deadline_ns, hex);

	if (err)
		return err;
	out->probe = strdup(list->paths[0]);
	if (!out->probe || asprintf(&out->slug, "%s/kx-%.*s", user, HASH_DIGITS, hex) < 0) {
		out->slug = NULL;
		return -ENOMEM;
	}
	return 0;
}

void dataset_release(struct dataset *d)
{
	free(d->slug);
	free(d->probe);
	memset(d, 0, sizeof(*d));
}

/* ---- Making it ---- */

/* That we make it is known before it is made: purge deletes nothing else. */
static void mark_name(const char *slug, char out[80])
{
	snprintf(out, 80, "dataset,%.60s", strchr(slug, '/') + 1);
}

static int mark(const struct backend_conn *c, const char *slug)
{
	char name[80];

	mark_name(slug, name);
	return c->state < 0 ? 0 : io_write_durable(c->state, name, slug, strlen(slug), 0600);
}

static int pack(int source, const struct file_list *list, int dirfd, int64_t deadline_ns, struct why *why)
{
	AUTO_FD int fd = openat(dirfd, ZIP_FILE, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	return archive_zip(source, (const char *const *)list->paths, list->count, fd, deadline_ns, why);
}

static int create(struct kaggle *k, const char *slug, const char *token, int64_t deadline_ns, struct why *why)
{
	const char *const tokens[] = {token, NULL};
	const struct kaggle_dataset d = {.slug = slug, .title = strchr(slug, '/') + 1, .tokens = tokens};
	int err = fault_point("kaggle.dataset.before");

	if (!err)
		err = kaggle_dataset_create(k, &d, deadline_ns, why);
	/* The name is its content: whoever made it, it is the right one. The status tells whether it is there. */
	return err == -EEXIST || err == -EUCLEAN ? 0 : err;
}

static int make(struct backend_conn *c, struct kaggle *k, int source, const struct file_list *list, int dirfd,
	const char *slug, struct why *why)
{
	AUTO_BUF struct strbuf token = STRBUF_INIT;
	int64_t deadline = clock_boot_ns() + UPLOAD_NS;
	int err = mark(c, slug);

	if (!err)
		err = pack(source, list, dirfd, deadline, why);
	if (!err)
		err = kaggle_upload(k, "DATASET", dirfd, ZIP_FILE, ZIP_NAME, deadline, &token, why);
	if (!err)
		err = create(k, slug, token.buf, deadline, why);
	unlinkat(dirfd, ZIP_FILE, 0);
	return err;
}

/* ---- Waiting for it ---- */

static void pause_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * NS_PER_MS};

	nanosleep(&t, NULL);
}

/* 0 ready; -ENOENT none is there; -EAGAIN Kaggle is at work on it. */
static int look(struct kaggle *k, const char *slug, int64_t deadline_ns, struct why *why)
{
	char status[40] = "";
	int err = kaggle_dataset_status(k, slug, deadline_ns, status, why);

	if (err)
		return err == -EACCES ? -ENOENT : err;
	if (strcasecmp(status, "READY") == 0)
		return 0;
	if (strcasecmp(status, "DELETED") == 0)
		return -ENOENT;
	if (strcasecmp(status, "FAILED") == 0)
		return why_set(why, EINVAL, _("Kaggle could not take in the folder's files (data set %s)."), slug);
	return why_set(why, EAGAIN, _("Kaggle is taking in the folder's files (data set %s: %s)."), slug, status);
}

static int wait_ready(struct kaggle *k, const char *slug, int64_t deadline_ns, struct why *why)
{
	for (;;) {
		int err = look(k, slug, deadline_ns, why);

		if (err == -ENOENT) /* just made, and not to be seen yet */
			err = why_set(why, EAGAIN, _("Kaggle is taking in the folder's files (data set %s: %s)."),
				slug, "-");
		/* The push itself needs some of the time, too. */
		if (err != -EAGAIN || clock_boot_ns() + 30 * NS_PER_S > deadline_ns)
			return err;
		pause_ms(LOOK_MS);
	}
}

int dataset_attach(struct backend_conn *c, struct kaggle *k, const struct job *job, const char *user,
	int dirfd, int64_t deadline_ns, struct dataset *out, struct why *why)
{
	struct file_list list = {0};
	AUTO_FD int source = open(job->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = source < 0 ? -errno : folder_files_list(job->source, job->main, &list, why);

	if (err)
		return err;
	if (list.bytes > BYTES_MAX)
		err = why_set(why, EINVAL, _("The folder holds over 20 GB, more than Kaggle takes."));
	if (!err && list.count)
		err = name_it(source, &list, user, deadline_ns, out);
	if (!err && out->slug) {
		err = look(k, out->slug, deadline_ns, why);
		if (err == -ENOENT) {
			err = make(c, k, source, &list, dirfd, out->slug, why);
			if (!err)
				err = -EAGAIN;
		}
		if (err == -EAGAIN)
			err = wait_ready(k, out->slug, deadline_ns, why);
	}
	folder_files_release(&list);
	return err;
}

/* ---- Forgetting it ---- */

struct others {
	const char *slug, *remote_id;
	bool used;
};

static int count_user(void *arg, const char *remote_id, const struct kaggle_record *r)
{
	struct others *o = arg;

	o->used |= r->dataset && strcmp(r->dataset, o->slug) == 0 && strcmp(remote_id, o->remote_id) != 0;
	return 0;
}

int dataset_purge(struct backend_conn *c, struct kaggle *k, const char *remote_id, const char *slug,
	int64_t deadline_ns, struct why *why)
{
	struct others o = {.slug = slug, .remote_id = remote_id};
	AUTO_BUF struct strbuf made = STRBUF_INIT;
	char name[80];
	int err;

	if (c->state < 0 || !kaggle_id_valid(slug))
		return 0;
	mark_name(slug, name);
	if (io_read(c->state, name, 256, &made) || strcmp(made.buf, slug) != 0)
		return 0; /* not ours */
	err = index_each(c, count_user, &o);
	if (err || o.used)
		return err;
	err = kaggle_dataset_delete(k, slug, deadline_ns, why);
	if (err && err != -ENOENT && err != -EACCES)
		return err;
	return unlinkat(c->state, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}
