#include "backends/kaggle/folder_files.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define IGNORE_FILE  ".kexecignore"
#define IGNORE_BYTES ((size_t)64 << 10)
#define FILES_MAX    100000
#define DEPTH_MAX    100

int folder_files_open(int dirfd, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

static int open_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int read_open(int fd, size_t max, struct strbuf *out)
{
	struct stat st;
	int n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return -EFBIG;
	if (strbuf_reserve(out, (size_t)st.st_size))
		return out->err;
	n = io_read_all(fd, out->buf + out->len, (size_t)st.st_size);
	if (n < 0)
		return n;
	out->len += (size_t)n;
	out->buf[out->len] = '\0';
	return 0;
}

int folder_files_read(const char *folder, const char *path, size_t max, struct strbuf *out)
{
	AUTO_FD int dirfd = open_folder(folder);
	AUTO_FD int fd = dirfd < 0 ? dirfd : folder_files_open(dirfd, path);

	return fd < 0 ? fd : read_open(fd, max, out);
}

/* ---- What stays behind ---- */

static bool pattern_fits(const char *pattern, const char *path)
{
	if (fnmatch(pattern, path, FNM_PATHNAME | FNM_LEADING_DIR) == 0)
		return true;
	if (strchr(pattern, '/'))
		return false;
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		if (fnmatch(pattern, slash + 1, FNM_PATHNAME | FNM_LEADING_DIR) == 0)
			return true;
	}
	return false;
}

static bool ignored(const char *patterns, const char *path)
{
	char pattern[256];

	for (const char *line = patterns; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t n = strcspn(line, "\r\n");

		while (n && (line[n - 1] == ' ' || line[n - 1] == '/'))
			n--;
		if (n == 0 || *line == '#' || n >= sizeof(pattern))
			continue;
		memcpy(pattern, line, n);
		pattern[n] = '\0';
		if (pattern_fits(pattern[0] == '/' ? pattern + 1 : pattern, path))
			return true;
	}
	return false;
}

static bool never_sent(const char *path)
{
	static const char *const names[] = {".git", ".env", "__pycache__", ".ipynb_checkpoints"};
	static const char *const tops[] = {"kernel-metadata.json", "kexec.json", ".submit", IGNORE_FILE};

	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
		if (strcmp(path, tops[i]) == 0)
			return true;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (pattern_fits(names[i], path))
			return true;
	}
	return false;
}

/* ---- What travels ---- */

struct lister {
	int dirfd;
	const char *main, *patterns;
	struct file_list *list;
	size_t room;
	struct why *why;
};

static int add(struct lister *l, const char *path, int64_t size)
{
	struct file_list *list = l->list;

	if (list->count >= FILES_MAX)
		return why_set(l->why, EINVAL, _("The folder holds over %d files; use a data set."), FILES_MAX);
	if (list->count == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		char **more = reallocarray(list->paths, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		list->paths = more;
		l->room = room;
	}
	list->paths[list->count] = strdup(path);
	if (!list->paths[list->count])
		return -ENOMEM;
	list->count++;
	list->bytes += size;
	return 0;
}

static int visit(void *arg, const struct io_entry *e)
{
	struct lister *l = arg;
	struct stat st;

	if (S_ISDIR(e->mode) || strcmp(e->path, l->main) == 0 || never_sent(e->path) ||
		ignored(l->patterns, e->path))
		return 0;
	if (!utf8_valid(e->path, strlen(e->path)))
		return 0; /* the checks have told */
	AUTO_FD int fd = folder_files_open(l->dirfd, e->path);

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0; /* a socket, a link to a folder or to nothing */
	return add(l, e->path, st.st_size);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int folder_files_list(const char *folder, const char *main, struct file_list *out, struct why *why)
{
	AUTO_BUF struct strbuf patterns = STRBUF_INIT;
	AUTO_FD int dirfd = open_folder(folder);
	struct lister l = {.dirfd = dirfd, .main = main, .list = out, .why = why};
	int err;

	memset(out, 0, sizeof(*out));
	if (dirfd < 0)
		return why_set(why, -dirfd, _("%s cannot be opened: %s"), folder, strerror(-dirfd));
	err = io_read(dirfd, IGNORE_FILE, IGNORE_BYTES, &patterns);
	if (err && err != -ENOENT)
		return why_set(why, EINVAL, _("%s cannot be read: %s"), IGNORE_FILE, strerror(-err));
	l.patterns = patterns.buf;
	err = io_walk(dirfd, ".", DEPTH_MAX, visit, &l);
	if (err) {
		folder_files_release(out);
		return why && why->err ? err : why_set(why, -err, _("%s cannot be read: %s"), folder,
						       strerror(-err));
	}
	if (out->count)
		qsort(out->paths, out->count, sizeof(*out->paths), by_name);
	return 0;
}

void folder_files_release(struct file_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->paths[i]);
	free(list->paths);
	memset(list, 0, sizeof(*list));
}
