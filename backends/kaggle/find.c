/*
 * Which version of a kernel came from our push? After any doubt nothing is sent before this has looked.
 *
 * The token travels inside the source, so a version that carries it is ours. Where the service gives the
 * source back without it, a version newer than the one noted before the push with equal cells is ours, but
 * never one with another token: two runs may push equal notebooks.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "backends/kaggle/kaggle.h"
#include "backends/kaggle/source.h"
#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/log.h"
#include "fs/base/strbuf.h"
#include "fs/notebook/ipynb.h"

/* Ours is the first after `before`, or close behind it where others push to the same kernel. */
#define VERSIONS_MAX 20

/* 1: ours for sure; 2: its cells are ours; 0: another's, or nothing to tell by. */
static int judge(int dirfd, const struct kaggle_record *r, const char *source)
{
	AUTO_BUF struct strbuf sent = STRBUF_INIT;
	char token[TOKEN_MAX];

	if (source_token(source, token) == 0)
		return strcmp(token, r->token) == 0;
	if (!*source || io_read(dirfd, RECORD_SENT, IPYNB_MAX_BYTES, &sent))
		return 0;
	return source_same(source, sent.buf) ? 2 : 0;
}

static bool hidden(int err)
{
	return err == -ENOENT || err == -EACCES;
}

/* One version. 1 with r->version set, 0 not this one, or -errno. */
static int try_version(struct kaggle *k, int dirfd, struct kaggle_record *r, int64_t version,
	int64_t deadline_ns, int64_t *similar, struct why *why)
{
	struct kaggle_kernel kernel = {0};
	int verdict, err = kaggle_get_kernel(k, r->slug, version, deadline_ns, &kernel, why);

	if (err)
		return hidden(err) ? 0 : err; /* a version that failed to be saved has no source */
	verdict = judge(dirfd, r, kernel.source);
	kaggle_kernel_release(&kernel);
	if (verdict == 1)
		r->version = version;
	if (verdict == 2 && !*similar)
		*similar = version;
	return verdict == 1;
}

/* Names are masked: 403 may mean "not there" or "not you". Our own list tells which. */
static int believed(struct kaggle *k, int64_t deadline_ns, struct why *why)
{
	struct json *request = json_object(), *answer = NULL;
	int err = json_set_text(request, "group", "PROFILE");

	if (!err)
		err = json_set_int(request, "page", 1);
	if (!err)
		err = json_set_int(request, "pageSize", 1);
	if (!err)
		err = kaggle_list(k, "kernels.KernelsApiService/ListKernels", request, deadline_ns, &answer, why);
	json_free(request);
	json_free(answer);
	return err;
}

/* The newest version that there is; 0: no kernel, as before. */
static int newest(struct kaggle *k, const struct kaggle_record *r, int64_t deadline_ns, int64_t *out,
	struct why *why)
{
	struct kaggle_kernel kernel = {0};
	int err = kaggle_get_kernel(k, r->slug, 0, deadline_ns, &kernel, why);

	*out = err ? 0 : kernel.version;
	kaggle_kernel_release(&kernel);
	if (!hidden(err))
		return err;
	/* One that did exist and is not to be seen now is no evidence of anything. */
	if (r->before)
		return why_set(why, EAGAIN, _("Kaggle does not show %s at the moment."), r->slug);
	return err == -EACCES ? believed(k, deadline_ns, why) : 0;
}

int find_version(struct backend_conn *c, struct kaggle *k, int dirfd, struct kaggle_record *r,
	int64_t deadline_ns, struct why *why)
{
	int64_t last, similar = 0;
	int found = newest(k, r, deadline_ns, &last, why);

	if (found)
		return found;
	if (last > r->before + VERSIONS_MAX)
		last = r->before + VERSIONS_MAX;
	for (int64_t v = r->before + 1; v <= last && !found; v++)
		found = try_version(k, dirfd, r, v, deadline_ns, &similar, why);
	if (!found && similar) {
		log_write(c->log, LOG_LEVEL_INFO, "kaggle_adopted", NULL,
			"%s: version %" PRId64 " has our cells but no token", r->slug, similar);
		r->version = similar;
		found = 1;
	}
	return found;
}
