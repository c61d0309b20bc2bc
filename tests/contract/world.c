#include "tests/contract/world.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/io.h"
#include "fs/base/log.h"

#define LONG_NS	 (120 * NS_PER_S)
#define FILE_MAX ((size_t)128 << 20)

const char *const world_mode_words[WORLD_MODES] = {"plain", "trace", "fault"};

struct world_fault {
	uint64_t count, target;
	uint32_t action, err;
	char name[64];
};

int64_t soon(void)
{
	return clock_boot_ns() + LONG_NS;
}

int64_t past(void)
{
	return clock_boot_ns() - NS_PER_S;
}

void pause_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* ---- the world ---- */

static void on_change(void *arg, const char *remote_id, bool ended)
{
	struct world *w = arg;

	pthread_mutex_lock(&w->lock);
	if (ended && w->ends < WORLD_ENDS)
		snprintf(w->ended[w->ends++], sizeof(w->ended[0]), "%s", remote_id);
	pthread_cond_broadcast(&w->news);
	pthread_mutex_unlock(&w->lock);
}

void world_open(struct world *w)
{
	struct why why = {0};
	int err;

	w->h = (struct backend_handle){.vt = w->backend->vt};
	if (w->h.vt->open(&w->setup, &w->h.conn, &why))
		fail_msg("open: %s", why_text(&why));
	err = w->mode == WORLD_TRACE   ? backend_trace(w->h, w->log, &w->h)
	      : w->mode == WORLD_FAULT ? backend_fault(w->h, &w->h)
				       : 0;
	assert_int_equal(err, 0);
}

void world_reopen(struct world *w)
{
	w->h.vt->close(w->h.conn);
	world_open(w);
}

static void make_folder(const struct world *w, const char *name, mode_t mode, char *out, size_t size)
{
	snprintf(out, size, "%s/%s", w->root, name);
	assert_int_equal(mkdir(out, mode), 0);
}

static void make_root(struct world *w)
{
	strcpy(w->root, "/var/tmp/kexec-test-XXXXXX");
	assert_non_null(mkdtemp(w->root));
	assert_int_equal(chmod(w->root, 0755), 0);
	make_folder(w, "state", 0700, w->state, sizeof(w->state));
	make_folder(w, "mount", 0755, w->mount, sizeof(w->mount));
	assert_true(readlink("/proc/self/exe", w->program, sizeof(w->program) - 1) > 0);
}

