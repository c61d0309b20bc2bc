/* A file on its way from a service to a folder (for fetch.c and competitions.c): written to a hidden
 * partial file beside its place, which it takes when it is whole and on disk. */
#ifndef KEXEC_BACKENDS_KAGGLE_FETCH_H
#define KEXEC_BACKENDS_KAGGLE_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/base/http.h"

struct partial {
	int dirfd, fd;
	const char *name;
	char part[32];
	int64_t max, have;
	char etag[128]; /* of what is there; "": it cannot be continued */
	bool begun;     /* the answer that runs has been looked at */
};

int partial_open(struct partial *p, int dirfd, const char *name, int64_t max, struct why *why);
/* Forget what is there. */
int partial_restart(struct partial *p);
http_sink partial_sink;
/* For an answer without a single byte the sink is never called. */
int partial_begin(struct partial *p, const struct http_response *head);
/* After an answer that was read to its end: has all come, or only a part of what a 206 told of? */
bool partial_whole(const struct partial *p, const struct http_response *head);
/* Whole: to disk and to its name. */
int partial_finish(struct partial *p, struct why *why);
void partial_drop(struct partial *p);  /* it is of no use: remove it */
void partial_close(struct partial *p);

#endif
