#include "tests/unit/local_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/local/supervise.h"
#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define LONG_NS (120 * NS_PER_S)

int64_t soon(void)
{
	return clock_boot_ns() + LONG_NS;
}

void pause_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* ---- files ---- */

void write_file(const char *folder, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

char *read_file(const char *folder, const char *name)
{
	struct strbuf text;
	char path[PATH_MAX];

	strbuf_init(&text, (size_t)128 << 20);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (io_read(AT_FDCWD, path, (size_t)128 << 20, &text) < 0 || strbuf_addch(&text, '\0')) {
		strbuf_release(&text);
		return NULL;
	}
	return strbuf_detach(&text, NULL);
}

bool is_there(const char *folder, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return lstat(path, &st) == 0;
}

void assert_has(const struct fixture *f, const char *name, const char *text)
{
	AUTO_FREE char *content = read_file(f->directory, name);

	if (!content || !strstr(content, text))
		fail_msg("%s lacks \"%s\": %.2000s", name, text, content ? content : "(no file)");
}

void assert_lacks(const struct fixture *f, const char *name, const char *text)
{
	AUTO_FREE char *content = read_file(f->directory, name);

	if (content && strstr(content, text))
		fail_msg("%s holds \"%s\": %.2000s", name, text, content);
}

/* ---- the fixture ---- */

static void on_change(void *arg, const char *remote_id, bool ended)
{
	struct fixture *f = arg;

	pthread_mutex_lock(&f->lock);
	f->changes++;
	f->ends += ended;
	pthread_cond_broadcast(&f->news);
	pthread_mutex_unlock(&f->lock);
}

void open_backend(struct fixture *f)
{
	struct why why = {0};

	if (backend_find("local")->open(&f->setup, &f->conn, &why))
		fail_msg("%s", why_text(&why));
}

void reopen(struct fixture *f)
{
	backend_find("local")->close(f->conn);
	open_backend(f);
}

void new_attempt(struct fixture *f, int attempt)
{
	snprintf(f->directory, sizeof(f->directory), "%s/state/attempt-%d", f->root, attempt);
	assert_int_equal(mkdir(f->directory, 0700), 0);
	f->job.attempt = attempt;
	f->job.directory = f->directory;
}

static void make_folder(char *out, size_t size, const struct fixture *f, const char *name, mode_t mode)
{
	snprintf(out, size, "%s/%s", f->root, name);
	assert_int_equal(mkdir(out, mode), 0);
}

int local_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->root, "/var/tmp/kexec-test-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	assert_int_equal(chmod(f->root, 0755), 0);
	make_folder(f->source, sizeof(f->source), f, "source", 0755);
	make_folder(f->state, sizeof(f->state), f, "state", 0700);
	make_folder(f->mount, sizeof(f->mount), f, "mount", 0755);
	make_folder(f->data, sizeof(f->data), f, "data", 0755);
	f->state_dirfd = open(f->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(readlink("/proc/self/exe", f->program, sizeof(f->program) - 1) > 0);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->news, NULL);
	f->setup = (struct backend_setup){.config = &f->config, .program = f->program,
		.state_path = f->state, .mountpoint = f->mount, .state_dirfd = f->state_dirfd,
		.changed = on_change, .arg = f};
	f->job = (struct job){.run = 7, .token = "token-7", .name = "run", .kind = "script",
		.main = "main.py", .source = f->source, .internet = true};
	new_attempt(f, 1);
	open_backend(f);
	*state = f;
	return 0;
}

int local_teardown(void **state)
{
	struct fixture *f = *state;

	/* Where sanitizers say what they found in the supervisor. */
	assert_lacks(f, "supervisor.log", "Sanitizer");
	assert_lacks(f, "supervisor.log", "runtime error");
	backend_find("local")->close(f->conn);
	close(f->state_dirfd);
	io_remove_tree(AT_FDCWD, f->root);
	json_free(f->env);
	json_free(f->datasets);
	json_free(f->parameters);
	free(f);
	return 0;
}

void set_env(struct fixture *f, const char *text)
{
	f->env = json_parse(text, strlen(text), 10000, NULL);
	assert_non_null(f->env);
	f->job.env = f->env;
}

