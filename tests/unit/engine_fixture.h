/* An engine on a folder of its own with the scripted backend, and waiting for what it does. */
#ifndef KEXEC_TESTS_UNIT_ENGINE_FIXTURE_H
#define KEXEC_TESTS_UNIT_ENGINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "fs/base/clock.h"
#include "fs/engine/config.h"
#include "fs/engine/engine.h"
#include "tests/unit/folder.h"
#include "tests/unit/scripted.h"

#define CHANGES_KEPT 256
#define PATIENCE_S   (getenv("PATIENCE") ? atoi(getenv("PATIENCE")) : 30)

struct seen {
	int64_t run;
	unsigned what;
	enum run_state state;
	enum run_place place, old_place;
	char name[256], old_name[256], folder[256];
};

struct fixture {
	struct folder folder;
	char state[300];
	int state_fd;
	struct config config;
	struct engine *engine;
	uint64_t connection;
	pthread_mutex_t lock;
	pthread_cond_t news;
	struct seen seen[CHANGES_KEPT];
	int seen_count;
};

static void fixture_changed(void *arg, const struct change *c)
{
	struct fixture *f = arg;
	struct seen *s;

	pthread_mutex_lock(&f->lock);
	s = &f->seen[f->seen_count++ % CHANGES_KEPT];
	s->run = c->run;
	s->what = c->what;
	s->state = c->state;
	s->place = c->place;
	s->old_place = c->old_place;
	snprintf(s->name, sizeof(s->name), "%s", c->name);
	snprintf(s->old_name, sizeof(s->old_name), "%s", c->old_name);
	snprintf(s->folder, sizeof(s->folder), "%s", c->folder);
	pthread_cond_broadcast(&f->news);
	pthread_mutex_unlock(&f->lock);
}

static int fixture_start(struct fixture *f)
{
	struct engine_setup setup = {.state_dirfd = f->state_fd, .state_path = f->state,
		.mountpoint = "/nowhere", .config = &f->config, .program = "/proc/self/exe",
		.connection = f->connection, .backends = scripted_backends,
		.sink = {fixture_changed, f}};
	struct why why = {0};
	int rc = engine_open(&setup, &f->engine, &why);

	if (!rc)
		rc = engine_start(f->engine);
	if (rc)
		print_error("%s\n", why_text(&why));
	return rc;
}

static const char *const fixture_backends[] = {"local", "kaggle", NULL};

static void fixture_init(struct fixture *f)
{
	char path[300];

	memset(f, 0, sizeof(*f));
	script_reset();
	f->folder = folder_make();
	snprintf(f->state, sizeof(f->state), "%s/state", f->folder.path);
	mkdir(f->state, 0700);
	f->state_fd = open(f->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/config.json", f->folder.path);
	assert_int_equal(config_load(path, &f->config, NULL), 0);
	f->config.poll_seconds = 1;
	f->config.jobs_max = 4;
	f->config.known_backends = fixture_backends;
	f->connection = 7;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->news, NULL);
}

static void fixture_stop(struct fixture *f)
{
	engine_close(f->engine);
	f->engine = NULL;
}

static void fixture_finish(struct fixture *f)
{
	fixture_stop(f);
	close(f->state_fd);
	config_release(&f->config);
	io_remove_tree(AT_FDCWD, f->folder.path);
	close(f->folder.fd);
}

/* Wait until the condition holds, looking again at every change (and now and then without one). */
#define WAIT_FOR(f, condition)                                                                     \
	do {                                                                                       \
		time_t end_ = time(NULL) + PATIENCE_S;                                             \
		while (!(condition)) {                                                             \
			struct timespec at_;                                                       \
			if (time(NULL) > end_)                                                     \
				fail_msg("waited in vain for %s", #condition);                      \
			clock_gettime(CLOCK_REALTIME, &at_);                                       \
			at_.tv_nsec += 20000000;                                                   \
			at_.tv_sec += at_.tv_nsec / 1000000000;                                    \
			at_.tv_nsec %= 1000000000;                                                 \
			pthread_mutex_lock(&(f)->lock);                                            \
			pthread_cond_timedwait(&(f)->news, &(f)->lock, &at_);                      \
			pthread_mutex_unlock(&(f)->lock);                                          \
		}                                                                                  \
	} while (0)

static enum run_state state_of(struct fixture *f, int64_t id)
{
	struct run r;
	enum run_state state;

	assert_int_equal(engine_run(f->engine, id, &r), 0);
	state = r.state;
	run_release(&r);
	return state;
}

static void print_status(struct fixture *f, int64_t id)
{
	struct strbuf line = STRBUF_INIT;
	struct run r;

	if (engine_run(f->engine, id, &r))
		return;
	run_status_line(&r, &line);
	engine_events(f->engine, id, &line);
	print_error("%s", line.buf);
	strbuf_release(&line);
	run_release(&r);
}

static inline void wait_state(struct fixture *f, int64_t id, enum run_state state)
{
	time_t end = time(NULL) + PATIENCE_S;

	WAIT_FOR(f, state_of(f, id) == state || time(NULL) >= end);
	if (state_of(f, id) != state) {
		print_status(f, id);
		fail_msg("not %s", run_state_words[state]);
	}
}

static void source_write(struct fixture *f, int64_t id, const char *name, const char *text)
{
	char path[ENGINE_PATH_MAX + 100];

	engine_source_path(path, id);
	strcat(path, "/");
	strcat(path, name);
	folder_write(&(struct folder){.fd = f->state_fd}, path, text);
}

/* A draft with one script, and kexec.json unless it is NULL. */
static int64_t draft(struct fixture *f, const char *folder, const char *kexec)
{
	int64_t id = 0;

	assert_int_equal(engine_draft_make(f->engine, 0, folder, &id), 0);
	source_write(f, id, "main.py", "print('hello')\n");
	if (kexec)
		source_write(f, id, "kexec.json", kexec);
	return id;
}

static inline int64_t submitted(struct fixture *f, const char *folder, const char *kexec)
{
	int64_t id = draft(f, folder, kexec);
	struct why why = {0};

	if (engine_submit(f->engine, id, &why))
		fail_msg("%s", why_text(&why));
	return id;
}

static inline int command(struct fixture *f, int64_t id, const char *verb, const char *arg)
{
	char verb_copy[32], arg_copy[32] = "";
	char *argv[] = {verb_copy, arg_copy, NULL};

	snprintf(verb_copy, sizeof(verb_copy), "%s", verb);
	if (arg)
		snprintf(arg_copy, sizeof(arg_copy), "%s", arg);
	return engine_command(f->engine, 0, id, arg ? 2 : 1, argv, NULL);
}

/* How often the service ran something for this run. */
static inline int executions(struct fixture *f, int64_t id)
{
	char path[400], line[200], part[32];
	int n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%.300s-service/executions", f->state);
	snprintf(part, sizeof(part), "-%lld-", (long long)id);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		n += strstr(line, part) != NULL;
	if (file)
		fclose(file);
	return n;
}

static inline bool state_file(struct fixture *f, int64_t id, const char *name)
{
	char path[ENGINE_PATH_MAX];

	return faccessat(f->state_fd, engine_run_file_path(path, id, name), F_OK, 0) == 0;
}

#endif
