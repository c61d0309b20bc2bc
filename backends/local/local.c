/*
 * Jobs on this machine: one supervisor process a job (supervise.h), which outlives the daemon and is
 * found again through the files of the attempt (attempt.h). This file is the daemon's side.
 *
 * Nothing can start twice: submit() prepares an attempt under its lock and hands that very lock to the
 * supervisor, which records itself durably before the job starts and refuses where a record exists.
 */
#include "backends/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "backends/local/attempt.h"
#include "backends/local/cgroup.h"
#include "backends/local/descendants.h"
#include "backends/local/order.h"
#include "backends/local/output.h"
#include "backends/local/python.h"
#include "backends/local/sandbox.h"
#include "backends/local/watch.h"
#include "backends/local/workdir.h"
#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/log.h"
#include "fs/base/proc.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"

#define INDEX          "local"           /* state/local/<remote_id>: a link to the attempt */
#define START_NS       (20 * NS_PER_S)   /* a supervisor that has not said anything by then is a doubt */
#define MORE_PROCESSES 4096              /* a job may have, besides those its user has already */
#define SUPERVISOR_LOG "supervisor.log"

struct backend_conn {
	const struct config *config;
	struct log *log;
	char *program;
	int index;
	pthread_mutex_t index_lock; /* of making a link: submit() and find() may do it for one job at once */
	struct job_user user;
	struct sandbox sandbox;
	pthread_mutex_t lock;    /* of probed */
	bool probed;             /* sandbox is complete; see ready() */
	struct pythons *pythons;
	struct watch *watch;
};

/* ---- open and close ---- */

static int open_index(int state_dirfd)
{
	if (mkdirat(state_dirfd, INDEX, 0700) < 0 && errno != EEXIST)
		return -errno;
	return io_open_dir(state_dirfd, INDEX);
}

static void local_close(struct backend_conn *c)
{
	if (!c)
		return;
	watch_close(c->watch);
	pythons_free(c->pythons);
	sandbox_release(&c->sandbox);
	if (c->index >= 0)
		close(c->index);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->index_lock);
	free(c->program);
	free(c);
}

static int open_parts(struct backend_conn *c, const struct backend_setup *setup, struct why *why)
{
	int err = job_user_find(c->config->user, &c->user, why);

	if (err)
		return err;
	c->program = strdup(setup->program);
	if (!c->program)
		return -ENOMEM;
	/* Without a state directory nothing runs: somebody only asks what this machine has. */
	if (setup->state_dirfd >= 0 && (c->index = open_index(setup->state_dirfd)) < 0)
		return c->index;
	err = sandbox_open(
		&c->sandbox, &c->user, setup->state_path, setup->mountpoint, c->config->folder);
	if (err)
		return err;
	c->pythons = pythons_new(&c->sandbox, &c->user, c->config->python);
	return c->pythons ? watch_open(setup->changed, setup->arg, &c->watch) : -ENOMEM;
}

static int local_open(const struct backend_setup *setup, struct backend_conn **out, struct why *why)
{
	struct backend_conn *c = calloc(1, sizeof(*c));
	int err;

	*out = NULL;
	if (!c)
		return -ENOMEM;
	c->index = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->index_lock, NULL);
	c->config = setup->config;
	c->log = setup->log;
	err = open_parts(c, setup, why);
	if (err) {
		local_close(c);
		return err;
	}
	*out = c;
	return 0;
}

/* What runs something needs the sandbox probed first: not at open, which delays the daemon's start. */
static void ready(struct backend_conn *c)
{
	pthread_mutex_lock(&c->lock);
	if (!c->probed) {
		sandbox_probe(&c->sandbox, &c->user);
		c->probed = true;
		if (!c->sandbox.bwrap)
			log_write(c->log, LOG_LEVEL_WARN, "local_sandbox", NULL,
				"no sandbox for local jobs: %s", c->sandbox.problem);
	}
	pthread_mutex_unlock(&c->lock);
}

