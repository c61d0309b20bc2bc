/* The engine as the mount uses it, with the scripted backend: drafts, words, places. */
#include "tests/unit/engine_cases.h"

static void draft_names(void **state)
{
	struct fixture *f = *state;
	int64_t a, b, c, found;
	bool asked;
	char longest[256], too_long[257];

	assert_int_equal(engine_draft_make(f->engine, 0, "nb", &a), 0);
	assert_int_equal(engine_draft_make(f->engine, 0, "nb", &b), -EEXIST);
	assert_int_equal(engine_draft_make(f->engine, 0, "-nb", &b), -EINVAL);
	assert_int_equal(engine_draft_make(f->engine, 0, "n\377b", &b), -EILSEQ);
	assert_true(state_file(f, a, "source"));
	assert_name(f, a, "nb");
	assert_int_equal(engine_find_draft(f->engine, "nb", &found), 0);
	assert_int_equal(found, a);
	assert_int_equal(engine_find_latest(f->engine, "nb", &found), 0);
	assert_int_equal(found, a);

	assert_int_equal(engine_draft_make(f->engine, 0, ".tmp", &b), 0);
	assert_int_equal(engine_find(f->engine, PLACE_RUNS, ".tmp", &found), -ENOENT);
	assert_int_equal(engine_find_latest(f->engine, ".tmp", &found), -ENOENT);
	assert_int_equal(engine_draft_rename(f->engine, 0, b, "nb", &asked), -EEXIST);
	assert_int_equal(engine_draft_rename(f->engine, 0, b, "other", &asked), 0);
	assert_true(asked);
	assert_int_equal(engine_find(f->engine, PLACE_RUNS, "other", &found), 0);
	assert_int_equal(engine_draft_rename(f->engine, 0, b, "third", &asked), 0);
	assert_false(asked);
	assert_int_equal(engine_find(f->engine, PLACE_RUNS, "other", &found), -ENOENT);
	assert_int_equal(engine_find_latest(f->engine, "third", &found), 0);
	assert_int_equal(found, b);

	memset(longest, 'x', 255);
	longest[255] = '\0';
	memcpy(longest + 253, "\303\244", 2); /* the last character has two bytes */
	memset(too_long, 'x', 256);
	too_long[256] = '\0';
	assert_int_equal(engine_draft_make(f->engine, 0, too_long, &c), -ENAMETOOLONG);
	c = draft(f, longest, NULL);
	assert_int_equal(engine_submit(f->engine, c, NULL), 0);
	c = draft(f, longest, NULL);
	longest[253] = '-';
	longest[254] = '2';
	assert_name(f, c, longest);
}

static void draft_drop_and_note(void **state)
{
	struct fixture *f = *state;
	int64_t id, version, since = -1;
	struct run r;

	id = draft(f, "nb", NULL);
	assert_int_equal(engine_draft_note(f->engine, id, "receiving 3 files", false), 0);
	version = engine_version(f->engine);
	assert_int_equal(engine_draft_note(f->engine, id, "receiving 3 files", false), 0);
	assert_int_equal(engine_version(f->engine), version);
	assert_false(engine_draft_resting(f->engine, id, &since));
	assert_int_equal(engine_draft_note(f->engine, id, "nothing to run", true), 0);
	assert_true(engine_draft_resting(f->engine, id, &since));
	assert_in_range(since, 1, clock_boot_ns());
	assert_int_equal(engine_remove(f->engine, 0, id), -EBUSY);
	assert_int_equal(engine_rename(f->engine, 0, id, "x"), -EBUSY);
	assert_int_equal(engine_draft_drop(f->engine, 0, id), 0);
	assert_int_equal(engine_run(f->engine, id, &r), -ENOENT);
	WAIT_FOR(f, !state_file(f, id, "."));
	assert_int_equal(engine_draft_drop(f->engine, 0, id), -ENOENT);
}

/* A request that came twice, because the server died between commit and reply, acts once. */
static void once_only(void **state)
{
	struct fixture *f = *state;
	int64_t a = 0, b = 0;
	bool asked = false;
	char *cancel[] = {(char[]){"cancel"}, NULL};

	assert_int_equal(engine_draft_make(f->engine, 11, ".nb", &a), 0);
	assert_int_equal(engine_draft_rename(f->engine, 12, a, "nb", &asked), 0);
	assert_true(asked);
	fixture_stop(f);
	assert_int_equal(fixture_start(f), 0);
	assert_int_equal(engine_draft_make(f->engine, 11, ".nb", &b), 0);
	assert_int_equal(a, b);
	asked = false;
	assert_int_equal(engine_draft_rename(f->engine, 12, a, "nb", &asked), 0);
	assert_true(asked);
	source_write(f, a, "main.py", "print(1)\n");
	source_write(f, a, "kexec.json", "{\"confirm\": true}");
	assert_int_equal(engine_submit(f->engine, a, NULL), 0);
	assert_int_equal(engine_command(f->engine, 13, a, 1, cancel, NULL), 0);
	assert_int_equal(state_of(f, a), RUN_CANCELLED);
	assert_int_equal(engine_command(f->engine, 13, a, 1, cancel, NULL), 0);
	assert_int_equal(engine_command(f->engine, 14, a, 1, cancel, NULL), -EBUSY);
	assert_int_equal(engine_remove(f->engine, 15, a), 0);
	assert_int_equal(engine_remove(f->engine, 15, a), 0);
	assert_int_equal(engine_restore(f->engine, 16, a, "back"), 0);
	assert_int_equal(engine_restore(f->engine, 16, a, "back"), 0);
	assert_name(f, a, "back");

	/* Another connection numbers its requests anew. */
	fixture_stop(f);
	f->connection = 8;
	assert_int_equal(fixture_start(f), 0);
	assert_int_equal(engine_draft_make(f->engine, 11, "new", &b), 0);
	assert_int_not_equal(a, b);
}

