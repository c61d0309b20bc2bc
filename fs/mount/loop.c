#include "fs/mount/loop.h"

#include <errno.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/base/clock.h"
#include "fs/base/fault.h"
#include "fs/base/log.h"
#include "fs/process.h"

#define NOTIFY_RESEND 7 /* FUSE_NOTIFY_RESEND: younger than Debian 12's kernel headers */
#define POISON_DEATHS 3 /* a request that killed this many servers is answered EIO */

struct loop {
	struct mount *m;
	struct fuse_session *se;
	pthread_t thread[SHARED_THREADS];
	int threads;
	int ended_fd;
	_Atomic bool stopping;
};

struct worker {
	struct loop *loop;
	int index;
};

/* libfuse 3.14 tells neither the unique number of a request nor its bytes; handlers run in the thread
 * that read it, so a thread-local view is enough. */
static _Thread_local struct {
	uint64_t unique;
	const void *message;
	size_t len;
	bool again;
} in_hand;

uint64_t loop_unique(void)
{
	return in_hand.unique;
}

bool loop_again(void)
{
	return in_hand.again;
}

const void *loop_message(size_t *len)
{
	*len = in_hand.len;
	return in_hand.message;
}

/* ---- Replies: every one passes here ---- */

static void parked_forget(struct shared *s, uint64_t unique)
{
	if (s->resend)
		return;
	for (size_t i = 0; i < SHARED_PARKED; i++) {
		uint64_t key = unique;

		if (atomic_compare_exchange_strong(&s->parked[i].key, &key, 0))
			return;
	}
}

/*
 * Files that are read past the page cache can only be mapped when the kernel is asked to allow it (6.6
 * and later). libfuse 3.14 does not know the flag: it is put into the reply on its way. A pure function
 * of INIT, like all that is agreed there.
 */
#define INIT_EXT            (1u << 30)
#define DIRECT_IO_ALLOW_MMAP (1u << 4) /* bit 36: of flags2 */

static void allow_mapping(const struct shared *s, const struct iovec *iov, int count)
{
	const uint8_t *init = s->init + sizeof(struct fuse_in_header);
	uint32_t flags, flags2, offered;

	if (s->init_len < sizeof(struct fuse_in_header) + 20 || count < 2 || iov[1].iov_len < 36)
		return;
	memcpy(&offered, init + 16, sizeof(offered));
	if (!(offered & DIRECT_IO_ALLOW_MMAP))
		return;
	uint8_t *out = iov[1].iov_base; /* struct fuse_init_out: flags at 12, flags2 at 32 */

	memcpy(&flags, out + 12, sizeof(flags));
	memcpy(&flags2, out + 32, sizeof(flags2));
	flags |= INIT_EXT;
	flags2 |= DIRECT_IO_ALLOW_MMAP;
	memcpy(out + 12, &flags, sizeof(flags));
	memcpy(out + 32, &flags2, sizeof(flags2));
}

