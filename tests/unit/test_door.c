/* The door: every line of the contract's "When it is submitted", "At once" and "Never by itself". */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fs/base/clock.h"
#include "fs/engine/door.h"

#define S  NS_PER_S
#define MS NS_PER_MS
#define T0 (1000 * S) /* the last change */

/* A complete folder, its writer gone, `after` nanoseconds after the last change. */
static struct door_facts facts(int64_t after)
{
	return (struct door_facts){
		.now_ns = T0 + after,
		.changed_ns = T0,
		.runnable = true,
		.settle_exited_ns = 1 * S,
		.settle_alive_ns = 5 * S,
	};
}

static void expect_verdict(struct door_facts f, enum door_action action, enum door_reason reason)
{
	struct door_verdict v = door_judge(&f);

	assert_int_equal(v.reason, reason);
	assert_int_equal(v.action, action);
}

static void expect_wait(struct door_facts f, enum door_reason reason, int64_t next_after)
{
	struct door_verdict v = door_judge(&f);

	assert_int_equal(v.action, DOOR_WAIT);
	assert_int_equal(v.reason, reason);
	assert_true(v.next_ns == T0 + next_after);
	assert_true(v.next_ns > f.now_ns);
}

static void settles_after_writers_ended(void **state)
{
	expect_wait(facts(0), DOOR_SETTLING, 1 * S);
	expect_wait(facts(1 * S - 1), DOOR_SETTLING, 1 * S);
	expect_verdict(facts(1 * S), DOOR_SUBMIT, DOOR_OK);
	expect_verdict(facts(100 * S), DOOR_SUBMIT, DOOR_OK);
}

static void settles_longer_while_a_writer_lives(void **state)
{
	struct door_facts f = facts(0);

	f.writers_alive = 1;
	expect_wait(f, DOOR_SETTLING, 1 * S);
	f.now_ns = T0 + 1 * S;
	expect_wait(f, DOOR_SETTLING, 1 * S + 100 * MS);
	f.now_ns = T0 + 2 * S + 7;
	expect_wait(f, DOOR_SETTLING, 2 * S + 7 + 100 * MS);
	f.now_ns = T0 + 5 * S - 50 * MS; /* never later than the end of the longer time */
	expect_wait(f, DOOR_SETTLING, 5 * S);
	f.now_ns = T0 + 5 * S;
	expect_verdict(f, DOOR_SUBMIT, DOOR_OK);
	f.now_ns = T0 + 2 * S; /* it ended meanwhile */
	f.writers_alive = 0;
	expect_verdict(f, DOOR_SUBMIT, DOOR_OK);
}

static void settles_longer_when_a_writer_cannot_be_seen(void **state)
{
	struct door_facts f = facts(0);

	f.writers_unseen = true;
	expect_wait(f, DOOR_SETTLING, 5 * S);
	f.now_ns = T0 + 4 * S;
	expect_wait(f, DOOR_SETTLING, 5 * S);
	f.writers_alive = 1; /* nothing that ends early can be learnt */
	expect_wait(f, DOOR_SETTLING, 5 * S);
	f.now_ns = T0 + 5 * S;
	expect_verdict(f, DOOR_SUBMIT, DOOR_OK);
}

static void settle_times_are_settings(void **state)
{
	struct door_facts f = facts(20 * MS);

	f.settle_exited_ns = 10 * MS;
	expect_verdict(f, DOOR_SUBMIT, DOOR_OK);
	f.writers_alive = 1;
	f.settle_alive_ns = 30 * MS;
	expect_wait(f, DOOR_SETTLING, 30 * MS);
	f.settle_exited_ns = f.settle_alive_ns = 0;
	f.now_ns = T0;
	expect_verdict(f, DOOR_SUBMIT, DOOR_OK);
	f.now_ns = T0 - 5; /* a change stamped after the facts were gathered */
	assert_int_equal(door_judge(&f).action, DOOR_WAIT);
}

static void an_open_handle_holds_everything(void **state)
{
	struct door_facts f = facts(100 * S);
	struct door_verdict v;

	f.open_writers = 1;
	for (int asked = 0; asked <= 1; asked++) {
		f.asked = asked;
		v = door_judge(&f);
		assert_int_equal(v.action, DOOR_WAIT);
		assert_int_equal(v.reason, DOOR_WRITING);
		assert_true(v.next_ns > f.now_ns);
	}
}

