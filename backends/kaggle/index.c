/*
 * From a version of a kernel to its attempt: state/kaggle/<owner>,<slug>,v<N> (a comma stands in no name
 * of Kaggle's). poll() and purge() are given the remote id only, purge() when the attempt's files may be
 * gone already.
 */
#include "backends/kaggle/kaggle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/kaggle/slug.h"
#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "fs/base/io_dir.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"

#define FOLDER    "kaggle"
#define NAME_LEN  (KAGGLE_NAME_MAX + 24)
#define ENTRY_MAX ((size_t)64 << 10)

int index_open(int state_dirfd)
{
	if (mkdirat(state_dirfd, FOLDER, 0700) < 0 && errno != EEXIST)
		return -errno;
	return io_open_dir(state_dirfd, FOLDER);
}

/* "owner/slug/v3" and "owner,slug,v3". */
static int other_name(const char *from, const char *old_new, char out[NAME_LEN])
{
	size_t len = strlen(from);

	if (len >= NAME_LEN)
		return -EINVAL;
	memcpy(out, from, len + 1);
	for (char *at = out; (at = strchr(at, old_new[0])) != NULL;)
		*at = old_new[1];
	return 0;
}

static int link_name(const char *remote_id, char out[NAME_LEN])
{
	struct kaggle_remote remote;
	int err = kaggle_remote_parse(remote_id, &remote);

	return err ? err : other_name(remote_id, "/,", out);
}

static int print_entry(const char *directory, const struct kaggle_record *r, struct strbuf *out)
{
	struct json *j = json_object();
	int err = json_set_text(j, "directory", directory);

	if (!err)
		err = json_set_bool(j, "fresh_slug", r->fresh);
	if (!err && r->dataset)
		err = json_set_text(j, "dataset", r->dataset);
	if (!err)
		err = json_print(j, out, true);
	json_free(j);
	return err ? err : strbuf_addch(out, '\n');
}

int index_put(const struct backend_conn *c, const char *remote_id, const char *directory,
	const struct kaggle_record *r)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT, there = STRBUF_INIT;
	char name[NAME_LEN];
	int err = link_name(remote_id, name);

	if (!err)
		err = print_entry(directory, r, &text);
	if (err || c->state < 0)
		return err;
	if (io_read(c->state, name, ENTRY_MAX, &there) == 0 && strcmp(there.buf, text.buf) == 0)
		return 0;
	return io_write_durable(c->state, name, text.buf, text.len, 0600);
}

static int copy_text(const struct json *j, const char *key, char **out)
{
	const char *text = json_text(json_get(j, key));

	*out = text ? strdup(text) : NULL;
	return text && !*out ? -ENOMEM : 0;
}

static int read_entry(int state, const char *name, struct index_entry *out)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int err = io_read(state, name, ENTRY_MAX, &text);
	struct json *j;

	memset(out, 0, sizeof(*out));
	if (err)
		return err;
	j = json_parse(text.buf, text.len, ENTRY_MAX, NULL);
	out->fresh = json_bool(json_get(j, "fresh_slug"), false);
	err = copy_text(j, "directory", &out->directory);
	if (!err)
		err = copy_text(j, "dataset", &out->dataset);
	json_free(j);
	if (!err && !out->directory)
		err = -EBADMSG;
	if (err)
		index_entry_release(out);
	return err;
}

void index_entry_release(struct index_entry *e)
{
	free(e->directory);
	free(e->dataset);
	memset(e, 0, sizeof(*e));
}

int index_get(const struct backend_conn *c, const char *remote_id, struct index_entry *out)
{
	char name[NAME_LEN];
	int err = link_name(remote_id, name);

	if (err)
		return err;
	return c->state < 0 ? -ENOENT : read_entry(c->state, name, out);
}

static int open_entry(int state, const char *name)
{
	struct index_entry e;
	int err = read_entry(state, name, &e), fd;

	if (err)
		return err;
	fd = open(e.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = fd < 0 ? -errno : fd;
	index_entry_release(&e);
	return err;
}

int index_find(const struct backend_conn *c, const char *remote_id)
{
	char name[NAME_LEN];
	int err = link_name(remote_id, name);

	if (err)
		return err;
	return c->state < 0 ? -ENOENT : open_entry(c->state, name);
}

int index_remove(const struct backend_conn *c, const char *remote_id)
{
	char name[NAME_LEN];
	int err = link_name(remote_id, name);

	if (err || c->state < 0)
		return err;
	return unlinkat(c->state, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int visit_one(const struct backend_conn *c, const char *name,
	int (*visit)(void *arg, const char *remote_id, const struct kaggle_record *r), void *arg)
{
	char remote_id[NAME_LEN];
	struct kaggle_remote remote;
	struct kaggle_record r;
	int result = 0;

	if (other_name(name, ",/", remote_id) || kaggle_remote_parse(remote_id, &remote))
		return 0; /* the ledger, marks of data sets, a temporary name */
	AUTO_FD int dirfd = open_entry(c->state, name);

	if (dirfd >= 0 && record_read(dirfd, &r) == 0) {
		result = visit(arg, remote_id, &r);
		record_release(&r);
	}
	return result;
}

int index_each(const struct backend_conn *c,
	int (*visit)(void *arg, const char *remote_id, const struct kaggle_record *r), void *arg)
{
	AUTO_BUF struct strbuf names = STRBUF_INIT;
	AUTO_FREE const char **list = NULL;
	size_t count = 0;
	int err = c->state < 0 ? 0 : io_dir_list(c->state, &names, &list, &count);

	for (size_t i = 0; i < count && !err; i++)
		err = visit_one(c, list[i], visit, arg);
	return err;
}
