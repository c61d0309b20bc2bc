#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <errno.h>

#include <cmocka.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/strbuf.h"

typedef void (*printer)(struct strbuf *out, int64_t ns);

static void zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static void check(printer f, int64_t ns, const char *want)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;

	f(&out, ns);
	assert_string_equal(out.buf, want);
}

static int64_t parsed(const char *text)
{
	int64_t ns = -1;

	if (clock_parse_rfc3339(text, &ns))
		fail_msg("refused: %s", text);
	return ns;
}

static void printing(void **state)
{
	int64_t t = INT64_C(1795150992123456789);

	zone("JST-9");
	check(clock_rfc3339, t, "2026-11-20T14:03:12+09:00");
	check(clock_rfc3339_micros, t, "2026-11-20T14:03:12.123456+09:00");
	check(clock_local, t, "2026-11-20 14:03:12");
	zone("UTC");
	check(clock_rfc3339, t, "2026-11-20T05:03:12+00:00");
	zone("NST3:30");
	check(clock_rfc3339, t, "2026-11-20T01:33:12-03:30");
	zone("UTC");
	check(clock_rfc3339_micros, -1, "1969-12-31T23:59:59.999999+00:00");
	check(clock_rfc3339, INT64_MIN, "1677-09-21T00:12:43+00:00");
	check(clock_rfc3339, INT64_MAX, "2262-04-11T23:47:16+00:00");
}

static void durations(void **state)
{
	check(clock_hms, 0, "00:00:00");
	check(clock_hms, -5 * NS_PER_S, "00:00:00");
	check(clock_hms, 723 * NS_PER_S + 999 * NS_PER_MS, "00:12:03");
	check(clock_hms, (INT64_C(123) * 3600 + INT64_C(59) * 60 + 59) * NS_PER_S, "123:59:59");
	check(clock_hms, INT64_MAX, "2562047:47:16");
}

static void parsing(void **state)
{
	int64_t t = INT64_C(1795150992) * NS_PER_S;

	assert_int_equal(parsed("2026-11-20T14:03:12+09:00"), t);
	assert_int_equal(parsed("2026-11-20t05:03:12z"), t);
	assert_int_equal(parsed("2026-11-20 05:03:12.5Z"), t + NS_PER_S / 2);
	assert_int_equal(parsed("2026-11-20T01:33:12.1234567899-03:30"), t + 123456789);
	assert_int_equal(parsed("1970-01-01T00:00:00Z"), 0);
	assert_int_equal(parsed("1969-12-31T23:59:59.999999999Z"), -1);
	assert_int_equal(
		parsed("2024-02-29T00:00:00Z") - parsed("2024-02-28T00:00:00Z"), 86400 * NS_PER_S);
	assert_int_equal(parsed("2016-12-31T23:59:60Z"), parsed("2017-01-01T00:00:00Z"));
	assert_int_equal(parsed("2000-03-01T00:00:00Z"), INT64_C(951868800) * NS_PER_S);
}

static void refused(void **state)
{
	static const char *const bad[] = {"", "2026", "2026-11-20", "2026-11-20T14:03Z",
		"2026-11-20T14:03:12", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-11-00T00:00:00Z",
		"2026-11-20T24:00:00Z", "2026-11-20T00:60:00Z", "2026-11-20T00:00:61Z",
		"2026-11-20T00:00:00.Z", "2026-11-20T00:00:00Zx", "2026-11-20T00:00:00+9:00",
		"2026-11-20T00:00:00+24:00", "2026-11-20T00:00:00+09:60",
		"2026-11-20T00:00:00+0900", " 2026-11-20T00:00:00Z", "2026-1-20T00:00:00Z",
		"-026-11-20T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
		"2026/11/20T00:00:00Z"};
	int64_t ns = 42;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (clock_parse_rfc3339(bad[i], &ns) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(ns, 42);
}

static void round_trip(void **state)
{
	/* From 1906 on: before, offsets had seconds, which RFC 3339 cannot say. */
	for (int64_t t = -INT64_C(2000000000); t < INT64_C(9000000000); t += INT64_C(86399) * 7) {
		AUTO_BUF struct strbuf out = STRBUF_INIT;

		zone(t % 2 ? "Asia/Tokyo" : "UTC");
		clock_rfc3339_micros(&out, t * NS_PER_S + 1000);
		assert_int_equal(parsed(out.buf), t * NS_PER_S + 1000);
	}
}

static void stamps(void **state)
{
	struct stamp a = {.wall_ns = 100, .boot_ns = 1000, .boot_id = "one"};
	struct stamp b = {.wall_ns = 50, .boot_ns = 1700, .boot_id = "one"};
	struct stamp c = {.wall_ns = 400, .boot_ns = 3, .boot_id = "two"};
	struct stamp low = {.wall_ns = INT64_MIN}, high = {.wall_ns = INT64_MAX};

	assert_int_equal(stamp_since(&a, &b), 700); /* the wall clock went back */
	assert_int_equal(stamp_since(&b, &a), 0);
	assert_int_equal(stamp_since(&a, &c), 300);
	assert_int_equal(stamp_since(&c, &a), 0);
	assert_int_equal(stamp_since(&low, &high), INT64_MAX);
}

static void now(void **state)
{
	struct stamp a = stamp_now(), b;
	char id[40];

	clock_boot_id(id);
	assert_int_equal(strlen(id), 36);
	assert_string_equal(a.boot_id, id);
	assert_true(a.wall_ns > INT64_C(1600000000) * NS_PER_S);
	b = stamp_now();
	assert_true(b.boot_ns >= a.boot_ns);
	assert_true(stamp_since(&a, &b) < 60 * NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printing),
		cmocka_unit_test(durations),
		cmocka_unit_test(parsing),
		cmocka_unit_test(refused),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(stamps),
		cmocka_unit_test(now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
