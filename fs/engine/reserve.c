#include "fs/engine/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

bool disk_full_error(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT;
}

static int64_t blocks(uint64_t count, uint64_t size)
{
	return size && count > (uint64_t)INT64_MAX / size ? INT64_MAX : (int64_t)(count * size);
}

bool disk_is_low(int state_dirfd)
{
	struct statvfs st;

	return fstatvfs(state_dirfd, &st) == 0 && st.f_blocks &&
	       blocks(st.f_bavail, st.f_frsize) < RESERVE_LOW;
}

static bool has_room(int state_dirfd)
{
	struct statvfs st;
	int64_t half;

	if (fstatvfs(state_dirfd, &st))
		return false;
	half = blocks(st.f_blocks, st.f_frsize) / 2;
	return blocks(st.f_bavail, st.f_frsize) >= (half < RESERVE_AT ? half : RESERVE_AT);
}

/* One that a crash left half allocated is begun anew. */
static bool is_there(int state_dirfd)
{
	struct stat st;

	return fstatat(state_dirfd, RESERVE_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && st.st_size == RESERVE_BYTES;
}

int reserve_make(int state_dirfd)
{
	int fd, rc;

	if (is_there(state_dirfd))
		return 1;
	if (!has_room(state_dirfd))
		return 0;
	fd = openat(state_dirfd, RESERVE_NAME, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = -posix_fallocate(fd, 0, RESERVE_BYTES);
	close(fd);
	if (!rc)
		return 1;
	unlinkat(state_dirfd, RESERVE_NAME, 0);
	return disk_full_error(rc) ? 0 : rc;
}

bool reserve_give_up(int state_dirfd)
{
	return unlinkat(state_dirfd, RESERVE_NAME, 0) == 0;
}