/* ---- running ---- */

void submit(struct fixture *f)
{
	AUTO_BUF struct strbuf id = STRBUF_INIT;
	struct why why = {0};

	if (backend_find("local")->submit(f->conn, &f->job, soon(), &id, &why))
		fail_msg("submit: %s", why_text(&why));
	assert_true(remote_id_valid(id.buf));
}

const char *remote_id(const struct fixture *f)
{
	static char id[REMOTE_ID_MAX];

	remote_id_format(id, f->job.run, f->job.attempt);
	return id;
}

struct job_status poll_once(struct fixture *f)
{
	struct job_status status;

	assert_int_equal(
		backend_find("local")->poll(f->conn, remote_id(f), soon(), &status, NULL), 0);
	return status;
}

struct job_status wait_end(struct fixture *f)
{
	int64_t until = soon();
	struct job_status status;

	for (;;) {
		status = poll_once(f);
		if (status.state == JOB_ENDED || status.state == JOB_LOST)
			return status;
		if (clock_boot_ns() > until)
			fail_msg("the job does not end");
		pause_ms(20);
	}
}

void wait_log(struct fixture *f, const char *text)
{
	int64_t until = soon();

	for (;;) {
		AUTO_FREE char *log = read_file(f->directory, ATTEMPT_LOG);

		if (log && strstr(log, text))
			return;
		if (clock_boot_ns() > until)
			fail_msg("the log never says %s", text);
		pause_ms(20);
	}
}

struct job_status run(struct fixture *f, const char *script)
{
	write_file(f->source, "main.py", script);
	submit(f);
	return wait_end(f);
}

void fetch(struct fixture *f)
{
	struct why why = {0};

	if (backend_find("local")->fetch(f->conn, &f->job, remote_id(f), soon(), &why))
		fail_msg("fetch: %s", why_text(&why));
}

void assert_cause(const struct fixture *f, const struct job_status *s, enum end_cause cause)
{
	AUTO_FREE char *log = read_file(f->directory, ATTEMPT_LOG);

	if (s->state != JOB_ENDED || s->cause != cause)
		fail_msg("state %d cause %s code %d signal %d detail \"%s\" log: %.3000s", s->state,
			end_cause_words[s->cause], s->exit_code, s->signal, s->detail, log ? log : "");
}

bool sandboxed(struct fixture *f)
{
	AUTO_BUF struct strbuf status = STRBUF_INIT, quota = STRBUF_INIT;

	backend_find("local")->describe(f->conn, &status, &quota);
	assert_string_equal(quota.buf, "unlimited\n");
	return strstr(status.buf, "sandbox bwrap") != NULL;
}


void write_notebook(struct fixture *f, const char *kernel, size_t count, const char *const *cells)
{
	struct json *nb = json_object(), *list = json_array(), *meta = json_object(), *spec;
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < count; i++) {
		struct json *cell = json_object();

		json_set_text(cell, "cell_type", "code");
		json_set_null(cell, "execution_count");
		json_set(cell, "metadata", json_object());
		json_set(cell, "outputs", json_array());
		json_set_text(cell, "source", cells[i]);
		json_append(list, cell);
	}
	if (kernel) {
		spec = json_object();
		json_set_text(spec, "name", kernel);
		json_set_text(spec, "display_name", kernel);
		json_set_text(spec, "language", strstr(kernel, "rlang") ? "R" : "python");
		json_set(meta, "kernelspec", spec);
	}
	json_set(nb, "cells", list);
	json_set(nb, "metadata", meta);
	json_set_int(nb, "nbformat", 4);
	json_set_int(nb, "nbformat_minor", 4);
	assert_int_equal(json_print(nb, &text, true), 0);
	json_free(nb);
	write_file(f->source, "nb.ipynb", text.buf);
	f->job.kind = "notebook";
	f->job.main = "nb.ipynb";
}

void wait_news_of_end(struct fixture *f)
{
	pthread_mutex_lock(&f->lock);
	while (!f->ends)
		pthread_cond_wait(&f->news, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

int local_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests, size_t count)
{
	if (argc > 1 && !strcmp(argv[1], "--supervise"))
		return supervise_main(argc, argv);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}
