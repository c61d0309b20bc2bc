#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

/* Every test has a folder of its own: *state is its descriptor. */
struct place {
	char path[40];
	int fd;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->path, "/tmp/kexec-io-XXXXXX");
	if (!mkdtemp(p->path)) {
		free(p);
		return 1;
	}
	p->fd = io_open_dir(AT_FDCWD, p->path);
	*state = p;
	return p->fd < 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	int r;

	close(p->fd);
	r = io_remove_tree(AT_FDCWD, p->path);
	free(p);
	return r;
}

static void put(int dirfd, const char *name, const char *text)
{
	assert_int_equal(io_write_atomic(dirfd, name, text, strlen(text), 0644), 0);
}

static bool there(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void holds(int dirfd, const char *name, const char *want)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;

	assert_int_equal(io_read(dirfd, name, 1 << 20, &out), 0);
	assert_string_equal(out.buf, want);
}

static mode_t mode_of(int dirfd, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static void reading(void **state)
{
	int fd = ((struct place *)*state)->fd;
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	struct strbuf small;

	put(fd, "a", "hello");
	put(fd, "empty", "");
	strbuf_adds(&out, ">");
	assert_int_equal(io_read(fd, "a", 5, &out), 0);
	assert_int_equal(io_read(fd, "empty", 0, &out), 0);
	assert_string_equal(out.buf, ">hello");
	assert_int_equal(io_read(fd, "a", 4, &out), -EFBIG);
	assert_int_equal(io_read(AT_FDCWD, "/proc/self/status", 10, &out), -EFBIG);
	assert_int_equal(io_read(fd, "none", 5, &out), -ENOENT);
	assert_string_equal(out.buf, ">hello"); /* unchanged by failures */
	assert_int_equal(io_read(AT_FDCWD, "/proc/self/status", SIZE_MAX, &out), 0);
	assert_non_null(strstr(out.buf, "Tgid:"));
	strbuf_init(&small, 4);
	assert_int_equal(io_read(fd, "a", 5, &small), -E2BIG);
	strbuf_release(&small);
}

static void reading_refuses(void **state)
{
	int fd = ((struct place *)*state)->fd;
	AUTO_BUF struct strbuf out = STRBUF_INIT;

	put(fd, "a", "x");
	symlinkat("a", fd, "link");
	mkdirat(fd, "dir", 0700);
	mkfifoat(fd, "fifo", 0600);
	assert_int_equal(io_read(fd, "link", 5, &out), -ELOOP);
	assert_int_equal(io_read(fd, "dir", 5, &out), -EISDIR);
	assert_int_equal(
		io_read(fd, "fifo", 5, &out), -EINVAL); /* and does not wait for a writer */
	assert_int_equal(io_read(AT_FDCWD, "/dev/zero", 5, &out), -EINVAL);
	assert_int_equal(io_open_dir(fd, "a"), -ENOTDIR);
	symlinkat("dir", fd, "dirlink");
	assert_int_equal(io_open_dir(fd, "dirlink"), -ENOTDIR);
}

/* Large enough for several reads, and with NULs. */
static void large_file(void **state)
{
	int fd = ((struct place *)*state)->fd;
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	size_t len = (size_t)32768 * 3;
	AUTO_FREE char *data = malloc(len);

	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 31 >> 3);
	assert_int_equal(io_write_durable(fd, "big", data, len, 0600), 0);
	assert_int_equal(io_read(fd, "big", len, &out), 0);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.buf, data, len);
	strbuf_reset(&out);
	assert_int_equal(io_read(fd, "big", len - 1, &out), -EFBIG);
}

static int count_entries(void *arg, const struct io_entry *entry)
{
	(*(int *)arg)++;
	return 0;
}

