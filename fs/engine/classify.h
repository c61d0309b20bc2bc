/*
 * Why did it fail? Rules read the exception type and message of the last traceback (never words
 * anywhere in a log), then how the process ended. The built-in rules are in classify.rules, compiled
 * in; a user's file <config>/classify.rules is read before them. A rule is one line of tab-separated
 * fields: class, exception-type regex, message regex, next step word (retry | person | backend), and
 * optionally a regex that one frame ("file: source line") must match. The format is explained at the
 * head of classify.rules; of a user's file at most 200 rules of 1 KiB are read.
 *
 * How the process ended outdoes any text, where the supervisor knows it. Of chained exceptions the
 * last one counts; where no rule knows it, the one it was raised from is asked, or the one whose
 * `except` block raised it. One classifier may be used by several threads at once.
 */
#ifndef KEXEC_ENGINE_CLASSIFY_H
#define KEXEC_ENGINE_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>
#include "backends/backend.h"

struct strbuf;
struct why;

enum error_class {
	ERROR_NONE, ERROR_OOM, ERROR_MISSING_DEP, ERROR_DATASET_MISSING, ERROR_PANDAS_COMPAT,
	ERROR_NETWORK_TIMEOUT, ERROR_YFINANCE, ERROR_QUOTA, ERROR_TIME_LIMIT, ERROR_INFRA, ERROR_CODE,
	ERROR_GPU, ERROR_KERNEL_DIED, ERROR_KERNELSPEC, ERROR_NO_INTERNET, ERROR_ACCESS, ERROR_DISK_FULL,
	ERROR_DATA, ERROR_UNKNOWN, ERROR_CLASS_COUNT
};
extern const char *const error_class_words[ERROR_CLASS_COUNT]; /* never translated */

enum next_step { NEXT_PERSON, NEXT_RETRY, NEXT_BACKEND };

#define PROOF_LINES 5
#define PROOF_LINE  320

struct diagnosis {
	enum error_class class;
	enum next_step next;
	char exception[128];   /* type as printed, "" none */
	char message[1024];    /* its message, one line */
	char where[256];       /* file:line or "cell N, line M", "" unknown */
	char rule[64];         /* id: "builtin:12", "user:3", "end:memory" */
	/* The lines that proved it, in the order of the log: where, what was running, the exception; or
	 * the sentence of the service, the last words of the log. "" ends the list. */
	char proof[PROOF_LINES][PROOF_LINE];
};

/* What is known of an attempt that has ended. */
struct classify_facts {
	const struct job_status *end;
	bool offline;      /* it was given no network: a name not found then is no accident */
	/* The tail of the log (the last 256 KiB suffice), as text or as a service stores it: a JSON array
	 * of {stream_name, time, data}, also one that was cut. */
	const char *log;
	size_t log_len;
	const char *notebook; /* the executed .ipynb's JSON text or NULL */
	size_t notebook_len;
};

struct classifier;
int classifier_open(const char *config_folder, struct classifier **out, struct why *why); /* bad user rules: -EINVAL with line */
void classifier_close(struct classifier *c);
/* Total: any bytes give an answer. */
void classify(const struct classifier *c, const struct classify_facts *facts, struct diagnosis *out);
/* The sentence for status and report: what happens next. Translated. */
const char *next_step_text(enum error_class class, enum next_step next);

#endif
