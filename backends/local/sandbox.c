#include "backends/local/sandbox.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/local/hide.h"
#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define WORK "/kaggle/working"
#define BOX  "/run/kexec"
#define PROBE_NS (20 * NS_PER_S)

/* ---- the root file system ---- */

/* Made anew in the sandbox, or nobody's business (sockets of the session and of container engines
 * live in /run: through them a job could leave the sandbox). */
static bool top_is_ours(const char *name)
{
	static const char *const names[] = {
		".", "..", "proc", "dev", "tmp", "run", "kaggle", "lost+found"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static void add_top(int root, const char *name, struct argv *out)
{
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (top_is_ours(name) || fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(root, name, target, sizeof(target) - 1);
		if (n > 0) {
			target[n] = 0;
			argv_addv(out, "--symlink", target, NULL);
			argv_addf(out, "/%s", name);
		}
		return;
	}
	if (!S_ISDIR(st.st_mode))
		return;
	argv_add(out, "--ro-bind-try");
	argv_addf(out, "/%s", name);
	argv_addf(out, "/%s", name);
}

static int add_machine(struct argv *out)
{
	DIR *dir = opendir("/");

	if (!dir)
		return -errno;
	for (struct dirent *e; (e = readdir(dir));)
		add_top(dirfd(dir), e->d_name, out);
	closedir(dir);
	return 0;
}

/* What bwrap makes by itself on the way to a mount point is closed to everybody but its own user. */
static void add_folder(struct argv *out, const char *path)
{
	argv_addv(out, "--perms", "0755", "--dir", path, NULL);
}

static void add_private(const struct sandbox_job *job, struct argv *out)
{
	static const char *const name_service[] = {
		"/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf"};

	argv_addv(out, "--proc", "/proc", "--dev", "/dev", NULL);
	if (job->memory_bytes > 0) {
		argv_add(out, "--size");
		argv_addf(out, "%lld", (long long)job->memory_bytes);
	}
	argv_addv(out, "--perms", "1777", "--tmpfs", "/dev/shm", "--tmpfs", "/run", NULL);
	add_folder(out, "/run/systemd");
	add_folder(out, "/run/NetworkManager");
	for (size_t i = 0; i < sizeof(name_service) / sizeof(*name_service); i++)
		argv_addv(out, "--ro-bind-try", name_service[i], name_service[i], NULL);
	/* On the disk of the state, not in memory: jobs leave large temporary files. */
	if (job->box) {
		argv_add(out, "--bind");
		argv_addf(out, "%s/tmp", job->box);
		argv_add(out, "/tmp");
	} else {
		argv_addv(out, "--perms", "1777", "--tmpfs", "/tmp", NULL);
	}
}

static void add_gpu(struct argv *out)
{
	DIR *dir = opendir("/dev");

	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));) {
		if (strncmp(e->d_name, "nvidia", 6) && strcmp(e->d_name, "dri"))
			continue;
		argv_add(out, "--dev-bind-try");
		argv_addf(out, "/dev/%s", e->d_name);
		argv_addf(out, "/dev/%s", e->d_name);
	}
	closedir(dir);
}

/* ---- what is hidden ---- */

static bool inside(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return !strncmp(path, folder, n) && (!path[n] || path[n] == '/');
}

/* Not there at all in the sandbox, so there is nothing to cover. */
static bool gone_anyway(const char *path)
{
	return inside(path, "/tmp") || inside(path, "/run") || inside(path, "/proc") ||
	       inside(path, "/dev") || inside(path, "/kaggle");
}

static void cover(struct argv *out, const char *folder)
{
	argv_addv(out, "--tmpfs", folder, "--remount-ro", folder, NULL);
}

/* Looked up for each job: a credential file may be newer than the daemon. */
static int list_hidden(const struct sandbox *s, struct argv *out)
{
	for (size_t i = 0; i < s->folders.n; i++)
		hide_add(out, s->folders.v[i]);
	for (size_t i = 0; i < s->homes.n; i++)
		hide_home(out, s->homes.v[i]);
	hide_environment(out);
	return out->err;
}

