/*
 * The client behind api.h: how calls travel. For the files of this folder only.
 *
 *   answer.h  what answers mean        gate.c   who may send when
 *   rpc.c     one call, repeated       auth.c   the Authorization header of the moment
 *   body.c    requests
 *   fetch.c   signed URLs into files   upload.c files to signed URLs
 */
#ifndef KEXEC_BACKENDS_KAGGLE_RPC_H
#define KEXEC_BACKENDS_KAGGLE_RPC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/kaggle/answer.h"
#include "backends/kaggle/api.h"
#include "backends/kaggle/credentials.h"
#include "fs/base/http.h"

#define RPC_GATES      32
#define RPC_ANSWER_MAX ((size_t)64 << 20)
#define RPC_STORAGE    "storage" /* the gate of signed URLs */

struct gate {
	char name[80];
	int failures;      /* one after another */
	int64_t shut_ns;   /* when it was shut last: calls begun before do not count twice */
	int64_t until_ns;
};

/* Names that were handed out stay until the client goes. */
struct auth_name {
	struct auth_name *next;
	char name[];
};

struct kaggle {
	struct http *http;
	struct log *log;
	const struct config *config;
	char *base;        /* without a slash at the end */
	bool loopback;     /* the API is plain http on this machine */
	atomic_bool stopped;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;  /* stopped, or `asking` has ended */
	struct gate gates[RPC_GATES];
	struct credentials_places places;
	struct credentials who, first; /* in use; the first that were found */
	int candidate;     /* which of those that are there `who` is */
	bool known;        /* `who` was accepted by the service, or needs no asking */
	bool asking;       /* a thread asks or refreshes without the lock */
	struct auth_name *names;
};

/* ---- gate.c ---- */

/* Wait until so far, or until stopped: -ECANCELED. Slept in slices: boot time goes on in a suspend. */
int rpc_sleep(struct kaggle *k, int64_t until_ns);
/* Wait until the gate is open. -EAGAIN: not before the deadline; -ECANCELED. */
int gate_pass(struct kaggle *k, const char *name, int64_t deadline_ns, struct why *why);
/* After a failure of a call begun at so-and-so: longer each time, never shorter than asked for. */
void gate_shut(struct kaggle *k, const char *name, int64_t begun_ns, int64_t retry_after_ns);
void gate_open(struct kaggle *k, const char *name);

/* ---- rpc.c ---- */

/* What one try tells about another. */
struct rpc_news {
	bool again;
	bool at_once;           /* again, and nobody asked for patience */
	int64_t retry_after_ns; /* -1 */
};
typedef int rpc_try(struct kaggle *k, void *arg, struct rpc_news *news, struct why *why);
/* Try until it is done, may not be repeated, or the next try would be after the deadline. */
int rpc_repeat(struct kaggle *k, const char *gate, int64_t deadline_ns, rpc_try *one, void *arg,
	struct why *why);

struct rpc {
	const char *method;         /* "kernels.KernelsApiService/GetKernel" */
	const struct json *request; /* NULL: {} */
	bool once;
	bool own_header;            /* `header` (NULL: none) is the Authorization, not auth_header()'s */
	const char *header;
	int64_t deadline_ns;
};
int rpc_call(struct kaggle *k, const struct rpc *rpc, struct json **out, struct why *why);
/* GET {base}{path} with our credentials, redirects not followed: the answer is left in `out` (release it).
 * 0 for 2xx and 3xx. */
int rpc_get(struct kaggle *k, const char *path, const char *gate, int64_t deadline_ns,
	struct http_response *out, struct why *why);
/* Turn http_call()'s error into one of api.h's for a call that may be repeated (again set) or not. */
int rpc_transport(int err, bool sent, bool once, int64_t deadline_ns, struct rpc_news *news);
/* What `a` says as a sentence; returns err. */
int rpc_say(const char *method, int err, const struct answer *a, struct why *why);
const char *rpc_short(const char *method); /* what stands after the '/' */

/* Requests without their defaults; the first failure sticks in *err. */
struct rpc_body {
	struct json *json;
	int err;
};
#define AUTO_BODY __attribute__((cleanup(rpc_body_release)))
struct rpc_body rpc_body_new(void);
void rpc_json_wipe(struct json *root); /* its texts wiped, then freed */
void rpc_body_release(struct rpc_body *b);
void rpc_put(struct rpc_body *b, const char *key, const char *text);
void rpc_put_int(struct rpc_body *b, const char *key, int64_t value);
void rpc_put_bool(struct rpc_body *b, const char *key, bool value); /* always sent */
void rpc_put_list(struct rpc_body *b, const char *key, const char *const *texts);
/* "owner/slug" as two members. -EINVAL with why. */
int rpc_put_slug(struct rpc_body *b, const char *owner_key, const char *slug_key, const char *slug,
	struct why *why);
void rpc_put_version(struct rpc_body *b, int64_t version); /* versionLabel "v3" */
/* Both parts of "owner/slug": lengths; -EINVAL with why. */
int rpc_split(const char *slug, size_t *owner_len, struct why *why);
/* Send a body and drop it. */
int rpc_send(struct kaggle *k, const char *method, struct rpc_body *b, bool once, int64_t deadline_ns,
	struct json **out, struct why *why);

/* ---- auth.c ---- */

int auth_find(struct kaggle *k, struct why *why); /* once at the start, before threads */
/* The value of the Authorization header; auth_forget() wipes and frees it. Asks the service who a bearer
 * token belongs to, and refreshes what has expired. */
int auth_header(struct kaggle *k, int64_t deadline_ns, char **out, struct why *why);
void auth_forget(char **header);
/* After a 401 to this header: true when another one can be tried. */
bool auth_refused(struct kaggle *k, const char *header);
/* Our secrets, where a service repeats them, out of what people see; also the beginning of one at the end of a
 * text that was cut. `header`: one more, or NULL. */
void auth_scrub(struct kaggle *k, const char *header, struct why *why);
void auth_scrub_text(struct kaggle *k, const char *header, char *text);
void auth_release(struct kaggle *k);

/* ---- fetch.c, upload.c ---- */

/* https, or http on this machine while the API is here too. */
int rpc_signed_url(const struct kaggle *k, const char *url, struct why *why);
/* What a POST that answers with a file gives: a redirect to a signed URL or the bytes. */
int rpc_file(struct kaggle *k, const struct rpc *call, int dirfd, const char *name, int64_t max,
	struct why *why);
int rpc_file_text(struct kaggle *k, const struct rpc *call, struct strbuf *out, struct why *why);
/* Put fd's `size` bytes to where `url` says; resumes. -ESTALE: the session is gone, begin again. */
int rpc_put_file(struct kaggle *k, const char *url, int fd, int64_t size, int64_t deadline_ns,
	struct why *why);
/* dirfd/name by way of `method`, whose request is `b` but for size and time: the token is appended. */
int rpc_upload(struct kaggle *k, const char *method, struct rpc_body *b, int dirfd, const char *name,
	int64_t deadline_ns, struct strbuf *token, struct why *why);
/* Open dirfd/name for that. */
int rpc_open_file(int dirfd, const char *name, int64_t *size, int64_t *modified_s, struct why *why);

#endif
