/* The client: libcurl loaded, its handles with the connections they keep. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/http_curl.h"

#define IDLE_MAX 16

static void line_free(const struct library *lib, struct line *line)
{
	if (!line)
		return;
	lib->curl_easy_cleanup(line->easy);
	lib->curl_multi_cleanup(line->multi);
	free(line);
}

static struct line *line_new(const struct library *lib)
{
	struct line *line = calloc(1, sizeof(*line));

	if (!line)
		return NULL;
	line->multi = lib->curl_multi_init();
	line->easy = lib->curl_easy_init();
	if (line->multi && line->easy) {
		lib->curl_multi_setopt(line->multi, CURLMOPT_MAXCONNECTS, 4L);
		return line;
	}
	line_free(lib, line);
	return NULL;
}

struct line *http_line_take(struct http *h, const struct http_url *at)
{
	struct line **place, *line;

	pthread_mutex_lock(&h->lock);
	for (place = &h->idle; *place; place = &(*place)->next)
		if (http_same_origin(&(*place)->last, at))
			break;
	if (!*place)
		place = &h->idle;
	line = *place;
	if (line) {
		*place = line->next;
		h->idle_count--;
	}
	pthread_mutex_unlock(&h->lock);
	return line ? line : line_new(&h->lib);
}

void http_line_give(struct http *h, struct line *line)
{
	bool full;

	pthread_mutex_lock(&h->lock);
	full = h->idle_count >= IDLE_MAX;
	if (!full) {
		line->next = h->idle;
		h->idle = line;
		h->idle_count++;
	}
	pthread_mutex_unlock(&h->lock);
	if (full)
		line_free(&h->lib, line);
}

static int copy_options(struct http *h, const struct http_options *o)
{
	h->connect_ns = o->connect_ns > 0 ? o->connect_ns : 10 * NS_PER_S;
	h->stall_ns = o->stall_ns > 0 ? o->stall_ns : 60 * NS_PER_S;
	h->cancelled = o->cancelled;
	h->arg = o->arg;
	h->user_agent = strdup(o->user_agent ? o->user_agent : "kexec/" KEXEC_VERSION);
	if (o->ca_file && access(o->ca_file, R_OK))
		return -errno;
	h->ca_file = o->ca_file ? strdup(o->ca_file) : NULL;
	if (!h->user_agent || (o->ca_file && !h->ca_file))
		return -ENOMEM;
	return strpbrk(h->user_agent, "\r\n") ? -EINVAL : 0;
}

/* The library, in a version that knows all that is asked of it here: an unknown callback would be
 * no error. */
static int load(struct library *lib)
{
	static const char *const files[] = {"libcurl.so.4", "libcurl-gnutls.so.4", NULL};
	static const char *const names[] = {FUNCTIONS(LAZY_NAME) NULL};
	int r = lazy_load(files, names, (void **)lib, NULL);

	if (r)
		return r;
	return lib->curl_version_info(CURLVERSION_NOW)->version_num >= CURL_VERSION_BITS(7, 87, 0)
		       ? 0
		       : -ENOSYS;
}

static int begin_use(struct http *h)
{
	int r = load(&h->lib);

	if (r == 0 && h->lib.curl_global_init(CURL_GLOBAL_DEFAULT))
		r = -ENOMEM;
	if (r == 0)
		pthread_mutex_init(&h->lock, NULL);
	return r;
}

int http_new(const struct http_options *options, struct http **out)
{
	static const struct http_options defaults;
	struct http *h = calloc(1, sizeof(*h));
	int r = h ? begin_use(h) : -ENOMEM;

	*out = NULL;
	if (r) {
		free(h);
		return r;
	}
	r = copy_options(h, options ? options : &defaults);
	if (r)
		http_free(h);
	else
		*out = h;
	return r;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	while (h->idle) {
		struct line *line = h->idle;

		h->idle = line->next;
		line_free(&h->lib, line);
	}
	h->lib.curl_global_cleanup();
	pthread_mutex_destroy(&h->lock);
	free(h->user_agent);
	free(h->ca_file);
	free(h);
}
