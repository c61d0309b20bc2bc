/*
 * The Kaggle backend: its service is the fake of tests/clouds/kaggle, one process for all cases, in which
 * each case has a user of its own, who has nothing yet.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "backends/kaggle/record.h"
#include "backends/local/pump.h"
#include "fs/base/cleanup.h"
#include "fs/engine/config.h"
#include "tests/contract/contract.h"
#include "tests/unit/fake_kaggle.h"

/* Nothing is queued for long, and a push whose answer was lost is seen within a second or never. */
#define BEHAVIOUR \
	"{\"reset\": [\"log\", \"faults\", \"runs\", \"modes\"], \"modes\": {\"sandbox\": \"none\"}," \
	"\"default_run\": {\"queue_seconds\": 0, \"cancel_seconds\": 0.1}," \
	"\"users\": {\"user%d\": {\"id\": %d, \"name\": \"User\", \"token\": \"KGAT_%032d\"}}}"
#define SETTINGS "{\"kaggle\": {\"doubt_seconds\": 1}}"

static struct fake fake;

struct service {
	struct config config;
	int user;
};

static int start(const char *root, struct backend_setup *setup, void **out)
{
	static int users = 100;
	struct service *s = calloc(1, sizeof(*s));
	char text[600];

	if (!s)
		return -ENOMEM;
	if (!fake.pid)
		fake_start(&fake);
	s->user = ++users;
	snprintf(text, sizeof(text), BEHAVIOUR, s->user, s->user, s->user);
	fake_script(&fake, text);
	snprintf(text, sizeof(text), "KGAT_%032d", s->user);
	setenv("KAGGLE_API_TOKEN", text, 1);
	s->config.backends = json_parse(SETTINGS, strlen(SETTINGS), 1000, NULL);
	setup->config = &s->config;
	*out = s;
	return s->config.backends ? 0 : -ENOMEM;
}

static void stop(void *service)
{
	struct service *s = service;

	json_free(s->config.backends);
	free(s);
}

/* A push that was accepted is executed, so they are counted: also one that nobody would ever look at. */
static int executions(void *service)
{
	return fake_effects(&fake, "push");
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
};

/* No flood: the fake keeps every line of a log in memory, as an object. */
static bool make_job(void *service, enum contract_kind kind, const char *source, struct job *job)
{
	char path[300];

	if (kind == CONTRACT_FLOODS)
		return false;
	snprintf(path, sizeof(path), "%s/main.py", source);
	job->kind = "script";
	job->main = "main.py";
	return io_write_atomic(AT_FDCWD, path, scripts[kind], strlen(scripts[kind]), 0644) == 0;
}

/* A push was announced, of which Kaggle shows nothing: first just now, then for longer than any doubt. */
static void doubt(void *service, const struct job *job, bool on)
{
	const struct service *s = service;
	AUTO_FD int dirfd = open(job->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct kaggle_record r;
	char slug[64];

	record_init(&r);
	if (on) {
		snprintf(slug, sizeof(slug), "user%d/nothing-there", s->user);
		r.slug = strdup(slug);
		r.token = strdup(job->token);
		r.intended = true;
		r.pushed = stamp_now();
	} else {
		assert_int_equal(record_read(dirfd, &r), 0);
		r.pushed.boot_ns -= 60 * NS_PER_S;
	}
	assert_int_equal(record_write(dirfd, &r), 0);
	record_release(&r);
}

/* Files are brought into scratch and renamed when they are whole. */
static bool leave_piece(void *service, const struct job *job)
{
	AUTO_FD int dirfd = open(job->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(mkdirat(dirfd, "scratch", 0700) == 0 || errno == EEXIST);
	assert_int_equal(io_write_atomic(dirfd, "scratch/.0123456789abcdef.part", "half", 4, 0600), 0);
	return true;
}

int main(int argc, char **argv)
{
	const struct contract_backend kaggle = {
		.vt = backend_find("kaggle"),
		.start = start,
		.stop = stop,
		.make_job = make_job,
		.executions = executions,
		.doubt = doubt,
		.leave_piece = leave_piece,
		.cancel_works = true,
		.log_max = PUMP_HEAD + PUMP_TAIL + 1000,
	};
	int failed = contract_main(&kaggle, argc, argv);

	if (fake.pid)
		fake_end(&fake);
	return failed;
}
