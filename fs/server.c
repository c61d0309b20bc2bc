/*
 * The server: one life of the file system. It may be killed at any moment; whatever it acknowledged is
 * on disk or in the shared memory, and the next server takes up what it had in hand.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/backend.h"
#include "fs/base/clock.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/log.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"
#include "fs/engine/engine.h"
#include "fs/mount/drafts.h"
#include "fs/mount/event.h"
#include "fs/mount/files.h"
#include "fs/mount/loop.h"
#include "fs/mount/ops.h"
#include "fs/mount/pages.h"
#include "fs/mount/park.h"
#include "fs/mount/snapshots.h"
#include "fs/process.h"

#define EXIT_START_FAILED 3
#define BACKENDS_MAX      32

struct server {
	const struct start *start;
	struct config config;
	const char *backends[BACKENDS_MAX + 1]; /* names, for the configuration */
	struct mount m;
	struct loop *loop;
	int ended_fd, signal_fd;
	bool fresh;
};

/* ---- Start ---- */

static int report(const struct why *why)
{
	const char *text = why_text(why);

	if (write(FD_READY, text, strlen(text)) < 0)
		fprintf(stderr, "kexecfs: %s\n", text);
	return EXIT_START_FAILED;
}

/* A record lock belongs to a process and goes with it: a second living server of this mount waits for
 * the first one to be gone. */
