#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kaggle/rpc.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/log.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"

#define PRODUCTION "https://api.kaggle.com/v1"
#define LOCALHOST  "http://localhost/api/v1"

static bool asked_to_stop(void *arg)
{
	struct kaggle *k = arg;

	return atomic_load(&k->stopped);
}

static int environment_url(const char **url, struct why *why)
{
	const char *name = getenv("KAGGLE_API_ENVIRONMENT");

	*url = PRODUCTION;
	if (!name || !*name || strcmp(name, "PROD") == 0)
		return 0;
	*url = LOCALHOST;
	if (strcmp(name, "LOCALHOST") == 0)
		return 0;
	return why_set(why, EINVAL, _("KAGGLE_API_ENVIRONMENT is \"%s\"; PROD and LOCALHOST are known"),
		name);
}

static int choose_base(const struct config *config, char **out, struct why *why)
{
	const char *url = getenv("KEXEC_KAGGLE_URL");
	size_t len;
	int r;

	if (!url || !*url)
		url = config ? json_text(json_get(json_get(config->backends, "kaggle"), "url")) : NULL;
	r = url && *url ? 0 : environment_url(&url, why);
	if (r == 0)
		r = http_url_check(url, why);
	if (r)
		return r;
	if (strpbrk(url, "?#"))
		return why_set(why, EINVAL, _("the URL of Kaggle's API has a query or a fragment"));
	len = strlen(url);
	while (len > 0 && url[len - 1] == '/')
		len--;
	*out = strndup(url, len);
	return *out ? 0 : -ENOMEM;
}

static void init_lock(struct kaggle *k)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->wake, &attr);
	pthread_condattr_destroy(&attr);
}

static int start(struct kaggle *k, struct why *why)
{
	struct http_options options = {.cancelled = asked_to_stop, .arg = k};
	int r = choose_base(k->config, &k->base, why);

	if (r == 0)
		r = auth_find(k, why);
	if (r)
		return r;
	k->loopback = strncasecmp(k->base, "http:", 5) == 0;
	return http_new(&options, &k->http);
}

int kaggle_new(const struct config *config, struct log *log, struct kaggle **out, struct why *why)
{
	struct kaggle *k = calloc(1, sizeof(*k));
	int r;

	*out = NULL;
	if (!k)
		return -ENOMEM;
	k->config = config;
	k->log = log;
	k->places = (struct credentials_places){.config = config, .log = log};
	init_lock(k);
	r = start(k, why);
	if (r) {
		kaggle_free(k);
		return r;
	}
	*out = k;
	return 0;
}

void kaggle_stop(struct kaggle *k)
{
	atomic_store(&k->stopped, true);
	pthread_mutex_lock(&k->lock);
	pthread_cond_broadcast(&k->wake);
	pthread_mutex_unlock(&k->lock);
}

void kaggle_free(struct kaggle *k)
{
	if (!k)
		return;
	http_free(k->http);
	auth_release(k);
	pthread_cond_destroy(&k->wake);
	pthread_mutex_destroy(&k->lock);
	free(k->base);
	free(k);
}
