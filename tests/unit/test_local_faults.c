/* Whatever is killed or fails while a local job is started or collected: it never runs twice, nothing is lost. */
#include "tests/unit/local_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/strbuf.h"

struct fault_file {
	uint64_t count, target;
	uint32_t action, err;
	char name[64];
};

static struct fault_file *map_faults(const struct fixture *f)
{
	static char path[128]; /* the environment keeps it */
	struct fault_file *page;
	int fd;

	snprintf(path, sizeof(path), "%s/faults", f->root);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, 4096) == 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	close(fd);
	setenv("KEXEC_FAULT", path, 1);
	return page;
}

/* Executions are counted where no job can reach but by network: each connects here once. */
static int listen_here(char script[512])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 100), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(script, 512,
		"import socket\nsocket.create_connection(('127.0.0.1', %d)).close()\n"
		"open('out', 'w').write('out')\n",
		ntohs(a.sin_port));
	return fd;
}

static int executions(int listener)
{
	int n = 0, fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		n++;
		close(fd);
	}
	return n;
}

/* The daemon's part in a process of its own, which a fault may kill. */
static void in_daemon(struct fixture *f, int (*part)(struct fixture *f))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		fault_open();
		/* Threads do not survive a fork: this process opens the backend for itself. */
		if (backend_find("local")->open(&f->setup, &f->conn, NULL))
			_exit(1);
		part(f);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static int submit_part(struct fixture *f)
{
	AUTO_BUF struct strbuf id = STRBUF_INIT;

	return backend_find("local")->submit(f->conn, &f->job, soon(), &id, NULL);
}

static int fetch_part(struct fixture *f)
{
	return backend_find("local")->fetch(f->conn, &f->job, remote_id(f), soon(), NULL);
}

/* What the engine does after a doubt: ask, and submit only where it is sure that nothing happened. */
static enum job_state recover(struct fixture *f)
{
	int64_t until = soon();

	for (;;) {
		AUTO_BUF struct strbuf id = STRBUF_INIT;
		struct job_status s = {0};

		assert_int_equal(backend_find("local")->find(f->conn, &f->job, soon(), &id, &s, NULL), 0);
		if (s.state == JOB_ENDED || s.state == JOB_LOST)
			return s.state;
		assert_int_not_equal(s.state, JOB_UNKNOWN);
		if (s.state == JOB_ABSENT)
			backend_find("local")->submit(f->conn, &f->job, soon(), &id, NULL);
		if (clock_boot_ns() > until)
			fail_msg("no end after a fault");
		pause_ms(10);
	}
}

static void one_start_fault(struct fixture *f, struct fault_file *page, int listener, unsigned action)
{
	enum job_state end;
	int ran;

	in_daemon(f, submit_part);
	if (page->count < page->target) /* the supervisor's points come later */
		for (int i = 0; i < 3000 && page->count < page->target; i++) {
			struct job_status s = {0};
			AUTO_BUF struct strbuf id = STRBUF_INIT;

			backend_find("local")->find(f->conn, &f->job, soon(), &id, &s, NULL);
			if (s.state == JOB_ENDED || s.state == JOB_LOST || s.state == JOB_ABSENT)
				break;
			pause_ms(10);
		}
	end = recover(f);
	ran = executions(listener);
	if (ran > 1 || (end == JOB_ENDED && action == 1 && ran != 1))
		fail_msg("fault %llu (%s): %d executions, state %d", (unsigned long long)page->target,
			page->name, ran, end);
}

static void test_faults_of_starting(void **state)
{
	struct fixture *f = *state;
	struct fault_file *page = map_faults(f);
	char script[512];
	int listener = listen_here(script), points = 0, attempt = 100;

	write_file(f->source, "main.py", script);
	for (unsigned action = 1; action <= 2; action++) {
		bool reached = true;

		for (uint64_t target = 1; reached; target++) {
			*page = (struct fault_file){.target = target, .action = action, .err = ENOSPC};
			new_attempt(f, attempt++);
			one_start_fault(f, page, listener, action);
			reached = page->count >= target;
			points += reached;
		}
	}
	print_message("%d faults of starting\n", points);
	assert_true(points > 40);
	unsetenv("KEXEC_FAULT");
	munmap(page, 4096);
	close(listener);
}

static void test_faults_of_collecting(void **state)
{
	struct fixture *f = *state;
	struct fault_file *page;
	struct job_status s;
	bool reached = true;
	int points = 0;

	for (uint64_t target = 1; reached; target++) {
		new_attempt(f, 200 + points);
		s = run(f, "import os\nos.makedirs('a/b')\nfor i in range(5): open(f'a/b/{i}', 'w').write('x')\n"
			   "open('main.py', 'a').write('#')\n");
		assert_cause(f, &s, END_OK);
		page = map_faults(f);
		*page = (struct fault_file){.target = target, .action = 1 + target % 2, .err = EIO};
		in_daemon(f, fetch_part);
		reached = page->count >= target;
		points += reached;
		unsetenv("KEXEC_FAULT");
		munmap(page, 4096);
		fetch(f);
		assert_true(is_there(f->directory, "output/a/b/4") && is_there(f->directory, "output/main.py"));
		assert_false(is_there(f->directory, ATTEMPT_WORK) || is_there(f->directory, ATTEMPT_PART));
	}
	print_message("%d faults of collecting\n", points);
	assert_true(points >= 10);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		LOCAL_TEST(test_faults_of_starting), LOCAL_TEST(test_faults_of_collecting),
	};

	return local_main(argc, argv, "local_faults", tests, sizeof(tests) / sizeof(*tests));
}
