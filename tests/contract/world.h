/* A service, a connection to it as one of the wrappers shows it, and the steps that the cases consist of. */
#ifndef KEXEC_TESTS_CONTRACT_WORLD_H
#define KEXEC_TESTS_CONTRACT_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <limits.h>
#include <pthread.h>

#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "tests/contract/contract.h"

enum world_mode { WORLD_PLAIN, WORLD_TRACE, WORLD_FAULT, WORLD_MODES };
extern const char *const world_mode_words[WORLD_MODES];

struct world_fault; /* the page of fs/base/fault.h */

struct world_kind {
	const struct contract_backend *backend;
	enum world_mode mode;
	struct world_fault *faults;
};

#define WORLD_ENDS 32

struct world {
	const struct contract_backend *backend;
	enum world_mode mode;
	struct world_fault *faults;
	char root[64], state[96], mount[96], program[PATH_MAX];
	struct backend_setup setup;
	struct log *log;
	void *service;
	struct backend_handle h;
	int attempts;
	pthread_mutex_t lock;
	pthread_cond_t news;
	char ended[WORLD_ENDS][64]; /* remote ids as they were pushed */
	int ends;
};

struct attempt {
	struct job job;
	char token[64], source[128], directory[128];
	char id[1024]; /* of submit() */
};

int world_setup(void **state);    /* *state: struct world_kind, becomes the world */
int world_teardown(void **state);
void world_open(struct world *w);
void world_reopen(struct world *w);
struct world_fault *world_map_faults(const char *path); /* before any thread; NULL where it fails */
/* The n-th point from now fails with EIO; 0: none. How many were passed since. */
void world_arm(const struct world *w, unsigned n);
unsigned world_passed(const struct world *w);

int64_t soon(void); /* a deadline that is not reached */
int64_t past(void); /* one that has gone by */
void pause_ms(long ms);

/* A job that was not submitted; skips the case where the service has none of that kind. */
void make(struct world *w, struct attempt *a, enum contract_kind kind);
void submit(struct world *w, struct attempt *a);
enum job_state find(struct world *w, struct attempt *a); /* and that its id is the one of submit() */
struct job_status look(struct world *w, const struct attempt *a); /* poll() once, checked */
struct job_status wait_end(struct world *w, const struct attempt *a);
void wait_running(struct world *w, const struct attempt *a);
struct job_status run(struct world *w, struct attempt *a, enum contract_kind kind);
void fetch(struct world *w, const struct attempt *a);
void bring_log(struct world *w, const struct attempt *a);
/* As the engine does after a doubt: ask, and submit only where it is certain that nothing happened. */
struct job_status recover(struct world *w, struct attempt *a);
int executions(const struct world *w);
bool can(const struct world *w, unsigned cap);
#define NEED(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			print_message("it has not: %s\n", #condition);                            \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

void assert_status(const struct job_status *s);
void assert_end(const struct job_status *s, enum end_cause cause);
void assert_same(const struct job_status *a, const struct job_status *b);

bool is_there(const struct attempt *a, const char *name);
void read_file(const struct attempt *a, const char *name, struct strbuf *out);
void assert_file(const struct attempt *a, const char *name, const char *text);
void assert_whole_output(const struct attempt *a); /* of CONTRACT_WRITES */
/* Nothing changes any more by itself: what is compared before and after begins here. */
void settle(const struct world *w, const struct attempt *a);
/* Every path below the root but the log of the wrapper, with its size. */
void snapshot(const struct world *w, struct strbuf *out);

#endif
