/*
 * Kaggle's public API as its official client speaks it: one function a call. Knows credentials, the
 * wire (POST {base}/{service}/{Method}, JSON with defaults omitted), errors in all their shapes and the
 * rate limits; knows nothing of jobs, runs or tokens.
 *
 * Errors of every call: 0, or -errno with the service's own words (bounded, one line) in why:
 *   -EAGAIN    not now, nothing happened: rate limit, 5xx of a repeatable call, session slots taken, no
 *              network; kaggle_retry_ns() says how long the service wants to be left alone
 *   -EUCLEAN   a call that changes something may or may not have happened
 *   -EACCES    401, 403: credentials, or not permitted, or (Kaggle masks names) not there
 *   -ENOENT    404          -EEXIST  409          -EDQUOT  allowance of the week or the day used up
 *   -EINVAL    400, or the service names what is wrong with the request
 *   -EPROTO    an answer that is none (HTML, truncated or malformed JSON, over a bound)
 *   -ETIMEDOUT -ECANCELED -ENOMEM
 * Calls that only read are repeated inside (backoff, Retry-After, until the deadline); calls that change
 * something are sent once. Threads: any number at once on one client. Deadlines: CLOCK_BOOTTIME.
 */
#ifndef KEXEC_BACKENDS_KAGGLE_API_H
#define KEXEC_BACKENDS_KAGGLE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/strbuf.h"

struct config;
struct json;
struct log;
struct why;
struct kaggle;

/* Base URL: KEXEC_KAGGLE_URL, else backends.kaggle.url (both with their /v1 or /api/v1 prefix), else
 * http://localhost/api/v1 under KAGGLE_API_ENVIRONMENT=LOCALHOST, else https://api.kaggle.com/v1. Credentials:
 * see credentials.h. -ENOENT with why (the places that were looked in, and what to do): none are there.
 * Nothing is sent yet. `config` and `log` (either may be NULL) are borrowed until kaggle_free(). */
int kaggle_new(const struct config *config, struct log *log, struct kaggle **out, struct why *why);
void kaggle_free(struct kaggle *k); /* accepts NULL; no call may be running */
void kaggle_stop(struct kaggle *k); /* calls that run or come end soon with -ECANCELED (-EUCLEAN: in doubt) */
/* Who we are: from the credentials, or asked of the service once (bearer tokens). Borrowed until kaggle_free(),
 * also when it changes by kaggle_reload(). NULL with why. */
const char *kaggle_user(struct kaggle *k, int64_t deadline_ns, struct why *why);
/* Credentials are read again (after -EACCES): true when they differ from those in use. */
bool kaggle_reload(struct kaggle *k);
/* Nothing is sent to the method ("SaveKernel", with or without its service; "storage": signed URLs; "*": the
 * longest of all) before so many ns from now. 0: free. */
int64_t kaggle_retry_ns(struct kaggle *k, const char *method);

/* ---- Kernels ---- */

struct kaggle_push {
	const char *slug;          /* "owner/slug" */
	int64_t id;                /* id_no, 0: none */
	const char *title;
	const char *text;          /* the whole notebook as one JSON text (cell sources joined), or the script */
	const char *language, *kernel_type; /* "python", "r", …; "script", "notebook" */
	/* NULL-terminated or NULL */
	const char *const *datasets, *const *competitions, *const *kernels, *const *models, *const *keywords;
	bool is_private, gpu, tpu, internet;
	const char *machine_shape, *docker_image, *docker_pinning; /* or NULL */
	int session_seconds;       /* always sent */
};
struct kaggle_pushed {
	int64_t version;           /* 0: the service named none */
	int64_t kernel_id;
	char *invalid;             /* sources that it did not take, one sentence; NULL: all were taken */
};
/* Sent once. -EUCLEAN after every doubt, also after 5xx and 429 with nothing said. Of the service's words,
 * "session count" is -EAGAIN, the weekly quota -EDQUOT, "not found" -ENOENT. */
int kaggle_save_kernel(struct kaggle *k, const struct kaggle_push *p, int64_t deadline_ns,
	struct kaggle_pushed *out, struct why *why);
void kaggle_pushed_release(struct kaggle_pushed *p);

struct kaggle_kernel {
	int64_t id, version;       /* version: the newest when none was asked for */
	char *slug, *title, *language, *kernel_type, *source; /* never NULL; "" = not given back */
	struct json *metadata;     /* as sent; owned */
	bool is_private;
};
/* version 0: the newest. */
int kaggle_get_kernel(struct kaggle *k, const char *slug, int64_t version, int64_t deadline_ns,
	struct kaggle_kernel *out, struct why *why);
void kaggle_kernel_release(struct kaggle_kernel *kernel);

enum kaggle_session {
	KAGGLE_QUEUED, KAGGLE_RUNNING, KAGGLE_COMPLETE, KAGGLE_ERROR, KAGGLE_CANCEL_REQUESTED,
	KAGGLE_CANCELLED, KAGGLE_NEW, KAGGLE_UNKNOWN
};
int kaggle_status(struct kaggle *k, const char *slug, int64_t version, int64_t deadline_ns,
	enum kaggle_session *out, struct strbuf *failure, struct why *why);