static void writing(void **state)
{
	int fd = ((struct place *)*state)->fd, entries = 0;
	char longest[NAME_MAX + 2];

	assert_int_equal(io_write_durable(fd, "a", "one", 3, 0640), 0);
	assert_int_equal(mode_of(fd, "a"), 0640);
	assert_int_equal(io_write_atomic(fd, "a", "two", 3, 0400), 0);
	holds(fd, "a", "two");
	assert_int_equal(mode_of(fd, "a"), 0400);
	mkdirat(fd, "d", 0700);
	assert_int_equal(io_write_durable(fd, "d/b", "", 0, 0600), 0);
	holds(fd, "d/b", "");
	memset(longest, 'x', sizeof(longest));
	memcpy(longest + NAME_MAX - 3, "日", 4);
	assert_int_equal(io_write_durable(fd, longest, "l", 1, 0600), 0);
	holds(fd, longest, "l");
	assert_int_equal(io_walk(fd, ".", 5, count_entries, &entries), 0);
	assert_int_equal(entries, 4); /* no temporaries */
	memset(longest, 'x', sizeof(longest) - 1);
	longest[NAME_MAX + 1] = '\0';
	assert_int_equal(io_write_durable(fd, longest, "l", 1, 0600), -ENAMETOOLONG);
}

static void writing_refuses(void **state)
{
	int fd = ((struct place *)*state)->fd, entries = 0;

	mkdirat(fd, "dir", 0700);
	put(fd, "target", "safe");
	symlinkat("target", fd, "link");
	assert_int_equal(io_write_durable(fd, "link", "new", 3, 0600), 0);
	holds(fd, "target", "safe"); /* the link was replaced, not followed */
	holds(fd, "link", "new");
	assert_int_equal(io_write_durable(fd, "dir", "x", 1, 0600), -EISDIR);
	assert_int_equal(io_write_durable(fd, "no/x", "x", 1, 0600), -ENOENT);
	assert_int_equal(io_write_durable(fd, "", "x", 1, 0600), -EINVAL);
	assert_int_equal(io_write_durable(fd, "..", "x", 1, 0600), -EINVAL);
	assert_int_equal(io_write_durable(fd, "dir/", "x", 1, 0600), -EINVAL);
	assert_int_equal(io_walk(fd, ".", 5, count_entries, &entries), 0);
	assert_int_equal(entries, 3);
}

static void *write_often(void *arg)
{
	char text[2] = {'a', '\0'};

	for (int i = 0; i < 200; i++) {
		text[0] = (char)('a' + i % 26);
		io_write_atomic(*(int *)arg, "shared", text, 1, 0600);
	}
	return NULL;
}

