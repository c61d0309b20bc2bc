/* The local backend: its service is this machine, and this program its supervisor. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/local/attempt.h"
#include "backends/local/pump.h"
#include "backends/local/supervise.h"
#include "fs/base/cleanup.h"
#include "fs/engine/config.h"
#include "tests/contract/contract.h"

/* Executions are counted where no job can reach but by network: each connects here once. */
struct service {
	struct config config;
	int listener, port, executions, lock;
};

static int listen_here(int *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 100) < 0 ||
		getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return -errno;
	*port = ntohs(a.sin_port);
	return fd;
}

static int start(const char *root, struct backend_setup *setup, void **out)
{
	struct service *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->lock = -1;
	s->listener = listen_here(&s->port);
	setup->config = &s->config;
	*out = s;
	return s->listener < 0 ? s->listener : 0;
}

static void stop(void *service)
{
	struct service *s = service;

	close(s->listener);
	free(s);
}

static int executions(void *service)
{
	struct service *s = service;

	for (int fd; (fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0; close(fd))
		s->executions++;
	return s->executions;
}

static const char *const scripts[] = {
	[CONTRACT_WRITES] = "for i in range(200): print('line', i)\n"
			    "import os; os.mkdir('sub')\n"
			    "open('out.txt', 'w').write('forty-two\\n')\n"
			    "open('sub/deep.txt', 'w').write('deep\\n')\n"
			    "open('pattern.bin', 'wb').write(bytes(i % 251 for i in range(100000)))\n",
	[CONTRACT_FAILS] = "print('before'); open('partial.txt', 'w').write('partial\\n')\n"
			   "import sys; sys.exit(3)\n",
	[CONTRACT_DIES] = "import os; os.kill(os.getpid(), 11)\n",
	[CONTRACT_HANGS] = "print('up', flush=True); open('partial.txt', 'w').write('partial\\n')\n"
			   "import time; time.sleep(600)\n",
	[CONTRACT_FLOODS] = "print('first', flush=True)\nimport os\nb = b'y\\n' * 500000\n"
			    "for i in range(200): os.write(1, b)\nprint('the end')\n",
};

static bool make_job(void *service, enum contract_kind kind, const char *source, struct job *job)
{
	const struct service *s = service;
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/main.py", source);
	f = fopen(path, "we");
	if (!f)
		return false;
	fprintf(f, "import socket\nsocket.create_connection(('127.0.0.1', %d)).close()\n%s", s->port,
		scripts[kind]);
	job->kind = "script";
	job->main = "main.py";
	return fclose(f) == 0;
}

/* As if another thread were in the middle of submit(): the attempt is locked, and nothing else is there. */
static void doubt(void *service, const struct job *job, bool on)
{
	struct service *s = service;
	AUTO_FD int dirfd = open(job->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (on)
		s->lock = attempt_lock(dirfd);
	else if (s->lock >= 0)
		close(s->lock);
}

/* Its supervisor holds the lock until it is gone. */
static bool settled(void *service, const struct job *job)
{
	AUTO_FD int dirfd = open(job->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return dirfd >= 0 && attempt_locked(dirfd) == 0;
}

int main(int argc, char **argv)
{
	const struct contract_backend local = {
		.vt = backend_find("local"),
		.start = start,
		.stop = stop,
		.make_job = make_job,
		.executions = executions,
		.doubt = doubt,
		.settled = settled,
		.knows_exit = true,
		.log_max = PUMP_HEAD + PUMP_TAIL + 1000,
	};

	if (argc > 1 && !strcmp(argv[1], "--supervise"))
		return supervise_main(argc, argv);
	return contract_main(&local, argc, argv);
}
