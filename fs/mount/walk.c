#include "fs/mount/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/engine.h"
#include "fs/mount/ctl.h"
#include "fs/mount/mount.h"
#include "fs/mount/pages.h"
#include "fs/mount/snapshots.h"

/* Dynamic children have cookies from here on, so that they follow the fixed ones. */
#define COOKIE_DYNAMIC 0x10000

static struct ref child_of(struct ref dir, unsigned row)
{
	dir.row = (uint8_t)row;
	return dir;
}

/* Is the row there for its run as it is now? 1, 0, or -errno. */
static int row_shown(const struct call *c, struct ref r)
{
	const struct node *n = &tree[r.row];
	struct run run = {0};

	if (!n->shown)
		return 1;
	if (!row_of_run(r.row))
		return n->shown(c, r, NULL);
	int rc = engine_run(c->mount->engine, r.id, &run);

	if (rc == 0)
		rc = n->shown(c, r, &run);
	run_release(&run);
	return rc;
}

int walk_find(const struct call *c, struct ref dir, const char *name, struct ref *out)
{
	for (unsigned row = 1; row < NODE_COUNT; row++) {
		if (tree[row].parent != dir.row || !tree[row].name || strcmp(tree[row].name, name) != 0)
			continue;
		*out = child_of(dir, row);
		int shown = row_shown(c, *out);

		return shown > 0 ? 0 : shown < 0 ? shown : -ENOENT;
	}
	return tree[dir.row].find ? tree[dir.row].find(c, dir, name, out) : -ENOENT;
}

struct shifted {
	node_sink *sink;
	void *arg;
};

static int shift(void *arg, const char *name, struct ref child, int64_t cookie, struct child_facts facts)
{
	struct shifted *s = arg;

	return s->sink(s->arg, name, child, COOKIE_DYNAMIC + cookie, facts);
}

int walk_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg)
{
	struct shifted s = {sink, arg};

	for (unsigned row = after < COOKIE_DYNAMIC ? (unsigned)after + 1 : NODE_COUNT; row < NODE_COUNT; row++) {
		struct ref r = child_of(dir, row);

		if (tree[row].parent != dir.row || !tree[row].name || (tree[row].flags & NODE_HIDDEN))
			continue;
		if (row_shown(c, r) > 0 && sink(arg, tree[row].name, r, row, (struct child_facts){0}) != 0)
			return 0;
	}
	if (!tree[dir.row].list)
		return 0;
	after = after > COOKIE_DYNAMIC ? after - COOKIE_DYNAMIC : 0;
	return tree[dir.row].list(c, dir, after, shift, &s);
}

static void set_time(struct stat *st, int64_t wall_ns)
{
	struct timespec t = {.tv_sec = wall_ns / NS_PER_S, .tv_nsec = wall_ns % NS_PER_S};

	st->st_mtim = st->st_ctim = st->st_atim = t;
}

static int64_t mtime_of(const struct call *c, struct ref r)
{
	struct run run = {0};
	int64_t t = c->mount->started_wall_ns;

	if (row_of_run(r.row) && engine_run(c->mount->engine, r.id, &run) == 0)
		t = run.changed_ns;
	run_release(&run);
	return t;
}

/* stat of the file behind the node; one that is not there yet counts as empty. */
static int stat_backing(const struct call *c, struct ref r, struct stat *out)
{
	char path[512];
	struct stat st;

	if (tree[r.row].backing(c, r, path, sizeof(path)) != 0)
		return 0;
	if (fstatat(c->mount->state_dirfd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : -errno;
	out->st_size = st.st_size;
	out->st_mtim = out->st_ctim = out->st_atim = st.st_mtim;
	return 0;
}

static int stat_rendered(const struct call *c, struct ref r, struct stat *out)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	const struct node *n = &tree[r.row];
	/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): every leaf of the table has the one its mode asks for */
	int rc = S_ISLNK(n->mode) ? n->target(c, r, &text) : n->render(c, r, &text);

	out->st_size = (off_t)text.len;
	return rc ? rc : text.err;
}

static int stat_page(const struct call *c, struct ref r, struct stat *out)
{
	uint64_t version;
	int64_t size, mtime_ns;
	int rc = pages_current(c, r.row, &version, &size, &mtime_ns);

	out->st_size = size;
	set_time(out, mtime_ns);
	return rc;
}

