/*
 * kaggle.json in attempts/<n>: all that is known of an attempt besides what Kaggle itself says. Each change
 * is on disk before the effect that it announces:
 *
 *   intended, pushed   before SaveKernel is sent: from here on a push may exist, and find() looks for it
 *   version            the push is known; nothing is ever sent for this attempt again
 *   started, ended     seen running, seen ended
 *   log_bytes          so much of the job's output is in `log`, durably
 */
#ifndef KEXEC_BACKENDS_KAGGLE_RECORD_H
#define KEXEC_BACKENDS_KAGGLE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/base/clock.h"

#define RECORD_FILE "kaggle.json"
#define RECORD_SENT "sent" /* the source as it was pushed */

struct kaggle_record {
	char *slug;             /* "owner/slug" */
	char *token;
	bool fresh;             /* kexec invented the slug: purge may delete the kernel */
	bool intended;          /* a push was announced and is not known to have been refused */
	int64_t before;         /* newest version before it, 0: there was no such kernel */
	struct stamp pushed;    /* when it was announced */
	int answers;            /* complete answers since then that showed nothing of ours */
	int session_seconds;
	char *accelerator;      /* "gpu", "tpu" or NULL */
	char *dataset;          /* "owner/slug" of the folder's own files, or NULL */
	int64_t version;        /* 0: not known (yet) */
	char *invalid;          /* sources that Kaggle did not take, a sentence, or NULL */
	struct stamp started, ended;
	int64_t log_bytes;
	bool log_done;
};

void record_init(struct kaggle_record *r);
void record_release(struct kaggle_record *r);
/* 0, -ENOENT (nothing was ever announced), or -EBADMSG. */
int record_read(int dirfd, struct kaggle_record *out);
int record_write(int dirfd, const struct kaggle_record *r);

/* The least time that has surely passed since a moment of this boot or an earlier one. No wall clock: that
 * jumps, and waiting too short a time would push twice. */
int64_t record_age_ns(const struct stamp *since);

#endif