static void readers_see_whole_files(void **state)
{
	int fd = ((struct place *)*state)->fd;
	pthread_t t[2];

	put(fd, "shared", "z");
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, write_often, &fd), 0);
	for (int i = 0; i < 500; i++) {
		AUTO_BUF struct strbuf out = STRBUF_INIT;

		assert_int_equal(io_read(fd, "shared", 10, &out), 0);
		assert_int_equal(out.len, 1);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

static void mkdir_path(void **state)
{
	struct place *p = *state;
	char path[100];

	snprintf(path, sizeof(path), "%s/a//b/c/", p->path);
	assert_int_equal(io_mkdir_path(path, 0700), 0);
	assert_int_equal(io_mkdir_path(path, 0700), 0);
	assert_true(there(p->fd, "a/b/c"));
	put(p->fd, "file", "");
	snprintf(path, sizeof(path), "%s/file", p->path);
	assert_int_equal(io_mkdir_path(path, 0700), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/file/x", p->path);
	assert_int_equal(io_mkdir_path(path, 0700), -ENOTDIR);
	assert_int_equal(io_mkdir_path("", 0700), -ENOENT);
	assert_int_equal(io_mkdir_path("/", 0700), 0);
}

static void removing(void **state)
{
	int fd = ((struct place *)*state)->fd;

	mkdirat(fd, "keep", 0700);
	put(fd, "keep/file", "safe");
	mkdirat(fd, "t", 0700);
	mkdirat(fd, "t/sub", 0700);
	mkdirat(fd, "t/sub/empty", 0700);
	put(fd, "t/sub/file", "x");
	symlinkat("../../keep", fd, "t/sub/link");
	symlinkat("/", fd, "t/root");
	mkfifoat(fd, "t/fifo", 0600);
	assert_int_equal(io_remove_tree(fd, "t"), 0);
	assert_false(there(fd, "t"));
	assert_int_equal(io_remove_tree(fd, "t"), 0);
	assert_int_equal(io_remove_tree(fd, "t/not/there"), 0);
	symlinkat("keep", fd, "link");
	assert_int_equal(io_remove_tree(fd, "link"), 0);
	holds(fd, "keep/file", "safe");
	assert_int_equal(io_remove_tree(fd, "keep/file"), 0);
	assert_int_equal(io_remove_tree(fd, "."), -EINVAL);
	assert_int_equal(io_remove_tree(fd, "keep/.."), -EINVAL);
	assert_int_equal(io_remove_tree(fd, ""), -EINVAL);
}

static void removing_without_permission(void **state)
{
	int fd = ((struct place *)*state)->fd;

	mkdirat(fd, "t", 0700);
	mkdirat(fd, "t/locked", 0700);
	mkdirat(fd, "t/locked/in", 0700);
	put(fd, "t/locked/in/file", "x");
	fchmodat(fd, "t/locked/in", 0, 0);
	fchmodat(fd, "t/locked", 0, 0);
	fchmodat(fd, "t", 0500, 0);
	assert_int_equal(io_remove_tree(fd, "t"), 0);
	assert_false(there(fd, "t"));
}

/* 10,000 directories in each other; each is made through its parent's descriptor. */
static void make_deep(int dirfd, const char *name, int depth)
{
	int at = dup(dirfd);

	for (int i = 0; i < depth; i++) {
		int next;

		assert_int_equal(mkdirat(at, i ? "d" : name, 0700), 0);
		next = io_open_dir(at, i ? "d" : name);
		assert_true(next >= 0);
		if (i % 1000 == 0)
			put(next, "file", "x");
		close(at);
		at = next;
	}
	close(at);
}

static void removing_deep(void **state)
{
	int fd = ((struct place *)*state)->fd;

	make_deep(fd, "deep", 10000);
	assert_int_equal(io_remove_tree(fd, "deep"), 0);
	assert_false(there(fd, "deep"));
}

static void removing_wide(void **state)
{
	int fd = ((struct place *)*state)->fd;
	char name[40];

	mkdirat(fd, "wide", 0700);
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "wide/%d", i);
		mkdirat(fd, name, 0700);
		strcat(name, "/f");
		assert_int_equal(mknodat(fd, name, S_IFREG | 0600, 0), 0);
	}
	assert_int_equal(io_remove_tree(fd, "wide"), 0);
	assert_false(there(fd, "wide"));
}

static int record(void *arg, const struct io_entry *e)
{
	strbuf_addf(arg, "%s%s ", e->path, S_ISDIR(e->mode) ? "/" : S_ISLNK(e->mode) ? "@" : "");
	return 0;
}

static void walking(void **state)
{
	int fd = ((struct place *)*state)->fd;
	AUTO_BUF struct strbuf got = STRBUF_INIT;

	mkdirat(fd, "w", 0700);
	mkdirat(fd, "w/b", 0700);
	mkdirat(fd, "w/a", 0700);
	put(fd, "w/b/x", "12345");
	put(fd, "w/a.txt", "");
	put(fd, "w/\xff", "");
	put(fd, "w/B", "");
	symlinkat("b", fd, "w/link");
	assert_int_equal(io_walk(fd, "w", 2, record, &got), 0);
	assert_string_equal(got.buf, "B a/ a.txt b/ b/x link@ \xff ");
	assert_int_equal(io_walk(fd, "w", 1, record, &got), -ELOOP);
	assert_int_equal(io_walk(fd, "w", 0, record, &got), -EINVAL);
	assert_int_equal(io_walk(fd, "w/link", 5, record, &got), -ENOTDIR);
	assert_int_equal(io_walk(fd, "none", 5, record, &got), -ENOENT);
}