/* ---- finding an attempt ---- */

static int open_attempt(const struct job *job, struct why *why)
{
	int fd = open(job->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? why_set(why, errno, _("%s cannot be opened: %s"), job->directory, strerror(errno))
		      : fd;
}

/* Through the index, for calls that know the remote id only. The path is copied out. */
static int open_remote(const struct backend_conn *c, const char *remote_id, char path[PATH_MAX])
{
	ssize_t n;
	int fd;

	if (!remote_id_valid(remote_id))
		return -EINVAL;
	n = readlinkat(c->index, remote_id, path, PATH_MAX - 1);
	if (n < 0)
		return -errno;
	path[n] = 0;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The name under which a link is made before it takes its place; a crash may leave it. */
static void temporary_name(char out[REMOTE_ID_MAX + 8], const char *remote_id)
{
	snprintf(out, REMOTE_ID_MAX + 8, ".%s.new", remote_id);
}

static int link_attempt(const struct backend_conn *c, const char *remote_id, const char *directory)
{
	char temporary[REMOTE_ID_MAX + 8];

	temporary_name(temporary, remote_id);
	unlinkat(c->index, temporary, 0);
	if (symlinkat(directory, c->index, temporary) < 0 ||
		renameat(c->index, temporary, c->index, remote_id) < 0)
		return -errno;
	return 0;
}

static int remember(struct backend_conn *c, const char *remote_id, const char *directory)
{
	int err = fault_point("local.submit.index");

	if (err)
		return err;
	pthread_mutex_lock(&c->index_lock);
	err = link_attempt(c, remote_id, directory);
	pthread_mutex_unlock(&c->index_lock);
	return err ? err : io_fsync_dir(c->index);
}

/* Is what this directory holds of this very job? 0, -ENOENT (nothing there) or -EINVAL. */
static int check_token(int dirfd, const struct job *job, struct why *why)
{
	struct order order;
	int err = order_read(dirfd, &order);
	bool same;

	if (err == -ENOENT)
		return err;
	same = !err && !strcmp(order.token, job->token);
	order_release(&order);
	return same ? 0 : why_set(why, EINVAL, _("%s holds another job."), job->directory);
}

/* Living jobs are watched; calling it again is free. */
static void arm(const struct backend_conn *c, const char *remote_id, const char *directory, int dirfd,
	const struct job_status *status)
{
	struct attempt_supervisor s = {0};

	if (status->state != JOB_RUNNING && status->state != JOB_PENDING)
		return;
	if (attempt_read_supervisor(dirfd, &s) < 0)
		s.pid = 0;
	watch_add(c->watch, remote_id, directory, s.pid, s.start);
}

/* ---- submit ---- */

static bool path_is_safe(const char *path)
{
	if (!path)
		return false;
	for (const char *at = path; at; at = strchr(at, '/')) {
		at += at != path;
		size_t n = strcspn(at, "/");

		if (!n || n > NAME_MAX || (n == 1 && *at == '.') || (n == 2 && !strncmp(at, "..", 2)))
			return false;
	}
	return *path && strlen(path) < PATH_MAX;
}

static int check_job(const struct job *job, struct why *why)
{
	if (strcmp(job->kind, "notebook") && strcmp(job->kind, "script"))
		return why_set(why, EINVAL, _("The local backend runs notebooks and scripts, not %s."),
			job->kind);
	if (!path_is_safe(job->main))
		return why_set(why, EINVAL, _("%s is not a path inside the folder."), job->main);
	return 0;
}

struct places {
	char work[PATH_MAX], box[PATH_MAX];
	struct sandbox_job sandbox;
};

static int find_places(const struct backend_conn *c, const struct job *job, struct places *p)
{
	if (snprintf(p->work, PATH_MAX, "%s/" ATTEMPT_WORK, job->directory) >= PATH_MAX ||
		snprintf(p->box, PATH_MAX, "%s/" ATTEMPT_BOX, job->directory) >= PATH_MAX)
		return -ENAMETOOLONG;
	p->sandbox = (struct sandbox_job){
		.work = p->work,
		.box = p->box,
		.datasets = job->datasets,
		.more_datasets = c->config->datasets,
		.internet = job->internet,
		.gpu = job->gpu != NULL,
		.memory_bytes = job->memory_bytes,
		.processes = user_threads(c->user.uid) + MORE_PROCESSES,
	};
	return 0;
}

static int make_order(struct backend_conn *c, int dirfd, const struct job *job, const char *python,
	struct order *order, struct why *why)
{
	AUTO_FREE struct places *p = calloc(1, sizeof(*p));
	int err = p ? find_places(c, job, p) : -ENOMEM;

	if (err)
		return err;
	err = sandbox_command(&c->sandbox, &c->user, &p->sandbox, &order->command, why);
	argv_add(&order->command, "sh");
	argv_addf(&order->command, "%s/start.sh", sandbox_box(&c->sandbox, &p->sandbox));
	if (!err)
		err = order->command.err;
	return err ? err : workdir_prepare(dirfd, job, &c->sandbox, &c->user, &p->sandbox, python, why);
}

/* Without namespaces the job's user walks to the working directory on its own feet. */
static int check_reachable(const struct backend_conn *c, const struct job *job, struct why *why)
{
	struct argv test = {0};
	int err;

	if (c->sandbox.bwrap || !c->user.drop)
		return 0;
	job_user_command(&c->user, &test);
	argv_addv(&test, "test", "-x", NULL);
	argv_addf(&test, "%s/" ATTEMPT_WORK, job->directory);
	err = test.err ? test.err : spawn_run(test.v, clock_boot_ns() + START_NS, NULL);
	argv_release(&test);
	return err ? why_set(why, EACCES,
			     _("User %s cannot reach %s: install bubblewrap, or put the state elsewhere."),
			     c->user.name, job->directory)
		   : 0;
}

/* What cannot run because of this machine is a job that ended in its set-up, with the sentence. */
static int prepare(struct backend_conn *c, int dirfd, const struct job *job, const char *remote_id,
	struct why *why)
{
	struct order order = {.limit_ns = job->limit_ns, .memory_bytes = job->memory_bytes};
	AUTO_FREE char *python = NULL;
	struct why setup = {0};
	bool unable;
	int err;

	order.notebook = !strcmp(job->kind, "notebook");
	order.namespaces = c->sandbox.bwrap;
	order.id = strdup(remote_id);
	order.token = strdup(job->token);
	order.main = strdup(job->main);
	err = order.id && order.token && order.main ? 0 : -ENOMEM;
	unable = !err && pythons_find(c->pythons, order.notebook, &python, &setup) < 0;
	if (!err && !unable)
		err = make_order(c, dirfd, job, python, &order, why);
	if (!err && !unable)
		unable = check_reachable(c, job, &setup) < 0;
	if (unable)
		order.setup_error = strdup(why_text(&setup));
	if (!err)
		err = fault_point("local.submit.order");
	if (!err)
		err = order_write(dirfd, &order);
	order_release(&order);
	return err ? err : remember(c, remote_id, job->directory);
}

/* One byte: supervisor.json is on disk. 1, 0 (it ended without saying so) or -ETIMEDOUT. */
static int wait_for_report(int fd, int64_t deadline_ns)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;

	for (;;) {
		int64_t left = deadline_ns - clock_boot_ns();
		int n = poll(&p, 1, left > 0 ? (int)(left / NS_PER_MS) + 1 : 0);

		if (n > 0)
			return read(fd, &byte, 1) == 1;
		if (n == 0 || errno != EINTR)
			return -ETIMEDOUT;
	}
}

static pid_t spawn_supervisor(const struct backend_conn *c, int dirfd, const char *directory, int lock,
	int report)
{
	struct spawn_fds fds[] = {{lock, 3}, {report, 4}};
	char *const argv[] = {c->program, (char[]){"--supervise"}, (char *)(uintptr_t)directory,
		(char[]){"3"}, (char[]){"4"}, NULL};
	AUTO_FD int log = openat(dirfd, SUPERVISOR_LOG,
		O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	return log < 0 ? -errno : spawn_detached(argv, log, fds, 2);
}

static int start(const struct backend_conn *c, int dirfd, const struct job *job, int lock,
	int64_t deadline_ns, struct why *why)
{
	int64_t limit = clock_boot_ns() + START_NS;
	int ends[2], said, err = fault_point("local.submit.spawn");
	pid_t pid;

	if (err)
		return err;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = spawn_supervisor(c, dirfd, job->directory, lock, ends[1]);
	close(ends[1]);
	if (pid > 0)
		waitpid(pid, NULL, 0); /* the supervisor itself is its child and nobody's by now */
	said = pid > 0 ? wait_for_report(ends[0], limit < deadline_ns ? limit : deadline_ns) : 0;
	close(ends[0]);
	if (pid < 0)
		return why_set(why, EAGAIN, _("%s cannot be started: %s"), c->program, strerror(-pid));
	return said < 0 ? why_set(why, EUCLEAN, _("The supervisor does not answer.")) : 0;
}

/* After a start, and where one was found: what do the files say? */
static int settle(const struct backend_conn *c, int dirfd, const struct job *job, const char *id,
	struct strbuf *remote_id, struct why *why)
{
	struct job_status status;
	int err = attempt_status(dirfd, &status);

	if (err)
		return why_set(why, EUCLEAN, _("%s cannot be read."), job->directory);
	arm(c, id, job->directory, dirfd, &status);
	if (status.state == JOB_PENDING)
		return why_set(why, EUCLEAN, _("The job is being started."));
	if (status.state == JOB_ABSENT)
		return why_set(why, EAGAIN, _("The supervisor ended before it started the job; see %s/%s."),
			job->directory, SUPERVISOR_LOG);
	return strbuf_adds(remote_id, id);
}

static int submit_locked(struct backend_conn *c, int dirfd, const struct job *job, const char *id,
	int lock, int64_t deadline_ns, struct why *why)
{
	struct stat st;
	int err;

	if (fstatat(dirfd, ATTEMPT_SUPERVISOR, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0; /* it was started before */
	ready(c);
	err = prepare(c, dirfd, job, id, why);
	if (err == -ENOSPC || err == -EDQUOT) {
		workdir_remove(dirfd); /* what was copied takes space that is needed */
		return why_set(why, EAGAIN, _("The disk is full: there is no room for the job's files."));
	}
	if (!err && clock_boot_ns() >= deadline_ns)
		err = why_set(why, ETIMEDOUT, _("Copying the folder took too long."));
	return err ? err : start(c, dirfd, job, lock, deadline_ns, why);
}

static int local_submit(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct why *why)
{
	char id[REMOTE_ID_MAX];
	AUTO_FD int dirfd = open_attempt(job, why);
	int lock, err = dirfd < 0 ? dirfd : check_job(job, why);

	if (!err)
		err = check_token(dirfd, job, why);
	if (err && err != -ENOENT)
		return err;
	remote_id_format(id, job->run, job->attempt);
	lock = attempt_lock(dirfd);
	if (lock < 0 && lock != -EBUSY)
		return why_set(why, -lock, _("%s cannot be locked."), job->directory);
	if (lock >= 0) {
		err = submit_locked(c, dirfd, job, id, lock, deadline_ns, why);
		close(lock);
		if (err)
			return err;
	}
	return settle(c, dirfd, job, id, remote_id, why);
}

/* ---- find and poll ---- */

static int local_find(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct job_status *out, struct why *why)
{
	char id[REMOTE_ID_MAX];
	AUTO_FD int dirfd = open_attempt(job, why);
	int err = dirfd < 0 ? dirfd : attempt_status(dirfd, out);

	if (err || out->state == JOB_ABSENT)
		return err;
	err = check_token(dirfd, job, why);
	if (err)
		return err == -ENOENT ? 0 : err; /* job.json is being written */
	remote_id_format(id, job->run, job->attempt);
	if (faccessat(c->index, id, F_OK, 0) < 0)
		remember(c, id, job->directory); /* the state was moved, or the link purged too early */
	arm(c, id, job->directory, dirfd, out);
	return strbuf_adds(remote_id, id);
}

static int local_poll(struct backend_conn *c, const char *remote_id, int64_t deadline_ns,
	struct job_status *out, struct why *why)
{
	char path[PATH_MAX];
	AUTO_FD int dirfd = open_remote(c, remote_id, path);
	int err;

	if (dirfd < 0) {
		*out = (struct job_status){.state = JOB_UNKNOWN, .exit_code = -1, .progress = -1};
		out->eta_ns = -1;
		return dirfd == -ENOENT ? 0 : dirfd;
	}
	err = attempt_status(dirfd, out);
	if (!err)
		arm(c, remote_id, path, dirfd, out);
	return err;
}

/* ---- fetch, cancel, purge ---- */

static void forget_group(int dirfd, const struct job *job)
{
	char id[REMOTE_ID_MAX];

	remote_id_format(id, job->run, job->attempt);
	cgroup_forget(dirfd, id);
}

static int local_fetch(struct backend_conn *c, const struct job *job, const char *remote_id,
	int64_t deadline_ns, struct why *why)
{
	struct job_status status;
	AUTO_FD int dirfd = open_attempt(job, why);
	int err = dirfd < 0 ? dirfd : check_job(job, why);

	if (!err)
		err = attempt_status(dirfd, &status);
	if (err)
		return err;
	if (status.state == JOB_RUNNING || status.state == JOB_PENDING)
		return why_set(why, EBUSY, _("The job is still running."));
	if (status.state == JOB_ABSENT)
		return why_set(why, ENOENT, _("Job %s is not known here."), remote_id);
	if (status.state == JOB_LOST) /* its supervisor was killed; nothing of it may go on writing */
		forget_group(dirfd, job);
	return output_collect(dirfd, job->main, why);
}

/* The supervisor looks for the file every second; the signal only makes it look now. */
static void nudge(int dirfd)
{
	struct attempt_supervisor s;
	AUTO_FD int pidfd = -1;

	if (attempt_read_supervisor(dirfd, &s) < 0)
		return;
	pidfd = (int)syscall(SYS_pidfd_open, s.pid, 0);
	if (pidfd >= 0 && proc_alive(s.pid, s.start))
		syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
}

static int local_cancel(
	struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why)
{
	char path[PATH_MAX];
	struct job_status status;
	AUTO_FD int dirfd = open_remote(c, remote_id, path);
	int err = dirfd < 0 ? dirfd : attempt_status(dirfd, &status);

	if (err)
		return why_set(why, -err, _("Job %s is not known here."), remote_id);
	if (status.state == JOB_ENDED || status.state == JOB_LOST)
		return 0;
	err = io_write_durable(dirfd, ATTEMPT_CANCEL, "", 0, 0600);
	if (err == -ENOSPC || err == -EDQUOT) {
		/* Its name alone may need a block. The end, which follows, then has what the job frees. */
		unlinkat(dirfd, ATTEMPT_RESERVE, 0);
		err = io_write_durable(dirfd, ATTEMPT_CANCEL, "", 0, 0600);
	}
	if (!err && status.state == JOB_RUNNING && attempt_locked(dirfd) == 1)
		nudge(dirfd);
	return err;
}

static int local_purge(
	struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why)
{
	char path[PATH_MAX], temporary[REMOTE_ID_MAX + 8];
	struct job_status status;
	AUTO_FD int dirfd = open_remote(c, remote_id, path);

	if (dirfd == -EINVAL)
		return why_set(why, EINVAL, _("Job %s is not known here."), remote_id);
	if (dirfd >= 0 && attempt_status(dirfd, &status) == 0 &&
		(status.state == JOB_RUNNING || status.state == JOB_PENDING))
		return why_set(why, EBUSY, _("The job is still running."));
	if (dirfd >= 0) {
		cgroup_forget(dirfd, remote_id);
		workdir_remove(dirfd);
	}
	temporary_name(temporary, remote_id);
	unlinkat(c->index, temporary, 0);
	return unlinkat(c->index, remote_id, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* ---- check and describe ---- */

static void warn_isolation(const struct backend_conn *c, const struct job *job, struct strbuf *warnings)
{
	if (!c->sandbox.bwrap)
		strbuf_addf(warnings,
			_("There is no sandbox here (%s): the job can read what user %s can, and there is "
			  "no /kaggle/input. apt-get install bubblewrap\n"),
			c->sandbox.problem, c->user.name);
	if (!job->internet && !c->sandbox.network)
		strbuf_adds(warnings,
			_("\"internet\": false cannot be kept on this machine: the job will have the "
			  "network.\n"));
}

static void warn_machine(const struct backend_conn *c, const struct job *job, struct strbuf *warnings)
{
	AUTO_FREE char *python = NULL;
	struct why why = {0};

	if (job->gpu && access("/dev/nvidia0", F_OK) < 0)
		strbuf_adds(warnings, _("A GPU is asked for and this machine has none that is visible.\n"));
	if (pythons_find(c->pythons, !strcmp(job->kind, "notebook"), &python, &why) < 0)
		strbuf_addf(warnings, "%s\n", why_text(&why));
}

static int local_check(
	struct backend_conn *c, const struct job *job, struct strbuf *warnings, struct why *why)
{
	struct sandbox_job place = {
		.datasets = job->datasets, .more_datasets = c->config->datasets, .internet = job->internet};
	struct argv command = {0};
	int err = check_job(job, why);

	ready(c);
	if (!err)
		err = sandbox_command(&c->sandbox, &c->user, &place, &command, why);
	argv_release(&command);
	if (err)
		return err;
	warn_isolation(c, job, warnings);
	warn_machine(c, job, warnings);
	return warnings->err;
}

static int local_describe(struct backend_conn *c, struct strbuf *status, struct strbuf *quota)
{
	AUTO_FREE char *python = NULL;
	struct why why = {0};
	const char *sandbox;
	int found;

	ready(c);
	found = pythons_find(c->pythons, true, &python, &why);
	sandbox = !c->sandbox.bwrap ? "none" : c->sandbox.network ? "bwrap" : "bwrap without network";
	if (found < 0)
		strbuf_addf(status, "degraded: %s, sandbox %s, %d running\n", why_text(&why), sandbox,
			watch_count(c->watch));
	else
		strbuf_addf(status, "ok: python %s, sandbox %s, %d running\n", python, sandbox,
			watch_count(c->watch));
	strbuf_adds(quota, "unlimited\n");
	return status->err ? status->err : quota->err;
}

extern const struct backend local_backend;
const struct backend local_backend = {
	.api = BACKEND_API,
	.name = "local",
	.caps = BACKEND_GPU | BACKEND_CANCEL | BACKEND_PUSHES,
	.open = local_open,
	.close = local_close,
	.submit = local_submit,
	.find = local_find,
	.poll = local_poll,
	.fetch = local_fetch,
	.cancel = local_cancel,
	.check = local_check,
	.purge = local_purge,
	.describe = local_describe,
};
