/*
 * A wall clock that a test can turn: linked into a kexecfs of its own (kexecfs-clock), it stands before
 * the C library's, for all processes of the daemon. Not an LD_PRELOAD: the supervisor of a job gets a
 * clean environment. The file `clock` beside the program holds the seconds to add, as a 64-bit number
 * of this machine; it is mapped, so a write to it is a jump that everyone sees at once. Without it the
 * clock is right. Only CLOCK_REALTIME is turned: the kernel's other clocks do not jump either.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const _Atomic int64_t *turned;

static int open_beside_program(void)
{
	char path[PATH_MAX + 8];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (n <= 0)
		return -1;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return -1;
	strcpy(slash, "/clock");
	return open(path, O_RDONLY | O_CLOEXEC);
}

__attribute__((constructor)) static void map_clock(void)
{
	int fd = open_beside_program();
	struct stat st;
	void *at;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof(int64_t)) {
		at = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
		turned = at == MAP_FAILED ? NULL : at;
	}
	close(fd);
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the C library's are reserved names */
int clock_gettime(clockid_t id, struct timespec *out)
{
	int rc = (int)syscall(SYS_clock_gettime, id, out);

	if (rc == 0 && turned && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		out->tv_sec += atomic_load(turned);
	return rc;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return -1;
	*out = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	if (zone)
		memset(zone, 0, sizeof(struct timezone));
	return 0;
}

time_t time(time_t *out)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return (time_t)-1;
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}

int timespec_get(struct timespec *out, int base)
{
	return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, out) == 0 ? base : 0;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
