/* A log, and after a NUL an executed notebook: any bytes give an answer that is safe to show. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/escape.h"
#include "fs/engine/classify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *text, size_t room)
{
	size_t n = strnlen(text, room);

	if (n == room || !utf8_valid(text, n) || strpbrk(text, "\n\r\033"))
		abort();
}

static void check(const struct classifier *c, enum end_cause cause, const char *log, size_t log_len,
	const char *notebook, size_t notebook_len)
{
	struct job_status end = {.state = JOB_ENDED, .cause = cause, .exit_code = 1};
	struct diagnosis d;

	struct classify_facts facts = {.end = &end, .log = log, .log_len = log_len,
		.notebook = notebook, .notebook_len = notebook_len};

	classify(c, &facts, &d);
	check_line(d.exception, sizeof d.exception);
	check_line(d.message, sizeof d.message);
	check_line(d.where, sizeof d.where);
	check_line(d.rule, sizeof d.rule);
	for (size_t i = 0; i < PROOF_LINES; i++)
		check_line(d.proof[i], sizeof d.proof[i]);
	if (d.class == ERROR_NONE || d.class >= ERROR_CLASS_COUNT)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct classifier
		*c; /* compiled once: it is what every call shares in the daemon, too */
	const char *log = (const char *)data;
	const char *nul = size ? memchr(log, 0, size) : NULL;
	size_t log_len = nul ? (size_t)(nul - log) : size;

	if (!c && classifier_open(NULL, &c, NULL))
		abort();
	check(c, END_ERROR, log, log_len, nul ? nul + 1 : NULL, nul ? size - log_len - 1 : 0);
	check(c, END_SIGNAL, log, log_len, NULL, 0);
	check(c, END_MEMORY, log, size, NULL, 0);
	return 0;
}
