#include "backends/kaggle/credentials_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/kaggle/credentials.h"
#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/log.h"
#include "fs/base/why.h"

#define MAX_FILE 65536
#define BLANKS   " \t\r\n"

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static void join(char out[static PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);

	if (n < 0 || n >= PATH_MAX)
		out[0] = '\0';
}

static void home_of_user(char out[static PATH_MAX])
{
	const char *home = variable("HOME");
	struct passwd pw, *found = NULL;
	char buf[4096];

	out[0] = '\0';
	if (!home && getpwuid_r(geteuid(), &pw, buf, sizeof(buf), &found) == 0 && found)
		home = found->pw_dir;
	if (home && snprintf(out, PATH_MAX, "%s", home) >= PATH_MAX)
		out[0] = '\0';
}

void credentials_home(char out[static PATH_MAX])
{
	char home[PATH_MAX];

	home_of_user(home);
	out[0] = '\0';
	if (home[0])
		join(out, home, ".kaggle");
}

static void xdg_dir(char out[static PATH_MAX])
{
	const char *xdg = variable("XDG_CONFIG_HOME");
	char home[PATH_MAX];

	if (xdg && *xdg == '/') {
		join(out, xdg, "kaggle");
		return;
	}
	home_of_user(home);
	out[0] = '\0';
	if (home[0])
		join(out, home, ".config/kaggle");
}

void credentials_dir(char out[static PATH_MAX])
{
	const char *dir = variable("KAGGLE_CONFIG_DIR");
	struct stat st;

	if (dir) {
		if (snprintf(out, PATH_MAX, "%s", dir) >= PATH_MAX)
			out[0] = '\0';
		return;
	}
	credentials_home(out);
	if (out[0] == '\0' || stat(out, &st) < 0)
		xdg_dir(out);
}

static void warn(struct credentials_places *places, const char *path)
{
	if (places->warned)
		return;
	places->warned = true;
	log_write(places->log, LOG_LEVEL_WARN, "credentials", NULL,
		"%s can be read by other users of this machine: chmod 600 it", path);
}

/* Whoever can write it chooses whose account is used, and whoever owns it can make it writable. */
static int check(struct credentials_places *places, int fd, const char *path, struct why *why)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return why_set(why, errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return why_set(why, EACCES, _("%s is not a plain file"), path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return why_set(why, EACCES,
			_("%s belongs to another user, so it is not used as credentials"), path);
	if (st.st_mode & S_IWOTH)
		return why_set(why, EACCES,
			_("%s can be written by every user of this machine, so it is not used as "
			  "credentials: chmod 600 it and check what it holds"),
			path);
	if (st.st_size > MAX_FILE)
		return why_set(why, EACCES, _("%s is too large for credentials"), path);
	if (st.st_mode & (S_IRGRP | S_IROTH | S_IWGRP))
		warn(places, path);
	return 0;
}

/* The text without blanks around it stays at the start of `text`; its length. */
static size_t trim(char *text)
{
	size_t skip = strspn(text, BLANKS), len = strlen(text + skip);

	while (len > 0 && strchr(BLANKS, text[skip + len - 1]))
		len--;
	memmove(text, text + skip, len);
	text[len] = '\0';
	return len;
}

static int read_text(int fd, const char *path, char **out, struct why *why)
{
	char *text = calloc(1, MAX_FILE + 1);
	int n = text ? io_read_all(fd, text, MAX_FILE) : -ENOMEM;

	if (n < 0) {
		credentials_wipe(&text);
		return why_set(why, -n, "%s: %s", path, strerror(-n));
	}
	if (trim(text) == 0) {
		credentials_wipe(&text);
		return -ENOENT;
	}
	*out = text;
	return 0;
}

int credentials_file(struct credentials_places *places, const char *dir, const char *name, char **text,
	struct why *why)
{
	char path[PATH_MAX];
	int r;

	if (dir && *dir == '\0')
		return -ENOENT;
	if (dir)
		join(path, dir, name);
	else if (snprintf(path, sizeof(path), "%s", name) >= PATH_MAX)
		return -ENOENT;
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return -ENOENT;
	if (fd < 0)
		return why_set(why, errno, "%s: %s", path, strerror(errno));
	r = check(places, fd, path, why);
	return r ? r : read_text(fd, path, text, why);
}
