/* Any bytes as any answer of Kaggle's: read within bounds, and what is made of it keeps its promises. The first
 * byte says which HTTP status it comes with. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kaggle/answer.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

static int take_file(void *arg, const char *name, const char *url)
{
	must(*name && *url);
	return 0;
}

static int hear(void *arg, const char *stream, double seconds, const char *text, size_t len)
{
	must(strcmp(stream, "stdout") == 0 || strcmp(stream, "stderr") == 0);
	must(isfinite(seconds) && seconds >= 0 && len > 0 && text);
	return 0;
}

static void read_kernels(const struct json *j)
{
	struct strbuf failure = STRBUF_INIT;
	struct kaggle_pushed pushed;
	struct kaggle_kernel kernel;
	struct kaggle_quota quota;
	const char *next;
	size_t count = 0;
	int r;

	if (answer_pushed(j, &pushed, NULL) == 0)
		must(pushed.version >= 0);
	kaggle_pushed_release(&pushed);
	must(answer_session(j, &failure) <= KAGGLE_UNKNOWN);
	must(!strchr(failure.buf, '\n'));
	strbuf_release(&failure);
	if (answer_kernel(j, &kernel) == 0)
		must(kernel.slug && kernel.source && kernel.metadata);
	kaggle_kernel_release(&kernel);
	r = answer_outputs(j, 5, &count, take_file, NULL, &next, NULL);
	must(next && (r == -E2BIG || count <= 5));
	answer_quota(j, &quota);
	must(isfinite(quota.gpu_used_s) && quota.refresh_s >= 0);
}

static void read_data(const struct json *j)
{
	const char *token, *url;
	char status[40];
	int64_t ref;

	if (answer_upload(j, &token, &url, NULL) == 0)
		must(*token && *url);
	answer_dataset_made(j, NULL);
	answer_dataset_status(j, status);
	must(status[0] != '\0');
	must(answer_submitted(j, &ref, NULL) == 0 || ref == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const short statuses[] = {200, 200, 200, 302, 400, 401, 403, 404, 409, 429, 500, 503};
	bool ended = false;

	if (size == 0)
		return 0;
	for (int once = 0; once < 2; once++) {
		struct json *j = NULL;
		struct answer a;
		int r = answer_read(statuses[data[0] % 12], (const char *)data + 1, size - 1, once, &j, &a);

		must((r == 0) == (j != NULL) && strlen(a.words) < ANSWER_WORDS && !strchr(a.words, '\n'));
		must(r == 0 || !once || r != -EPROTO);
		if (j)
			read_kernels(j);
		if (j)
			read_data(j);
		json_free(j);
	}
	log_text_read((const char *)data + 1, size - 1, hear, NULL);
	log_text_event((const char *)data + 1, size - 1, hear, NULL, &ended);
	return 0;
}
