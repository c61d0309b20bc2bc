/*
 * kexecfs: options, checks, the mount; then this process (or, in the background, a child) is the
 * keeper. The same binary is started by name of a mode for its other processes, see process.h.
 *
 * Who does which work: the keeper restarts the server; the server's FUSE threads answer requests and
 * never wait for more than a disk; its door thread submits drafts; the engine's scheduler and workers
 * talk to backends; the notifier talks to the kernel's caches and watchers.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/local/supervise.h"
#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/doctor.h"
#include "fs/engine/config.h"
#include "fs/mount/event.h"
#include "fs/mount/node_rows.h"
#include "fs/mount/shared.h"
#include "fs/process.h"
#include "fs/state_dir.h"

enum mode { MODE_MOUNT, MODE_SERVER, MODE_NOTIFIER, MODE_COMPATIBLE, MODE_KEEPER, MODE_DOCTOR, MODE_TREE, MODE_VERSION, MODE_HELP };

struct options_given {
	enum mode mode;
	char *state, *config, *user, *mountpoint;
	pid_t adopted;
	bool foreground, nonempty;
	struct mount_options mount;
};

static const char usage[] = N_("usage: kexecfs [--state DIR] [--config FILE] [-f] [-o OPTIONS] [SOURCE] MOUNTPOINT\n"
			       "       kexecfs --doctor | --tree | --version | --help\n"
			       "\n"
			       "  --state DIR    where runs are kept (default: $XDG_STATE_HOME/kexec)\n"
			       "  --config FILE  settings (default: ~/.config/kexec/config.json)\n"
			       "  -f             stay in the foreground\n"
			       "  -o OPTIONS     state=DIR,config=FILE,user=NAME,allow_other,nonempty\n"
			       "  --doctor       what is missing on this machine, and how to get it\n"
			       "  --tree         the map of the mount\n"
			       "\n"
			       "Unmount with: fusermount3 -u MOUNTPOINT\n");

/* ---- The command line ---- */

/* What mount(8), fstab and other helpers pass along and we need not act on. */
static bool harmless_option(const char *word)
{
	static const char *const words[] = {"rw", "dev", "nodev", "suid", "nosuid", "exec", "noexec", "auto", "noauto", "user",
		"nouser", "users", "_netdev", "nofail", "async", "atime", "noatime", "relatime", "defaults", "default_permissions", NULL};

	for (const char *const *w = words; *w; w++)
		if (strcmp(word, *w) == 0)
			return true;
	return strncmp(word, "x-", 2) == 0 || strncmp(word, "comment=", 8) == 0;
}

static char *value_of(const char *word, const char *key)
{
	size_t n = strlen(key);

	return strncmp(word, key, n) == 0 && word[n] == '=' ? strdup(word + n + 1) : NULL;
}

static int take_option(struct options_given *o, const char *word, struct why *why)
{
	static const char *const known[] = {"state", "config", "user", "allow_other", "nonempty", NULL};
	char *value;

	if ((value = value_of(word, "state"))) {
		free(o->state);
		o->state = value;
	} else if ((value = value_of(word, "config"))) {
		free(o->config);
		o->config = value;
	} else if ((value = value_of(word, "user"))) {
		free(o->user);
		o->user = value;
	} else if (strcmp(word, "allow_other") == 0) {
		o->mount.allow_other = true;
	} else if (strcmp(word, "nonempty") == 0) {
		o->nonempty = true;
	} else if (!harmless_option(word)) {
		const char *near = nearest_word(word, known);

		return near ? why_set(why, EINVAL, _("option `%s` is not known; did you mean `%s`?"), word, near) :
			why_set(why, EINVAL, _("option `%s` is not known"), word);
	}
	return 0;
}

static int take_options(struct options_given *o, char *list, struct why *why)
{
	char *rest = NULL;

	for (char *word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		int r = take_option(o, word, why);

		if (r != 0)
			return r;
	}
	return 0;
}

enum { OPT_STATE = 256, OPT_CONFIG, OPT_DOCTOR, OPT_TREE, OPT_SERVER, OPT_NOTIFIER, OPT_COMPATIBLE, OPT_KEEPER, OPT_USER };

static int take_flag(struct options_given *o, int flag, struct why *why)
{
	char **text = flag == OPT_STATE ? &o->state : flag == OPT_CONFIG ? &o->config : flag == OPT_USER ? &o->user : NULL;

	if (text) {
		free(*text);
		*text = strdup(optarg);
		return *text ? 0 : -ENOMEM;
	}
	switch (flag) {
	case 'f':
		o->foreground = true;
		return 0;
	case 'o':
		return take_options(o, optarg, why);
	case 'V':
		o->mode = MODE_VERSION;
		return 0;
	case 'h':
		o->mode = MODE_HELP;
		return 0;
	case OPT_KEEPER:
		o->adopted = (pid_t)atoi(optarg);
		o->mode = MODE_KEEPER;
		return 0;
	case OPT_DOCTOR:
		o->mode = MODE_DOCTOR;
		return 0;
	case OPT_TREE:
		o->mode = MODE_TREE;
		return 0;
	case OPT_SERVER:
		o->mode = MODE_SERVER;
		return 0;
	case OPT_NOTIFIER:
		o->mode = MODE_NOTIFIER;
		return 0;
	case OPT_COMPATIBLE:
		o->mode = MODE_COMPATIBLE;
		return 0;
	default:
		return -EINVAL; /* take_command_line says which one */
	}
}