int world_setup(void **state)
{
	const struct world_kind *kind = *state;
	struct world *w = calloc(1, sizeof(*w));
	AUTO_FD int root = -1;

	w->backend = kind->backend;
	w->mode = kind->mode;
	w->faults = kind->faults;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->news, NULL);
	make_root(w);
	root = open(w->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(log_open(root, "calls", &w->log), 0);
	w->setup = (struct backend_setup){.program = w->program, .state_path = w->state,
		.mountpoint = w->mount, .changed = on_change, .arg = w,
		.state_dirfd = open(w->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	assert_int_equal(w->backend->start(w->root, &w->setup, &w->service), 0);
	world_open(w);
	*state = w;
	return 0;
}

int world_teardown(void **state)
{
	struct world *w = *state;

	world_arm(w, 0);
	w->h.vt->close(w->h.conn);
	w->backend->stop(w->service);
	log_close(w->log);
	close(w->setup.state_dirfd);
	io_remove_tree(AT_FDCWD, w->root);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->news);
	free(w);
	return 0;
}

/* ---- faults ---- */

struct world_fault *world_map_faults(const char *path)
{
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct world_fault *page;

	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return NULL;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return NULL;
	setenv("KEXEC_FAULT", path, 1);
	fault_open();
	unsetenv("KEXEC_FAULT"); /* what is started from here has faults of its own only */
	unlink(path);
	return page;
}

void world_arm(const struct world *w, unsigned n)
{
	__atomic_store_n(&w->faults->target, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&w->faults->count, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&w->faults->action, 2, __ATOMIC_SEQ_CST);
	__atomic_store_n(&w->faults->err, EIO, __ATOMIC_SEQ_CST);
	__atomic_store_n(&w->faults->target, n, __ATOMIC_SEQ_CST);
}

unsigned world_passed(const struct world *w)
{
	return (unsigned)__atomic_load_n(&w->faults->count, __ATOMIC_SEQ_CST);
}

/* ---- files ---- */

bool is_there(const struct attempt *a, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", a->directory, name);
	return lstat(path, &st) == 0;
}

void read_file(const struct attempt *a, const char *name, struct strbuf *out)
{
	char path[PATH_MAX];
	int err;

	strbuf_release(out);
	strbuf_init(out, FILE_MAX);
	snprintf(path, sizeof(path), "%s/%s", a->directory, name);
	err = io_read(AT_FDCWD, path, FILE_MAX, out);
	if (err)
		fail_msg("%s: %s", path, strerror(-err));
}

void assert_file(const struct attempt *a, const char *name, const char *text)
{
	AUTO_BUF struct strbuf content = STRBUF_INIT;

	read_file(a, name, &content);
	assert_string_equal(content.buf, text);
}

static void assert_pattern(const struct attempt *a)
{
	AUTO_BUF struct strbuf content = STRBUF_INIT;

	read_file(a, "output/pattern.bin", &content);
	assert_int_equal(content.len, CONTRACT_PATTERN);
	for (size_t i = 0; i < content.len; i++)
		if ((unsigned char)content.buf[i] != i % 251)
			fail_msg("byte %zu is not what was written", i);
}

void assert_whole_output(const struct attempt *a)
{
	assert_file(a, "output/out.txt", CONTRACT_OUT);
	assert_file(a, "output/sub/deep.txt", CONTRACT_DEEP);
	assert_pattern(a);
	assert_false(is_there(a, "output.part"));
}

static int note_entry(void *arg, const struct io_entry *e)
{
	if (strncmp(e->path, "calls", 5) != 0)
		strbuf_addf(arg, "%s %o %lld\n", e->path, e->mode,
			S_ISREG(e->mode) ? (long long)e->size : 0);
	return 0;
}

void settle(const struct world *w, const struct attempt *a)
{
	int64_t until = soon();

	while (w->backend->settled && !w->backend->settled(w->service, &a->job)) {
		assert_true(clock_boot_ns() < until);
		pause_ms(5);
	}
}

void snapshot(const struct world *w, struct strbuf *out)
{
	strbuf_reset(out);
	assert_int_equal(io_walk(AT_FDCWD, w->root, 100, note_entry, out), 0);
	assert_int_equal(out->err, 0);
}

/* ---- what must hold for every answer ---- */

void assert_status(const struct job_status *s)
{
	assert_true((unsigned)s->state <= JOB_UNKNOWN);
	assert_true((unsigned)s->cause < END_CAUSE_COUNT);
	assert_true(isfinite(s->progress) && s->progress <= 1);
	assert_non_null(memchr(s->detail, 0, sizeof(s->detail)));
	assert_null(strpbrk(s->detail, "\n\r\t\033"));
	assert_true(s->cpu_ns >= 0 && s->max_rss_bytes >= 0 && s->cost_usd >= 0);
	if (s->state == JOB_ENDED)
		assert_int_not_equal(s->cause, END_NONE);
	else
		assert_int_equal(s->cause, END_NONE);
	if (s->started.wall_ns && s->ended.wall_ns)
		assert_true(s->ended.wall_ns >= s->started.wall_ns);
}

void assert_end(const struct job_status *s, enum end_cause cause)
{
	if (s->state != JOB_ENDED || s->cause != cause)
		fail_msg("state %d, cause %s instead of %s, code %d, signal %d, \"%s\"", s->state,
			end_cause_words[s->cause], end_cause_words[cause], s->exit_code, s->signal,
			s->detail);
}

void assert_same(const struct job_status *a, const struct job_status *b)
{
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->cause, b->cause);
	assert_int_equal(a->exit_code, b->exit_code);
	assert_int_equal(a->signal, b->signal);
	assert_string_equal(a->detail, b->detail);
	assert_int_equal(a->started.wall_ns, b->started.wall_ns);
	assert_int_equal(a->ended.wall_ns, b->ended.wall_ns);
	assert_true(a->progress <= b->progress && a->progress >= b->progress);
}

/* ---- steps ---- */

bool can(const struct world *w, unsigned cap)
{
	return (w->h.vt->caps & cap) != 0;
}

int executions(const struct world *w)
{
	return w->backend->executions(w->service);
}

