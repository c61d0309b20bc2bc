/* Kernels: what the rest of the world calls notebooks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kaggle/rpc.h"
#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define SERVICE "kernels.KernelsApiService/"

/* A request about one version of one kernel. */
static int about(struct rpc_body *b, const char *slug, int64_t version, struct why *why)
{
	*b = rpc_body_new();
	rpc_put_version(b, version);
	return rpc_put_slug(b, "userName", "kernelSlug", slug, why);
}

static void describe(struct rpc_body *b, const struct kaggle_push *p)
{
	rpc_put_int(b, "id", p->id);
	rpc_put(b, "slug", p->slug);
	rpc_put(b, "newTitle", p->title);
	rpc_put(b, "text", p->text);
	rpc_put(b, "language", p->language);
	rpc_put(b, "kernelType", p->kernel_type);
	rpc_put_list(b, "datasetDataSources", p->datasets);
	rpc_put_list(b, "kernelDataSources", p->kernels);
	rpc_put_list(b, "competitionDataSources", p->competitions);
	rpc_put_list(b, "categoryIds", p->keywords);
	rpc_put_list(b, "modelDataSources", p->models);
	rpc_put_bool(b, "isPrivate", p->is_private);
	rpc_put_bool(b, "enableGpu", p->gpu);
	rpc_put_bool(b, "enableTpu", p->tpu);
	rpc_put_bool(b, "enableInternet", p->internet);
	rpc_put(b, "dockerImage", p->docker_image);
	rpc_put(b, "dockerImagePinningType", p->docker_pinning);
	rpc_put(b, "machineShape", p->machine_shape);
	/* The one brake that always holds: see kaggle_cancel_session(). */
	if (json_set_int(b->json, "sessionTimeoutSeconds", p->session_seconds) < 0)
		b->err = -ENOMEM;
}

int kaggle_save_kernel(struct kaggle *k, const struct kaggle_push *p, int64_t deadline_ns,
	struct kaggle_pushed *out, struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	struct json *answer;
	size_t owner;
	int r = p->slug ? rpc_split(p->slug, &owner, why) : 0;

	*out = (struct kaggle_pushed){0};
	if (r)
		return r;
	describe(&body, p);
	r = rpc_send(k, SERVICE "SaveKernel", &body, true, deadline_ns, &answer, why);
	if (r == 0)
		r = answer_pushed(answer, out, why);
	if (out->invalid)
		auth_scrub_text(k, NULL, out->invalid);
	json_free(answer);
	return r;
}

void kaggle_pushed_release(struct kaggle_pushed *p)
{
	free(p->invalid);
	*p = (struct kaggle_pushed){0};
}

int kaggle_get_kernel(struct kaggle *k, const char *slug, int64_t version, int64_t deadline_ns,
	struct kaggle_kernel *out, struct why *why)
{
	AUTO_BODY struct rpc_body body;
	struct json *answer = NULL;
	int r = about(&body, slug, version, why);

	*out = (struct kaggle_kernel){0};
	if (r == 0)
		r = rpc_send(k, SERVICE "GetKernel", &body, false, deadline_ns, &answer, why);
	if (r == 0 && answer_kernel(answer, out) < 0)
		r = why_set(why, EPROTO, _("Kaggle's answer to GetKernel has no metadata"));
	json_free(answer);
	return r;
}

void kaggle_kernel_release(struct kaggle_kernel *kernel)
{
	free(kernel->slug);
	free(kernel->title);
	free(kernel->language);
	free(kernel->kernel_type);
	free(kernel->source);
	json_free(kernel->metadata);
	*kernel = (struct kaggle_kernel){0};
}

int kaggle_status(struct kaggle *k, const char *slug, int64_t version, int64_t deadline_ns,
	enum kaggle_session *out, struct strbuf *failure, struct why *why)
{
	AUTO_BODY struct rpc_body body;
	struct json *answer = NULL;
	int r = about(&body, slug, version, why);