static void add_hidden(const struct sandbox *s, const struct sandbox_job *job,
	const struct argv *hidden, struct argv *out)
{
	struct stat st;

	/* bwrap looks at the mountpoint. While a job starts the mount is served; during a probe it may
	 * not be yet, and a probe reads nothing. */
	if (job->box && s->mountpoint && !gone_anyway(s->mountpoint))
		cover(out, s->mountpoint);
	for (size_t i = 0; i < hidden->n; i++) {
		const char *path = hidden->v[i];

		if (gone_anyway(path) || lstat(path, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			cover(out, path);
		else
			argv_addv(out, "--ro-bind", "/dev/null", path, NULL);
	}
}

/* Would showing this folder show something hidden (it is, holds, or lies in it)? */
static bool shows_hidden(const struct sandbox *s, const struct argv *hidden, const char *folder)
{
	if (s->mountpoint && (inside(folder, s->mountpoint) || inside(s->mountpoint, folder)))
		return true;
	for (size_t i = 0; i < hidden->n; i++)
		if (inside(folder, hidden->v[i]) || inside(hidden->v[i], folder))
			return true;
	return !strcmp(folder, "/");
}

/* ---- datasets ---- */

static bool slug_valid(const char *slug)
{
	if (!*slug || *slug == '.' || strlen(slug) > 200)
		return false;
	for (const char *p = slug; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			return false;
	return true;
}

/* "owner/slug" or "slug" */
static int split_dataset(const char *key, char owner[201], const char **slug)
{
	const char *slash = strchr(key, '/');

	*owner = 0;
	*slug = slash ? slash + 1 : key;
	if (slash) {
		if (slash - key > 200)
			return -EINVAL;
		memcpy(owner, key, (size_t)(slash - key));
		owner[slash - key] = 0;
		if (!slug_valid(owner))
			return -EINVAL;
	}
	return slug_valid(*slug) ? 0 : -EINVAL;
}

/* The daemon may be root: the folder must be one that the job's user could read by itself. */
static bool user_reads(const struct job_user *user, const char *folder)
{
	struct argv test = {0};
	bool ok;

	if (!user->drop)
		return access(folder, R_OK | X_OK) == 0;
	job_user_command(user, &test);
	argv_addv(&test, "test", "-r", folder, "-a", "-x", folder, NULL);
	ok = !test.err && spawn_run(test.v, clock_boot_ns() + PROBE_NS, NULL) == 0;
	argv_release(&test);
	return ok;
}

/* Who adds datasets, and with what in view. */
struct datasets {
	const struct sandbox *sandbox;
	const struct job_user *user;
	const struct argv *hidden;
	struct argv *out;
};

static int check_folder(const struct datasets *d, const char *key, const char *folder, char **real,
	struct why *why)
{
	struct stat st;

	if (folder && d->sandbox->mountpoint && inside(folder, d->sandbox->mountpoint))
		return why_set(why, EINVAL,
			_("Dataset %s: a folder inside the mount cannot be a dataset; copy it elsewhere."), key);
	*real = folder && *folder == '/' ? realpath(folder, NULL) : NULL;
	if (!*real || stat(*real, &st) < 0 || !S_ISDIR(st.st_mode))
		return why_set(why, EINVAL,
			_("Dataset %s: there is no folder %s. Give an absolute path that exists."), key,
			folder ? folder : "?");
	if (shows_hidden(d->sandbox, d->hidden, *real))
		return why_set(why, EINVAL,
			_("Dataset %s: %s is or holds credentials or the state, which jobs never see."), key,
			*real);
	if (!user_reads(d->user, *real))
		return why_set(why, EINVAL, _("Dataset %s: user %s, who runs the job, cannot read %s."),
			key, d->user->name, *real);
	return 0;
}

static int add_dataset(
	const struct datasets *d, const char *key, const char *folder, struct why *why)
{
	struct argv *out = d->out;
	char owner[201];
	const char *slug;
	AUTO_FREE char *real = NULL;
	int err = split_dataset(key, owner, &slug);

	if (err)
		return why_set(why, EINVAL, _("%s is not the name of a dataset (owner/slug)."), key);
	err = check_folder(d, key, folder, &real, why);
	if (err)
		return err;
	argv_addv(out, "--ro-bind", real, NULL);
	argv_addf(out, "/kaggle/input/%s", slug);
	if (*owner) {
		argv_addv(out, "--perms", "0755", "--dir", NULL);
		argv_addf(out, "/kaggle/input/datasets/%s", owner);
		argv_addv(out, "--ro-bind", real, NULL);
		argv_addf(out, "/kaggle/input/datasets/%s/%s", owner, slug);
	}
	return 0;
}

/* Those of the configuration that are gone since are no fault of this job: skipped. */
static int add_datasets(
	const struct datasets *d, const struct sandbox_job *job, struct why *why)
{
	int err;

	for (const struct json *j = json_first(job->more_datasets); j; j = json_next(j))
		if (!json_get(job->datasets, json_key(j)))
			add_dataset(d, json_key(j), json_text(j), NULL);
	for (const struct json *j = json_first(job->datasets); j; j = json_next(j)) {
		err = add_dataset(d, json_key(j), json_text(j), why);
		if (err)
			return err;
	}
	return 0;
}

/* ---- the command ---- */

static void add_namespaces(const struct sandbox *s, const struct sandbox_job *job, struct argv *out)
{
	argv_addv(out, "bwrap", "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc",
		"--unshare-uts", "--unshare-cgroup-try", NULL);
	if (!job->internet && s->network)
		argv_add(out, "--unshare-net");
}

static int add_root(const struct sandbox *s, const struct job_user *user,
	const struct sandbox_job *job, const struct argv *hidden, struct argv *out, struct why *why)
{
	const struct datasets datasets = {s, user, hidden, out};
	int err;

	add_namespaces(s, job, out);
	err = add_machine(out);
	if (err)
		return err;
	add_private(job, out);
	if (job->gpu)
		add_gpu(out);
	add_hidden(s, job, hidden, out);
	if (job->box) {
		argv_addv(out, "--ro-bind", job->box, BOX, "--bind", NULL);
		argv_addf(out, "%s/home", job->box);
		argv_addv(out, BOX "/home", NULL);
		add_folder(out, "/kaggle");
		add_folder(out, "/kaggle/input");
		add_folder(out, "/kaggle/input/datasets");
		argv_addv(out, "--bind", job->work, WORK, NULL);
	}
	err = add_datasets(&datasets, job, why);
	argv_addv(out, "--remount-ro", "/run", "--remount-ro", "/", NULL);
	return err;
}

int sandbox_command(const struct sandbox *s, const struct job_user *user,
	const struct sandbox_job *job, struct argv *out, struct why *why)
{
	struct argv hidden = {0};
	int err = s->bwrap ? list_hidden(s, &hidden) : 0;

	if (!err && s->bwrap)
		err = add_root(s, user, job, &hidden, out, why);
	argv_release(&hidden);
	if (err)
		return err;
	if (s->bwrap)
		argv_add(out, "--");
	job_user_command(user, out);
	if (!s->bwrap) /* bwrap has --die-with-parent */
		argv_addv(out, "setpriv", "--pdeathsig=KILL", "--", NULL);
	argv_addv(out, "prlimit", "--core=0", NULL);
	if (job->processes > 0)
		argv_addf(out, "--nproc=%ld:%ld", job->processes, job->processes);
	argv_add(out, "--");
	return out->err;
}

const char *sandbox_work(const struct sandbox *s, const struct sandbox_job *job)
{
	return s->bwrap ? WORK : job->work;
}

const char *sandbox_box(const struct sandbox *s, const struct sandbox_job *job)
{
	return s->bwrap ? BOX : job->box;
}

/* ---- what this machine can do ---- */

static int probe(const struct sandbox *s, const struct job_user *user, struct strbuf *said)
{
	struct sandbox_job job = {.internet = false};
	struct argv command = {0};
	int err = sandbox_command(s, user, &job, &command, NULL);

	argv_add(&command, "true");
	if (!err)
		err = command.err;
	if (!err)
		err = spawn_run(command.v, clock_boot_ns() + PROBE_NS, said);
	argv_release(&command);
	return err;
}

/* Namespaces with the network apart, then without, then none. */
void sandbox_probe(struct sandbox *s, const struct job_user *user)
{
	AUTO_BUF struct strbuf said = STRBUF_INIT, line = STRBUF_INIT;

	s->bwrap = s->network = true;
	if (probe(s, user, &said) == 0)
		return;
	s->network = false;
	if (probe(s, user, NULL) == 0)
		return;
	s->bwrap = false;
	escape_line(&line, said.buf, said.len, sizeof(s->problem) - 1);
	snprintf(s->problem, sizeof(s->problem), "%s", line.len ? line.buf : "bwrap: not installed");
}

/* The real path of a mountpoint without touching the mount: only its parent is looked at. */
static char *resolve_mountpoint(const char *path)
{
	const char *name = path ? strrchr(path, '/') : NULL;
	AUTO_FREE char *parent = name && name != path ? strndup(path, (size_t)(name - path)) : NULL;
	AUTO_FREE char *real = parent ? realpath(parent, NULL) : NULL;
	char *out = NULL;

	if (!name || !name[1])
		return NULL;
	if (asprintf(&out, "%s%s", real && strcmp(real, "/") ? real : "", name) < 0)
		return NULL;
	return out;
}

static void add_known(struct argv *list, const char *path)
{
	if (!path || *path != '/')
		return;
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->v[i], path))
			return;
	argv_add(list, path);
}

int sandbox_open(struct sandbox *out, const struct job_user *user, const char *state_path,
	const char *mountpoint, const char *config_folder)
{
	struct job_user own;

	memset(out, 0, sizeof(*out));
	out->mountpoint = resolve_mountpoint(mountpoint);
	add_known(&out->folders, state_path);
	add_known(&out->folders, config_folder);
	add_known(&out->homes, getenv("HOME"));
	add_known(&out->homes, user->home);
	if (job_user_find(NULL, &own, NULL) == 0)
		add_known(&out->homes, own.home);
	return out->homes.err ? out->homes.err : out->folders.err;
}

void sandbox_release(struct sandbox *s)
{
	argv_release(&s->homes);
	argv_release(&s->folders);
	free(s->mountpoint);
	s->mountpoint = NULL;
}
