#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "backends/kaggle/fetch.h"
#include "fs/base/clock.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/why.h"

/* "<boot id> <etag>": what was written before a power cut may not be what is on disk. Where the file system
 * has no attributes, every call starts over. */
#define MARK "user.kexec.etag"

/* Not NAME.part: names are up to 255 bytes long, and both may be among the files. */
static void name_part(struct partial *p)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (const char *s = p->name; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	snprintf(p->part, sizeof(p->part), ".%016" PRIx64 ".part", h);
}

static bool is_plain_name(const char *name)
{
	return *name && strlen(name) <= NAME_MAX && !strchr(name, '/') && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

static void read_mark(struct partial *p)
{
	char mark[sizeof(p->etag) + 64] = "", boot[40];
	ssize_t n = fgetxattr(p->fd, MARK, mark, sizeof(mark) - 1);
	size_t len;

	clock_boot_id(boot);
	len = strlen(boot);
	if (n <= 0 || strncmp(mark, boot, len) != 0 || mark[len] != ' ')
		return;
	snprintf(p->etag, sizeof(p->etag), "%.*s", (int)sizeof(p->etag) - 1, mark + len + 1);
}

static void write_mark(const struct partial *p)
{
	char mark[sizeof(p->etag) + 64], boot[40];

	clock_boot_id(boot);
	snprintf(mark, sizeof(mark), "%s %s", boot, p->etag);
	if (fsetxattr(p->fd, MARK, mark, strlen(mark), 0) < 0)
		fremovexattr(p->fd, MARK);
}

int partial_restart(struct partial *p)
{
	fremovexattr(p->fd, MARK);
	p->etag[0] = '\0';
	p->have = 0;
	p->begun = false;
	return ftruncate(p->fd, 0) < 0 ? -errno : 0;
}

int partial_open(struct partial *p, int dirfd, const char *name, int64_t max, struct why *why)
{
	struct stat st;

	*p = (struct partial){.dirfd = dirfd, .fd = -1, .name = name, .max = max};
	if (!is_plain_name(name))
		return why_set(why, EINVAL, _("\"%.100s\" is no name for a file"), name);
	name_part(p);
	p->fd = openat(dirfd, p->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0644);
	if (p->fd < 0)
		return why_set(why, errno, "%s: %s", name, strerror(errno));
	if (fstat(p->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return why_set(why, EINVAL, _("what is at %s is no plain file"), p->part);
	read_mark(p);
	p->have = st.st_size;
	return p->etag[0] == '\0' || p->have > max ? partial_restart(p) : 0;
}

/* "bytes 100-199/200": where it starts. */
static int64_t range_start(const char *range)
{
	char *end;
	long long v;

	if (strncmp(range, "bytes ", 6) != 0 || range[6] < '0' || range[6] > '9')
		return -1;
	errno = 0;
	v = strtoll(range + 6, &end, 10);
	return errno || *end != '-' ? -1 : v;
}

/* Only a strong validator tells that two answers are of the same bytes. */
static void take_etag(struct partial *p, const char *etag)
{
	p->etag[0] = '\0';
	if (etag[0] == '"' && strlen(etag) < sizeof(p->etag)) {
		snprintf(p->etag, sizeof(p->etag), "%s", etag);
		write_mark(p);
	}
}

/* Is it the rest of what is here? Not every service looks at If-Range. */
static bool goes_on(const struct partial *p, const struct http_response *head)
{
	if (range_start(head->range) != p->have)
		return false;
	return p->have == 0 || (p->etag[0] && (head->etag[0] == '\0' || strcmp(head->etag, p->etag) == 0));
}

bool partial_whole(const struct partial *p, const struct http_response *head)
{
	const char *slash = strchr(head->range, '/');

	return head->status != 206 || !slash || slash[1] < '0' || slash[1] > '9' ||
	       strtoll(slash + 1, NULL, 10) == p->have;
}

int partial_begin(struct partial *p, const struct http_response *head)
{
	int r = 0;

	if (p->begun)
		return 0;
	if (head->status == 206 && !goes_on(p, head))
		return -ERANGE;
	if (head->status != 206) {
		r = partial_restart(p);
		take_etag(p, head->etag);
	}
	if (r == 0 && head->length > p->max - p->have)
		r = -EFBIG;
	p->begun = true;
	return r;
}

int partial_sink(void *arg, const struct http_response *so_far, const void *data, size_t len)
{
	struct partial *p = arg;
	int r = partial_begin(p, so_far);

	if (r)
		return r;
	if (len > (uint64_t)(p->max - p->have))
		return -EFBIG;
	while (len > 0) {
		ssize_t n = pwrite(p->fd, data, len, p->have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data = (const char *)data + n;
		len -= (size_t)n;
		p->have += n;
	}
	return 0;
}

static int settle(struct partial *p)
{
	int r = fault_point("kaggle.download.fsync");

	if (r == 0 && (fremovexattr(p->fd, MARK) < 0) && errno != ENODATA && errno != ENOTSUP)
		r = -errno;
	if (r == 0 && fsync(p->fd) < 0)
		r = -errno;
	if (r == 0)
		r = fault_point("kaggle.download.rename");
	if (r == 0 && renameat(p->dirfd, p->part, p->dirfd, p->name) < 0)
		r = -errno;
	return r ? r : io_fsync_dir(p->dirfd);
}

int partial_finish(struct partial *p, struct why *why)
{
	int r = settle(p);

	return r ? why_set(why, -r, "%s: %s", p->name, strerror(-r)) : 0;
}

void partial_drop(struct partial *p)
{
	if (p->fd >= 0)
		unlinkat(p->dirfd, p->part, 0);
}

void partial_close(struct partial *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}
