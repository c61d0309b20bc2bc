/* Datasets: made of blobs that were uploaded before. */
#include <errno.h>
#include <string.h>

#include "backends/kaggle/rpc.h"
#include "fs/base/json.h"
#include "fs/base/why.h"

#define SERVICE "datasets.DatasetApiService/"
#define LICENSE "CC0-1.0" /* one is required, and the official client's template has this one */

static int put_files(struct rpc_body *b, const char *const *tokens)
{
	struct json *list = json_array();
	int r = list ? 0 : -ENOMEM;

	for (; r == 0 && tokens && *tokens; tokens++) {
		struct json *file = json_object();

		r = json_set_text(file, "token", *tokens);
		if (r == 0)
			r = json_append(list, file);
		else
			json_free(file);
	}
	if (r) {
		json_free(list);
		return r;
	}
	return json_set(b->json, "files", list);
}

static int make(struct kaggle *k, const char *method, struct rpc_body *b, int64_t deadline_ns,
	struct why *why)
{
	struct json *answer = NULL;
	int r = rpc_send(k, method, b, true, deadline_ns, &answer, why);

	if (r == 0)
		r = answer_dataset_made(answer, why);
	json_free(answer);
	return r;
}

int kaggle_dataset_create(struct kaggle *k, const struct kaggle_dataset *d, int64_t deadline_ns,
	struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	int r = rpc_put_slug(&body, "ownerSlug", "slug", d->slug, why);

	rpc_put(&body, "title", d->title);
	rpc_put(&body, "licenseName", LICENSE);
	rpc_put_bool(&body, "isPrivate", true);
	if (r == 0)
		r = put_files(&body, d->tokens);
	return r ? r : make(k, SERVICE "CreateDataset", &body, deadline_ns, why);
}

int kaggle_dataset_version(struct kaggle *k, const struct kaggle_dataset *d, int64_t deadline_ns,
	struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	struct rpc_body inner = rpc_body_new();
	int r = rpc_put_slug(&body, "ownerSlug", "datasetSlug", d->slug, why);

	rpc_put(&inner, "versionNotes", d->notes);
	if (r == 0)
		r = put_files(&inner, d->tokens);
	if (r == 0)
		r = inner.err;
	if (r) {
		rpc_body_release(&inner);
		return r;
	}
	r = json_set(body.json, "body", inner.json);
	return r ? r : make(k, SERVICE "CreateDatasetVersion", &body, deadline_ns, why);
}

int kaggle_dataset_status(struct kaggle *k, const char *slug, int64_t deadline_ns,
	char status[static 40], struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	struct json *answer = NULL;
	int r = rpc_put_slug(&body, "ownerSlug", "datasetSlug", slug, why);

	status[0] = '\0';
	if (r == 0)
		r = rpc_send(k, SERVICE "GetDatasetStatus", &body, false, deadline_ns, &answer, why);
	if (r == 0)
		answer_dataset_status(answer, status);
	json_free(answer);
	return r;
}

int kaggle_dataset_delete(struct kaggle *k, const char *slug, int64_t deadline_ns, struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	struct json *answer = NULL;
	int r = rpc_put_slug(&body, "ownerSlug", "datasetSlug", slug, why);

	if (r == 0)
		r = rpc_send(k, SERVICE "DeleteDataset", &body, true, deadline_ns, &answer, why);
	json_free(answer);
	return r;
}
