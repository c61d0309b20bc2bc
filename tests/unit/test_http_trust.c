/* The HTTP client: who is told what; redirects, certificates, proxies, kept connections, threads.
 */
#include <dirent.h>
#include <pthread.h>
#include <sys/socket.h>

#include "tests/unit/http_fixture.h"

/* ---- Redirects ---- */

/* GET of /to?url=URL, followed. */
static struct got redirected(const char *method, int code, const char *url)
{
	AUTO_BUF struct strbuf path = STRBUF_INIT;
	static const char *const headers[] = {"X-Api-Key: do-not-tell-either",
		"Accept: text/x-test", "Content-Type: application/json", NULL};
	char from[3000];

	strbuf_addf(&path, "http://127.0.0.1:%d/to?code=%d&url=", web.first, code);
	http_escape(&path, url);
	snprintf(from, sizeof(from), "%s", path.buf);
	return call_with(web.client, (struct http_request){.method = method,
					     .url = from,
					     .authorization = SECRET,
					     .headers = headers,
					     .body = "body",
					     .body_len = method[0] == 'P' ? 4 : 0,
					     .follow = true});
}

static void test_redirect_here(void **state)
{
	struct got g = redirected("GET", 302, "/ok?way=here");

	expect(&g, 0, 200);
	assert_non_null(strstr(g.r.url, "/ok?way=here"));
	assert_string_equal(g.r.location, "");
	assert_string_equal(g.r.body.buf, "hello");
	release(&g);
	saw("/ok", "GET /ok?way=here ");
	saw("/ok", SECRET);
	saw("/ok", "do-not-tell-either");
}

static void test_redirect_elsewhere(void **state)
{
	char url[600], back[600];
	struct got g = redirected("GET", 302, url_at(url, web.second, "/interim"));

	expect(&g, 0, 200);
	release(&g);
	saw("/interim", "second GET");
	saw("/interim", "Accept: text/x-test");
	saw_not("/interim", "Authorization");
	saw_not("/interim", "do-not-tell");
	/* Away and back again: who stands between could choose what is asked here. */
	snprintf(back, sizeof(back), "http://127.0.0.1:%d/to?url=http%%3A//127.0.0.1:%d/chunked",
		web.second, web.first);
	g = redirected("GET", 307, back);
	expect(&g, 0, 200);
	release(&g);
	saw("/chunked", "first GET");
	saw_not("/chunked", "Authorization");
	saw_not("/chunked", "do-not-tell");
	/* Another name of the same address is another origin. */
	snprintf(url, sizeof(url), "http://localhost:%d/lying", web.first);
	g = redirected("GET", 302, url);
	expect(&g, 0, 200);
	release(&g);
	saw("/lying", "first GET");
	saw_not("/lying", "Authorization");
}

static void test_redirect_after_post(void **state)
{
	struct got g = redirected("POST", 302, "/html");

	expect(&g, 0, 502);
	release(&g);
	saw("/html", "first GET /html");
	saw("/html", "count 1\n");
	saw("/html", "= 0 bytes");
	saw_not("/html", "Content-Type");
	saw_not("/html", "Content-Length");
	g = redirected("POST", 307, "/created"); /* would send the body again */
	expect(&g, 0, 307);
	assert_non_null(strstr(g.r.location, "/created"));
	assert_non_null(strstr(g.r.url, "/to?code=307"));
	release(&g);
	saw("/created", "count 0\n");
	/* It was answered; that what follows cannot be had does not make it safe to send again. */
	g = redirected("POST", 303, "http://127.0.0.1:1/x");
	expect(&g, -EPIPE, 303);
	release(&g);
	g = redirected("POST", 303, "/half-head");
	expect(&g, -EPIPE, 303);
	release(&g);
	g = redirected("GET", 303, "http://127.0.0.1:1/x");
	expect(&g, -EAGAIN, 303);
	release(&g);
}

static void test_redirect_refused(void **state)
{
	static const char *const urls[] = {"file:///etc/passwd", "http://192.0.2.1/x",
		"ftp://127.0.0.1/x", "http://user:secret@127.0.0.1/",
		"http://localhost.example.com/", "gopher://127.0.0.1:70/x"};

	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		struct got g = redirected("GET", 302, urls[i]);

		expect(&g, -EACCES, 302);
		assert_int_equal(g.r.body.len, 0);
		assert_null(strstr(g.why.text, "passwd"));
		release(&g);
	}
}