int walk_stat(const struct call *c, struct ref r, int64_t mtime_ns, struct stat *out)
{
	const struct node *n = &tree[r.row];

	memset(out, 0, sizeof(*out));
	out->st_ino = ref_ino(r);
	out->st_mode = n->mode;
	out->st_nlink = 1;
	out->st_uid = c->mount->uid;
	out->st_gid = c->mount->gid;
	out->st_blksize = 4096;
	set_time(out, mtime_ns ? mtime_ns : mtime_of(c, r));
	int rc = 0;

	if (n->flags & NODE_PAGE)
		rc = stat_page(c, r, out);
	else if (S_ISREG(n->mode) && n->backing)
		rc = stat_backing(c, r, out);
	else if (n->render || n->target)
		rc = stat_rendered(c, r, out);
	out->st_blocks = (out->st_size + 511) / 512;
	return rc;
}

ino_t walk_parent_ino(struct ref r)
{
	struct ref p = r;

	if (r.row == N_ROOT)
		return NODE_ROOT_INO;
	p.row = tree[r.row].parent;
	if (!row_of_run(p.row) && p.row != N_BACKEND && p.row != N_KERNEL)
		p.id = p.sub = p.inc = 0;
	else if (p.row != N_ATTEMPT)
		p.sub = 0;
	return ref_ino(p);
}

static ssize_t slice(const struct strbuf *text, void *buf, size_t len, off_t at)
{
	if (at < 0 || (size_t)at >= text->len)
		return 0;
	size_t n = text->len - (size_t)at;

	n = n < len ? n : len;
	memcpy(buf, text->buf + at, n);
	return (ssize_t)n;
}

static ssize_t read_backing(const struct call *c, struct ref r, void *buf, size_t len, off_t at)
{
	char path[512];

	if (tree[r.row].backing(c, r, path, sizeof(path)) != 0)
		return 0;
	AUTO_FD int fd = openat(c->mount->state_dirfd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	ssize_t n = pread(fd, buf, len, at);

	return n < 0 ? -errno : n;
}

ssize_t walk_read(const struct call *c, struct ref r, uint64_t version, void *buf, size_t len, off_t at)
{
	const struct node *n = &tree[r.row];
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	if (n->flags & NODE_PAGE)
		return pages_read(c, r.row, version, buf, len, at);
	if (n->backing)
		return read_backing(c, r, buf, len, at);
	if (!n->render)
		return 0;
	ssize_t rest = at > 0 && (n->flags & NODE_SNAPSHOT) ? snapshots_read(c, ref_ino(r), buf, len, at) : -ENOENT;

	if (rest != -ENOENT)
		return rest;
	int rc = n->render(c, r, &text);

	if (rc == 0)
		rc = text.err;
	if (rc == 0 && (n->flags & NODE_SNAPSHOT))
		snapshots_keep(c, ref_ino(r), text.buf, text.len);
	return rc ? rc : slice(&text, buf, len, at);
}

int walk_target(const struct call *c, struct ref r, char *buf, size_t size)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int rc = tree[r.row].target(c, r, &text);

	if (rc == 0)
		rc = text.err;
	return rc ? rc : (int)slice(&text, buf, size, 0);
}

static void refuse(const struct call *c, struct ref r, const struct why *why)
{
	if (tree[r.row].refused)
		tree[r.row].refused(c, r, why_text(why));
}

int walk_command(const struct call *c, struct ref r, const char *text, size_t len)
{
	struct ctl_words *words = malloc(sizeof(*words));
	struct why why = {0};
	int rc = words ? ctl_parse(text, len, words) : -ENOMEM;

	if (rc == -E2BIG)
		why_set(&why, E2BIG, _("at most %d bytes, %d lines and %d words a line are taken"), CTL_MAX,
			CTL_MAX_LINES, CTL_MAX_WORDS);
	else if (rc == -EINVAL)
		why_set(&why, EINVAL, _("control characters or an open quote in what was written"));
	else if (rc == 0 && words->lines == 0)
		rc = why_set(&why, EINVAL, _("no word was written"));
	for (int i = 0; rc == 0 && i < words->lines; i++) {
		struct call line = *c;

		/* Each line is carried out once: unique numbers stay far below 2^48. */
		line.key = c->key | (uint64_t)i << 48;
		rc = tree[r.row].command(&line, r, words->line[i].argc, words->line[i].argv, &why);
	}
	if (rc != 0 && why.err)
		refuse(c, r, &why);
	free(words);
	return rc;
}

uint64_t walk_version(const struct call *c, struct ref r)
{
	struct run run = {0};
	struct stat st;
	uint64_t v = 0;

	if (tree[r.row].backing && walk_stat(c, r, 1, &st) == 0)
		return (uint64_t)st.st_size;
	if (row_of_run(r.row) && engine_run(c->mount->engine, r.id, &run) == 0)
		v = (uint64_t)run.version;
	run_release(&run);
	return v;
}
