/* Answers in general: what failed, and how single values are spelt. */
#include "backends/kaggle/answer.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define ANSWER_BYTES ((size_t)64 << 20)
#define SAID_BYTES   200 /* of an answer that is no JSON */

/* ---- Values ---- */

const char *answer_text(const struct json *j)
{
	const char *text = json_text(j);

	return text ? text : "";
}

int64_t answer_int(const struct json *j, int64_t otherwise)
{
	const char *text = json_text(j);
	char *end;
	long long v;

	if (!text)
		return json_int(j, otherwise);
	if (!isdigit((unsigned char)text[0]) && text[0] != '-')
		return otherwise;
	errno = 0;
	v = strtoll(text, &end, 10);
	return errno || *end || end == text ? otherwise : v;
}

double answer_seconds(const struct json *j)
{
	const char *text = json_text(j);
	double v;
	char *end;

	if (!text) {
		v = json_number(j, -1);
		return isfinite(v) && v >= 0 ? v : -1;
	}
	if (!isdigit((unsigned char)text[0]) || text[1] == 'x' || text[1] == 'X')
		return -1;
	v = strtod(text, &end);
	if (*end == 's')
		end++;
	return *end == '\0' && isfinite(v) ? v : -1;
}

static bool same_word(const char *a, const char *b)
{
	for (;;) {
		while (*a == '_')
			a++;
		while (*b == '_')
			b++;
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (*a == '\0')
			return true;
		a++;
		b++;
	}
}

int answer_enum(const struct json *j, const char *const *words)
{
	int64_t number = answer_int(j, -1);
	int n = 0;

	if (json_type(j) == JSON_ABSENT || json_type(j) == JSON_NULL)
		return 0;
	for (; words[n]; n++)
		if (json_text(j) && same_word(json_text(j), words[n]))
			return n;
	return number >= 0 && number < n ? (int)number : -1;
}

/* ---- Failures ---- */

static bool has(const char *text, const char *part)
{
	return strcasestr(text, part) != NULL;
}

int answer_errno_of(const char *words, int otherwise)
{
	static const char *const patterns[][3] = {/* two parts, and which errno by its row */
		{"session count", ""}, {"quota", "week"}, {"quota", "hours"}, {"daily", "submi"},
		{"submission", "allowance"}, {"maximum number", "submission"}, {"not found", ""}, {"could not find", ""},
		{"already in use", ""}, {"already exists", ""}, {"permission", "denied"}};
	static const int errors[] = {-EAGAIN, -EDQUOT, -EDQUOT, -EDQUOT, -EDQUOT, -EDQUOT, -ENOENT,
		-ENOENT, -EEXIST, -EEXIST, -EACCES};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (has(words, patterns[i][0]) && has(words, patterns[i][1]))
			return errors[i];
	return otherwise;
}

static void say(struct answer *a, const char *text, size_t len)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;

	escape_line(&line, text, len, ANSWER_WORDS - 1);
	if (line.len < ANSWER_WORDS)
		memcpy(a->words, line.buf, line.len + 1);
}

/* The first of the places where words have been seen that has some. */
static void say_json(struct answer *a, const struct json *j)
{
	const struct json *error = json_get(j, "error");
	const char *const texts[] = {answer_text(json_get(j, "message")),
		answer_text(json_get(error, "message")), answer_text(error),
		answer_text(json_get(j, "errorMessage")),
		answer_text(json_first(json_get(j, "errors")))};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && a->words[0] == '\0'; i++)
		say(a, texts[i], strlen(texts[i]));
}

/* Codes of gRPC, which some answers carry instead of HTTP's. */
static int http_of_grpc(int64_t code)
{
	static const short http[] = {200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 503, 400, 501,
		500, 503, 500, 401};

	return code >= 0 && code <= 16 ? http[code] : 400;
}

/* Does a success carry a failure? Its HTTP status, else 0. */
static int inner_status(const struct json *j)
{
	const struct json *error = json_get(j, "error");
	int64_t code = answer_int(json_get(j, "code"), 0);

	if (code == 0 && json_type(error) == JSON_OBJECT)
		code = answer_int(json_get(error, "code"), 0);
	if (code >= 400 && code < 600)
		return (int)code;
	if (json_type(error) == JSON_OBJECT && json_count(error) > 0)
		return http_of_grpc(code);
	if (answer_text(error)[0] || answer_text(json_get(j, "errorMessage"))[0])
		return 400;
	return json_count(json_get(j, "errors")) > 0 ? 400 : 0;
}

static int doubt(struct answer *a, bool once, int err)
{
	a->again = !once;
	return once ? -EUCLEAN : err;
}

static int refuse_for_now(struct answer *a, bool once)
{
	int err = answer_errno_of(a->words, -EAGAIN);

	a->again = err == -EAGAIN;
	return once && a->words[0] == '\0' ? -EUCLEAN : err;
}

static int errno_of_status(struct answer *a, bool once)
{
	switch (a->status) {
	case 401:
	case 403:
		return -EACCES;
	case 402:
		return -EDQUOT;
	case 404:
	case 410:
		return -ENOENT;
	case 408:
		return doubt(a, once, -EAGAIN);
	case 409:
		return -EEXIST;
	case 429:
		return refuse_for_now(a, once);
	}
	if (a->status >= 500)
		return doubt(a, once, -EAGAIN);
	if (a->status >= 400)
		return answer_errno_of(a->words, -EINVAL);
	return doubt(a, once, -EPROTO);
}

static void say_raw(struct answer *a, const char *body, size_t len)
{
	while (len > 0 && isspace((unsigned char)*body)) {
		body++;
		len--;
	}
	if (len > 0 && *body != '<') /* a page of a gateway says nothing that fits a line */
		say(a, body, len < SAID_BYTES ? len : SAID_BYTES);
}

static bool is_success(int status)
{
	return status >= 200 && status < 300;
}

static int read_object(const char *body, size_t len, struct json **out, struct answer *a)
{
	struct why problem = {0};

	*out = json_parse(body, len, ANSWER_BYTES, &problem);
	if (!*out) {
		if (is_success(a->status) && len > 0)
			say(a, problem.text, strlen(problem.text));
		return problem.err == ENOMEM ? -ENOMEM : -EPROTO;
	}
	if (json_type(*out) == JSON_OBJECT)
		return 0;
	json_free(*out);
	*out = NULL;
	return -EPROTO;
}

int answer_read(int http_status, const char *body, size_t len, bool once, struct json **out,
	struct answer *a)
{
	struct json *j = NULL;
	int r, inner;

	*out = NULL;
	*a = (struct answer){.status = http_status};
	r = read_object(body, len, &j, a);
	if (r && is_success(http_status))
		return r == -ENOMEM && !once ? r : doubt(a, once, r);
	if (r && a->words[0] == '\0')
		say_raw(a, body, len);
	inner = j ? inner_status(j) : 0;
	if (is_success(http_status) && inner == 0) {
		*out = j;
		return 0;
	}
	say_json(a, j);
	json_free(j);
	if (is_success(http_status))
		a->status = inner;
	return errno_of_status(a, once);
}

/* Only what has both a code and words: a file may be any JSON. */
int answer_disguised(const char *body, size_t len, struct answer *a)
{
	struct json *j = NULL;
	int r = 0;

	*a = (struct answer){.status = 200};
	if (read_object(body, len, &j, a) == 0 && inner_status(j) != 0) {
		say_json(a, j);
		a->status = inner_status(j);
		if (a->words[0] && json_count(j) <= 4)
			r = errno_of_status(a, false);
	}
	json_free(j);
	return r;
}