/* getopt's own message would be a second one, and names no way out. */
static int refuse_flag(int flag, const char *word, struct why *why)
{
	char letter[] = {'-', (char)optopt, '\0'};

	if (optopt > 0 && optopt < OPT_STATE)
		word = letter;
	return flag == ':' ? why_set(why, EINVAL, _("option `%s` needs a value: see kexecfs --help"), word) :
		why_set(why, EINVAL, _("option `%s` is not known: see kexecfs --help"), word);
}

static int take_command_line(int argc, char **argv, struct options_given *o, struct why *why)
{
	static const struct option flags[] = {{"state", required_argument, NULL, OPT_STATE},
		{"config", required_argument, NULL, OPT_CONFIG}, {"user", required_argument, NULL, OPT_USER},
		{"doctor", no_argument, NULL, OPT_DOCTOR}, {"tree", no_argument, NULL, OPT_TREE},
		{"version", no_argument, NULL, 'V'}, {"help", no_argument, NULL, 'h'},
		{"server", no_argument, NULL, OPT_SERVER}, {"notifier", no_argument, NULL, OPT_NOTIFIER}, {"compatible", no_argument, NULL, OPT_COMPATIBLE},
		{"keeper", required_argument, NULL, OPT_KEEPER}, {NULL, 0, NULL, 0}};
	int flag, r;

	opterr = 0;
	while ((flag = getopt_long(argc, argv, ":fo:hV", flags, NULL)) != -1) {
		if (flag == '?' || flag == ':')
			return refuse_flag(flag, argv[optind - 1], why);
		if ((r = take_flag(o, flag, why)) != 0)
			return r;
	}
	if (o->mode >= MODE_DOCTOR)
		return 0;
	/* mount(8) passes SOURCE first; nothing depends on it. */
	if (optind == argc || argc - optind > 2)
		return why_set(why, EINVAL, _("a mount point is needed: see kexecfs --help"));
	o->mountpoint = strdup(argv[argc - 1]);
	return o->mountpoint ? 0 : -ENOMEM;
}

/* ---- Before the mount ---- */

static int absolute(char **path, struct why *why)
{
	char *real = realpath(*path, NULL);

	/* A dead mount answers nothing: the path is taken as it is written. */
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): callers pass what is set */
	if (!real && errno == ENOTCONN && (*path)[0] == '/')
		return 0;
	if (!real)
		return why_set(why, errno, _("%s: %s"), *path, strerror(errno));
	free(*path);
	*path = real;
	return 0;
}

static bool below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Files that the mount would hide: only a look, an error is the mount's to find. */
static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	bool empty = true;

	for (const struct dirent *e; dir && empty && (e = readdir(dir));)
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	if (dir)
		closedir(dir);
	return empty;
}

/* The keeper starts the server by this path: below the mount it would wait for the server that it starts. */
static int check_hidden(const struct options_given *o, const char *program, struct why *why)
{
	const char *hidden = below(program, o->mountpoint) ? program :
		o->config && below(o->config, o->mountpoint) ? o->config : NULL;

	if (hidden)
		return why_set(why, EINVAL, _("a mount on %s would hide %s, which it needs: choose another folder"), o->mountpoint, hidden);
	if (!o->nonempty && !is_empty(o->mountpoint))
		return why_set(why, ENOTEMPTY, _("%s is not empty and the mount would hide what is in it: choose an empty folder, "
			"or say -o nonempty"), o->mountpoint);
	return 0;
}

static int check_mountpoint(const struct options_given *o, const char *program, struct why *why)
{
	struct stat st;

	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): without one, parsing the options fails */
	if (stat(o->mountpoint, &st) != 0)
		return why_set(why, errno, _("%s: %s"), o->mountpoint, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return why_set(why, ENOTDIR, _("%s is not a directory"), o->mountpoint);
	if (below(o->mountpoint, o->state) || below(o->state, o->mountpoint))
		return why_set(why, EINVAL, _("the mount point and the state directory must not contain each other"));
	return check_hidden(o, program, why);
}

static int check_user(const char *user, struct why *why)
{
	if (user && !getpwnam(user))
		return why_set(why, EINVAL, _("there is no user `%s`"), user);
	return 0;
}

static int at_fixed_number(int fd, int number)
{
	if (fd < 0)
		return fd;
	if (dup2(fd, number) < 0)
		return -errno;
	close(fd);
	return 0;
}

