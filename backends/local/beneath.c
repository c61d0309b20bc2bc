#include "backends/local/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int beneath_parent(int root, const char *path, const char **base)
{
	const struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];
	long fd;

	*base = slash ? slash + 1 : path;
	if (!slash)
		strcpy(parent, ".");
	else if ((size_t)(slash - path) >= sizeof(parent))
		return -ENAMETOOLONG;
	else
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	fd = syscall(SYS_openat2, root, parent, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}
