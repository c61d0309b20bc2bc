/* Things of a service by name: brought once, complete or not at all, adopted once, sent durably. */
#include "backends/backend.h"

static const struct backend_objects named;
#define SCRIPTED_OBJECTS (&named)

#include "tests/unit/engine_fixture.h"

#include "fs/engine/objects.h"
#include "fs/engine/store.h"

/* ---- The service ---- */

static struct {
	pthread_mutex_t lock;
	int fetches, sends;
	int answer;        /* of fetch and send, 0: it is brought */
	bool half;         /* an error comes when something was written already */
	bool hold;         /* fetches do not return */
	int version;
	char note[100], sent[100];
} service = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool named_valid(const char *kind, const char *name)
{
	(void)kind;
	return *name && !strpbrk(name, ".,");
}

static bool held(void)
{
	pthread_mutex_lock(&service.lock);
	bool hold = service.hold;

	pthread_mutex_unlock(&service.lock);
	return hold;
}

static void set_hold(bool hold)
{
	pthread_mutex_lock(&service.lock);
	service.hold = hold;
	pthread_mutex_unlock(&service.lock);
}

static void wait_released(int64_t deadline_ns)
{
	struct timespec pause = {.tv_nsec = 5 * NS_PER_MS};

	while (held() && clock_boot_ns() < deadline_ns)
		nanosleep(&pause, NULL);
}

