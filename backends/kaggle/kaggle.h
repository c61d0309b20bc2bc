/* The Kaggle backend's parts know each other through this. kaggle.c: the connection and the table. */
#ifndef KEXEC_BACKENDS_KAGGLE_KAGGLE_H
#define KEXEC_BACKENDS_KAGGLE_KAGGLE_H

#include <pthread.h>
#include <stdbool.h>

#include "backends/backend.h"
#include "backends/kaggle/api.h"
#include "backends/kaggle/record.h"
#include "fs/base/why.h"

struct backend_conn {
	const struct config *config;
	struct log *log;
	int state;              /* state/kaggle: the index, the ledger, marks of data sets; or -1 */
	bool parallel_versions;
	pthread_mutex_t lock;   /* of what follows */
	struct kaggle *api;     /* NULL: no credentials, see trouble */
	struct why trouble;
	int64_t tried_ns;
	char user[128];         /* as last answered; "" not known yet */
	char status[400], quota[1200]; /* describe(), as of described_ns; "" never */
	int64_t described_ns;
	bool describing;        /* one thread asks, the others are told what was known */
	struct kaggle_quota left; /* of the same answer; figures <0: not known */
};

/* The client; credentials that appear later are found. NULL with why ("no credentials: …", -EACCES). */
struct kaggle *kaggle_client(struct backend_conn *c, struct why *why);
/* Who we are, borrowed until kaggle_free(). NULL with why. */
const char *kaggle_owner(struct backend_conn *c, struct kaggle *k, int64_t deadline_ns, struct why *why);
/* Credentials that were replaced are read again after -EACCES; returns err. */
int kaggle_denied(struct backend_conn *c, int err);
/* The directory of an attempt, fd or -errno with why. */
int kaggle_open_attempt(const struct job *job, struct why *why);

/* index.c: what must be known of a version when only its remote id is given, and when its attempt's files
 * are gone. */
struct index_entry {
	char *directory; /* of the attempt */
	bool fresh;      /* the kernel is kexec's own */
	char *dataset;   /* of the folder's files, or NULL */
};
int index_open(int state_dirfd);
int index_put(const struct backend_conn *c, const char *remote_id, const char *directory,
	const struct kaggle_record *r);
int index_get(const struct backend_conn *c, const char *remote_id, struct index_entry *out); /* 0 or -ENOENT … */
void index_entry_release(struct index_entry *e);
int index_find(const struct backend_conn *c, const char *remote_id); /* its directory, a descriptor or -errno */
int index_remove(const struct backend_conn *c, const char *remote_id);
/* Every attempt that is there: 0 goes on. Records that cannot be read are left out. */
int index_each(const struct backend_conn *c,
	int (*visit)(void *arg, const char *remote_id, const struct kaggle_record *r), void *arg);

/* prepare.c: what is pushed. */
struct push {
	struct kaggle_push request;
	struct kaggle_record record;
	struct strbuf text, problems, warnings; /* sentences, one a line */
	struct push_parts *parts; /* owns what request points to */
};
void push_init(struct push *p);
void push_release(struct push *p);
/* Everything that can be said without asking Kaggle; `user` may be NULL (nobody knows yet). Problems as
 * sentences in p->problems. 0 or -errno with why; -EINVAL with the first problem where there are any. */
int push_prepare(const struct job *job, const char *user, struct push *p, struct why *why);
/* The text, and the data set `dataset` (NULL: none) among the sources. */
int push_finish(const struct job *job, const char *dataset, const char *probe, struct push *p, struct why *why);

/* submit.c */
int kaggle_submit(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct why *why);
int kaggle_find(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct job_status *out, struct why *why);

/* find.c: which version is ours? 1: r->version is set; 0: none (yet); or -errno with why. */
int find_version(struct backend_conn *c, struct kaggle *k, int dirfd, struct kaggle_record *r, int64_t deadline_ns, struct why *why);

/* status.c */
int kaggle_poll(struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct job_status *out,
	struct why *why);
int kaggle_cancel(struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why);

/* joblog.c, bring.c */
int kaggle_logs(struct backend_conn *c, const struct job *job, const char *remote_id, int64_t deadline_ns,
	struct why *why);
/* The log that the list of outputs carries, where no other came. */
int kaggle_log_stored(int dirfd, const struct strbuf *text);
int kaggle_fetch(struct backend_conn *c, const struct job *job, const char *remote_id, int64_t deadline_ns,
	struct why *why);

/* own_files.c: the folder's own files as one private data set, made if it is not there. *slug is NULL where
 * there are none. -EAGAIN: Kaggle is still at it. */
struct dataset {
	char *slug, *probe;
};
int dataset_attach(struct backend_conn *c, struct kaggle *k, const struct job *job, const char *user,
	int dirfd, int64_t deadline_ns, struct dataset *out, struct why *why);
void dataset_release(struct dataset *d);
/* Delete it where kexec made it and no other run that is still there uses it. */
int dataset_purge(struct backend_conn *c, struct kaggle *k, const char *remote_id, const char *slug,
	int64_t deadline_ns, struct why *why);

/* describe.c */
int kaggle_describe(struct backend_conn *c, struct strbuf *status, struct strbuf *quota);
void ledger_add(const struct backend_conn *c, const char *remote_id, const struct kaggle_record *r);

#endif
