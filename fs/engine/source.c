#include "fs/engine/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"
#include "fs/engine/options.h"
#include "fs/engine/problem.h"

#define LINKS_MAX 8

/* ---- Links ---- */

/* Cut the last part off a relative path. False when there is none left. */
static bool go_up(struct strbuf *path)
{
	const char *slash = strrchr(path->buf, '/');

	if (!path->len)
		return false;
	strbuf_truncate(path, slash ? (size_t)(slash - path->buf) : 0);
	return true;
}

/* Where the link at path leads, relative to the folder; false when it leads out, or may. */
static bool follow(const char *path, const char *target, struct strbuf *out)
{
	bool below = false;

	if (target[0] == '/')
		return false;
	strbuf_adds(out, path);
	go_up(out);
	for (const char *part = target; *part;) {
		size_t n = strcspn(part, "/");

		if (n == 2 && part[0] == '.' && part[1] == '.') {
			if (below || !go_up(out))
				return false;
		} else if (n > 0 && !(n == 1 && part[0] == '.')) {
			below = true;
			if (out->len)
				strbuf_addch(out, '/');
			strbuf_add(out, part, n);
		}
		part += n + strspn(part + n, "/");
	}
	return !out->err;
}

bool source_link_inside(const char *path, const char *target)
{
	AUTO_BUF struct strbuf ignored = STRBUF_INIT;

	return follow(path, target, &ignored);
}

/* ---- Reading ---- */

/* The directory that holds the last part of path; *name is that part. No link is followed. */
static int open_parent(int dirfd, const char *path, const char **name)
{
	AUTO_FREE char *parts = strdup(path);
	char *part = parts, *slash;
	int fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);

	if (!parts || fd < 0) {
		if (fd >= 0)
			close(fd);
		return parts ? -errno : -ENOMEM;
	}
	for (; (slash = strchr(part, '/')); part = slash + 1) {
		int next;

		*slash = '\0';
		next = openat(fd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			next = -errno;
		close(fd);
		if (next < 0)
			return next;
		fd = next;
	}
	*name = path + (part - parts);
	return fd;
}

static int read_link(int dirfd, const char *path, char target[PATH_MAX])
{
	const char *name;
	AUTO_FD int parent = open_parent(dirfd, path, &name);
	ssize_t len;

	if (parent < 0)
		return parent;
	len = readlinkat(parent, name, target, PATH_MAX - 1);
	if (len < 0)
		return -errno;
	target[len] = '\0';
	return 0;
}

static int read_file(int dirfd, const char *path, size_t max, struct strbuf *out)
{
	const char *name;
	AUTO_FD int parent = open_parent(dirfd, path, &name);

	return parent < 0 ? parent : io_read(parent, name, max, out);
}

/* read_file() that follows links which stay inside. */
static int read_inside(int dirfd, const char *path, size_t max, struct strbuf *out)
{
	AUTO_BUF struct strbuf at = STRBUF_INIT;
	char target[PATH_MAX];
	int err = strbuf_adds(&at, path);

	for (int links = 0; !err && links <= LINKS_MAX; links++) {
		AUTO_BUF struct strbuf next = STRBUF_INIT;

		err = at.len ? read_file(dirfd, at.buf, max, out) : -EISDIR;
		if (err != -ELOOP)
			return err;
		err = read_link(dirfd, at.buf, target);
		if (!err && !follow(at.buf, target, &next))
			err = -EXDEV;
		strbuf_reset(&at);
		strbuf_adds(&at, next.buf);
	}
	return err ? err : -ELOOP;
}

int source_read(int dirfd, const char *path, size_t max, struct strbuf *out, struct why *why)
{
	int err = read_inside(dirfd, path, max, out);

	switch (err) {
	case 0:
		return 0;
	case -EXDEV:
		return why_set(why, EXDEV, _("it is a symbolic link that leads out of the folder"));
	case -ELOOP:
	case -ENOTDIR:
		return why_set(why, -err, _("it is reached only through other symbolic links"));
	case -EISDIR:
	case -EINVAL:
		return why_set(why, -err, _("it is not a regular file"));
	case -EFBIG:
		return why_set(why, EFBIG, _("it is larger than %zu MiB"), max >> 20);
	default:
		return why_set(why, -err, "%s", strerror(-err));
	}
}

bool source_exists(int dirfd, const char *path)
{
	const char *name = "";
	AUTO_FD int parent = open_parent(dirfd, path, &name);
	struct stat st;

	return parent >= 0 && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- Data sets ---- */

static bool contains(const char *folder, const char *path)
{
	size_t len = strlen(folder);

	if (strcmp(folder, "/") == 0)
		return true;
	return strncmp(folder, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* The path without links where it exists, else as it is written. */
static char *real(const char *path)
{
	char *found = realpath(path, NULL);

	return found ? found : strdup(path);
}

/* Would a job that reads `folder` see what is in `hidden`? */
static bool shows(const char *folder, const char *hidden)
{
	AUTO_FREE char *path = real(hidden);

	return !path || contains(folder, path) || contains(path, folder);
}

static bool shows_credentials(const struct config *config, const char *folder)
{
	static const char *const places[] = {".kaggle", ".config/kexec", ".ssh", ".gnupg", ".aws", ".netrc",
		".config/gcloud", ".cache/huggingface/token", ".git-credentials", ".docker"};
	const char *home = getenv("HOME"), *kaggle = getenv("KAGGLE_CONFIG_DIR");
	AUTO_FREE char *path = real(folder);

	if (!path || (config->folder && config->folder[0] == '/' && shows(path, config->folder)) ||
		(kaggle && shows(path, kaggle)))
		return true;
	for (size_t i = 0; home && home[0] == '/' && i < sizeof(places) / sizeof(places[0]); i++) {
		AUTO_BUF struct strbuf hidden = STRBUF_INIT;

		strbuf_addf(&hidden, "%s/%s", home, places[i]);
		if (hidden.err || shows(path, hidden.buf))
			return true;
	}
	return false;
}

static int add_forbidden(const struct json *dataset, struct problems *problems)
{
	return problems_add(problems, PROBLEM_ERROR, "options.datasets", "", 0, 0,
		_("name a folder that holds the data alone"),
		_("the folder of data set \"%s\" would show credentials to the job: %s"), json_key(dataset),
		json_text(dataset));
}

int source_check_datasets(const struct config *config, struct options *o, struct problems *problems)
{
	struct json *kept = o->datasets ? json_object() : NULL;
	int err = o->datasets && !kept ? -ENOMEM : 0;

	for (const struct json *m = json_first(o->datasets); m && !err; m = json_next(m)) {
		if (shows_credentials(config, json_text(m)))
			err = add_forbidden(m, problems);
		else
			err = json_set_text(kept, json_key(m), json_text(m));
	}
	json_free(err ? kept : o->datasets);
	if (!err)
		o->datasets = kept;
	return err;
}