static int stop_at_b(void *arg, const struct io_entry *e)
{
	(*(int *)arg)++;
	return strcmp(e->path, "b") == 0 ? 42 : 0;
}

static int facts(void *arg, const struct io_entry *e)
{
	struct io_entry *want = arg;

	assert_int_equal(e->size, want->size);
	assert_int_equal(e->mtime_ns, want->mtime_ns);
	assert_true(S_ISREG(e->mode) && e->ino != 0);
	return 0;
}

static void walking_facts(void **state)
{
	int fd = ((struct place *)*state)->fd, seen = 0;
	struct timespec times[2] = {{1, 0}, {1234567890, 987654321}};
	struct io_entry want = {.size = 5, .mtime_ns = INT64_C(1234567890987654321)};

	mkdirat(fd, "w", 0700);
	put(fd, "w/a", "12345");
	utimensat(fd, "w/a", times, 0);
	assert_int_equal(io_walk(fd, "w", 1, facts, &want), 0);
	put(fd, "w/b", "");
	put(fd, "w/c", "");
	assert_int_equal(io_walk(fd, "w", 1, stop_at_b, &seen), 42);
	assert_int_equal(seen, 2);
}

/* Somebody deletes what the walk is about to enter. */
static int delete_dirs(void *arg, const struct io_entry *e)
{
	AUTO_BUF struct strbuf path = STRBUF_INIT;

	strbuf_addf(&path, "w/%s", e->path);
	assert_int_equal(io_remove_tree(*(int *)arg, path.buf), 0);
	if (e->path[0] == 'b')
		symlinkat("/", *(int *)arg, path.buf);
	return 0;
}

static void walking_while_it_changes(void **state)
{
	int fd = ((struct place *)*state)->fd;

	mkdirat(fd, "w", 0700);
	mkdirat(fd, "w/a", 0700);
	mkdirat(fd, "w/b", 0700);
	assert_int_equal(io_walk(fd, "w", 5, delete_dirs, &fd), 0);
}

/* Somebody moves the directory we are in: going up must not end elsewhere. */
static int move_away(void *arg, const struct io_entry *e)
{
	int fd = *(int *)arg;

	if (strcmp(e->path, "a/b/c") == 0)
		assert_int_equal(renameat(fd, "w/a/b", fd, "elsewhere"), 0);
	return 0;
}

static void walking_a_moved_tree(void **state)
{
	int fd = ((struct place *)*state)->fd;

	mkdirat(fd, "w", 0700);
	mkdirat(fd, "w/a", 0700);
	mkdirat(fd, "w/a/b", 0700);
	mkdirat(fd, "w/a/b/c", 0700);
	assert_int_equal(io_walk(fd, "w", 9, move_away, &fd), -ESTALE);
}