static void test_redirect_bounds(void **state)
{
	char url[600];
	struct http_request q = {.method = "GET", .follow = true};
	struct got g;

	q.url = url_at(url, web.first, "/loop");
	g = call_with(web.client, q);
	expect(&g, 0, 302);
	assert_non_null(strstr(g.r.location, "/loop"));
	release(&g);
	saw("/loop", "count 6\n");
	q.url = url_at(url, web.first, "/endless-redirect");
	g = call_with(web.client, q);
	expect(&g, 0, 200);
	assert_string_equal(g.r.body.buf, "hello");
	release(&g);
	q.follow = false;
	q.url = url_at(url, web.first, "/to?url=/ok%3Fa%20b");
	g = call_with(web.client, q);
	expect(&g, 0, 302);
	assert_non_null(strstr(g.r.location, "/ok?a"));
	assert_null(strchr(g.r.location, ' '));
	assert_string_equal(g.r.body.buf, "see there");
	release(&g);
}

/* ---- TLS ---- */

static void test_tls(void **state)
{
	struct http *h;
	struct got g;
	char url[600];

	if (!web.tls)
		skip(); /* there is no openssl to make a certificate */
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/big?size=7", web.tls);
	g = call_with(web.client,
		(struct http_request){.method = "POST", .url = url, .authorization = SECRET});
	expect(&g, -EACCES, 0);
	assert_false(g.r.sent);
	release(&g);
	saw("/big", "count 0\n");
	h = client((struct http_options){.ca_file = web.ca});
	g = call_with(
		h, (struct http_request){.method = "POST", .url = url, .authorization = SECRET});
	expect(&g, 0, 200);
	assert_string_equal(g.r.body.buf, "0123456");
	release(&g);
	saw("/big", "tls POST");
	snprintf(url, sizeof(url), "https://127.0.0.2:%d/ok",
		web.tls); /* not in the certificate, nor there */
	g = call_with(h, (struct http_request){.method = "GET", .url = url});
	assert_true(g.err == -EAGAIN || g.err == -EACCES);
	release(&g);
	http_free(h);
	assert_int_equal(http_new(&(struct http_options){.ca_file = "/no/such/file"}, &h), -ENOENT);
	assert_null(h);
}

/* From TLS to plain, both here: another scheme is another origin. */
static void test_tls_to_plain(void **state)
{
	struct http *h;
	struct got g;
	char url[600];

	if (!web.tls)
		skip();
	h = client((struct http_options){.ca_file = web.ca});
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/to?url=http%%3A//127.0.0.1:%d/gzip",
		web.tls, web.first);
	g = call_with(
		h, (struct http_request){
			   .method = "GET", .url = url, .authorization = SECRET, .follow = true});
	expect(&g, 0, 200);
	release(&g);
	saw("/gzip", "first GET");
	saw_not("/gzip", "Authorization");
	http_free(h);
}

/* ---- Proxies ---- */

static void proxied(const char *url, int err, int status)
{
	struct got g = call_with(web.client,
		(struct http_request){.method = "GET", .url = url, .authorization = SECRET});

	expect(&g, err, status);
	if (err == 0)
		assert_string_equal(g.r.body.buf, "proxied");
	assert_true(err == 0 || !g.r.sent);
	release(&g);
}

static void test_proxy(void **state)
{
	char proxy[100], url[600];

	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", web.proxy);
	setenv("http_proxy", proxy, 1);
	setenv("https_proxy", proxy, 1);
	proxied("http://localhost:9/through", 0, 200);
	proxied("https://example.com/tunnel", -EAGAIN, 0); /* it refuses to CONNECT */
	setenv("http_proxy", "http://192.0.2.1:3128", 1);
	proxied("http://localhost:9/elsewhere", -EACCES, 0);
	setenv("http_proxy", "socks5h://192.0.2.1:1080", 1);
	proxied("http://localhost:9/elsewhere", -EACCES, 0);
	setenv("no_proxy", "127.0.0.1", 1);
	struct got g = call_with(web.client,
		(struct http_request){.method = "GET", .url = url_at(url, web.first, "/stranger")});
	expect(&g, 0, 404);
	release(&g);
	unsetenv("http_proxy");
	unsetenv("https_proxy");
	unsetenv("no_proxy");
	saw("http://localhost:9/through", "proxy GET");
	saw("example.com:443", "proxy CONNECT");
	saw_not("example.com:443", "Authorization");
}