static void keep_init_reply(struct mount *m, const struct iovec *iov, int count)
{
	uint8_t reply[sizeof(m->shared->init_reply)];
	size_t len = 0;

	for (int i = 0; i < count && len + iov[i].iov_len <= sizeof(reply); i++) {
		memcpy(reply + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	if (m->shared->init_reply_len == 0) {
		memcpy(m->shared->init_reply, reply, len);
		m->shared->init_reply_len = (uint32_t)len;
	} else if (len != m->shared->init_reply_len || memcmp(reply, m->shared->init_reply, len) != 0) {
		/* The kernel keeps what the first server agreed to. */
		log_write(m->log, LOG_LEVEL_WARN, "fuse.init_differs", NULL,
			"this version asks the kernel for other features than the mount was made with");
	}
}

static ssize_t write_reply(int fd, struct iovec *iov, int count, void *userdata)
{
	struct mount *m = userdata;
	const struct fuse_out_header *out = iov[0].iov_base;
	const struct fuse_in_header *init = (const void *)m->shared->init;

	if (out->unique == init->unique && m->shared->init_len) {
		allow_mapping(m->shared, iov, count);
		keep_init_reply(m, iov, count);
	}
	fault_point("reply.before"); /* deaths only: what is injected besides has no meaning here */
	ssize_t n = writev(fd, iov, count);
	int err = errno;

	fault_point("reply.after");

	if (out->unique != 0) {
		journal_forget(m->shared, out->unique);
		parked_forget(m->shared, out->unique);
	}
	errno = err;
	return n;
}

static ssize_t read_request(int fd, void *buf, size_t len, void *userdata)
{
	(void)userdata;
	return read(fd, buf, len);
}

/* ---- Requests ---- */

static void reply_error(struct mount *m, uint64_t unique, int err)
{
	struct fuse_out_header out = {.len = sizeof(out), .error = -err, .unique = unique};
	struct iovec iov = {&out, sizeof(out)};

	write_reply(m->session_fd, &iov, 1, m);
}

static void process(struct loop *l, void *message, size_t len, bool again)
{
	const struct fuse_in_header *in = message;
	struct fuse_buf buf = {.size = len, .mem = message, .fd = -1};

	in_hand.unique = in->unique;
	in_hand.message = message;
	in_hand.len = len;
	in_hand.again = again || (in->unique & UNIQUE_RESEND);
	if (poison_count(l->m->shared, in->unique, false) >= POISON_DEATHS) {
		poison_forget(l->m->shared, in->unique);
		log_write(l->m->log, LOG_LEVEL_ERROR, "fuse.poison", NULL,
			"a request (opcode %u) ended the server %d times: answered with an error", in->opcode,
			POISON_DEATHS);
		reply_error(l->m, in->unique, EIO);
		return;
	}
	fault_point("request.read");
	fuse_session_process_buf(l->se, &buf);
	fault_point("request.done");
}

void loop_keep_parked(struct mount *m)
{
	struct shared *s = m->shared;

	if (s->resend || in_hand.len > sizeof(s->parked[0].message))
		return;
	for (size_t i = 0; i < SHARED_PARKED; i++) {
		uint64_t none = 0;

		if (!atomic_compare_exchange_strong(&s->parked[i].key, &none, UINT64_MAX))
			continue;
		s->parked[i].len = (uint32_t)in_hand.len;
		memcpy(s->parked[i].message, in_hand.message, in_hand.len);
		atomic_store(&s->parked[i].key, in_hand.unique);
		return;
	}
}

/*
 * The header in the buffer says what the thread has in hand: the kernel writes it, we clear its
 * number when the handler is through. A server that finds a number there finds an unfinished request.
 */
static void *read_requests(void *arg)
{
	struct worker w = *(struct worker *)arg;
	struct loop *l = w.loop;
	uint8_t *buffer = l->m->shared->buffer[w.index];
	struct fuse_in_header *in = (void *)buffer;
	uint64_t one = 1;

	free(arg);
	while (!l->stopping) {
		ssize_t n = read(l->m->session_fd, buffer, SHARED_BUFFER);

		if (n < 0 && errno == ENODEV)
			break;
		if (n < (ssize_t)sizeof(*in))
			continue; /* EINTR, EAGAIN; ENOENT: the request was interrupted before we got it */
		process(l, buffer, (size_t)n, false);
		in->unique = 0;
	}
	if (!l->stopping && write(l->ended_fd, &one, sizeof(one)) < 0)
		_exit(1);
	return NULL;
}

/* ---- What a dead server left ---- */

static bool needs_no_answer(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

/* Each buffer with a number in it is a request that was being handled: who died of it is counted, and
 * on kernels that cannot send again it is handled from the buffer. */
static void take_up_buffers(struct loop *l)
{
	struct shared *s = l->m->shared;

	for (int i = 0; i < SHARED_THREADS; i++) {
		struct fuse_in_header *in = (void *)s->buffer[i];

		if (in->unique == 0)
			continue;
		poison_count(s, in->unique, true);
		if (!s->resend && !needs_no_answer(in->opcode))
			process(l, s->buffer[i], in->len, true);
		in->unique = 0;
	}
}

static void take_up_parked(struct loop *l)
{
	struct shared *s = l->m->shared;

	for (size_t i = 0; i < SHARED_PARKED; i++) {
		uint64_t key = atomic_load(&s->parked[i].key);
		uint8_t message[sizeof(s->parked[0].message)];
		size_t len = s->parked[i].len;

		if (key == 0 || !atomic_compare_exchange_strong(&s->parked[i].key, &key, 0) || key == UINT64_MAX)
			continue;
		memcpy(message, s->parked[i].message, sizeof(message));
		process(l, message, len, true);
	}
}

static void ask_to_resend(struct loop *l)
{
	struct fuse_out_header out = {.len = sizeof(out), .error = NOTIFY_RESEND, .unique = 0};

	if (write(l->m->session_fd, &out, sizeof(out)) < 0 && errno != ENODEV)
		log_write(l->m->log, LOG_LEVEL_ERROR, "fuse.resend", NULL, "the kernel refused to send again: %s",
			strerror(errno));
}

/* ---- Life ---- */

static int replay_init(struct loop *l)
{
	uint8_t message[sizeof(l->m->shared->init)];

	memcpy(message, l->m->shared->init, sizeof(message));
	struct fuse_buf buf = {.size = l->m->shared->init_len, .mem = message, .fd = -1};

	fuse_session_process_buf(l->se, &buf);
	return fuse_session_exited(l->se) ? -EPROTO : 0;
}

/* The receive buffers must not fault in the middle of a read: SIGKILL there would lose the request. */
static void populate(struct shared *s)
{
	if (madvise(s->buffer, sizeof(s->buffer), 23 /* MADV_POPULATE_WRITE */) == 0)
		return;
	for (size_t i = 0; i < sizeof(s->buffer); i += 4096) {
		volatile uint8_t *page = (volatile uint8_t *)s->buffer + i;
		uint8_t same = *page;

		*page = same;
	}
}

int loop_open(struct mount *m, const struct fuse_lowlevel_ops *ops, struct loop **out)
{
	static const struct fuse_custom_io io = {.writev = write_reply, .read = read_request};
	/* libfuse insists on hearing max_read both here and in init(). */
	char name[] = "kexecfs", option[] = "-omax_read=1048576";
	char *argv[] = {name, option, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(2, argv);
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->m = m;
	populate(m->shared);
	l->se = fuse_session_new(&args, ops, sizeof(*ops), m);
	fuse_opt_free_args(&args);
	if (!l->se || fuse_session_custom_io(l->se, &io, m->session_fd) != 0) {
		free(l);
		return -EIO;
	}
	*out = l;
	return replay_init(l);
}

static void wake_only(int sig)
{
	(void)sig;
}

int loop_start(struct loop *l, int ended_fd)
{
	struct sigaction wake = {.sa_handler = wake_only}; /* without SA_RESTART: read(2) returns */

	l->ended_fd = ended_fd;
	sigaction(SIGUSR2, &wake, NULL);
	take_up_buffers(l);
	if (l->m->shared->resend)
		ask_to_resend(l);
	else
		take_up_parked(l);
	for (int i = 0; i < SHARED_THREADS; i++) {
		struct worker *w = malloc(sizeof(*w));

		if (!w)
			return -ENOMEM;
		*w = (struct worker){l, i};
		int r = pthread_create(&l->thread[i], NULL, read_requests, w);

		if (r != 0) {
			free(w);
			return -r;
		}
		l->threads++;
	}
	return 0;
}

void loop_drain(struct loop *l)
{
	l->stopping = true;
	for (int i = 0; i < l->threads; i++)
		pthread_kill(l->thread[i], SIGUSR2);
}

void loop_join(struct loop *l)
{
	/* A join with a time limit counts by the wall clock, which may be set back meanwhile. */
	const struct timespec pause = {.tv_nsec = 5 * NS_PER_MS};

	for (int i = 0; i < l->threads; i++) {
		/* A signal that came just before read(2) is lost: send it until the thread is through. */
		while (l->stopping && pthread_tryjoin_np(l->thread[i], NULL) == EBUSY) {
			pthread_kill(l->thread[i], SIGUSR2);
			nanosleep(&pause, NULL);
		}
		if (!l->stopping)
			pthread_join(l->thread[i], NULL);
	}
	l->threads = 0;
}

void loop_close(struct loop *l)
{
	if (!l)
		return;
	fuse_session_destroy(l->se);
	free(l);
}