static void put(int dirfd, const char *part, int version)
{
	char text[60];

	assert_int_equal(mkdirat(dirfd, part, 0755), 0);
	int fd = openat(dirfd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	snprintf(text, sizeof(text), "print('version %d')\n", version);
	assert_int_equal(io_write_atomic(fd, "main.py", text, strlen(text), 0644), 0);
	close(fd);
}

static int named_fetch(struct backend_conn *c, const struct object *o, const char *part, const char *known, int dirfd,
	int64_t deadline_ns, struct strbuf *version, struct why *why)
{
	(void)c;
	(void)o;
	pthread_mutex_lock(&service.lock);
	service.fetches++;
	pthread_mutex_unlock(&service.lock);
	wait_released(deadline_ns);
	strbuf_addf(version, "%d", service.version);
	if (service.half || !service.answer)
		put(dirfd, part, service.version);
	if (service.answer)
		return why_set(why, -service.answer, "the service says no");
	return strcmp(known, version->buf) == 0;
}

static int named_adopt(struct backend_conn *c, const struct object *o, const char *version, const struct job *job,
	int64_t deadline_ns, struct strbuf *remote_id, struct why *why)
{
	(void)deadline_ns;
	(void)why;
	(void)o;
	(void)version;
	service_put(c, "executions", "", job->token);
	service_put(c, "executions", "", "\n");
	return strbuf_addf(remote_id, "job-%s", job->token);
}

static int named_send(struct backend_conn *c, const struct object *o, int dirfd, const char *note, int64_t deadline_ns,
	struct why *why)
{
	struct strbuf text = STRBUF_INIT;

	(void)c;
	(void)o;
	wait_released(deadline_ns);
	if (service.answer)
		return why_set(why, -service.answer, "the service says no");
	assert_int_equal(io_read(dirfd, "a.csv", 90, &text), 0);
	pthread_mutex_lock(&service.lock);
	snprintf(service.note, sizeof(service.note), "%s", note);
	snprintf(service.sent, sizeof(service.sent), "%s", text.buf);
	service.sends++;
	pthread_mutex_unlock(&service.lock);
	strbuf_release(&text);
	return 0;
}

static const struct backend_objects named = {
	.valid = named_valid, .fetch = named_fetch, .adopt = named_adopt, .send = named_send};

static int sends(void)
{
	pthread_mutex_lock(&service.lock);
	int n = service.sends;

	pthread_mutex_unlock(&service.lock);
	return n;
}

static int fetches(void)
{
	pthread_mutex_lock(&service.lock);
	int n = service.fetches;

	pthread_mutex_unlock(&service.lock);
	return n;
}

/* ---- The fixture ---- */

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	service.fetches = service.sends = service.answer = 0;
	service.half = service.hold = false;
	service.version = 1;
	fixture_init(f);
	assert_int_equal(fixture_start(f), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	set_hold(false);
	fixture_finish(*state);
	free(*state);
	return 0;
}

static int64_t object(struct fixture *f, const char *kind, const char *name)
{
	int64_t id = 0;

	assert_int_equal(engine_object_find(f->engine, "kaggle", kind, name, true, &id), 0);
	return id;
}

/* Ask, and wait for the answer. */
static int bring(struct fixture *f, int64_t id, const char *part)
{
	struct object_wait wait;
	int rc = engine_object_ask(f->engine, id, part, &wait);

	if (rc <= 0)
		return rc;
	WAIT_FOR(f, (rc = engine_object_ready(f->engine, &wait)) != 1);
	return rc;
}

static void assert_version(struct fixture *f, int64_t id, unsigned generation, const char *version)
{
	struct strbuf text = STRBUF_INIT;
	char path[200];

	assert_int_equal(engine_object_path(f->engine, id, "source", generation, path, 150), 0);
	strcat(path, "/main.py");
	assert_int_equal(io_read(f->state_fd, path, 1000, &text), 0);
	assert_non_null(strstr(text.buf, version));
	strbuf_release(&text);
}

static int entries(const struct fixture *f, int64_t id, const char *ending)
{
	char path[400], line[300];
	int n = 0;

	snprintf(path, sizeof(path), "ls %.300s/objects/%lld 2>/dev/null", f->state, (long long)id);
	FILE *p = popen(path, "r");

	while (p && fgets(line, sizeof(line), p))
		n += strstr(line, ending) != NULL;
	if (p)
		pclose(p);
	return n;
}

/* ---- Tests ---- */

static void names_are_numbers_for_ever(void **state)
{
	struct fixture *f = *state;
	struct object_row row;
	int64_t id = object(f, "kernel", "bob/demo"), other;

	assert_int_equal(object(f, "kernel", "bob/demo"), id);
	assert_int_not_equal(object(f, "dataset", "bob/demo"), id);
	assert_int_equal(engine_object_find(f->engine, "kaggle", "kernel", "../demo", true, &other), -ENOENT);
	assert_int_equal(engine_object_find(f->engine, "kaggle", "kernel", "nobody", false, &other), -ENOENT);
	assert_int_equal(engine_object_find(f->engine, "nothing", "kernel", "bob/demo", true, &other), -ENOENT);
	fixture_stop(f);
	assert_int_equal(fixture_start(f), 0);
	assert_int_equal(object(f, "kernel", "bob/demo"), id);
	assert_int_equal(engine_object(f->engine, id, &row), 0);
	assert_string_equal(row.name, "bob/demo");
	assert_int_equal(fetches(), 0);
}

static void many_who_ask_cost_one_call(void **state)
{
	struct fixture *f = *state;
	int64_t id = object(f, "kernel", "bob/demo");
	struct object_wait wait[3];

	set_hold(true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(engine_object_ask(f->engine, id, "source", &wait[i]), 1);
	assert_int_equal(engine_object_ready(f->engine, &wait[0]), 1);
	wait[1].until_ns = clock_boot_ns() - 1; /* its minute is over */
	assert_int_equal(engine_object_ready(f->engine, &wait[1]), -EAGAIN);
	assert_int_equal(engine_object_generation(f->engine, id, "source"), 0);
	set_hold(false);
	WAIT_FOR(f, engine_object_ready(f->engine, &wait[2]) == 0);
	assert_version(f, id, 0, "version 1");
	assert_int_equal(bring(f, id, "source"), 0);
	assert_int_equal(fetches(), 1);
}

static void a_failure_leaves_nothing_and_is_told(void **state)
{
	struct fixture *f = *state;
	int64_t id = object(f, "kernel", "bob/demo");
	struct strbuf words = STRBUF_INIT;

	service.half = true;
	service.answer = -EACCES;
	assert_int_equal(bring(f, id, "source"), -EACCES);
	assert_int_equal(bring(f, id, "source"), -EACCES);
	assert_int_equal(fetches(), 1); /* nobody is asked again at once */
	assert_int_equal(entries(f, id, "source"), 0);
	assert_int_equal(engine_object_words(f->engine, id, &words), 0);
	assert_non_null(strstr(words.buf, "the service says no"));
	service.answer = -ETIMEDOUT;
	assert_int_equal(bring(f, id, "output"), -EAGAIN);
	strbuf_release(&words);
}

static void a_new_version_stands_beside_the_old_one(void **state)
{
	struct fixture *f = *state;
	int64_t id = object(f, "kernel", "bob/demo");

	assert_int_equal(bring(f, id, "source"), 0);
	for (int i = 0; i < 2; i++) { /* of a server that knows nothing: asked, and found to be the same */
		fixture_stop(f);
		assert_int_equal(fixture_start(f), 0);
		assert_int_equal(bring(f, id, "source"), 0);
		assert_int_equal(engine_object_generation(f->engine, id, "source"), 1);
	}
	service.version = 2;
	fixture_stop(f);
	assert_int_equal(fixture_start(f), 0);
	assert_int_equal(bring(f, id, "source"), 0);
	assert_version(f, id, 0, "version 2");
	assert_version(f, id, 1, "version 1");
	assert_int_equal(entries(f, id, ".part"), 0);
}

static void a_service_that_hangs_keeps_no_end_waiting(void **state)
{
	struct fixture *f = *state;
	int64_t id = object(f, "kernel", "bob/demo"), begun = clock_boot_ns();
	struct object_wait wait;

	set_hold(true);
	assert_int_equal(engine_object_ask(f->engine, id, "source", &wait), 1);
	WAIT_FOR(f, fetches() == 1);
	/* It is left to its thread, as by a process that ends. */
	static struct engine *left;

	left = f->engine;
	fixture_stop(f);
	assert_true(clock_boot_ns() - begun < 8 * NS_PER_S * (getenv("PATIENCE") ? 10 : 1));
	set_hold(false);
	WAIT_FOR(f, engine_object_ready(left, &wait) == 0);
}

static struct run run_of(struct fixture *f, const char *name)
{
	struct run r = {0};
	int64_t id;

	assert_int_equal(engine_find(f->engine, PLACE_RUNS, name, &id), 0);
	assert_int_equal(engine_run(f->engine, id, &r), 0);
	return r;
}

static void adopted_once_and_never_submitted(void **state)
{
	struct fixture *f = *state;
	int64_t id = object(f, "kernel", "bob/demo");
	struct why why = {0};

	script.hold = true;
	assert_int_equal(engine_object_adopt(f->engine, 11, id, &why), -EAGAIN);
	assert_int_equal(bring(f, id, "source"), 0);
	assert_int_equal(engine_object_adopt(f->engine, 12, id, &why), 0);
	assert_int_equal(engine_object_adopt(f->engine, 12, id, &why), 0); /* sent again by the kernel */
	struct run r = run_of(f, "demo");

	assert_int_equal(r.state, RUN_RUNNING);
	assert_string_equal(r.backend, "kaggle");
	assert_true(state_file(f, r.id, "source/main.py"));
	assert_int_equal(entries(f, id, "adopt"), 0);
	fixture_stop(f);
	assert_int_equal(fixture_start(f), 0);
	script.hold = false;
	wait_state(f, r.id, RUN_COMPLETE);
	assert_int_equal(script_submits(), 0);
	assert_true(state_file(f, r.id, "attempts/1/output/result.txt"));
	run_release(&r);
}

static int64_t data_set(struct fixture *f)
{
	int64_t id = object(f, "dataset", "my-data");
	char path[200];

	assert_int_equal(engine_object_make(f->engine, id), 0);
	assert_int_equal(engine_object_make(f->engine, id), -EEXIST);
	assert_int_equal(engine_object_files(f->engine, id, path, 150), 0);
	strcat(path, "/a.csv");
	folder_write(&(struct folder){.fd = f->state_fd}, path, "1,2\n");
	return id;
}

static void a_data_set_is_sent_as_it_was_when_asked(void **state)
{
	struct fixture *f = *state;
	int64_t id = object(f, "dataset", "my-data");
	char path[200];

	assert_int_equal(engine_object_upload(f->engine, id, "", NULL), -EINVAL); /* nothing there */
	id = data_set(f);
	set_hold(true);
	assert_int_equal(engine_object_upload(f->engine, id, "first", NULL), 0);
	assert_int_equal(engine_object_upload(f->engine, id, "second", NULL), -EBUSY);
	assert_int_equal(engine_object_files(f->engine, id, path, 150), 0);
	strcat(path, "/a.csv");
	folder_write(&(struct folder){.fd = f->state_fd}, path, "3,4\n");
	set_hold(false);
	WAIT_FOR(f, sends() == 1);
	assert_string_equal(service.note, "first");
	assert_string_equal(service.sent, "1,2\n");
	WAIT_FOR(f, engine_object_upload(f->engine, id, "second", NULL) == 0);
	WAIT_FOR(f, sends() == 2);
	assert_string_equal(service.sent, "3,4\n");
}

static void a_dead_server_left_an_upload(void **state)
{
	struct fixture *f = *state;
	int64_t id = data_set(f);

	/* As it lies there between the word and the service's answer. */
	fixture_stop(f);
	char command_line[900];

	snprintf(command_line, sizeof(command_line), "cd %.300s/objects/%lld && mkdir upload && cp -r files upload/ && printf %%s left > upload/note",
		f->state, (long long)id);
	assert_int_equal(system(command_line), 0);
	assert_int_equal(fixture_start(f), 0);
	WAIT_FOR(f, sends() == 1);
	assert_string_equal(service.note, "left");
	WAIT_FOR(f, entries(f, id, "upload") == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_are_numbers_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(many_who_ask_cost_one_call, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failure_leaves_nothing_and_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_version_stands_beside_the_old_one, setup, teardown),
		cmocka_unit_test_setup_teardown(adopted_once_and_never_submitted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_data_set_is_sent_as_it_was_when_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dead_server_left_an_upload, setup, teardown),
		cmocka_unit_test_setup_teardown(a_service_that_hangs_keeps_no_end_waiting, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