static void what_is_missing_rests(void **state)
{
	struct door_facts f = facts(100 * S);

	f.runnable = false;
	expect_verdict(f, DOOR_REST, DOOR_NOT_RUNNABLE);
	f.now_ns = T0; /* not before it is quiet */
	expect_wait(f, DOOR_SETTLING, 1 * S);
	f = facts(100 * S);
	f.named_missing = true;
	expect_verdict(f, DOOR_REST, DOOR_NAMED_MISSING);
	f = facts(100 * S);
	f.temporary = true;
	expect_verdict(f, DOOR_REST, DOOR_TEMPORARY);
	f.runnable = false;
	f.bad_metadata = true; /* the copy is not complete: not yet judged */
	expect_verdict(f, DOOR_REST, DOOR_TEMPORARY);
}

static void unreadable_metadata_is_rejected_once_settled(void **state)
{
	struct door_facts f = facts(0);

	f.bad_metadata = true;
	expect_wait(f, DOOR_SETTLING, 1 * S);
	f.now_ns = T0 + 1 * S;
	expect_verdict(f, DOOR_REJECT, DOOR_BAD_METADATA);
	f.runnable = false;
	expect_verdict(f, DOOR_REJECT, DOOR_BAD_METADATA);
}

static void asked_is_at_once(void **state)
{
	struct door_facts f = facts(0);

	f.asked = true;
	expect_verdict(f, DOOR_SUBMIT, DOOR_OK);
	f.writers_alive = 3;
	f.writers_unseen = f.refused = f.writer_killed = f.interrupted = f.explicit_only = true;
	f.temporary = f.named_missing = true; /* a named file that is missing is told by the checks */
	expect_verdict(f, DOOR_SUBMIT, DOOR_OK);
	f.runnable = false;
	expect_verdict(f, DOOR_REJECT, DOOR_NOT_RUNNABLE);
	f.bad_metadata = true;
	expect_verdict(f, DOOR_REJECT, DOOR_BAD_METADATA);
}

static void staging_is_never_submitted(void **state)
{
	struct door_facts f = facts(100 * S);

	f.staging = true;
	expect_verdict(f, DOOR_REST, DOOR_STAGING);
	f.asked = f.bad_metadata = true;
	f.open_writers = 1;
	expect_verdict(f, DOOR_REST, DOOR_STAGING);
}

static void never_by_itself(void **state)
{
	struct door_facts f = facts(1000 * S);

	f.refused = true;
	expect_verdict(f, DOOR_REST, DOOR_REFUSED);
	f.refused = false;
	f.writer_killed = true;
	expect_verdict(f, DOOR_REST, DOOR_KILLED);
	f.writer_killed = false;
	f.interrupted = true;
	expect_verdict(f, DOOR_REST, DOOR_INTERRUPTED);
	f.bad_metadata = true; /* half a kexec.json is no reason to reject */
	expect_verdict(f, DOOR_REST, DOOR_INTERRUPTED);
	f = facts(1000 * S);
	f.explicit_only = true;
	expect_verdict(f, DOOR_REST, DOOR_EXPLICIT);
	f.bad_metadata = true;
	expect_verdict(f, DOOR_REST, DOOR_EXPLICIT);
}

/* Every combination of facts: what must hold always. */
static void invariants(void **state)
{
	for (unsigned bits = 0; bits < 1u << 14; bits++) {
		struct door_facts f = facts((bits & 1) ? 2 * S : 100 * MS);
		struct door_verdict v;

		f.staging = bits & 2;
		f.asked = bits & 4;
		f.explicit_only = bits & 8;
		f.open_writers = bits & 16 ? 2 : 0;
		f.writers_alive = bits & 32 ? 1 : 0;
		f.writers_unseen = bits & 64;
		f.refused = bits & 128;
		f.writer_killed = bits & 256;
		f.interrupted = bits & 512;
		f.runnable = bits & 1024;
		f.bad_metadata = bits & 2048;
		f.named_missing = bits & 4096;
		f.temporary = bits & 8192;
		v = door_judge(&f);
		if (v.action == DOOR_WAIT)
			assert_true(v.next_ns > f.now_ns && v.next_ns <= f.now_ns + 5 * S);
		else
			assert_true(v.next_ns == INT64_MAX);
		if (v.action == DOOR_SUBMIT) {
			assert_true(f.runnable && !f.bad_metadata && !f.staging && !f.open_writers);
			assert_true(f.asked || !(f.refused || f.writer_killed || f.interrupted ||
				f.explicit_only || f.named_missing || f.temporary || f.writers_alive ||
				f.writers_unseen || !(bits & 1)));
		}
		if (v.action == DOOR_REJECT)
			assert_true(f.asked || f.bad_metadata);
		assert_true(strlen(door_reason_text(v.reason)) > 0);
	}
}

