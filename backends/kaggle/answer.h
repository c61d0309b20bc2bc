/*
 * What Kaggle's answers mean: bytes in, structs out. Pure, so that hostile answers can be tried on each
 * without a service. Answers leave out what has its default value, so an absent member is 0, "", false
 * or the first word of its enum; numbers may come as text, words in any case.
 */
#ifndef KEXEC_BACKENDS_KAGGLE_ANSWER_H
#define KEXEC_BACKENDS_KAGGLE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/kaggle/api.h"

#define ANSWER_WORDS 320

/* One whole HTTP answer, read for success. */
struct answer {
	int status;               /* what it amounts to: HTTP's, or the code inside of a 200 */
	bool again;               /* later it may go better; nothing is wrong with the request */
	char words[ANSWER_WORDS]; /* the service's own, one line; "" = it said nothing readable */
};
/* 0 with *out (an object, the caller frees) for a success, else -errno of api.h and the words in `a`.
 * Errors also come under HTTP 200. A change that was sent once (`once`) is -EUCLEAN where the answer
 * leaves a doubt. */
int answer_read(int http_status, const char *body, size_t len, bool once, struct json **out,
	struct answer *a);
/* Does this 200 carry an error, although bytes of a file were expected? Its -errno, else 0. */
int answer_disguised(const char *body, size_t len, struct answer *a);
/* The errno that words stand for, else `otherwise`. */
int answer_errno_of(const char *words, int otherwise);

int64_t answer_int(const struct json *j, int64_t otherwise); /* number, or whole number as text */
const char *answer_text(const struct json *j);               /* never NULL */
double answer_seconds(const struct json *j);                 /* "71094.4s", 5; -1 unreadable or absent */
/* Of words separated by blanks the one that is meant (any case, camelCase, with or without _, or its
 * place as a number), -1 none. Absent: 0. */
int answer_enum(const struct json *j, const char *const *words);

int answer_pushed(const struct json *j, struct kaggle_pushed *out, struct why *why);
enum kaggle_session answer_session(const struct json *j, struct strbuf *failure);
int answer_kernel(const struct json *j, struct kaggle_kernel *out);
/* One page: `file` for each, `count` is raised; over `max` -E2BIG. *next is borrowed, "" = the last. */
int answer_outputs(const struct json *j, size_t max, size_t *count, kaggle_file *file, void *arg,
	const char **next, struct why *why);
void answer_quota(const struct json *j, struct kaggle_quota *out);
/* token and createUrl, borrowed. */
int answer_upload(const struct json *j, const char **token, const char **url, struct why *why);
int answer_dataset_made(const struct json *j, struct why *why);
void answer_dataset_status(const struct json *j, char status[static 40]);
int answer_submitted(const struct json *j, int64_t *ref, struct why *why);

/* log_text.c: a stored log: a JSON array of {stream_name, time, data}, also one that was cut short, else
 * raw text as one event of stdout. What event returns ends it. */
int log_text_read(const char *text, size_t len, kaggle_log_event *event, void *arg);
/* One data line of the live log. *ended: it was the end mark. */
int log_text_event(const char *data, size_t len, kaggle_log_event *event, void *arg, bool *ended);

#endif