/* Every output file of a version, page by page; `file` (0 or -errno, which is returned) gets the name as the
 * service spells it (hostile) and the signed URL. `log` (may be NULL) receives the stored log as text. At
 * most `max` files, more is -E2BIG. */
typedef int kaggle_file(void *arg, const char *name, const char *url);
int kaggle_outputs(struct kaggle *k, const char *slug, int64_t version, size_t max, int64_t deadline_ns,
	kaggle_file *file, void *arg, struct strbuf *log, struct why *why);
/* Fetch a signed URL into dirfd/name (one component; a plain file there is replaced), no Authorization. The file
 * is complete and on disk, or not there; what a failed call has got waits in a hidden file beside it
 * (".<16 hex digits>.part") for the next one, which goes on with it where the service says that it is the same.
 * -ESTALE: the URL has expired, list again. -EFBIG: over max bytes. -EACCES: a URL that is not https. */
int kaggle_download(struct kaggle *k, const char *url, int dirfd, const char *name, int64_t max,
	int64_t deadline_ns, struct why *why);

/* The log while it runs, or the stored one: `event` gets stream ("stdout", "stderr"), seconds and text from
 * the very beginning each time. Returns when the log has ended (*ended), the stream was cut or it is idle
 * for `idle_ns` (for the first event at least 10 s). What `event` returns but 0 ends it and is returned.
 * -EFBIG: over 256 MiB. */
typedef int kaggle_log_event(void *arg, const char *stream, double seconds, const char *text, size_t len);
int kaggle_log(struct kaggle *k, const char *slug, int64_t version, int64_t idle_ns, int64_t deadline_ns,
	kaggle_log_event *event, void *arg, bool *ended, struct why *why);

int kaggle_delete_kernel(struct kaggle *k, const char *slug, int64_t deadline_ns, struct why *why);
/* The session of a version by the unofficial way (a redirect that names it), and its end. */
int kaggle_cancel_session(struct kaggle *k, const char *slug, int64_t version, int64_t deadline_ns, struct why *why);
/* Any list call: the answer as it came. `method` "kernels.KernelsApiService/ListKernels" … */
int kaggle_list(struct kaggle *k, const char *method, const struct json *request, int64_t deadline_ns,
	struct json **out, struct why *why);

struct kaggle_quota {
	double gpu_used_s, gpu_reserved_s, gpu_total_s; /* <0: not said */
	double tpu_used_s, tpu_reserved_s, tpu_total_s;
	int64_t refresh_s; /* wall clock since 1970, 0: not said */
};
int kaggle_get_quota(struct kaggle *k, int64_t deadline_ns, struct kaggle_quota *out, struct why *why);

/* ---- Blobs and datasets ---- */

/* Upload dirfd/name under the name `as` (NULL: the same); resumes within the call. The blob's token is appended.
 * type: "DATASET", … */
int kaggle_upload(struct kaggle *k, const char *type, int dirfd, const char *name, const char *as,
	int64_t deadline_ns, struct strbuf *token, struct why *why);
struct kaggle_dataset {
	const char *slug;          /* "owner/slug" */
	const char *title, *notes; /* notes: of a version */
	const char *const *tokens; /* NULL-terminated blob tokens */
};
int kaggle_dataset_create(struct kaggle *k, const struct kaggle_dataset *d, int64_t deadline_ns, struct why *why);
int kaggle_dataset_version(struct kaggle *k, const struct kaggle_dataset *d, int64_t deadline_ns, struct why *why);
/* status word of the service ("READY", "FAILED", …). -EACCES/-ENOENT: there is none of that name. */
int kaggle_dataset_status(struct kaggle *k, const char *slug, int64_t deadline_ns, char status[static 40], struct why *why);
int kaggle_dataset_delete(struct kaggle *k, const char *slug, int64_t deadline_ns, struct why *why);

/* ---- Competitions ---- */

/* Daily allowance: how many submissions are left today. */
int kaggle_submissions_left(struct kaggle *k, const char *competition, int64_t deadline_ns, int *left, struct why *why);
/* Sent once; -EUCLEAN: look for `description` with ListSubmissions before anything else. */
int kaggle_submit_file(struct kaggle *k, const char *competition, int dirfd, const char *name,
	const char *description, int64_t deadline_ns, int64_t *ref, struct why *why);
int kaggle_submit_kernel(struct kaggle *k, const char *competition, const char *slug, int64_t version,
	const char *file, const char *description, int64_t deadline_ns, int64_t *ref, struct why *why);
/* Whole leaderboard as CSV (the service sends a zip). */
int kaggle_leaderboard(struct kaggle *k, const char *competition, int64_t deadline_ns, struct strbuf *csv, struct why *why);
/* A competition's file into dirfd/name, as kaggle_download(). file NULL: all, as the zip that the service makes;
 * a single file may come zipped too ("PK\003\004"). */
int kaggle_competition_file(struct kaggle *k, const char *competition, const char *file, int dirfd,
	const char *name, int64_t max, int64_t deadline_ns, struct why *why);

#endif
