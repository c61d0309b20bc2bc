/* Answers about kernels. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kaggle/answer.h"
#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define INVALID_BYTES 500

static int add_invalid(struct strbuf *out, const struct json *list, const char *what)
{
	const char *before = out->len ? "; " : "";

	for (const struct json *c = json_first(list); c; c = json_next(c)) {
		const char *text = answer_text(c);

		if (out->len >= INVALID_BYTES)
			return strbuf_adds(out, ", …");
		if (strbuf_addf(out, "%s%s", before, before[0] == ',' ? "" : what) < 0)
			return -ENOMEM;
		if (before[0] != ',')
			strbuf_addch(out, ' ');
		escape_line(out, text, strlen(text), 120);
		before = ", ";
	}
	return out->err;
}

int answer_pushed(const struct json *j, struct kaggle_pushed *out, struct why *why)
{
	static const char *const lists[][2] = {{"invalidDatasetSources", N_("dataset")},
		{"invalidCompetitionSources", N_("competition")}, {"invalidKernelSources", N_("notebook")},
		{"invalidModelSources", N_("model")}};
	AUTO_BUF struct strbuf invalid = STRBUF_INIT;

	*out = (struct kaggle_pushed){.version = answer_int(json_get(j, "versionNumber"), 0),
		.kernel_id = answer_int(json_get(j, "kernelId"), 0)};
	if (out->version < 0 || out->kernel_id < 0)
		return why_set(why, EUCLEAN, _("Kaggle's answer to SaveKernel names a version below 0"));
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (add_invalid(&invalid, json_get(j, lists[i][0]), _(lists[i][1])) < 0)
			return -EUCLEAN;
	if (invalid.len > 0 && !(out->invalid = strbuf_detach(&invalid, NULL)))
		return -EUCLEAN;
	return 0;
}

enum kaggle_session answer_session(const struct json *j, struct strbuf *failure)
{
	static const char *const words[] = {"QUEUED", "RUNNING", "COMPLETE", "ERROR", "CANCEL_REQUESTED",
		"CANCEL_ACKNOWLEDGED", "NEW_SCRIPT", NULL};
	int n = answer_enum(json_get(j, "status"), words);
	const char *text = answer_text(json_get(j, "failureMessage"));

	if (failure)
		escape_line(failure, text, strlen(text), 1000);
	return n < 0 ? KAGGLE_UNKNOWN : (enum kaggle_session)n;
}

static const char *first_text(const struct json *a, const struct json *b, const char *key)
{
	const char *text = answer_text(json_get(a, key));

	return *text ? text : answer_text(json_get(b, key));
}

/* "alice/x", "/alice/x" and "/code/alice/x" have all been seen. */
static const char *plain_ref(const char *ref)
{
	while (*ref == '/')
		ref++;
	return strncmp(ref, "code/", 5) == 0 && strchr(ref + 5, '/') ? ref + 5 : ref;
}

int answer_kernel(const struct json *j, struct kaggle_kernel *out)
{
	const struct json *meta = json_get(j, "metadata"), *blob = json_get(j, "blob");
	const char *ref = plain_ref(answer_text(json_get(meta, "ref")));

	*out = (struct kaggle_kernel){0};
	if (json_type(meta) != JSON_OBJECT)
		return -EPROTO;
	out->id = answer_int(json_get(meta, "id"), 0);
	out->version = answer_int(json_get(meta, "currentVersionNumber"), 0);
	out->is_private = json_bool(json_get(meta, "isPrivate"), false);
	out->slug = strdup(*ref ? ref : first_text(meta, blob, "slug"));
	out->title = strdup(answer_text(json_get(meta, "title")));
	out->language = strdup(first_text(meta, blob, "language"));
	out->kernel_type = strdup(first_text(meta, blob, "kernelType"));
	out->source = strdup(answer_text(json_get(blob, "source")));
	out->metadata = json_copy(meta);
	if (out->slug && out->title && out->language && out->kernel_type && out->source &&
		out->metadata && out->version >= 0 && out->id >= 0)
		return 0;
	kaggle_kernel_release(out);
	return -EPROTO;
}

int answer_outputs(const struct json *j, size_t max, size_t *count, kaggle_file *file, void *arg,
	const char **next, struct why *why)
{
	*next = answer_text(json_get(j, "nextPageToken"));
	for (const struct json *c = json_first(json_get(j, "files")); c; c = json_next(c)) {
		const char *name = answer_text(json_get(c, "fileName"));
		const char *url = answer_text(json_get(c, "url"));
		int r;

		if (*name == '\0' || *url == '\0')
			return why_set(why, EPROTO, _("Kaggle lists an output file without a name or a URL"));
		if (++*count > max)
			return why_set(why, E2BIG, _("the run left more than %zu files"), max);
		r = file(arg, name, url);
		if (r)
			return r;
	}
	return 0;
}

static void read_times(const struct json *j, double *used, double *reserved, double *total)
{
	*used = *reserved = *total = -1;
	if (json_type(j) != JSON_OBJECT)
		return;
	*used = json_get(j, "timeUsed") ? answer_seconds(json_get(j, "timeUsed")) : 0;
	*reserved = json_get(j, "timeReserved") ? answer_seconds(json_get(j, "timeReserved")) : 0;
	*total = answer_seconds(json_get(j, "totalTimeAllowed"));
}

void answer_quota(const struct json *j, struct kaggle_quota *out)
{
	int64_t wall_ns;

	*out = (struct kaggle_quota){0};
	read_times(json_get(j, "gpuQuota"), &out->gpu_used_s, &out->gpu_reserved_s, &out->gpu_total_s);
	read_times(json_get(j, "tpuQuota"), &out->tpu_used_s, &out->tpu_reserved_s, &out->tpu_total_s);
	if (clock_parse_rfc3339(answer_text(json_get(j, "quotaRefreshTime")), &wall_ns) == 0 &&
		wall_ns > 0)
		out->refresh_s = wall_ns / NS_PER_S;
}
