#include "fs/mount/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/engine/engine.h"

#define PAGES_DIR  "pages"
#define RENEW_NS   NS_PER_S
#define KEEP       8 /* versions behind the newest that a slow reader may still be in */

struct page {
	uint64_t version;   /* wall time of the rendering: grows, also over restarts */
	int64_t engine;     /* engine_version() it shows */
	int64_t rendered_ns; /* CLOCK_BOOTTIME, 0 = never */
	int64_t size;
	uint64_t old[KEEP];
	char *memory;       /* the newest rendering where the disk was too full to take it, else NULL */
};

struct pages {
	pthread_mutex_t lock; /* renderings are made one at a time */
	struct page page[NODE_COUNT];
};

static void page_name(char name[64], enum node_id row, uint64_t version)
{
	snprintf(name, 64, "%d.%llu", (int)row, (unsigned long long)version);
}

int pages_start(struct mount *m)
{
	m->pages = calloc(1, sizeof(*m->pages));
	if (!m->pages)
		return -ENOMEM;
	pthread_mutex_init(&m->pages->lock, NULL);
	if (mkdirat(m->state_dirfd, PAGES_DIR, 0700) != 0 && errno != EEXIST)
		return -errno;
	return 0;
}

void pages_stop(struct mount *m)
{
	if (!m->pages)
		return;
	for (int row = 0; row < NODE_COUNT; row++)
		free(m->pages->page[row].memory);
	pthread_mutex_destroy(&m->pages->lock);
	free(m->pages);
	m->pages = NULL;
}

static void forget_oldest(const struct mount *m, struct page *p, enum node_id row, int dir)
{
	char name[64];

	(void)m;
	if (p->old[KEEP - 1]) {
		page_name(name, row, p->old[KEEP - 1]);
		unlinkat(dir, name, 0);
	}
	memmove(p->old + 1, p->old, (KEEP - 1) * sizeof(p->old[0]));
	p->old[0] = p->version;
}

static int render(const struct call *c, enum node_id row, struct page *p)
{
	struct mount *m = c->mount;
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	AUTO_FD int dir = io_open_dir(m->state_dirfd, PAGES_DIR);
	int64_t engine = engine_version(m->engine);
	uint64_t version = (uint64_t)clock_wall_ns();
	char name[64];
	int r = dir < 0 ? dir : tree[row].render(c, (struct ref){.row = (uint8_t)row}, &text);

	if (r == 0)
		r = text.err;
	if (r == 0) {
		page_name(name, row, version);
		r = io_write_atomic(dir, name, text.buf, text.len, 0600);
	}
	int64_t size = (int64_t)text.len;

	free(p->memory);
	p->memory = r != 0 && !text.err ? strbuf_detach(&text, NULL) : NULL;
	if (r != 0 && !p->memory)
		return r;
	forget_oldest(m, p, row, dir);
	p->version = version;
	p->engine = engine;
	p->size = size;
	p->rendered_ns = clock_boot_ns();
	return 0;
}

int pages_current(const struct call *c, enum node_id row, uint64_t *version, int64_t *size, int64_t *mtime_ns)
{
	struct pages *pages = c->mount->pages;
	struct page *p = &pages->page[row];
	int r = 0;

	pthread_mutex_lock(&pages->lock);
	if (p->rendered_ns == 0 || (p->engine != engine_version(c->mount->engine) &&
		clock_boot_ns() - p->rendered_ns >= RENEW_NS))
		r = render(c, row, p);
	if (p->rendered_ns != 0)
		r = 0; /* an older page is better than none (a full disk) */
	*version = p->version;
	*size = p->size;
	*mtime_ns = (int64_t)p->version;
	pthread_mutex_unlock(&pages->lock);
	return r;
}

static ssize_t read_memory(struct pages *pages, enum node_id row, uint64_t version, void *buf, size_t len, off_t at)
{
	struct page *p = &pages->page[row];
	ssize_t n = -ESTALE;

	pthread_mutex_lock(&pages->lock);
	if (p->memory && p->version == version) {
		n = at < p->size ? (ssize_t)(p->size - at) : 0;
		n = (size_t)n < len ? n : (ssize_t)len;
		memcpy(buf, p->memory + at, (size_t)n);
	}
	pthread_mutex_unlock(&pages->lock);
	return n;
}

ssize_t pages_read(const struct call *c, enum node_id row, uint64_t version, void *buf, size_t len, off_t at)
{
	AUTO_FD int dir = io_open_dir(c->mount->state_dirfd, PAGES_DIR);
	char name[64];

	if (dir < 0)
		return dir;
	page_name(name, row, version);
	AUTO_FD int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? read_memory(c->mount->pages, row, version, buf, len, at) : -errno;
	ssize_t n = pread(fd, buf, len, at);

	return n < 0 ? -errno : n;
}