/* ---- Connections ---- */

static int connection_of(const char *path)
{
	AUTO_FREE char *text = seen(path);
	const char *last = NULL;

	for (const char *at = text; (at = strstr(at, " connection ")); at++)
		last = at;
	return last ? (int)strtol(last + strlen(" connection "), NULL, 10) : -1;
}

static void test_kept(void **state)
{
	struct http *h = client((struct http_options){.connect_ns = 0});
	struct got g = call_path(h, "GET", "/kept-1");
	int one;

	release(&g);
	one = connection_of("/kept-1");
	g = call_path(h, "GET", "/kept-2");
	release(&g);
	assert_int_equal(connection_of("/kept-2"), one);
	http_free(h);
}

/* The server ends a kept connection just when the next request comes in. */
static void test_dead_connection(void **state)
{
	struct http *h = client((struct http_options){.connect_ns = 0});
	struct got g = call_path(h, "GET", "/dies");

	release(&g);
	g = call_path(h, "GET", "/after-dead-get");
	expect(&g, 0, 404);
	release(&g);
	saw("/after-dead-get", "count 2\n"); /* so that is what happens to a GET, */
	g = call_path(h, "GET", "/dies");
	release(&g);
	g = call_path(h, "POST", "/after-dead-post");
	expect(&g, 0, 404);
	release(&g);
	saw("/after-dead-post", "count 1\n"); /* and never to these */
	g = call_path(h, "GET", "/dies");
	release(&g);
	g = call_path(h, "DELETE", "/after-dead-delete");
	expect(&g, 0, 404);
	release(&g);
	saw("/after-dead-delete", "count 1\n");
	http_free(h);
}

static void test_no_leaked_sockets(void **state)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *e;
	int sockets = 0;
	struct got g = get("/kept-open");

	release(&g);
	while ((e = readdir(dir))) {
		struct sockaddr_storage name = {0};
		socklen_t len = sizeof(name);
		int fd = (int)strtol(e->d_name, NULL, 10);

		if (getsockname(fd, (struct sockaddr *)&name, &len) || name.ss_family != AF_INET)
			continue;
		sockets++;
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	assert_true(sockets > 0);
	closedir(dir);
}

/* ---- Threads ---- */

static bool one_of_each(int i)
{
	static const struct {
		const char *method, *path;
		int err, status;
		size_t len;
	} kinds[] = {{"GET", "/ok", 0, 200, 5}, {"POST", "/echo", 0, 200, 15},
		{"GET", "/big?size=300000", 0, 200, 300000}, {"GET", "/short", -EPIPE, 200, 10},
		{"POST", "/reset", -EUCLEAN, 0, 0}, {"PUT", "/resume", 0, 308, 0}};
	struct http_response out;
	char url[600];
	size_t k = (size_t)i % (sizeof(kinds) / sizeof(*kinds));
	bool posts = kinds[k].method[0] == 'P', good;
	int r;

	url_at(url, web.first, kinds[k].path);
	r = http_call(web.client,
		&(struct http_request){.method = kinds[k].method,
			.url = url,
			.authorization = SECRET,
			.body = posts ? "body" : NULL,
			.body_len = posts ? 4 : 0,
			.deadline_ns = INT64_MAX},
		&out, NULL);
	good = r == kinds[k].err && out.status == kinds[k].status && out.body.len == kinds[k].len;
	http_response_release(&out);
	return good;
}

static void *many(void *arg)
{
	size_t good = 0;

	for (int i = 0; i < 24; i++)
		good += one_of_each(i);
	return (void *)good;
}

static void test_threads(void **state)
{
	pthread_t threads[8];

	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, many, NULL), 0);
	for (int i = 0; i < 8; i++) {
		void *good;

		pthread_join(threads[i], &good);
		assert_int_equal((size_t)good, 24);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_redirect_here),
		cmocka_unit_test(test_redirect_elsewhere),
		cmocka_unit_test(test_redirect_after_post),
		cmocka_unit_test(test_redirect_refused),
		cmocka_unit_test(test_redirect_bounds),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_tls_to_plain),
		cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_dead_connection),
		cmocka_unit_test(test_no_leaked_sockets),
		cmocka_unit_test(test_threads),
	};

	if (!can_run()) {
		printf("1..0 # SKIP python3 with ssl is needed for the server\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, server_up, server_down);
}
