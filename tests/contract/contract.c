#include "tests/contract/contract.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/contract/cases.h"

#define CASES_MAX 200

struct suite {
	struct world_kind kinds[WORLD_MODES];
	struct CMUnitTest tests[CASES_MAX];
	char names[CASES_MAX][96];
	size_t count;
};

/* ---- what needs no service ---- */

static void assert_vtable(const struct backend *b)
{
	assert_int_equal(b->api, BACKEND_API);
	assert_true(b->name && *b->name);
	for (const char *c = b->name; *c; c++)
		assert_true(islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '_' || *c == '-');
	assert_true(strlen(b->name) < 32); /* as long as the engine keeps it */
	assert_non_null(b->open);
	assert_non_null(b->close);
	assert_non_null(b->submit);
	assert_non_null(b->find);
	assert_non_null(b->poll);
	assert_non_null(b->fetch);
	assert_non_null(b->describe);
	if (b->caps & BACKEND_CANCEL)
		assert_non_null(b->cancel);
	assert_int_equal(b->caps & ~(unsigned)(BACKEND_GPU | BACKEND_CANCEL | BACKEND_PUSHES |
				  BACKEND_PAID | BACKEND_NETWORK), 0);
	b->close(NULL);
}

static void every_vtable_is_whole(void **state)
{
	const struct backend *const *all = backend_all();

	assert_non_null(*all);
	for (size_t i = 0; all[i]; i++) {
		assert_vtable(all[i]);
		assert_ptr_equal(backend_find(all[i]->name), all[i]);
	}
	assert_null(backend_find("nothing of that name"));
	assert_null(backend_find(""));
}

static void every_cause_has_a_word(void **state)
{
	for (int i = 0; i < END_CAUSE_COUNT; i++) {
		assert_non_null(end_cause_words[i]);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(end_cause_words[i], end_cause_words[j]);
	}
}

/* ---- the programs ---- */

static void add(struct suite *s, enum world_mode mode, const struct contract_case *cases)
{
	for (; cases->name && s->count < CASES_MAX; cases++) {
		char *name = s->names[s->count];

		snprintf(name, sizeof(s->names[0]), "%s: %s", world_mode_words[mode], cases->name);
		s->tests[s->count++] = (struct CMUnitTest){.name = name, .test_func = cases->run,
			.setup_func = world_setup, .teardown_func = world_teardown,
			.initial_state = &s->kinds[mode]};
	}
}

static bool make_suite(struct suite *s, const struct contract_backend *backend)
{
	char path[] = "/tmp/kexec-faults-XXXXXX";
	int fd = mkstemp(path);
	struct world_fault *faults = fd < 0 ? NULL : world_map_faults(path);

	if (fd >= 0)
		close(fd);
	s->tests[s->count++] = (struct CMUnitTest)cmocka_unit_test(every_vtable_is_whole);
	s->tests[s->count++] = (struct CMUnitTest)cmocka_unit_test(every_cause_has_a_word);
	for (enum world_mode mode = WORLD_PLAIN; mode < WORLD_MODES; mode++) {
		s->kinds[mode] = (struct world_kind){backend, mode, faults};
		add(s, mode, contract_submit_cases);
		add(s, mode, contract_answer_cases);
		add(s, mode, contract_effect_cases);
		add(s, mode, contract_trouble_cases);
	}
	add(s, WORLD_TRACE, contract_trace_cases);
	add(s, WORLD_FAULT, contract_fault_cases);
	return faults != NULL && s->count < CASES_MAX;
}

int contract_main(const struct contract_backend *backend, int argc, char **argv)
{
	struct suite *s = calloc(1, sizeof(*s));
	int failed = 1;

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (s && make_suite(s, backend))
		failed = _cmocka_run_group_tests(backend->vt->name, s->tests, s->count, NULL, NULL);
	free(s);
	return failed != 0;
}