/* All that can be wrong is found here, where somebody reads it. */
static int prepare(struct options_given *o, const char *program, struct why *why)
{
	struct config config;
	int r;

	if (!o->state && !(o->state = state_dir_default(why)))
		return -ENOENT;
	r = absolute(&o->mountpoint, why); /* first: a mistyped one leaves nothing behind */
	if (r == 0)
		r = config_load(o->config, &config, why);
	if (r != 0)
		return r;
	r = check_user(o->user ? o->user : config.user, why);
	if (r == 0)
		r = state_dir_prepare(o->state, config.state_on_fuse, why);
	config_release(&config);
	if (r == 0)
		r = absolute(&o->state, why);
	if (r == 0 && o->config)
		r = absolute(&o->config, why);
	if (r == 0)
		r = at_fixed_number(state_dir_lock(o->state, why), FD_LOCK);
	/* Once the state is ours, what is still mounted there by us is dead or another state's. Where the
	 * state is in use, "already mounted" says more. */
	if (r == 0 || r == -EBUSY) {
		int stale = session_clean_stale(o->mountpoint, why);

		r = r != 0 ? r : stale;
	}
	return r == 0 ? check_mountpoint(o, program, why) : r;
}

static int open_descriptors(const struct options_given *o, int ready, struct why *why)
{
	int session, r = at_fixed_number(shared_create(), FD_SHARED);

	if (r == 0)
		r = at_fixed_number(eventfd(0, EFD_NONBLOCK), FD_BELL);
	if (r == 0)
		r = at_fixed_number(ready, FD_READY);
	if (r == 0)
		r = session_mount(o->mountpoint, &o->mount, &session, why);
	if (r == 0)
		r = at_fixed_number(session, FD_SESSION);
	return r;
}

static struct start start_of(const struct options_given *o, const char *program)
{
	return (struct start){.program = program, .state = o->state, .config = o->config, .mountpoint = o->mountpoint,
		.user = o->user};
}

static void detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (chdir("/") != 0)
		return;
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
}

/* Wait for 'R', or for the sentence that says what went wrong. */
static int hear_ready(int fd, struct why *why)
{
	char text[sizeof(why->text)];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
		len += (size_t)n;
		if (text[0] == 'R' && len == 1)
			return 0;
	}
	text[len] = '\0';
	return len ? why_set(why, EIO, "%s", text) : why_set(why, EIO, _("the server ended before it was ready: see the log"));
}

static int mount_and_keep(struct options_given *o, const char *program, struct why *why)
{
	int ready[2];
	int r = prepare(o, program, why);
	struct start start = start_of(o, program);

	if (r != 0)
		return r;
	if (pipe2(ready, O_CLOEXEC) != 0)
		return -errno;
	r = open_descriptors(o, ready[1], why);
	if (r != 0)
		return r;
	pid_t pid = o->foreground ? 0 : fork();

	if (pid < 0)
		return -errno;
	if (pid > 0) { /* the command: back to the shell when the mount answers */
		close(FD_READY);
		return hear_ready(ready[0], why);
	}
	close(ready[0]);
	if (!o->foreground)
		detach();
	exit(keeper_main(&start, 0));
}

/* ---- main ---- */

/* Nobody may look into us: the environment and the configuration may hold credentials. */
static void harden(void)
{
	struct rlimit none = {0, 0};

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
	umask(0);
}

static int say(const char *text)
{
	return fputs(text, stdout) < 0 ? 1 : 0;
}

static int print_tree(void)
{
	struct strbuf text = STRBUF_INIT;

	tree_print(&text);
	int rc = say(text.buf);

	strbuf_release(&text);
	return rc;
}

static int run_mode(struct options_given *o, const char *program, struct why *why)
{
	struct start start = start_of(o, program);

	switch (o->mode) {
	case MODE_SERVER:
		return server_main(&start);
	case MODE_NOTIFIER:
		return notifier_main(o->mountpoint);
	case MODE_COMPATIBLE:
		return compatible_main(&start);
	case MODE_KEEPER:
		return keeper_main(&start, o->adopted);
	case MODE_DOCTOR:
		return doctor(o->config, o->state, program);
	case MODE_TREE:
		return print_tree();
	case MODE_VERSION:
		return say("kexecfs " KEXEC_VERSION "\n");
	case MODE_HELP:
		return say(_(usage));
	case MODE_MOUNT:
		break;
	}
	return mount_and_keep(o, program, why) == 0 ? 0 : 1;
}

/* The path the program was started by, so that a newer file there is what a restart takes. */
static char *program_path(void)
{
	static const char gone[] = " (deleted)";
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n < 0)
		return NULL;
	path[n] = '\0';
	if ((size_t)n > strlen(gone) && strcmp(path + n - strlen(gone), gone) == 0)
		path[(size_t)n - strlen(gone)] = '\0';
	return strdup(path);
}

int main(int argc, char **argv)
{
	struct options_given o = {.mode = MODE_MOUNT};
	struct why why = {0};

	fault_open();
	if (argc > 1 && strcmp(argv[1], "--supervise") == 0)
		return supervise_main(argc, argv);
	i18n_init(NULL);
	harden();
	AUTO_FREE char *program = program_path();
	int rc = take_command_line(argc, argv, &o, &why) == 0 && program ? run_mode(&o, program, &why) : 2;

	if (why.err)
		fprintf(stderr, "kexecfs: %s\n", why_text(&why));
	free(o.state);
	free(o.config);
	free(o.user);
	free(o.mountpoint);
	return rc;
}
