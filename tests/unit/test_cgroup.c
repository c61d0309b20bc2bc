/*
 * The control group of a job: what is in it dies with it, however it was detached, and nothing of it is
 * left behind. Needs a cgroup2 hierarchy in which this user may make groups; without one the cases are
 * skipped, but for the one of having none.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/local/cgroup.h"
#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "tests/unit/folder.h"

#define PATIENCE_MS 20000

struct fixture {
	struct folder attempt, other;
	struct cgroup g;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->attempt = folder_make();
	f->other = folder_make();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cgroup_kill(&f->g);
	cgroup_remove(&f->g);
	folder_finish(&f->attempt);
	folder_finish(&f->other);
	free(f);
	return 0;
}

static void make_or_skip(struct fixture *f, int64_t memory_bytes)
{
	cgroup_make(&f->g, f->attempt.fd, "7.1", memory_bytes);
	if (f->g.fd <= 0) {
		print_message("no cgroup2 hierarchy here in which groups can be made\n");
		skip();
	}
}

static bool group_exists(const struct cgroup *g, const char *name)
{
	return faccessat(g->parent, name, F_OK, 0) == 0;
}

/* Below a child in the group: a process that is nobody's child any more and leads a session of its own. It
 * holds the write end; the read end says when it, and all the others, are gone. */
static int start_detached(const struct cgroup *g, pid_t *child)
{
	int ends[2];
	char byte;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	*child = fork();
	if (*child == 0) {
		cgroup_enter(g);
		if (fork() == 0) {
			setsid();
			if (fork() == 0) {
				setsid();
				signal(SIGTERM, SIG_IGN);
				(void)!write(ends[1], "x", 1);
				for (;;)
					pause();
			}
			_exit(0);
		}
		for (;;)
			pause();
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	return ends[0];
}

/* 1: everything that held the other end has gone. */
static int all_gone(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;

	return poll(&p, 1, timeout_ms) == 1 && read(fd, &byte, 1) == 0;
}

static void assert_member(pid_t pid, const char *name, bool member)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	assert_int_equal(io_read(AT_FDCWD, path, 1 << 16, &text), 0);
	assert_int_equal(strstr(text.buf, name) != NULL, member);
}

static void kills_what_was_detached(void **state)
{
	struct fixture *f = *state;
	char name[sizeof(f->g.name)];
	pid_t child;
	int gone, parent;

	make_or_skip(f, 0);
	gone = start_detached(&f->g, &child);
	assert_member(child, f->g.name, true);
	assert_member(getpid(), f->g.name, false);
	assert_false(all_gone(gone, 0));
	cgroup_kill(&f->g);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(all_gone(gone, PATIENCE_MS));
	close(gone);

	memcpy(name, f->g.name, sizeof(name));
	parent = dup(f->g.parent);
	cgroup_remove(&f->g);
	assert_int_equal(faccessat(parent, name, F_OK, 0), -1);
	close(parent);
	cgroup_remove(&f->g); /* again is nothing */
}

/* What a killed supervisor leaves is ended by whoever knows the attempt. */
static void forgets_by_attempt(void **state)
{
	struct fixture *f = *state;
	pid_t child;
	int gone;

	make_or_skip(f, 0);
	gone = start_detached(&f->g, &child);
	cgroup_forget(f->other.fd, "7.1"); /* of another state directory */
	assert_true(group_exists(&f->g, f->g.name));
	assert_false(all_gone(gone, 0));
	cgroup_forget(f->attempt.fd, "7.1");
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(all_gone(gone, PATIENCE_MS));
	assert_false(group_exists(&f->g, f->g.name));
	cgroup_forget(f->attempt.fd, "7.1");
	close(gone);
}

static void same_id_elsewhere_is_another_group(void **state)
{
	struct fixture *f = *state;
	struct cgroup other;
	pid_t child, neighbour;
	int gone, alive;

	make_or_skip(f, 0);
	cgroup_make(&other, f->other.fd, "7.1", 0);
	assert_true(other.fd > 0);
	assert_string_not_equal(other.name, f->g.name);
	gone = start_detached(&f->g, &child);
	alive = start_detached(&other, &neighbour);
	cgroup_kill(&f->g);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(all_gone(gone, PATIENCE_MS));
	assert_int_equal(waitpid(neighbour, NULL, WNOHANG), 0);
	assert_false(all_gone(alive, 0));
	cgroup_kill(&other);
	assert_int_equal(waitpid(neighbour, NULL, 0), neighbour);
	cgroup_remove(&other);
	close(gone);
	close(alive);
}

/* With controllers the kernel was told; without them the group is there all the same. */
static void limits_where_there_are_controllers(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	make_or_skip(f, 64 << 20);
	if (f->g.limits) {
		assert_int_equal(io_read(f->g.fd, "memory.max", 100, &text), 0);
		assert_string_equal(text.buf, "67108864\n");
	} else {
		assert_int_equal(io_read(f->g.fd, "cgroup.procs", 100, &text), 0);
		assert_int_equal(text.len, 0);
	}
	assert_int_equal(cgroup_oom_kills(&f->g), 0);
}

static void having_none_does_nothing(void **state)
{
	struct cgroup none = {0}, failed;

	cgroup_make(&failed, -1, "7.1", 0); /* no such attempt */
	assert_true(failed.fd <= 0);
	cgroup_enter(&failed);
	cgroup_kill(&failed);
	cgroup_remove(&failed);
	cgroup_enter(&none);
	cgroup_kill(&none);
	assert_int_equal(cgroup_oom_kills(&none), 0);
	cgroup_remove(&none);
	cgroup_forget(-1, "7.1");
	assert_int_equal(fcntl(0, F_GETFD) < 0 && errno == EBADF, 0); /* 0 was not taken for a group */
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(kills_what_was_detached), T(forgets_by_attempt),
		T(same_id_elsewhere_is_another_group), T(limits_where_there_are_controllers),
		T(having_none_does_nothing)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
