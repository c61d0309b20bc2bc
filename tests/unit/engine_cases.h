/* What the tests of the engine share beside its fixture. */
#ifndef KEXEC_TESTS_UNIT_ENGINE_CASES_H
#define KEXEC_TESTS_UNIT_ENGINE_CASES_H

#include "fs/base/cleanup.h"
#include "fs/base/json.h"
#include "tests/unit/engine_fixture.h"

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fixture_init(f);
	*state = f;
	return fixture_start(f);
}

static inline int teardown(void **state)
{
	fixture_finish(*state);
	free(*state);
	return 0;
}

static inline void get(struct fixture *f, int64_t id, struct run *r)
{
	assert_int_equal(engine_run(f->engine, id, r), 0);
}

static inline void assert_name(struct fixture *f, int64_t id, const char *name)
{
	struct run r;

	get(f, id, &r);
	assert_string_equal(r.name, name);
	run_release(&r);
}

static inline void assert_events(struct fixture *f, int64_t id, const char *const *words)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	const char *line, *before = "draft";

	assert_int_equal(engine_events(f->engine, id, &text), 0);
	line = text.buf;
	for (; *words; words++) {
		size_t len = strcspn(line, "\n");
		struct json *j = json_parse(line, len, len, NULL);

		assert_non_null(j);
		assert_string_equal(json_text(json_get(j, "from")), before);
		assert_string_equal(json_text(json_get(j, "to")), *words);
		assert_non_null(json_text(json_get(j, "time")));
		assert_non_null(json_text(json_get(j, "run")));
		before = *words;
		json_free(j);
		line += len + 1;
	}
	assert_string_equal(line, "");
}

#define TRACEBACK(error)                                                                           \
	"Traceback (most recent call last):\n  File \"main.py\", line 1, in <module>\n" error "\n"

static inline int alerts_with(struct fixture *f, const char *word)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int n = 0;

	assert_int_equal(engine_alerts(f->engine, &text), 0);
	for (const char *at = text.buf; at && (at = strstr(at, word)); at++)
		n++;
	return n;
}

static inline int64_t version_of(struct fixture *f, int64_t id)
{
	struct run r;
	int64_t version;

	get(f, id, &r);
	version = r.version;
	run_release(&r);
	return version;
}

/* Several looks at it: polls come every second. */
static inline void wait_looks(struct fixture *f, int64_t id, int looks)
{
	for (int i = 0; i < looks; i++) {
		int64_t before = version_of(f, id);

		WAIT_FOR(f, version_of(f, id) != before);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
