/*
 * The local backend on a folder of its own, and the steps that its tests are made of. The program that uses
 * this is its own supervisor (`--supervise`), as kexecfs is: its main() is local_main().
 */
#ifndef KEXEC_TESTS_UNIT_LOCAL_FIXTURE_H
#define KEXEC_TESTS_UNIT_LOCAL_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>

#include "backends/backend.h"
#include "backends/local/attempt.h"
#include "fs/base/json.h"
#include "fs/engine/config.h"

struct fixture {
	char root[64], source[96], directory[96], state[96], mount[96], data[96];
	char program[PATH_MAX];
	int state_dirfd;
	struct config config;
	struct backend_setup setup;
	struct backend_conn *conn;
	struct job job;
	struct json *env, *datasets, *parameters;
	pthread_mutex_t lock;
	pthread_cond_t news;
	int changes, ends; /* that the backend told */
};

int local_setup(void **state);
int local_teardown(void **state);
/* Runs the tests, or only those that argv[1] names; supervises a job where argv says so. */
int local_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests, size_t count);
#define LOCAL_TEST(name) cmocka_unit_test_setup_teardown(name, local_setup, local_teardown)

int64_t soon(void); /* a deadline that is not reached */
void pause_ms(long ms);

void write_file(const char *folder, const char *name, const char *text);
char *read_file(const char *folder, const char *name); /* NULL: not there; freed by the caller */
bool is_there(const char *folder, const char *name);
void assert_has(const struct fixture *f, const char *name, const char *text); /* of the attempt */
void assert_lacks(const struct fixture *f, const char *name, const char *text);

void open_backend(struct fixture *f);
void reopen(struct fixture *f);
void new_attempt(struct fixture *f, int attempt); /* which the job is from then on */
void set_env(struct fixture *f, const char *text);
/* The notebook of these cells becomes the job; kernel may be NULL. */
void write_notebook(struct fixture *f, const char *kernel, size_t count, const char *const *cells);
#define NOTEBOOK(f, kernel, ...)                                                                   \
	do {                                                                                       \
		const char *const cells_[] = {__VA_ARGS__};                                        \
		write_notebook(f, kernel, sizeof(cells_) / sizeof(*cells_), cells_);               \
	} while (0)

void submit(struct fixture *f);
const char *remote_id(const struct fixture *f);
struct job_status poll_once(struct fixture *f);
struct job_status wait_end(struct fixture *f); /* ended or lost */
void wait_news_of_end(struct fixture *f);      /* as the backend tells it */
void wait_log(struct fixture *f, const char *text);
struct job_status run(struct fixture *f, const char *script); /* main.py, from submit to end */
void fetch(struct fixture *f);
void assert_cause(const struct fixture *f, const struct job_status *s, enum end_cause cause);
bool sandboxed(struct fixture *f);
#define NEED_SANDBOX(f)                                                                            \
	do {                                                                                       \
		if (!sandboxed(f))                                                                 \
			skip();                                                                    \
	} while (0)

#endif
