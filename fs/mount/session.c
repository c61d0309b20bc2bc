/* The kernel's side of the mount: made, taken away. No libfuse: the keeper must stay small. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/base/i18n.h"
#include "fs/base/why.h"
#include "fs/process.h"

#define SUBTYPE "kexecfs"

static int mount_as_root(const char *mountpoint, const struct mount_options *o, struct why *why)
{
	char data[256];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return why_set(why, errno, _("/dev/fuse cannot be opened: %s. Is the fuse module loaded?"), strerror(errno));
	snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=%u,group_id=%u,max_read=1048576,default_permissions%s", fd,
		(unsigned)geteuid(), (unsigned)getegid(), o->allow_other ? ",allow_other" : "");
	if (mount("kexec", mountpoint, "fuse." SUBTYPE, MS_NOSUID | MS_NODEV, data) != 0) {
		int err = errno;

		close(fd);
		return why_set(why, err, _("%s cannot be mounted on: %s"), mountpoint, strerror(err));
	}
	return fd;
}

static int receive_fd(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	int fd = -EIO;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) <= 0)
		return -EIO;
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static void exec_fusermount(int sock, const char *mountpoint, const struct mount_options *o)
{
	char number[16], options[128];

	fcntl(sock, F_SETFD, 0);
	snprintf(number, sizeof(number), "%d", sock);
	setenv("_FUSE_COMMFD", number, 1);
	snprintf(options, sizeof(options), "nosuid,nodev,max_read=1048576,default_permissions,fsname=kexec,subtype=" SUBTYPE "%s",
		o->allow_other ? ",allow_other" : "");
	execlp("fusermount3", "fusermount3", "-o", options, "--", mountpoint, (char *)NULL);
	_exit(127);
}

static int mount_as_user(const char *mountpoint, const struct mount_options *o, struct why *why)
{
	int pair[2], status;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return why_set(why, errno, "%s", strerror(errno));
	pid_t pid = fork();

	if (pid == 0)
		exec_fusermount(pair[1], mountpoint, o);
	close(pair[1]);
	int fd = pid < 0 ? -errno : receive_fd(pair[0]);

	close(pair[0]);
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return why_set(why, ENOENT, _("fusermount3 was not found: install the package fuse3"));
	if (fd < 0)
		return why_set(why, -fd, _("fusermount3 could not mount %s (its message is above)"), mountpoint);
	return fd;
}

int session_mount(const char *mountpoint, const struct mount_options *o, int *fd, struct why *why)
{
	*fd = geteuid() == 0 ? mount_as_root(mountpoint, o, why) : mount_as_user(mountpoint, o, why);
	return *fd < 0 ? *fd : 0;
}

int session_unmount(const char *mountpoint)
{
	int status;

	if (geteuid() == 0)
		return umount2(mountpoint, MNT_DETACH) == 0 ? 0 : -errno;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		if (null >= 0)
			dup2(null, STDERR_FILENO);
		execlp("fusermount3", "fusermount3", "-u", "-z", "--", mountpoint, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* Is the newest mount on that place one of ours? Octal escapes of mountinfo are undone as needed. */
static bool mounted_by_us(const char *mountpoint)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0;
	bool ours = false;

	while (f && getline(&line, &cap, f) > 0) {
		char where[4096], *dash = strstr(line, " - ");
		char plain[4096];
		size_t n = 0;

		if (!dash || sscanf(line, "%*s %*s %*s %*s %4095s", where) != 1)
			continue;
		for (const char *p = where; *p; p++) {
			unsigned code;

			if (*p == '\\' && sscanf(p + 1, "%3o", &code) == 1) {
				plain[n++] = (char)code;
				p += 3;
			} else {
				plain[n++] = *p;
			}
		}
		plain[n] = '\0';
		if (strcmp(plain, mountpoint) == 0)
			ours = strncmp(dash, " - fuse." SUBTYPE " ", strlen(" - fuse." SUBTYPE " ")) == 0;
	}
	free(line);
	if (f)
		fclose(f);
	return ours;
}

int session_clean_stale(const char *mountpoint, struct why *why)
{
	struct statfs st;

	/* statfs is never answered from a cache: the root's attributes outlive a dead mount. */
	if (statfs(mountpoint, &st) == 0)
		return mounted_by_us(mountpoint) ? why_set(why, EBUSY, _("%s is already mounted by kexecfs"), mountpoint) : 0;
	if (errno != ENOTCONN)
		return why_set(why, errno, _("%s: %s"), mountpoint, strerror(errno));
	if (!mounted_by_us(mountpoint))
		return why_set(why, ENOTCONN, _("a dead mount of another program is on %s: take it away with fusermount3 -u"),
			mountpoint);
	return session_unmount(mountpoint);
}
