/* The fake Kaggle service as a process of a test, and the surroundings of a client that uses it. */
#ifndef KEXEC_TESTS_FAKE_KAGGLE_H
#define KEXEC_TESTS_FAKE_KAGGLE_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/base/clock.h"
#include "fs/base/http.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/log.h"
#include "fs/base/strbuf.h"

#define ALICE_TOKEN   "KGAT_0123456789abcdef0123456789abcdef"
#define ALICE_KEY     "0123456789abcdef0123456789abcdef"
#define ALICE_REFRESH "refresh-alice-1"

struct fake {
	pid_t pid;
	int port;
	char home[64]; /* HOME of the client: a fresh folder */
	int homefd;
	struct log *log; /* home/log */
	struct http *http;
};

static inline void fake_fail(const char *what)
{
	fail_msg("%s", what);
}

static inline int fake_read_port(int fd)
{
	char line[32] = "";
	size_t len = 0;
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (len < sizeof(line) - 1 && !strchr(line, '\n') && poll(&p, 1, 60000) > 0) {
		ssize_t n = read(fd, line + len, sizeof(line) - 1 - len);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return atoi(line);
}

static inline void fake_run(struct fake *f)
{
	const char *source = getenv("KEXEC_SOURCE");
	char program[4096];
	int out[2];

	snprintf(program, sizeof(program), "%s/tests/clouds/kaggle/main.py", source ? source : ".");
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	f->pid = fork();
	if (f->pid == 0) {
		dup2(out[1], 1);
		execlp("python3", "python3", program, "--with-parent", NULL);
		_exit(127);
	}
	close(out[1]);
	f->port = fake_read_port(out[0]);
	close(out[0]);
	if (f->port <= 0)
		fake_fail("the fake service did not start");
}

static inline void fake_surroundings(struct fake *f)
{
	static const char *const names[] = {"KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY",
		"KAGGLE_CONFIG_DIR", "KAGGLE_API_ENVIRONMENT", "KAGGLE_KERNEL_RUN_TYPE", "XDG_CONFIG_HOME",
		"KEXEC_KAGGLE_URL", "http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY",
		"no_proxy", "NO_PROXY", "KAGGLE_API_V1_TOKEN"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	snprintf(f->home, sizeof(f->home), "/tmp/kexec-kaggle.XXXXXX");
	assert_non_null(mkdtemp(f->home));
	setenv("HOME", f->home, 1);
	f->homefd = open(f->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->homefd >= 0);
	assert_int_equal(log_open(f->homefd, "log", &f->log), 0);
}

static inline void fake_start(struct fake *f)
{
	char url[64];

	*f = (struct fake){0};
	fake_surroundings(f);
	fake_run(f);
	assert_int_equal(http_new(NULL, &f->http), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/api/v1", f->port);
	setenv("KEXEC_KAGGLE_URL", url, 1);
	setenv("KAGGLE_API_TOKEN", ALICE_TOKEN, 1);
}

static inline void fake_leave(struct fake *f)
{
	log_close(f->log);
	close(f->homefd);
	io_remove_tree(AT_FDCWD, f->home);
}

static inline void fake_end(struct fake *f)
{
	http_free(f->http);
	kill(f->pid, SIGTERM);
	waitpid(f->pid, NULL, 0);
	fake_leave(f);
}

/* POST (body) or GET (NULL) of its control paths; the answer is the caller's. */
static inline struct json *fake_ask(const struct fake *f, const char *path, const char *body)
{
	char url[128];
	struct http_response r = {0};
	struct http_request q = {.method = body ? "POST" : "GET", .url = url, .body = body,
		.body_len = body ? strlen(body) : 0, .deadline_ns = clock_boot_ns() + 60 * NS_PER_S};
	struct json *j;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", f->port, path);
	assert_int_equal(http_call(f->http, &q, &r, NULL), 0);
	if (r.status != 200)
		fail_msg("%s: %d %s", path, r.status, r.body.buf);
	j = json_parse(r.body.buf, r.body.len, r.body.len, NULL);
	assert_non_null(j);
	http_response_release(&r);
	return j;
}

static inline void fake_script(const struct fake *f, const char *script)
{
	json_free(fake_ask(f, "/_fake/script", script));
}

/* How many requests of this method came since the log was last reset. */
static inline int fake_calls(const struct fake *f, const char *method)
{
	struct json *log = fake_ask(f, "/_fake/log", NULL);
	int n = 0;

	for (const struct json *c = json_first(json_get(log, "requests")); c; c = json_next(c))
		n += json_text(json_get(c, "call")) && strcmp(json_text(json_get(c, "call")), method) == 0;
	json_free(log);
	return n;
}

static inline int fake_effects(const struct fake *f, const char *effect)
{
	struct json *log = fake_ask(f, "/_fake/log", NULL);
	int n = 0;

	for (const struct json *c = json_first(json_get(log, "effects")); c; c = json_next(c))
		n += strcmp(json_text(json_get(c, "effect")), effect) == 0;
	json_free(log);
	return n;
}

static inline void fake_no_leaks(const struct fake *f)
{
	struct json *view = fake_ask(f, "/_fake/leaks", NULL);

	if (json_count(json_get(view, "leaks")) > 0)
		fail_msg("leak: %s", json_text(json_get(json_first(json_get(view, "leaks")), "what")));
	json_free(view);
}

static inline int64_t in_seconds(int n)
{
	return clock_boot_ns() + n * NS_PER_S;
}

#endif