static void temporary_names(void **state)
{
	static const char *const yes[] = {".x.part", ".big file.ipynb.part", ".goutputstream-AB12CD",
		".train.ipynb.x7Kd2Q", ".a.ZZZZZ9", ".train.py.swp", ".train.py.swx", "4913", ".~lock.a.csv#",
		".nfs000000000a3f00000000042", ".#train.py", ".~train.ipynb", ".~tmp~", "x.filepart"};
	static const char *const no[] = {"train.ipynb", "x.part", "part", ".part", ".git", ".gitignore",
		".env", ".env.sample", ".app.config", ".app.Config", ".log.202401", ".a.SAMPLE", ".kexecignore",
		".submit", "4914", ".swp", "..swp", "a.swp", ".nfs", ".nfsfoo", "train.py~", ".x.ab-12c", "",
		".", "..", ".ipynb_checkpoints", "._train.ipynb", ".DS_Store", "goutputstream-1", "..abC12d"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!door_temporary_name(yes[i]))
			fail_msg("not seen as temporary: %s", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (door_temporary_name(no[i]))
			fail_msg("seen as temporary: %s", no[i]);
}

static void folder_names(void **state)
{
	char longest[257];

	memset(longest, 'a', sizeof(longest) - 1);
	longest[256] = '\0';
	assert_int_equal(door_name_check(longest), -ENAMETOOLONG);
	longest[255] = '\0';
	assert_int_equal(door_name_check(longest), 0);
	assert_int_equal(door_name_check("nb"), 0);
	assert_int_equal(door_name_check(".nb"), 0);
	assert_int_equal(door_name_check("学習 ノート"), 0);
	assert_int_equal(door_name_check("a-b"), 0);
	assert_int_equal(door_name_check("..."), 0);
	assert_int_equal(door_name_check(""), -EINVAL);
	assert_int_equal(door_name_check("."), -EINVAL);
	assert_int_equal(door_name_check(".."), -EINVAL);
	assert_int_equal(door_name_check("-rf"), -EINVAL);
	assert_int_equal(door_name_check("a/b"), -EINVAL);
	assert_int_equal(door_name_check("a\nb"), -EINVAL);
	assert_int_equal(door_name_check("a\x7f"), -EINVAL);
	assert_int_equal(door_name_check("a\xc2\x85"), -EINVAL);     /* NEL */
	assert_int_equal(door_name_check("a\xc2\xa0"), 0);           /* a space that does not break */
	assert_int_equal(door_name_check("a\xff"), -EILSEQ);
	assert_int_equal(door_name_check("a\xc2"), -EILSEQ);
	assert_int_equal(door_name_check("\xed\xa0\x80"), -EILSEQ); /* half a surrogate pair */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settles_after_writers_ended),
		cmocka_unit_test(settles_longer_while_a_writer_lives),
		cmocka_unit_test(settles_longer_when_a_writer_cannot_be_seen),
		cmocka_unit_test(settle_times_are_settings),
		cmocka_unit_test(an_open_handle_holds_everything),
		cmocka_unit_test(what_is_missing_rests),
		cmocka_unit_test(unreadable_metadata_is_rejected_once_settled),
		cmocka_unit_test(asked_is_at_once),
		cmocka_unit_test(staging_is_never_submitted),
		cmocka_unit_test(never_by_itself),
		cmocka_unit_test(invariants),
		cmocka_unit_test(temporary_names),
		cmocka_unit_test(folder_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
