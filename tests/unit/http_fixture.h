/* The hostile server of http_server.py, and calls to it. */
#ifndef KEXEC_TESTS_UNIT_HTTP_FIXTURE_H
#define KEXEC_TESTS_UNIT_HTTP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/http.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "tests/unit/folder.h"

#define SECRET "Bearer do-not-tell"

static struct {
	int first, second, tls, proxy, rude, mute; /* ports */
	pid_t pid;
	int leash; /* the server ends when this does */
	struct folder folder;
	char ca[300];
	struct http *client;
} web;

/* One call and what came of it. */
struct got {
	int err;
	struct why why;
	struct http_response r;
};

static inline const char *url_at(char buf[600], int port, const char *path)
{
	snprintf(buf, 600, "http://127.0.0.1:%d%s", port, path);
	return buf;
}

static inline struct got call_with(struct http *h, struct http_request q)
{
	struct got g = {0};

	if (q.deadline_ns == 0)
		q.deadline_ns = clock_boot_ns() + 60 * NS_PER_S;
	g.err = http_call(h, &q, &g.r, &g.why);
	if (g.err) {
		const char *path = strchr(strstr(q.url, "//") + 2, '/');

		assert_int_equal(g.why.err, -g.err);
		assert_string_not_equal(g.why.text, "");
		if (strstr(g.why.text, "do-not-tell") ||
			(path && path[1] && strstr(g.why.text, path)))
			fail_msg("it tells too much: %s", g.why.text);
	}
	return g;
}

static inline struct got call_path(struct http *h, const char *method, const char *path)
{
	char url[600];

	return call_with(h, (struct http_request){.method = method,
				    .url = url_at(url, web.first, path),
				    .authorization = SECRET,
				    .body = "body",
				    .body_len = method[0] == 'P' ? 4 : 0});
}

static inline struct got get(const char *path)
{
	return call_path(web.client, "GET", path);
}

static inline void expect(struct got *g, int err, int status)
{
	if (g->err != err || g->r.status != status)
		fail_msg("%d, status %d instead of %d, %d: %s", g->err, g->r.status, err, status,
			why_text(&g->why));
}

static inline void release(struct got *g)
{
	http_response_release(&g->r);
}

/* GET or POST of a path comes to that. */
static inline void comes_to(const char *method, const char *path, int err, int status)
{
	struct got g = call_path(web.client, method, path);

	print_message("%s %s: %s\n", method, path, why_text(&g.why));
	expect(&g, err, status);
	release(&g);
}

/* What the server saw of a path; the caller frees. */
static inline char *seen(const char *path)
{
	char ask[300];
	struct got g;

	snprintf(ask, sizeof(ask), "/seen?path=%s", path);
	g = get(ask);
	expect(&g, 0, 200);
	return strbuf_detach(&g.r.body, NULL);
}

static inline void saw(const char *path, const char *words)
{
	AUTO_FREE char *text = seen(path);

	if (!strstr(text, words))
		fail_msg("\"%s\" is not in what it saw:\n%s", words, text);
}

static inline void saw_not(const char *path, const char *words)
{
	AUTO_FREE char *text = seen(path);

	if (strcasestr(text, words))
		fail_msg("\"%s\" is in what it saw:\n%s", words, text);
}

static inline struct http *client(struct http_options o)
{
	struct http *h;

	assert_int_equal(http_new(&o, &h), 0);
	return h;
}

/* ---- The server ---- */

static inline void start_server(int *leash, int *ports)
{
	char script[600];
	int in[2], out[2];

	snprintf(script, sizeof(script), "%s/tests/unit/http_server.py", getenv("KEXEC_SOURCE"));
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		abort();
	web.pid = fork();
	if (web.pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execlp("python3", "python3", script, web.folder.path, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	*leash = in[1];
	*ports = out[0];
}

static inline int server_up(void **state)
{
	FILE *ports;
	int fd, n;

	web.folder = folder_make();
	start_server(&web.leash, &fd);
	ports = fdopen(fd, "r");
	n = ports ? fscanf(ports, "%d %d %d %d %d %d", &web.first, &web.second, &web.tls,
			    &web.proxy, &web.rude, &web.mute)
		  : 0;
	if (ports)
		fclose(ports);
	snprintf(web.ca, sizeof(web.ca), "%s/cert.pem", web.folder.path);
	return n == 6 ? http_new(NULL, &web.client) : -1;
}

static inline int server_down(void **state)
{
	close(web.leash);
	waitpid(web.pid, NULL, 0);
	http_free(web.client);
	folder_finish(&web.folder);
	return 0;
}

/* The proxies of whoever runs the tests are not asked, and without Python there is no server. */
static inline bool can_run(void)
{
	static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
		"ALL_PROXY", "no_proxy", "NO_PROXY"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unsetenv(names[i]);
	signal(SIGPIPE, SIG_IGN);
	return getenv("KEXEC_SOURCE") && system("python3 -c 'import ssl' >/dev/null 2>&1") == 0;
}

#endif