static void copying(void **state)
{
	int fd = ((struct place *)*state)->fd;
	AUTO_BUF struct strbuf got = STRBUF_INIT;
	char target[32] = "";
	struct stat a, b;

	mkdirat(fd, "from", 0700);
	mkdirat(fd, "from/sub", 0755);
	put(fd, "from/sub/file", "text");
	put(fd, "from/run.sh", "#!");
	fchmodat(fd, "from/run.sh", 04555, 0);
	fchmodat(fd, "from/sub/file", 0440, 0);
	symlinkat("../../etc/passwd", fd, "from/link");
	mkfifoat(fd, "from/fifo", 0600);
	assert_int_equal(io_copy_tree(fd, "from", fd, "to", NULL), 0);
	assert_int_equal(io_walk(fd, "to", 9, record, &got), 0);
	assert_string_equal(got.buf, "link@ run.sh sub/ sub/file ");
	holds(fd, "to/sub/file", "text");
	assert_int_equal(mode_of(fd, "to/run.sh"), 0755); /* no setuid */
	assert_int_equal(mode_of(fd, "to/sub/file"), 0640);
	assert_int_equal(mode_of(fd, "to/sub"), 0755);
	assert_int_equal(readlinkat(fd, "to/link", target, 31), 16);
	assert_string_equal(target, "../../etc/passwd");
	fstatat(fd, "from/sub/file", &a, 0);
	fstatat(fd, "to/sub/file", &b, 0);
	assert_memory_equal(&a.st_mtim, &b.st_mtim, sizeof(a.st_mtim));
	assert_int_not_equal(a.st_ino, b.st_ino);
}

static void copying_other_roots(void **state)
{
	int fd = ((struct place *)*state)->fd, sub;
	struct why why = {0};

	mkdirat(fd, "d", 0700);
	put(fd, "d/f", "x");
	sub = io_open_dir(fd, "d");
	assert_int_equal(io_copy_tree(sub, ".", fd, "of dot", NULL), 0);
	holds(fd, "of dot/f", "x");
	close(sub);
	assert_int_equal(io_copy_tree(fd, "d/f", fd, "file", NULL), 0);
	holds(fd, "file", "x");
	symlinkat("d", fd, "link");
	assert_int_equal(io_copy_tree(fd, "link", fd, "link2", NULL), 0);
	assert_true(S_ISLNK(mode_of(fd, "link2") | S_IFLNK) && there(fd, "link2"));
	assert_int_equal(io_copy_tree(fd, "none", fd, "x", &why), -ENOENT);
	assert_int_equal(why.err, ENOENT);
	mkfifoat(fd, "fifo", 0600);
	assert_int_equal(io_copy_tree(fd, "fifo", fd, "x", NULL), -EINVAL);
	assert_int_equal(io_copy_tree(fd, "d", fd, "file", &why), -EEXIST);
	assert_int_equal(io_copy_tree(fd, "d", fd, "of dot", &why), -EEXIST);
	assert_int_equal(io_copy_tree(fd, "d", fd, "no/x", &why), -ENOENT);
	assert_int_equal(io_copy_tree(fd, "d", fd, "..", &why), -EINVAL);
	holds(fd, "file", "x");
	holds(fd, "of dot/f", "x");
}

static void copying_sparse(void **state)
{
	int fd = ((struct place *)*state)->fd, file;
	struct stat a, b;
	char at_end[5] = "";

	mkdirat(fd, "from", 0700);
	file = openat(fd, "from/sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(pwrite(file, "head", 4, 0), 4);
	assert_int_equal(pwrite(file, "data", 4, 40 << 20), 4);
	assert_int_equal(ftruncate(file, 64 << 20), 0);
	fsync(file);
	fstat(file, &a);
	close(file);
	assert_int_equal(io_copy_tree(fd, "from", fd, "to", NULL), 0);
	file = openat(fd, "to/sparse", O_RDONLY | O_CLOEXEC);
	fsync(file);
	fstat(file, &b);
	assert_int_equal(b.st_size, 64 << 20);
	assert_true(b.st_blocks <= a.st_blocks + 256);
	assert_int_equal(pread(file, at_end, 4, 40 << 20), 4);
	assert_string_equal(at_end, "data");
	assert_int_equal(pread(file, at_end, 4, 0), 4);
	assert_string_equal(at_end, "head");
	close(file);
}

static void copying_too_deep(void **state)
{
	int fd = ((struct place *)*state)->fd;
	struct why why = {0};

	make_deep(fd, "ok", 200);
	assert_int_equal(io_copy_tree(fd, "ok", fd, "copy", &why), 0);
	make_deep(fd, "deep", 5000);
	assert_int_equal(io_copy_tree(fd, "deep", fd, "to", &why), -ELOOP);
	assert_int_equal(why.err, ELOOP);
	assert_false(there(fd, "to"));
	mkdirat(fd, "self", 0700);
	assert_int_equal(io_copy_tree(fd, "self", fd, "self/in", &why), -ELOOP);
	assert_false(there(fd, "self/in"));
}

/* While the tree is copied its files are replaced by links, moved and deleted. */
struct stirrer {
	int fd;
	bool stop;
};

static void *stir(void *arg)
{
	struct stirrer *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		renameat(s->fd, "from/d", s->fd, "from/e");
		symlinkat("/etc", s->fd, "from/d");
		unlinkat(s->fd, "from/d", 0);
		renameat(s->fd, "from/e", s->fd, "from/d");
		unlinkat(s->fd, "from/f", 0);
		symlinkat("/etc/passwd", s->fd, "from/f");
		unlinkat(s->fd, "from/f", 0);
		io_write_atomic(s->fd, "from/f", "own", 3, 0600);
	}
	return NULL;
}