void make(struct world *w, struct attempt *a, enum contract_kind kind)
{
	char name[32];
	int n = ++w->attempts;

	memset(a, 0, sizeof(*a));
	snprintf(a->token, sizeof(a->token), "contract-7-%d", n);
	snprintf(name, sizeof(name), "source-%d", n);
	make_folder(w, name, 0755, a->source, sizeof(a->source));
	snprintf(name, sizeof(name), "state/attempt-%d", n);
	make_folder(w, name, 0700, a->directory, sizeof(a->directory));
	a->job = (struct job){.run = 7, .attempt = n, .token = a->token, .name = "Läufe 7",
		.source = a->source, .directory = a->directory, .internet = true};
	if (!w->backend->make_job(w->service, kind, a->source, &a->job)) {
		print_message("this service has no job of kind %d\n", kind);
		skip();
	}
}

void submit(struct world *w, struct attempt *a)
{
	AUTO_BUF struct strbuf id = STRBUF_INIT;
	struct why why = {0};

	if (w->h.vt->submit(w->h.conn, &a->job, soon(), &id, &why))
		fail_msg("submit: %s", why_text(&why));
	assert_true(id.len > 0 && id.len < sizeof(a->id));
	if (a->id[0])
		assert_string_equal(id.buf, a->id);
	memcpy(a->id, id.buf, id.len + 1);
}

enum job_state find(struct world *w, struct attempt *a)
{
	AUTO_BUF struct strbuf id = STRBUF_INIT;
	struct job_status status = {.progress = -1};
	struct why why = {0};

	if (w->h.vt->find(w->h.conn, &a->job, soon(), &id, &status, &why))
		fail_msg("find: %s", why_text(&why));
	assert_status(&status);
	if (status.state == JOB_ABSENT)
		assert_int_equal(id.len, 0);
	if (id.len && a->id[0])
		assert_string_equal(id.buf, a->id);
	else if (id.len)
		snprintf(a->id, sizeof(a->id), "%s", id.buf);
	return status.state;
}

struct job_status look(struct world *w, const struct attempt *a)
{
	struct job_status status = {.progress = -1};
	struct why why = {0};

	if (w->h.vt->poll(w->h.conn, a->id, soon(), &status, &why))
		fail_msg("poll: %s", why_text(&why));
	assert_status(&status);
	return status;
}

/* States only go forward. */
struct job_status wait_end(struct world *w, const struct attempt *a)
{
	int64_t until = soon();
	enum job_state before = JOB_PENDING;

	for (;;) {
		struct job_status s = look(w, a);

		if (s.state == JOB_ENDED)
			return s;
		if (s.state != JOB_PENDING && s.state != JOB_RUNNING)
			fail_msg("state %d on the way to the end", s.state);
		assert_true(s.state >= before);
		before = s.state;
		if (clock_boot_ns() > until)
			fail_msg("the job does not end");
		pause_ms(10);
	}
}

void wait_running(struct world *w, const struct attempt *a)
{
	int64_t until = soon();

	for (struct job_status s; (s = look(w, a)).state != JOB_RUNNING; pause_ms(10)) {
		assert_int_equal(s.state, JOB_PENDING);
		assert_true(clock_boot_ns() < until);
	}
}

struct job_status run(struct world *w, struct attempt *a, enum contract_kind kind)
{
	make(w, a, kind);
	submit(w, a);
	return wait_end(w, a);
}

void fetch(struct world *w, const struct attempt *a)
{
	struct why why = {0};

	if (w->h.vt->fetch(w->h.conn, &a->job, a->id, soon(), &why))
		fail_msg("fetch: %s", why_text(&why));
	assert_true(is_there(a, "output"));
	assert_false(is_there(a, "output.part"));
}

void bring_log(struct world *w, const struct attempt *a)
{
	struct why why = {0};

	if (w->h.vt->logs && w->h.vt->logs(w->h.conn, &a->job, a->id, soon(), &why))
		fail_msg("logs: %s", why_text(&why));
}

struct job_status recover(struct world *w, struct attempt *a)
{
	int64_t until = soon();

	for (;; pause_ms(10)) {
		AUTO_BUF struct strbuf id = STRBUF_INIT;
		enum job_state state = find(w, a);

		if (state == JOB_ENDED || state == JOB_LOST)
			return look(w, a);
		if (state == JOB_ABSENT)
			w->h.vt->submit(w->h.conn, &a->job, soon(), &id, NULL);
		if (clock_boot_ns() > until)
			fail_msg("no end after a fault");
	}
}