static void words(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int64_t id = draft(f, "nb", "{\"confirm\": true}");

	assert_int_equal(engine_words(f->engine, id, &text), 0);
	assert_int_equal(strncmp(text.buf, "submit  ", 8), 0);
	assert_non_null(strstr(text.buf, "\ndrop  "));
	assert_int_equal(engine_submit(f->engine, id, NULL), 0);
	assert_int_equal(state_of(f, id), RUN_CONFIRM);
	assert_int_equal(command(f, id, "dance", NULL), -EINVAL);
	assert_int_equal(command(f, id, "priority", "ten"), -EINVAL);
	assert_int_equal(command(f, id, "priority", NULL), -EINVAL);
	assert_int_equal(command(f, id, "retry", NULL), -EBUSY);
	strbuf_reset(&text);
	assert_int_equal(engine_words(f->engine, id, &text), 0);
	assert_int_equal(strncmp(text.buf, "# retry is not possible while the run is confirm.\n", 50), 0);
	assert_non_null(strstr(text.buf, "\nconfirm  "));
	assert_non_null(strstr(text.buf, "\npriority N  "));
	assert_int_equal(command(f, id, "priority", "9"), 0);
	strbuf_reset(&text);
	assert_int_equal(engine_words(f->engine, id, &text), 0);
	assert_int_equal(strncmp(text.buf, "confirm  ", 9), 0);
	assert_int_equal(command(f, id, "confirm", NULL), 0);
	wait_state(f, id, RUN_COMPLETE);
	strbuf_reset(&text);
	assert_int_equal(engine_words(f->engine, id, &text), 0);
	assert_string_equal(text.buf, "");
	assert_int_equal(engine_command(f->engine, 0, 999, 1, (char *[]){(char[]){"cancel"}, NULL}, NULL),
		-ENOENT);
}

static void cancel_running(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	script.hold = true;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_RUNNING);
	assert_int_equal(engine_remove(f->engine, 0, id), -EBUSY);
	assert_int_equal(command(f, id, "cancel", NULL), 0);
	wait_state(f, id, RUN_CANCELLED);
	assert_true(state_file(f, id, "attempts/1/output/result.txt"));
	script.hold = false;
	assert_int_equal(command(f, id, "retry", NULL), 0);
	wait_state(f, id, RUN_COMPLETE);
	assert_int_equal(executions(f, id), 2);
	assert_int_equal(engine_attempt_count(f->engine, id), 2);
}

static void cancel_without_cancel(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	script.hold = script.no_cancel = true;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_RUNNING);
	assert_int_equal(command(f, id, "cancel", NULL), 0);
	assert_int_equal(state_of(f, id), RUN_CANCELLING);
	assert_int_equal(command(f, id, "cancel", NULL), -EBUSY);
	script.hold = false;
	wait_state(f, id, RUN_CANCELLED);
	assert_int_equal(executions(f, id), 1);
}

static void queue_order(void **state)
{
	struct fixture *f = *state;
	int64_t first, low, high;
	struct run r;

	fixture_stop(f);
	f->config.jobs_max = 1;
	assert_int_equal(fixture_start(f), 0);
	script.hold = true;
	first = submitted(f, "first", NULL);
	wait_state(f, first, RUN_RUNNING);
	low = submitted(f, "low", NULL);
	high = submitted(f, "high", "{\"priority\": 8}");
	get(f, low, &r);
	run_release(&r);
	/* Why it waits is said in its status. */
	WAIT_FOR(f, (get(f, low, &r), strstr(r.detail, "waits for a place") ? (run_release(&r), 1)
									       : (run_release(&r), 0)));
	assert_int_equal(command(f, first, "cancel", NULL), 0);
	wait_state(f, high, RUN_RUNNING);
	assert_int_equal(state_of(f, low), RUN_QUEUED);
	assert_int_equal(command(f, low, "cancel", NULL), 0);
	assert_int_equal(state_of(f, low), RUN_CANCELLED);
	assert_int_equal(executions(f, low), 0);
	script.hold = false;
	wait_state(f, high, RUN_COMPLETE);
}

static int collect_names(void *arg, const struct engine_entry *entry)
{
	strcat(arg, entry->name);
	strcat(arg, " ");
	return 0;
}

