/*
 * A folder as a private data set: the files at its top as they are, each folder in it as a zip of its name,
 * of which Kaggle makes a folder again. Made where there is none of that name, else its next version.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/kaggle/named.h"
#include "fs/base/archive.h"
#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/io_dir.h"
#include "fs/base/strbuf.h"

#define ENTRIES_MAX 1000
#define FILES_MAX   100000
#define DEPTH_MAX   64

struct sending {
	struct kaggle *k;
	int dirfd;
	int64_t deadline_ns;
	char **tokens;
	size_t count;
	struct why *why;
};

static int upload(struct sending *s, const char *name)
{
	AUTO_BUF struct strbuf token = STRBUF_INIT;
	int err = kaggle_upload(s->k, "DATASET", s->dirfd, name, name, s->deadline_ns, &token, s->why);

	if (err)
		return err;
	s->tokens[s->count] = strbuf_detach(&token, NULL);
	return s->tokens[s->count++] ? 0 : -ENOMEM;
}

/* ---- A folder in it ---- */

struct paths {
	char **list;
	size_t count, room;
};

static int add_path(void *arg, const struct io_entry *entry)
{
	struct paths *p = arg;

	if (!S_ISREG(entry->mode))
		return 0;
	if (p->count == FILES_MAX)
		return -E2BIG;
	if (p->count == p->room) {
		size_t room = p->room ? p->room * 2 : 64;
		char **list = realloc(p->list, room * sizeof(*list));

		if (!list)
			return -ENOMEM;
		p->list = list;
		p->room = room;
	}
	p->list[p->count] = strdup(entry->path);
	return p->list[p->count++] ? 0 : -ENOMEM;
}

static void free_paths(struct paths *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->list[i]);
	free(p->list);
}

static int zip(struct sending *s, const char *folder, const char *zip_name)
{
	AUTO_FD int fd = openat(s->dirfd, zip_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	AUTO_FD int inside = io_open_dir(s->dirfd, folder);
	struct paths paths = {0};
	int err = fd < 0 ? -errno : inside < 0 ? inside : 0;

	if (err == -EEXIST)
		return why_set(s->why, EINVAL, _("%s would be the zip of a folder, and is a file."), zip_name);
	if (!err)
		err = io_walk(s->dirfd, folder, DEPTH_MAX, add_path, &paths);
	if (!err)
		err = archive_zip(inside, (const char *const *)paths.list, paths.count, fd, s->deadline_ns, s->why);
	free_paths(&paths);
	return err;
}

static int send_folder(struct sending *s, const char *name)
{
	char zip_name[256];
	int err;

	if ((size_t)snprintf(zip_name, sizeof(zip_name), "%s.zip", name) >= sizeof(zip_name))
		return why_set(s->why, ENAMETOOLONG, _("The name %s is too long for its zip."), name);
	err = zip(s, name, zip_name);
	if (!err)
		err = upload(s, zip_name);
	if (err != -EINVAL)
		unlinkat(s->dirfd, zip_name, 0); /* a new try makes it again */
	return err;
}

/* ---- All of it ---- */

static int send_entry(struct sending *s, const char *name)
{
	struct stat st;

	if (fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return send_folder(s, name);
	/* Links lead nowhere on the service. */
	return S_ISREG(st.st_mode) ? upload(s, name) : 0;
}

static int send_entries(struct sending *s)
{
	AUTO_BUF struct strbuf names = STRBUF_INIT;
	AUTO_FREE const char **list = NULL;
	size_t count = 0;
	int err = io_dir_list(s->dirfd, &names, &list, &count);

	if (!err && count > ENTRIES_MAX)
		err = why_set(s->why, E2BIG, _("At most %d files and folders can lie at the top of a data set."),
			ENTRIES_MAX);
	if (!err)
		s->tokens = calloc(count + 1, sizeof(*s->tokens));
	if (!err && !s->tokens)
		err = -ENOMEM;
	for (size_t i = 0; i < count && !err; i++)
		err = send_entry(s, list[i]);
	return err;
}

static int is_there(struct sending *s, const char *slug, bool *there)
{
	char status[40] = "";
	int err = kaggle_dataset_status(s->k, slug, s->deadline_ns, status, s->why);

	*there = !err && strcasecmp(status, "DELETED") != 0;
	/* Names are masked: one of our own that is "not permitted" is not there. */
	return err == -ENOENT || err == -EACCES ? 0 : err;
}

static int make(struct sending *s, const char *slug, const char *note)
{
	const struct kaggle_dataset d = {.slug = slug, .title = strchr(slug, '/') + 1, .notes = note,
		.tokens = (const char *const *)s->tokens};
	bool there;
	int err = is_there(s, slug, &there);

	if (!err)
		err = fault_point("kaggle.dataset.send");
	if (err)
		return err;
	return there ? kaggle_dataset_version(s->k, &d, s->deadline_ns, s->why)
		     : kaggle_dataset_create(s->k, &d, s->deadline_ns, s->why);
}

int dataset_send(struct backend_conn *c, const struct object *o, int dirfd, const char *note, int64_t deadline_ns,
	struct why *why)
{
	struct sending s = {.k = kaggle_client(c, why), .dirfd = dirfd, .deadline_ns = deadline_ns, .why = why};
	const char *user = s.k ? kaggle_owner(c, s.k, deadline_ns, why) : NULL;
	AUTO_BUF struct strbuf slug = STRBUF_INIT;
	int err;

	if (!user)
		return -EACCES;
	strbuf_addf(&slug, "%s/%s", user, o->name);
	err = slug.err ? slug.err : send_entries(&s);
	if (!err)
		err = make(&s, slug.buf, note);
	for (size_t i = 0; i < s.count; i++)
		free(s.tokens[i]);
	free(s.tokens);
	return kaggle_denied(c, err);
}
