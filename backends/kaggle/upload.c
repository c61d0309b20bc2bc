/* Files to signed URLs: resumable sessions of the storage. After any doubt it is asked how much it has. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/kaggle/rpc.h"
#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define IDLE_ROUNDS_MAX 10 /* answers that tell of no progress, one after another */
#define SESSIONS_MAX    3

struct put {
	const char *url;
	int fd;
	int64_t size, at, deadline_ns;
	bool ask; /* how much is there? */
	int idle_rounds;
};

int rpc_open_file(int dirfd, const char *name, int64_t *size, int64_t *modified_s, struct why *why)
{
	struct stat st;
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return why_set(why, errno, "%s: %s", name, strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		*size = st.st_size;
		*modified_s = st.st_mtim.tv_sec;
		return fd;
	}
	close(fd);
	return why_set(why, EINVAL, _("%s is not a plain file"), name);
}

/* "bytes=0-41": 42 bytes are there. Without it: none. */
static int64_t stored(const char *range, int64_t size)
{
	char *end;
	long long last;

	if (strncmp(range, "bytes=0-", 8) != 0 || range[8] < '0' || range[8] > '9')
		return 0;
	errno = 0;
	last = strtoll(range + 8, &end, 10);
	return errno || *end || last >= size ? 0 : last + 1;
}

static int go_on(struct put *p, const struct http_response *response, struct rpc_news *news,
	struct why *why)
{
	int64_t at = stored(response->range, p->size);

	p->idle_rounds = at > p->at ? 0 : p->idle_rounds + 1;
	p->at = at;
	p->ask = false;
	if (p->idle_rounds > IDLE_ROUNDS_MAX)
		return why_set(why, EPROTO, _("Kaggle's storage takes no more of the upload"));
	news->at_once = true;
	return -EAGAIN;
}

static int read_put(struct put *p, const struct http_response *response, struct rpc_news *news,
	struct why *why)
{
	int status = response->status;

	if (status == 200 || status == 201)
		return 0;
	if (status == 308)
		return go_on(p, response, news, why);
	news->retry_after_ns = response->retry_after_ns;
	if (status == 408 || status == 429 || status >= 500) {
		p->ask = news->again = true;
		return why_set(why, EAGAIN, _("Kaggle's storage answered with HTTP %d"), status);
	}
	if (status == 400 || status == 401 || status == 403 || status == 404 || status == 410)
		return why_set(why, ESTALE, _("the upload has expired (HTTP %d)"), status);
	return why_set(why, EPROTO, _("Kaggle's storage answered with HTTP %d"), status);
}

static void describe(const struct put *p, char range[static 100], struct http_request *request)
{
	long long at = p->at, size = p->size;

	range[0] = '\0';
	if (p->ask) {
		snprintf(range, 100, "Content-Range: bytes */%lld", size);
		return;
	}
	if (at > 0)
		snprintf(range, 100, "Content-Range: bytes %lld-%lld/%lld", at, size - 1, size);
	request->body_fd = p->fd;
	request->body_offset = p->at;
	request->body_len = (size_t)(p->size - p->at);
}

static int try_put(struct kaggle *k, void *arg, struct rpc_news *news, struct why *why)
{
	struct put *p = arg;
	char range[100];
	const char *headers[] = {range, NULL};
	struct http_request request = {.method = "PUT", .url = p->url, .deadline_ns = p->deadline_ns};
	struct http_response response = {0};
	int r;

	if (p->size == 0) /* nothing can be missing of nothing */
		p->ask = false;
	describe(p, range, &request);
	if (range[0])
		request.headers = headers;
	r = http_call(k->http, &request, &response, why);
	if (r) {
		p->ask = true;
		r = rpc_transport(r, response.sent, false, p->deadline_ns, news);
	} else {
		r = read_put(p, &response, news, why);
	}
	http_response_release(&response);
	return r;
}

int rpc_put_file(struct kaggle *k, const char *url, int fd, int64_t size, int64_t deadline_ns,
	struct why *why)
{
	struct put p = {.url = url, .fd = fd, .size = size, .deadline_ns = deadline_ns};
	struct why mine = {0};
	int r = rpc_signed_url(k, url, &mine);

	if (r == 0)
		r = rpc_repeat(k, RPC_STORAGE, deadline_ns, try_put, &p, &mine);
	if (r && mine.err)
		why_set(why, -r, "%s", mine.text);
	return r;
}

/* ---- From a reservation to the token of what was stored ---- */

static int reserve_and_put(struct kaggle *k, const char *method, struct rpc_body *b, int fd,
	int64_t size, int64_t deadline_ns, struct strbuf *token, struct why *why)
{
	struct json *answer = NULL;
	const char *name = "", *url = "";
	/* A reservation that is not used costs nothing, so it may be repeated. */
	int r = rpc_send(k, method, b, false, deadline_ns, &answer, why);

	if (r == 0)
		r = answer_upload(answer, &name, &url, why);
	if (r == 0)
		r = rpc_put_file(k, url, fd, size, deadline_ns, why);
	if (r == 0)
		r = strbuf_adds(token, name);
	json_free(answer);
	return r;
}

int rpc_upload(struct kaggle *k, const char *method, struct rpc_body *b, int dirfd, const char *name,
	int64_t deadline_ns, struct strbuf *token, struct why *why)
{
	int64_t size = 0, modified_s = 0;
	AUTO_FD int fd = rpc_open_file(dirfd, name, &size, &modified_s, why);
	int r = -ESTALE;

	if (fd < 0)
		return fd;
	rpc_put_int(b, "contentLength", size);
	rpc_put_int(b, "lastModifiedEpochSeconds", modified_s);
	for (int i = 0; i < SESSIONS_MAX && r == -ESTALE; i++)
		r = reserve_and_put(k, method, b, fd, size, deadline_ns, token, why);
	return r == -ESTALE ? -EPROTO : r;
}

int kaggle_upload(struct kaggle *k, const char *type, int dirfd, const char *name, const char *as,
	int64_t deadline_ns, struct strbuf *token, struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();

	rpc_put(&body, "type", type);
	rpc_put(&body, "name", as ? as : name);
	return rpc_upload(k, "blobs.BlobApiService/StartBlobUpload", &body, dirfd, name, deadline_ns,
		token, why);
}
