/* What a run left: its files and its stored log. */
#include <errno.h>
#include <string.h>

#include "backends/kaggle/rpc.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define METHOD    "kernels.KernelsApiService/ListKernelSessionOutput"
#define PAGE_SIZE 200
#define TOKEN_MAX 4096

struct listing {
	const char *slug;
	int64_t version, deadline_ns;
	size_t max, count;
	kaggle_file *file;
	void *arg;
	char token[TOKEN_MAX]; /* of the page that comes; "" = the first, or none */
};

static int add_text(void *arg, const char *stream, double seconds, const char *text, size_t len)
{
	struct strbuf *log = arg;

	/* What is over the caller's bound is cut, not an error. */
	return strbuf_add(log, text, len > log->max - log->len ? log->max - log->len : len);
}

static int next_page(struct listing *l, const char *next, struct why *why)
{
	size_t len = strlen(next);

	if (len >= TOKEN_MAX || (len > 0 && strcmp(next, l->token) == 0))
		return why_set(why, EPROTO, _("Kaggle's list of output files goes round in circles"));
	memcpy(l->token, next, len + 1);
	return 0;
}

static int read_page(struct kaggle *k, struct listing *l, struct strbuf *log, struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	struct json *answer = NULL;
	const char *next, *text;
	int r = rpc_put_slug(&body, "userName", "kernelSlug", l->slug, why);

	rpc_put_version(&body, l->version);
	rpc_put_int(&body, "pageSize", PAGE_SIZE);
	rpc_put(&body, "pageToken", l->token);
	if (r == 0)
		r = rpc_send(k, METHOD, &body, false, l->deadline_ns, &answer, why);
	text = answer_text(json_get(answer, "log"));
	if (r == 0 && log)
		r = log_text_read(text, strlen(text), add_text, log);
	if (r == 0)
		r = answer_outputs(answer, l->max, &l->count, l->file, l->arg, &next, why);
	if (r == 0)
		r = next_page(l, next, why);
	json_free(answer);
	return r;
}

int kaggle_outputs(struct kaggle *k, const char *slug, int64_t version, size_t max, int64_t deadline_ns,
	kaggle_file *file, void *arg, struct strbuf *log, struct why *why)
{
	struct listing l = {.slug = slug, .version = version, .deadline_ns = deadline_ns, .max = max,
		.file = file, .arg = arg};
	/* Pages may be smaller than asked for, but not all of them empty. */
	size_t pages = max / 10 + 100;
	int r = read_page(k, &l, log, why);

	while (r == 0 && l.token[0]) {
		if (pages-- == 0)
			return why_set(why, EPROTO, _("Kaggle's list of output files does not end"));
		r = read_page(k, &l, NULL, why);
	}
	return r;
}