static const char *names(struct fixture *f, enum engine_list list, char out[1000])
{
	*out = '\0';
	assert_int_equal(engine_list(f->engine, list, 0, collect_names, out), 0);
	return out;
}

static const struct seen *last_seen(struct fixture *f, int64_t id, unsigned what)
{
	for (int i = f->seen_count - 1; i >= 0 && i > f->seen_count - CHANGES_KEPT; i--) {
		const struct seen *s = &f->seen[i % CHANGES_KEPT];

		if (s->run == id && (s->what & what))
			return s;
	}
	fail_msg("no such change");
	return NULL;
}

static void remove_and_restore(void **state)
{
	struct fixture *f = *state;
	int64_t a = submitted(f, "nb", NULL), b, found;
	const struct seen *s;
	char list[1000];
	struct run r;
	unsigned before;

	wait_state(f, a, RUN_COMPLETE);
	s = last_seen(f, a, CHANGE_UNQUEUED);
	assert_string_equal(s->folder, "nb");
	get(f, a, &r);
	before = r.incarnation;
	run_release(&r);
	assert_int_equal(engine_remove(f->engine, 0, a), 0);
	s = last_seen(f, a, CHANGE_NEW | CHANGE_GONE);
	assert_int_equal(s->what & (CHANGE_NEW | CHANGE_GONE), CHANGE_NEW | CHANGE_GONE);
	assert_int_equal(s->old_place, PLACE_RUNS);
	assert_int_equal(s->place, PLACE_REMOVED);
	get(f, a, &r);
	assert_true(r.incarnation > before);
	run_release(&r);
	assert_int_equal(engine_find_latest(f->engine, "nb", &found), -ENOENT);
	assert_int_equal(command(f, a, "retry", NULL), -EBUSY);

	b = submitted(f, "nb", NULL);
	wait_state(f, b, RUN_COMPLETE);
	assert_int_equal(engine_restore(f->engine, 0, a, "nb"), -EEXIST);
	assert_int_equal(engine_remove(f->engine, 0, b), 0);
	assert_string_equal(names(f, LIST_REMOVED, list), "nb nb-2 ");
	assert_int_equal(engine_restore(f->engine, 0, b, "nb"), 0);
	assert_int_equal(engine_restore(f->engine, 0, a, ".hidden"), -EINVAL);
	assert_int_equal(engine_restore(f->engine, 0, a, "a"), 0);
	assert_string_equal(names(f, LIST_RUNS, list), "a nb ");
	assert_string_equal(names(f, LIST_LATEST, list), "nb ");
	assert_int_equal(engine_find_latest(f->engine, "nb", &found), 0);
	assert_int_equal(found, b);

	assert_int_equal(engine_rename(f->engine, 0, a, "nb"), -EEXIST);
	assert_int_equal(engine_rename(f->engine, 0, a, "first"), 0);
	s = last_seen(f, a, CHANGE_NEW);
	assert_string_equal(s->old_name, "a");
	assert_string_equal(s->name, "first");
	assert_int_equal(engine_purge(f->engine, 0, a), -ENOENT);
	assert_int_equal(engine_remove(f->engine, 0, a), 0);
	assert_int_equal(engine_purge(f->engine, 0, a), 0);
	assert_int_equal(engine_run(f->engine, a, &r), -ENOENT);
	WAIT_FOR(f, !state_file(f, a, "."));
}

static int count_runs(void *arg, const struct run *r)
{
	(*(int *)arg)++;
	return 0;
}

static void lists_and_counts(void **state)
{
	struct fixture *f = *state;
	int64_t counts[RUN_STATE_COUNT], ids[40], version;
	int n = 0;

	version = engine_version(f->engine);
	for (int i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%d", i);
		ids[i] = draft(f, name, NULL);
	}
	assert_int_equal(engine_counts(f->engine, counts), 0);
	assert_int_equal(counts[RUN_DRAFT], 40);
	assert_int_equal(engine_changed_since(f->engine, version, count_runs, &n), 0);
	assert_int_equal(n, 40);
	n = 0;
	assert_int_equal(engine_recent(f->engine, 35, count_runs, &n), 0);
	assert_int_equal(n, 35);
	assert_int_equal(engine_submit(f->engine, ids[0], NULL), 0);
	wait_state(f, ids[0], RUN_COMPLETE);
	assert_int_equal(engine_counts(f->engine, counts), 0);
	assert_int_equal(counts[RUN_DRAFT], 39);
	assert_int_equal(counts[RUN_COMPLETE], 1);
}

static void one_engine_a_state(void **state)
{
	struct fixture *f = *state;
	struct why why = {0};
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	/* POSIX locks do not conflict inside one process; the database's newer version does. */
	fixture_stop(f);
	strbuf_addf(&text, "sqlite3 %s/kexec.db 'PRAGMA user_version=99'", f->state);
	if (system(text.buf))
		skip();
	assert_int_equal(fixture_start(f), -EPROTONOSUPPORT);
	(void)why;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {T(draft_names), T(draft_drop_and_note), T(once_only),
		T(words), T(cancel_running), T(cancel_without_cancel), T(queue_order),
		T(remove_and_restore), T(lists_and_counts), T(one_engine_a_state)};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