	*out = KAGGLE_UNKNOWN;
	if (r == 0)
		r = rpc_send(k, SERVICE "GetKernelSessionStatus", &body, false, deadline_ns, &answer, why);
	if (r == 0)
		*out = answer_session(answer, failure);
	json_free(answer);
	return r;
}

int kaggle_delete_kernel(struct kaggle *k, const char *slug, int64_t deadline_ns, struct why *why)
{
	AUTO_BODY struct rpc_body body;
	struct json *answer = NULL;
	int r = about(&body, slug, 0, why);

	if (r == 0)
		r = rpc_send(k, SERVICE "DeleteKernel", &body, true, deadline_ns, &answer, why);
	json_free(answer);
	return r;
}

int kaggle_list(struct kaggle *k, const char *method, const struct json *request, int64_t deadline_ns,
	struct json **out, struct why *why)
{
	struct rpc call = {.method = method, .request = request, .deadline_ns = deadline_ns};

	return rpc_call(k, &call, out, why);
}

int kaggle_get_quota(struct kaggle *k, int64_t deadline_ns, struct kaggle_quota *out, struct why *why)
{
	struct json *answer;
	int r = kaggle_list(k, SERVICE "GetAcceleratorQuotaStatistics", NULL, deadline_ns, &answer, why);

	if (r == 0)
		answer_quota(answer, out);
	json_free(answer);
	return r;
}

/* ---- Cancelling ---- */

static int session_path(const char *slug, int64_t version, struct strbuf *path, struct why *why)
{
	size_t owner_len;
	int r = rpc_split(slug, &owner_len, why);
	AUTO_FREE char *owner = r ? NULL : strndup(slug, owner_len);

	if (r || !owner)
		return r ? r : -ENOMEM;
	strbuf_adds(path, "/kernels/output/download/");
	http_escape(path, owner);
	strbuf_addch(path, '/');
	http_escape(path, slug + owner_len + 1);
	if (version > 0)
		strbuf_addf(path, "?versionNumber=%lld", (long long)version);
	return path->err;
}

/* Only a redirect to the same service, of exactly this form, names a session: a wrong number would end
 * somebody's other run. */
static int64_t session_of(const struct kaggle *k, const char *location)
{
	static const char middle[] = "/kernels/output/download_zip/";
	size_t base = strlen(k->base);
	const char *digits;
	char *end;
	long long id;

	if (strncmp(location, k->base, base) != 0 || strncmp(location + base, middle, strlen(middle)) != 0)
		return 0;
	digits = location + base + strlen(middle);
	errno = 0;
	id = strtoll(digits, &end, 10);
	return errno || *digits < '1' || *digits > '9' || *end ? 0 : id;
}

static int find_session(struct kaggle *k, const char *slug, int64_t version, int64_t deadline_ns,
	int64_t *id, struct why *why)
{
	AUTO_BUF struct strbuf path = STRBUF_INIT;
	struct http_response response = {0};
	int r = session_path(slug, version, &path, why);

	*id = 0;
	if (r == 0)
		r = rpc_get(k, path.buf, "DownloadKernelOutput", deadline_ns, &response, why);
	if (r == 0 && response.status / 100 == 3)
		*id = session_of(k, response.location);
	http_response_release(&response);
	if (r == 0 && *id == 0)
		return why_set(why, ENOENT,
			_("Kaggle does not say which session %s has, so it cannot be cancelled from here"),
			slug);
	return r;
}

int kaggle_cancel_session(struct kaggle *k, const char *slug, int64_t version, int64_t deadline_ns,
	struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	struct json *answer = NULL;
	int64_t id;
	int r = find_session(k, slug, version, deadline_ns, &id, why);

	if (r)
		return r;
	rpc_put_int(&body, "kernelSessionId", id);
	r = rpc_send(k, SERVICE "CancelKernelSession", &body, true, deadline_ns, &answer, why);
	json_free(answer);
	return r;
}