static int only_server(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

	return fcntl(FD_SHARED, F_SETLKW, &lock) == 0 ? 0 : -errno;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void init_mount(struct server *s, struct shared *shared)
{
	struct mount *m = &s->m;
	pthread_rwlockattr_t attr;

	m->shared = shared;
	m->config = &s->config;
	m->mountpoint = s->start->mountpoint;
	m->session_fd = FD_SESSION;
	m->uid = geteuid();
	m->gid = getegid();
	m->started_wall_ns = clock_wall_ns();
	pthread_mutex_init(&m->nodes, NULL);
	pthread_mutex_init(&m->fds_lock, NULL);
	pthread_mutex_init(&m->callers_lock, NULL);
	pthread_mutex_init(&m->ctl_lock, NULL);
	/* The door must get through while folders are being written without end. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&m->gate, &attr);
	pthread_rwlockattr_destroy(&attr);
	for (int i = 0; i < FD_CACHE; i++)
		m->fds[i].fd = -1;
}

static int open_state(struct server *s, struct why *why)
{
	struct mount *m = &s->m;

	m->state_dirfd = open(s->start->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->state_dirfd < 0)
		return why_set(why, errno, _("the state directory %s cannot be opened: %s"), s->start->state, strerror(errno));
	int r = log_open(m->state_dirfd, "log", &m->log);

	if (r != 0)
		return why_set(why, -r, _("the log in %s cannot be written: %s"), s->start->state, strerror(-r));
	/* Every call to a backend is traced at this level. */
	log_from(m->log, getenv("KEXEC_DEBUG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	static const char *const folders[] = {"runs", "trash", "pages", "knowledge"};
	static const mode_t modes[] = {0700, 0700, 0700, 0755};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (mkdirat(m->state_dirfd, folders[i], modes[i]) != 0 && errno != EEXIST)
			return why_set(why, errno, _("the state directory %s cannot be written: %s"), s->start->state, strerror(errno));
	return 0;
}

static int open_engine(struct server *s, struct why *why)
{
	struct engine_setup setup = {
		.state_dirfd = s->m.state_dirfd,
		.state_path = s->start->state,
		.mountpoint = s->start->mountpoint,
		.program = s->start->program,
		.config = &s->config,
		.log = s->m.log,
		.sink = {event_changed, &s->m},
		.connection = s->m.shared->connection,
	};

	return engine_open(&setup, &s->m.engine, why);
}

static int start_all(struct server *s, struct why *why)
{
	struct mount *m = &s->m;
	int r = pages_start(m);

	if (r == 0)
		r = snapshots_start(m);
	if (r == 0)
		r = park_start(m);
	if (r != 0)
		return why_set(why, -r, "%s", strerror(-r));
	r = open_engine(s, why);
	if (r != 0)
		return r;
	files_recover(m, s->fresh);
	r = drafts_start(m, s->fresh);
	if (r == 0)
		r = loop_open(m, &kexec_ops, &s->loop);
	if (r == 0)
		r = loop_start(s->loop, s->ended_fd);
	if (r == 0)
		r = engine_start(m->engine); /* after the loop: who waits for an answer comes first */
	if (r != 0)
		return why_set(why, -r, _("the FUSE session cannot be served: %s"), strerror(-r));
	event_catch_up(m, s->fresh);
	return 0;
}

/* Descriptors that no child may inherit: a job that held one would keep a dead mount alive. */
static void close_on_exec(void)
{
	for (int fd = FD_SESSION; fd <= FD_LAST; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int start_server(struct server *s, struct why *why)
{
	struct shared *shared = shared_map(FD_SHARED);

	if (!shared)
		return why_set(why, errno, _("this version cannot take over the running mount: unmount it and mount again"));
	int r = config_load(s->start->config, &s->config, why);

	if (r != 0)
		return r;
	if (s->start->user) {
		free(s->config.user);
		s->config.user = strdup(s->start->user);
	}
	for (size_t i = 0; backend_all()[i] && i < BACKENDS_MAX; i++)
		s->backends[i] = backend_all()[i]->name;
	s->config.known_backends = s->backends;
	i18n_init(s->config.language);
	init_mount(s, shared);
	s->fresh = atomic_fetch_add(&shared->servers, 1) == 0;
	s->signal_fd = open_signals();
	s->ended_fd = eventfd(0, EFD_CLOEXEC);
	r = open_state(s, why);
	return r == 0 ? start_all(s, why) : r;
}

/* ---- End ---- */

/* The keeper was killed: make a new one, which watches us. It gets a new life line. */
static int replace_keeper(const struct server *s)
{
	const char *argv[START_ARGC];
	char self[16];
	int line[2];

	if (pipe2(line, O_CLOEXEC) != 0)
		return -errno;
	snprintf(self, sizeof(self), "%d", (int)getpid());
	start_argv(s->start, "--keeper", self, argv);
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		dup2(line[0], FD_KEEPER);
		dup2(line[1], FD_LIFE);
		for (int fd = FD_SESSION; fd < FD_READY; fd++)
			fcntl(fd, F_SETFD, 0);
		close_range(3, FD_SESSION - 1, 0);
		execv("/proc/self/exe", (char *const *)argv); /* the version that runs */
		_exit(127);
	}
	close(line[1]);
	dup3(line[0], FD_KEEPER, O_CLOEXEC);
	close(line[0]);
	log_write(s->m.log, LOG_LEVEL_WARN, "keeper.replaced", NULL, "the keeper was killed; a new one is process %d", (int)pid);
	return pid > 0 ? 0 : -errno;
}

/* 0: the mount is gone; 1: to be replaced by another server. */
static int serve(struct server *s)
{
	for (;;) {
		struct pollfd fds[] = {{.fd = s->ended_fd, .events = POLLIN}, {.fd = s->signal_fd, .events = POLLIN},
			{.fd = FD_KEEPER, .events = POLLIN}};
		struct signalfd_siginfo si;

		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return 0;
		if (fds[0].revents)
			return 0;
		if (fds[1].revents && read(s->signal_fd, &si, sizeof(si)) == sizeof(si) && si.ssi_signo == SIGUSR1)
			return 1;
		if ((fds[2].revents & POLLHUP) && !atomic_load(&s->m.shared->stopping))
			replace_keeper(s);
	}
}

static void stop_server(struct server *s)
{
	struct mount *m = &s->m;

	loop_join(s->loop);
	drafts_stop(m);
	park_halt(m);
	engine_close(m->engine);
	m->engine = NULL;
	park_stop(m);
	pages_stop(m);
	snapshots_stop(m);
	files_close_cached(m);
	loop_close(s->loop);
	log_write(m->log, LOG_LEVEL_INFO, "server.stop", NULL, "unmounted");
	log_close(m->log);
	config_release(&s->config);
}

int compatible_main(const struct start *start)
{
	struct shared *shared = shared_map(FD_SHARED);
	struct log *log = NULL;
	int dir;

	if (shared)
		return 0;
	dir = open(start->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0 && log_open(dir, "log", &log) == 0)
		log_write(log, LOG_LEVEL_ERROR, "server.upgrade", NULL,
			"kexecfs " KEXEC_VERSION " cannot take over the running mount, which goes on as it is: unmount it and mount again");
	return 1;
}

int server_main(const struct start *start)
{
	struct server s = {.start = start};
	struct why why = {0};

	close_on_exec();
	prctl(PR_SET_NAME, "kexec-server");
	if (only_server() != 0 || start_server(&s, &why) != 0) {
		log_write(s.m.log, LOG_LEVEL_ERROR, "server.start", NULL, "%s", why_text(&why));
		return report(&why);
	}
	atomic_store(&s.m.shared->ready, 1);
	log_write(s.m.log, LOG_LEVEL_INFO, "server.start", NULL, "%s", s.fresh ? "mounted" : "took over");
	(void)!write(FD_READY, "R", 1);
	close(FD_READY);
	if (serve(&s) == 1) {
		/* The store and the shared memory stand as they would after a crash: nothing more to say. */
		loop_drain(s.loop);
		loop_join(s.loop);
		log_write(s.m.log, LOG_LEVEL_INFO, "server.replaced", NULL, "stopped for a newer one");
		_exit(0);
	}
	stop_server(&s);
	return 0;
}
