/* Control words: lines, words, quotes, bounds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "fs/mount/ctl.h"

static struct ctl_words w;

static int parse(const char *text)
{
	return ctl_parse(text, strlen(text), &w);
}

static void words_of_a_line(void **state)
{
	(void)state;
	assert_int_equal(parse("priority 7\n"), 0);
	assert_int_equal(w.lines, 1);
	assert_int_equal(w.line[0].argc, 2);
	assert_string_equal(w.line[0].argv[0], "priority");
	assert_string_equal(w.line[0].argv[1], "7");
	assert_null(w.line[0].argv[2]);
}

static void without_newline_and_with_blanks(void **state)
{
	(void)state;
	assert_int_equal(parse("  \tcancel  "), 0);
	assert_int_equal(w.lines, 1);
	assert_int_equal(w.line[0].argc, 1);
	assert_string_equal(w.line[0].argv[0], "cancel");
	assert_int_equal(parse(" \n\r\n\n"), 0);
	assert_int_equal(w.lines, 0);
}

static void several_lines(void **state)
{
	(void)state;
	assert_int_equal(parse("cancel\n\nretry now\r\nconfirm"), 0);
	assert_int_equal(w.lines, 3);
	assert_string_equal(w.line[1].argv[1], "now");
	assert_string_equal(w.line[2].argv[0], "confirm");
}

static void quotes(void **state)
{
	(void)state;
	assert_int_equal(parse("submit 'my file.csv' \"it's \\\"it\\\"\" a\\ b ''\n"), 0);
	assert_int_equal(w.line[0].argc, 5);
	assert_string_equal(w.line[0].argv[1], "my file.csv");
	assert_string_equal(w.line[0].argv[2], "it's \"it\"");
	assert_string_equal(w.line[0].argv[3], "a b");
	assert_string_equal(w.line[0].argv[4], "");
}

static void refused(void **state)
{
	char huge[CTL_MAX + 2];

	(void)state;
	assert_int_equal(parse("cancel 'open\n"), -EINVAL);
	assert_int_equal(parse("cancel \033[31m\n"), -EINVAL);
	assert_int_equal(ctl_parse("a\0b", 3, &w), -EINVAL);
	memset(huge, 'a', sizeof(huge));
	assert_int_equal(ctl_parse(huge, sizeof(huge), &w), -E2BIG);
	assert_int_equal(ctl_parse(huge, CTL_MAX, &w), 0);
	assert_int_equal(strlen(w.line[0].argv[0]), CTL_MAX);
	assert_int_equal(parse("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"), -E2BIG);
	memset(huge, '\n', sizeof(huge));
	assert_int_equal(ctl_parse(huge, CTL_MAX_LINES, &w), 0);
	assert_int_equal(ctl_parse(huge, CTL_MAX, &w), 0); /* empty lines are no lines */
	for (int i = 0; i < CTL_MAX; i += 2)
		huge[i] = 'x';
	assert_int_equal(ctl_parse(huge, CTL_MAX, &w), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_of_a_line),
		cmocka_unit_test(without_newline_and_with_blanks),
		cmocka_unit_test(several_lines),
		cmocka_unit_test(quotes),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