static int not_foreign(void *arg, const struct io_entry *e)
{
	assert_null(strstr(e->path, "hostname"));
	if (S_ISREG(e->mode))
		assert_true(e->size <= 3); /* 0: a temporary just made */
	return 0;
}

static void copying_hostile(void **state)
{
	struct stirrer s = {.fd = ((struct place *)*state)->fd};
	pthread_t t;

	mkdirat(s.fd, "from", 0700);
	mkdirat(s.fd, "from/d", 0700);
	mkdirat(s.fd, "from/d/deeper", 0700);
	put(s.fd, "from/d/own", "own");
	put(s.fd, "from/f", "own");
	assert_int_equal(pthread_create(&t, NULL, stir, &s), 0);
	for (int i = 0; i < 100; i++) {
		int r = io_copy_tree(s.fd, "from", s.fd, "to", NULL);

		if (r == 0)
			assert_int_equal(io_walk(s.fd, "to", 9, not_foreign, NULL), 0);
		else
			assert_true(r == -ESTALE || r == -ENOENT || r == -ELOOP || r == -ENOTDIR);
		assert_int_equal(io_remove_tree(s.fd, "to"), 0);
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
}

/* Somebody fills what is being removed; the outcome is either, but it ends. */
static void *fill(void *arg)
{
	struct stirrer *s = arg;
	char name[40];

	for (int i = 0; i < 2000 && !__atomic_load_n(&s->stop, __ATOMIC_RELAXED); i++) {
		snprintf(name, sizeof(name), "t/sub/%d", i);
		mkdirat(s->fd, "t/sub", 0700);
		mkdirat(s->fd, name, 0700);
	}
	return NULL;
}

static void removing_while_it_fills(void **state)
{
	struct stirrer s = {.fd = ((struct place *)*state)->fd};
	pthread_t t;
	int r;

	mkdirat(s.fd, "t", 0700);
	assert_int_equal(pthread_create(&t, NULL, fill, &s), 0);
	do
		r = io_remove_tree(s.fd, "t");
	while (r == 0 && there(s.fd, "t"));
	assert_int_equal(r, 0);
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reading),
		TEST(reading_refuses),
		TEST(large_file),
		TEST(writing),
		TEST(writing_refuses),
		TEST(readers_see_whole_files),
		TEST(mkdir_path),
		TEST(removing),
		TEST(removing_without_permission),
		TEST(removing_deep),
		TEST(removing_wide),
		TEST(removing_while_it_fills),
		TEST(walking),
		TEST(walking_facts),
		TEST(walking_while_it_changes),
		TEST(walking_a_moved_tree),
		TEST(copying),
		TEST(copying_other_roots),
		TEST(copying_sparse),
		TEST(copying_too_deep),
		TEST(copying_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
