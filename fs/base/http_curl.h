/* Inside fs/base/http*.c: libcurl, the handles over it, and the client they belong to. The only
 * place that includes its header. */
#ifndef KEXEC_BASE_HTTP_CURL_H
#define KEXEC_BASE_HTTP_CURL_H

#define CURL_DISABLE_TYPECHECK /* its macros do not fit calls through a table */
#include <curl/curl.h>
#include <pthread.h>

#include "fs/base/http.h"
#include "fs/base/http_parts.h"
#include "fs/base/lazy.h"

#define FUNCTIONS(X)                                                                               \
	X(curl_easy_cleanup)                                                                       \
	X(curl_easy_getinfo)                                                                       \
	X(curl_easy_init) X(curl_easy_reset) X(curl_easy_setopt) X(curl_free)                      \
		X(curl_global_cleanup) X(curl_global_init) X(curl_multi_add_handle)                \
			X(curl_multi_cleanup) X(curl_multi_info_read) X(curl_multi_init) X(        \
				curl_multi_perform) X(curl_multi_poll) X(curl_multi_remove_handle) \
				X(curl_multi_setopt) X(curl_slist_append) X(curl_slist_free_all)   \
					X(curl_url) X(curl_url_cleanup) X(curl_url_get)            \
						X(curl_url_set) X(curl_version_info)
struct library {
	FUNCTIONS(LAZY_MEMBER)
};

struct line {
	CURLM *multi; /* keeps the connections */
	CURL *easy;
	struct http_url last; /* where it was used last */
	struct line *next;
};

struct http {
	struct library lib;
	pthread_mutex_t lock;
	struct line *idle; /* under lock, as idle_count */
	int idle_count;
	char *user_agent, *ca_file;
	int64_t connect_ns, stall_ns;
	bool (*cancelled)(void *arg);
	void *arg;
};

/* A handle that was used for this origin before, else any, else a new one; NULL: no memory. */
struct line *http_line_take(struct http *h, const struct http_url *at);
void http_line_give(struct http *h, struct line *line);

#endif
