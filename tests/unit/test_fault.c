#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/base/fault.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"

struct page {
	uint64_t count, target;
	uint32_t action, err;
	char name[64];
	char only[128];
};

static struct page *page;
static char folder[] = "/tmp/kexec-fault-XXXXXX";
static int dirfd_;

static int setup(void **state)
{
	char path[64];
	int fd;

	assert_int_equal(fault_point("before"), 0); /* unset: nothing happens */
	assert_non_null(mkdtemp(folder));
	dirfd_ = io_open_dir(AT_FDCWD, folder);
	snprintf(path, sizeof(path), "%s/fault", folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 4096), 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	setenv("KEXEC_FAULT", path, 1);
	fault_open();
	return page == MAP_FAILED;
}

static int teardown(void **state)
{
	close(dirfd_);
	return io_remove_tree(AT_FDCWD, folder);
}

static void arm(uint64_t target, uint32_t action, uint32_t err)
{
	memset(page, 0, sizeof(*page));
	page->target = target;
	page->action = action;
	page->err = err;
}

static void counts(void **state)
{
	arm(2, 0, 0);
	assert_int_equal(fault_point("one"), 0);
	assert_int_equal(fault_point("two"), 0);
	assert_int_equal(fault_point("three"), 0);
	assert_int_equal(page->count, 3);
	assert_string_equal(page->name, "two");
}

static void counts_what_is_meant(void **state)
{
	arm(2, 2, ENOSPC);
	strcpy(page->only, "store. io.");
	assert_int_equal(fault_point("request.read"), 0);
	assert_int_equal(fault_point("io.write"), 0);
	assert_int_equal(fault_point("storehouse"), 0);
	assert_int_equal(page->count, 1);
	assert_int_equal(fault_point("store.commit"), -ENOSPC);
	assert_string_equal(page->name, "store.commit");
}

static void fails_once(void **state)
{
	arm(2, 2, ENOSPC);
	assert_int_equal(fault_point("a"), 0);
	assert_int_equal(fault_point("b"), -ENOSPC);
	assert_int_equal(fault_point("c"), 0);
	arm(1, 2, 0);
	assert_int_equal(fault_point("no errno given"), -EIO);
	arm(1, 2, 0xffffffff);
	assert_int_equal(
		fault_point("a very long name, longer than the sixty-four bytes that are there"),
		-EIO);
	assert_int_equal(strlen(page->name), 63);
}

/* The count is one for all processes. */
static void kills(void **state)
{
	int status;
	pid_t pid;

	arm(3, 1, 0);
	fault_point("parent");
	pid = fork();
	if (pid == 0) {
		fault_point("child 1");
		fault_point("child 2");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_string_equal(page->name, "child 2");
}

static void many_processes_one_hit(void **state)
{
	int hits = 0;

	arm(4000, 2, EIO);
	for (int i = 0; i < 8; i++)
		if (fork() == 0) {
			int hit = 0;

			for (int k = 0; k < 1000; k++)
				hit += fault_point("step") != 0;
			_exit(hit);
		}
	for (int i = 0; i < 8; i++) {
		int status;

		wait(&status);
		hits += WEXITSTATUS(status);
	}
	assert_int_equal(hits, 1);
	assert_int_equal(page->count, 8000);
}

static void content(const char *want)
{
	struct strbuf out = STRBUF_INIT;

	assert_int_equal(io_read(dirfd_, "file", 100, &out), 0);
	assert_string_equal(out.buf, want);
	strbuf_release(&out);
}

static int count_entry(void *arg, const struct io_entry *entry)
{
	*(int *)arg += strcmp(entry->path, "file") == 0    ? 1
		       : strcmp(entry->path, "fault") == 0 ? 0
							   : 100;
	return 0;
}

/* Every step of a durable write fails in turn: the file is the old or the new one, never between,
 * and no temporary is left. */
static void durable_write_fails(void **state)
{
	static const char *const steps[] = {"io.write", "io.fsync", "io.rename", "io.fsyncdir"};

	for (uint64_t i = 0; i < 4; i++) {
		int entries = 0;

		arm(0, 0, 0);
		assert_int_equal(io_write_durable(dirfd_, "file", "old", 3, 0600), 0);
		assert_int_equal(page->count, 4);
		arm(i + 1, 2, ENOSPC);
		assert_int_equal(io_write_durable(dirfd_, "file", "new", 3, 0600), -ENOSPC);
		assert_string_equal(page->name, steps[i]);
		content(i < 3 ? "old" : "new");
		assert_int_equal(io_walk(dirfd_, ".", 1, count_entry, &entries), 0);
		assert_int_equal(entries, 1);
	}
}

static void durable_write_killed(void **state)
{
	for (uint64_t i = 0; i < 4; i++) {
		int status;
		pid_t pid;

		arm(0, 0, 0);
		assert_int_equal(io_write_durable(dirfd_, "file", "old", 3, 0600), 0);
		arm(i + 1, 1, 0);
		pid = fork();
		if (pid == 0)
			_exit(io_write_durable(dirfd_, "file", "new", 3, 0600) != 0);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		content(i < 3 ? "old" : "new");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts), cmocka_unit_test(counts_what_is_meant),
		cmocka_unit_test(fails_once),
		cmocka_unit_test(kills),
		cmocka_unit_test(many_processes_one_hit),
		cmocka_unit_test(durable_write_fails),
		cmocka_unit_test(durable_write_killed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
