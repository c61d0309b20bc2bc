/*
 * Death and failure at every durable step: a child works, is killed at fault point 1, 2, 3 … (or that
 * step fails), and another one takes over. Whatever happened where, each run was executed exactly once
 * and is complete, and nothing is left over.
 */
#include "tests/unit/engine_fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "fs/base/cleanup.h"
#include "fs/base/fault.h"

#define RUNS_MAX   3
#define POINTS_MAX 400

struct fault_page {
	uint64_t count, target;
	uint32_t action, err;
	char name[64];
};

static struct fault_page *open_page(struct fixture *f, char path[300])
{
	struct fault_page *page;
	int fd;

	snprintf(path, 300, "%.200s/fault", f->folder.path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 4096), 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	close(fd);
	return page;
}

static void folder_name(int i, char out[16])
{
	snprintf(out, 16, "nb%d", i);
}

/* As the mount would: what is not there yet is made, what is not submitted yet is submitted. */
static int work_once(struct fixture *f, int i, int64_t *id)
{
	char name[16], path[ENGINE_PATH_MAX + 20];
	int rc, fd;

	folder_name(i, name);
	if (engine_find(f->engine, PLACE_RUNS, name, id)) {
		rc = engine_draft_make(f->engine, 0, name, id);
		if (rc)
			return rc;
	}
	if (state_of(f, *id) != RUN_DRAFT)
		return 0;
	engine_source_path(path, *id);
	strcat(path, "/main.py");
	fd = openat(f->state_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "print(1)\n", 9) != 9)
		_exit(9);
	close(fd);
	return engine_submit(f->engine, *id, NULL);
}

/* Until every run has ended. A failed call is made again, as a user would. */
static void work(struct fixture *f, int runs)
{
	int64_t ids[RUNS_MAX];

	for (int i = 0; i < runs; i++) {
		for (int n = 0; work_once(f, i, &ids[i]); n++) {
			if (n > 20)
				_exit(8);
		}
	}
	for (int i = 0; i < runs; i++)
		WAIT_FOR(f, run_state_final(state_of(f, ids[i])));
	while (engine_draft_make(f->engine, 0, "dropped", &ids[0]) == -ENOSPC)
		;
	if (engine_find_draft(f->engine, "dropped", &ids[0]) == 0) {
		while (engine_draft_drop(f->engine, 0, ids[0]) == -ENOSPC)
			;
	}
	WAIT_FOR(f, !state_file(f, ids[0], "."));
}

/* In a child process, so that it can die. Its exit status: 0 done, or how it was killed. */
static int in_child(struct fixture *f, int runs)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		fault_open();
		while (fixture_start(f)) /* a failed start is tried again */
			;
		work(f, runs);
		fixture_stop(f);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_done(struct fixture *f, int runs, int point, const char *name)
{
	assert_int_equal(fixture_start(f), 0);
	for (int i = 0; i < runs; i++) {
		char folder[16];
		int64_t id;

		folder_name(i, folder);
		assert_int_equal(engine_find(f->engine, PLACE_RUNS, folder, &id), 0);
		if (state_of(f, id) != RUN_COMPLETE || executions(f, id) != 1) {
			print_status(f, id);
			fail_msg("point %d (%s): run %d executed %d times", point, name, i,
				executions(f, id));
		}
		assert_int_equal(engine_attempt_count(f->engine, id), 1);
		assert_true(state_file(f, id, "report.md"));
		assert_true(state_file(f, id, "attempts/1/output/result.txt"));
	}
	fixture_stop(f);
}

/* One round with the fault at `point`; false when there is no such point any more. */
static bool round_at(int runs, int point, uint32_t action, uint32_t err)
{
	struct fixture f;
	struct fault_page *page;
	char path[300], name[64];
	bool met;
	int status;

	fixture_init(&f);
	page = open_page(&f, path);
	page->target = (uint64_t)point;
	page->action = action;
	page->err = err;
	setenv("KEXEC_FAULT", path, 1);
	status = in_child(&f, runs);
	met = page->count >= (uint64_t)point;
	snprintf(name, sizeof(name), "%s", page->name);
	unsetenv("KEXEC_FAULT");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && action == 1)
		status = in_child(&f, runs);
	if (status)
		fail_msg("point %d (%s): the child ended with %x", point, name, (unsigned)status);
	assert_done(&f, runs, point, name);
	munmap(page, 4096);
	fixture_finish(&f);
	return met;
}

static void killed_everywhere(void **state)
{
	int point = 1;

	while (point < POINTS_MAX && round_at(RUNS_MAX, point, 1, 0))
		point++;
	print_message("killed at %d points\n", point - 1);
	assert_in_range(point, 20, POINTS_MAX - 1);
}

static void full_disk_everywhere(void **state)
{
	int point = 1;

	while (point < POINTS_MAX && round_at(1, point, 2, ENOSPC))
		point++;
	print_message("failed at %d points\n", point - 1);
	assert_in_range(point, 20, POINTS_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_everywhere), cmocka_unit_test(full_disk_everywhere)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
