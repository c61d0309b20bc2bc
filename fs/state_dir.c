#include "fs/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/why.h"

char *state_dir_default(struct why *why)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *path = NULL;

	if (!home || home[0] != '/') {
		const struct passwd *pw = getpwuid(geteuid());

		home = pw ? pw->pw_dir : NULL;
	}
	if (xdg && xdg[0] == '/') {
		if (asprintf(&path, "%s/kexec", xdg) < 0)
			path = NULL;
	} else if (home && asprintf(&path, "%s/.local/state/kexec", home) < 0) {
		path = NULL;
	}
	if (!path)
		why_set(why, ENOENT, _("no home directory is known: say where the state may be with --state DIR"));
	return path;
}

const char *state_dir_network(long type)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} networks[] = {{0x6969, "NFS"}, {0x517B, "SMB"}, {0xFF534D42, "SMB"}, {0xFE534D42, "SMB"}, {0x01021997, "9P"},
		{0x00c36400, "Ceph"}, {0x0BD00BD0, "Lustre"}, {0x65735546, "FUSE"}};

	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++)
		if (((unsigned long)type & 0xffffffffUL) == networks[i].magic)
			return networks[i].name;
	return NULL;
}

/* Where the directory will be made: the nearest folder above it that is there. */
static char *nearest_there(const char *path)
{
	char *there = strdup(path);
	struct stat st;

	while (there && stat(there, &st) != 0 && errno == ENOENT) {
		char *slash = strrchr(there, '/');

		if (!slash || slash == there)
			strcpy(there, slash ? "/" : ".");
		else
			*slash = '\0';
	}
	return there;
}

int state_dir_check(const char *path, bool fuse_allowed, bool *exists, struct why *why)
{
	AUTO_FREE char *there = nearest_there(path);
	struct statfs fs;
	struct stat st;

	if (!there)
		return -ENOMEM;
	*exists = strcmp(there, path) == 0;
	if (stat(there, &st) != 0 || statfs(there, &fs) != 0)
		return why_set(why, errno, "%s: %s", there, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return why_set(why, ENOTDIR, _("%s is not a directory"), there);
	if (*exists && st.st_uid != geteuid())
		return why_set(why, EPERM, _("the state directory %s belongs to another user"), path);
	if (access(there, W_OK | X_OK) != 0)
		return why_set(why, errno, _("the state directory %s cannot be written: %s"), path, strerror(errno));
	const char *name = state_dir_network(fs.f_type);

	if (name && !(fuse_allowed && strcmp(name, "FUSE") == 0))
		return why_set(why, EOPNOTSUPP, _("the state directory %s is on %s, where a crash could lose what was acknowledged: "
			"choose a local disk with --state DIR"), path, name);
	return 0;
}

int state_dir_prepare(const char *path, bool fuse_allowed, struct why *why)
{
	bool exists;
	int r = state_dir_check(path, fuse_allowed, &exists, why);

	if (r != 0)
		return r;
	r = io_mkdir_path(path, 0700);
	if (r != 0)
		return why_set(why, -r, _("the state directory %s cannot be made: %s"), path, strerror(-r));
	r = state_dir_check(path, fuse_allowed, &exists, why); /* a mount may have come in between */
	if (r != 0)
		return r;
	return chmod(path, 0700) == 0 ? 0 : why_set(why, errno, "%s: %s", path, strerror(errno));
}

int state_dir_lock(const char *path, struct why *why)
{
	AUTO_FREE char *file = NULL;

	if (asprintf(&file, "%s/lock", path) < 0)
		return -ENOMEM;
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return why_set(why, errno, _("the state directory %s cannot be written: %s"), path, strerror(errno));
	/* A killed daemon's last processes may need a moment to be gone. */
	for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; tries++) {
		struct timespec pause = {.tv_nsec = 50 * NS_PER_MS};

		if (errno == EWOULDBLOCK && tries < 60 && nanosleep(&pause, NULL) == 0)
			continue;
		int err = errno;

		close(fd);
		return why_set(why, err == EWOULDBLOCK ? EBUSY : err, _("another kexecfs uses the state directory %s"), path);
	}
	return fd;
}
