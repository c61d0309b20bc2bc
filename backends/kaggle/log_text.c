/* Logs as text: stored ones and the lines of live ones. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kaggle/answer.h"
#include "fs/base/cleanup.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"

#define LOG_BYTES ((size_t)64 << 20)
#define END_MARK  "END_OF_LOG"

static int give(const struct json *entry, kaggle_log_event *event, void *arg)
{
	const char *stream = answer_text(json_get(entry, "stream_name"));
	const char *text = answer_text(json_get(entry, "data"));
	double seconds = json_number(json_get(entry, "time"), 0);

	if (*text == '\0')
		return 0;
	return event(arg, strcmp(stream, "stderr") == 0 ? "stderr" : "stdout",
		seconds >= 0 && seconds < 1e10 ? seconds : 0, text, strlen(text));
}

static int give_all(const struct json *list, kaggle_log_event *event, void *arg)
{
	int r = 0;

	for (const struct json *c = json_first(list); c && r == 0; c = json_next(c))
		r = give(c, event, arg);
	return r;
}

/* The whole entries of an array that was cut short. */
static struct json *read_cut(const char *text, size_t len)
{
	AUTO_BUF struct strbuf closed = STRBUF_INIT;
	const char *end = len ? memrchr(text, '}', len) : NULL;

	for (int tries = 0; end && tries < 4; tries++) {
		struct json *j;

		strbuf_reset(&closed);
		if (strbuf_add(&closed, text, (size_t)(end - text) + 1) < 0 ||
			strbuf_addch(&closed, ']') < 0)
			return NULL;
		j = json_parse(closed.buf, closed.len, LOG_BYTES, NULL);
		if (j)
			return j;
		end = memrchr(text, '}', (size_t)(end - text));
	}
	return NULL;
}

static bool begins_array(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && strchr(" \t\r\n", text[i]) && text[i])
		i++;
	return i < len && text[i] == '[';
}

int log_text_read(const char *text, size_t len, kaggle_log_event *event, void *arg)
{
	struct json *j = NULL;
	int r;

	if (len == 0)
		return 0;
	if (begins_array(text, len)) {
		j = json_parse(text, len, LOG_BYTES, NULL);
		if (!j)
			j = read_cut(text, len);
	}
	if (json_type(j) == JSON_ARRAY &&
		(json_count(j) == 0 || json_type(json_first(j)) == JSON_OBJECT))
		r = give_all(j, event, arg);
	else
		r = event(arg, "stdout", 0, text, len);
	json_free(j);
	return r;
}

int log_text_event(const char *data, size_t len, kaggle_log_event *event, void *arg, bool *ended)
{
	struct json *j;
	int r;

	if (len == strlen(END_MARK) && memcmp(data, END_MARK, len) == 0) {
		*ended = true;
		return 0;
	}
	if (len == 0)
		return 0;
	j = json_parse(data, len, LOG_BYTES, NULL);
	if (json_type(j) == JSON_OBJECT) {
		r = give(j, event, arg);
	} else {
		r = event(arg, "stdout", 0, data, len);
		if (r == 0)
			r = event(arg, "stdout", 0, "\n", 1);
	}
	json_free(j);
	return r;
}
