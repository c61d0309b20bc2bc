/* Requests: what has its default value is left out, as the official client does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/kaggle/rpc.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/why.h"

void rpc_json_wipe(struct json *root)
{
	for (const struct json *c = json_first(root); c; c = json_next(c))
		if (json_text(c))
			explicit_bzero((char *)json_text(c), strlen(json_text(c)));
	json_free(root);
}

struct rpc_body rpc_body_new(void)
{
	struct rpc_body b = {.json = json_object()};

	b.err = b.json ? 0 : -ENOMEM;
	return b;
}

void rpc_body_release(struct rpc_body *b)
{
	rpc_json_wipe(b->json);
	b->json = NULL;
}

static void keep(struct rpc_body *b, int r)
{
	if (r && b->err == 0)
		b->err = r;
}

void rpc_put(struct rpc_body *b, const char *key, const char *text)
{
	if (text && *text)
		keep(b, json_set_text(b->json, key, text));
}

void rpc_put_int(struct rpc_body *b, const char *key, int64_t value)
{
	if (value)
		keep(b, json_set_int(b->json, key, value));
}

void rpc_put_bool(struct rpc_body *b, const char *key, bool value)
{
	keep(b, json_set_bool(b->json, key, value));
}

void rpc_put_list(struct rpc_body *b, const char *key, const char *const *texts)
{
	struct json *list;
	int r = 0;

	if (!texts || !*texts)
		return;
	list = json_array();
	for (; list && *texts && r == 0; texts++)
		r = json_append_text(list, *texts);
	keep(b, r);
	keep(b, list ? json_set(b->json, key, list) : -ENOMEM);
}

int rpc_split(const char *slug, size_t *owner_len, struct why *why)
{
	const char *slash = slug ? strchr(slug, '/') : NULL;

	if (!slash || slash == slug || slash[1] == '\0' || strchr(slash + 1, '/') ||
		strlen(slug) > 200)
		return why_set(why, EINVAL, _("\"%.200s\" is not owner/slug"), slug ? slug : "");
	*owner_len = (size_t)(slash - slug);
	return 0;
}

int rpc_put_slug(struct rpc_body *b, const char *owner_key, const char *slug_key, const char *slug,
	struct why *why)
{
	char owner[204];
	size_t len = 0;
	int r = rpc_split(slug, &len, why);

	if (r)
		return r;
	memcpy(owner, slug, len);
	owner[len] = '\0';
	rpc_put(b, owner_key, owner);
	rpc_put(b, slug_key, slug + len + 1);
	return 0;
}

void rpc_put_version(struct rpc_body *b, int64_t version)
{
	char label[32];

	snprintf(label, sizeof(label), "v%lld", (long long)version);
	if (version > 0)
		rpc_put(b, "versionLabel", label);
}

int rpc_send(struct kaggle *k, const char *method, struct rpc_body *b, bool once, int64_t deadline_ns,
	struct json **out, struct why *why)
{
	struct rpc call = {
		.method = method, .request = b->json, .once = once, .deadline_ns = deadline_ns};

	*out = NULL;
	return b->err ? b->err : rpc_call(k, &call, out, why);
}
