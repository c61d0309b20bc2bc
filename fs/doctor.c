#include "fs/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/backend.h"
#include "fs/base/cleanup.h"
#include "fs/base/http.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"
#include "fs/state_dir.h"

struct findings {
	int missing;
};

static void ok(const char *what, const char *detail)
{
	printf("ok       %s: %s\n", what, detail);
}

static void missing(struct findings *f, const char *what, const char *fix)
{
	printf("missing  %s: %s\n", what, fix);
	f->missing++;
}

static bool on_path(const char *program)
{
	const char *path = getenv("PATH");
	AUTO_FREE char *copy = strdup(path ? path : "/usr/local/bin:/usr/bin:/bin");
	char *rest = NULL;

	for (char *dir = copy ? strtok_r(copy, ":", &rest) : NULL; dir; dir = strtok_r(NULL, ":", &rest)) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", dir, program);
		if (access(file, X_OK) == 0)
			return true;
	}
	return false;
}

static void check_program(struct findings *f, const char *program, const char *package)
{
	char fix[128];

	snprintf(fix, sizeof(fix), "apt-get install %s", package);
	if (on_path(program))
		ok(program, _("found"));
	else
		missing(f, program, fix);
}

static void check_fuse(struct findings *f)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		ok("/dev/fuse", _("can be opened"));
	else
		missing(f, "/dev/fuse", errno == ENOENT ? _("load the kernel module: modprobe fuse") :
			_("you may not open it: as root, chmod 0666 /dev/fuse"));
	if (fd >= 0)
		close(fd);
}

/* For services: it is loaded when the first of them is used. */
static void check_libcurl(struct findings *f)
{
	struct http *h;

	if (http_new(NULL, &h) == 0)
		ok("libcurl", _("found"));
	else
		missing(f, "libcurl", "apt-get install libcurl4");
	http_free(h);
}

/* fusermount3 reads it at every unmount; a bare container may lack it. */
static void check_mtab(struct findings *f)
{
	if (access("/etc/mtab", R_OK) == 0)
		ok("/etc/mtab", _("found"));
	else
		missing(f, "/etc/mtab", "ln -s ../proc/self/mounts /etc/mtab");
}

static void check_state(struct findings *f, const char *given, bool fuse_allowed)
{
	struct why why = {0};
	AUTO_FREE char *path = given ? strdup(given) : state_dir_default(&why);
	AUTO_BUF struct strbuf detail = STRBUF_INIT;
	bool exists = false;

	if (!path || state_dir_check(path, fuse_allowed, &exists, &why) != 0) {
		missing(f, _("state directory"), why_text(&why));
		return;
	}
	strbuf_addf(&detail, exists ? "%s" : _("%s (will be made by the first mount)"), path);
	ok(_("state directory"), detail.buf);
}

static void check_local(struct findings *f, const struct config *config, const char *program)
{
	const struct backend *b = backend_find("local");
	struct backend_setup setup = {.config = config, .program = program, .state_path = "/", .mountpoint = "/", .state_dirfd = -1};
	struct backend_conn *conn = NULL;
	AUTO_BUF struct strbuf status = STRBUF_INIT;
	AUTO_BUF struct strbuf quota = STRBUF_INIT;
	struct why why = {0};

	if (!config_backend_enabled(config, "local")) {
		ok("local", _("switched off in the configuration"));
		return;
	}
	int r = b->open(&setup, &conn, &why);

	if (r != 0) {
		missing(f, "local", why.err ? why_text(&why) : strerror(-r));
		return;
	}
	b->describe(conn, &status, &quota);
	while (status.len && status.buf[status.len - 1] == '\n')
		strbuf_truncate(&status, status.len - 1);
	if (strncmp(status.buf, "ok", 2) == 0)
		ok("local", status.buf);
	else
		missing(f, "local", status.buf);
	b->close(conn);
}

int doctor(const char *config_path, const char *state, const char *program)
{
	struct findings f = {0};
	struct config config;
	struct why why = {0};

	printf("kexecfs %s\n", KEXEC_VERSION);
	check_fuse(&f);
	if (geteuid() != 0) {
		check_program(&f, "fusermount3", "fuse3");
		check_mtab(&f);
	}
	check_program(&f, "bwrap", "bubblewrap");
	check_libcurl(&f);
	if (config_load(config_path, &config, &why) != 0) {
		missing(&f, _("configuration"), why_text(&why));
		return 1;
	}
	ok(_("configuration"), config.folder);
	check_state(&f, state, config.state_on_fuse);
	check_local(&f, &config, program);
	config_release(&config);
	return f.missing ? 1 : 0;
}
