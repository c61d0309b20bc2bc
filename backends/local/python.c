#include "backends/local/python.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/local/sandbox.h"
#include "backends/local/user.h"
#include "fs/base/clock.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define PROBE_NS     (60 * NS_PER_S) /* a cold disk and a large environment take their time */
#define FORGET_NS    (10 * NS_PER_S) /* a failure is tried again then: packages get installed */
#define CACHE_MAX    64
#define NEED_SCRIPT   "import sys; sys.exit(sys.version_info < (3,))"
#define NEED_NOTEBOOK "import nbclient, nbformat, ipykernel"

struct tried {
	char *path;
	int64_t mtime_ns, at_ns;
	bool notebook, works;
};

struct pythons {
	const struct sandbox *sandbox;
	const struct job_user *user;
	const char *configured;
	pthread_mutex_t lock; /* of the cache; not held while a candidate runs */
	struct tried cache[CACHE_MAX];
	size_t count, next;
};

struct pythons *pythons_new(
	const struct sandbox *sandbox, const struct job_user *user, const char *configured)
{
	struct pythons *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->sandbox = sandbox;
	p->user = user;
	p->configured = configured;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void pythons_free(struct pythons *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++)
		free(p->cache[i].path);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- candidates ---- */

static void add_candidate(struct argv *list, const char *path)
{
	if (*path != '/' || access(path, X_OK) < 0)
		return;
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->v[i], path))
			return;
	argv_add(list, path);
}

static void add_below(struct argv *list, const char *folder, size_t len, const char *rest)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%.*s/%s", (int)len, folder, rest) < (int)sizeof(path))
		add_candidate(list, path);
}

static void list_candidates(const struct pythons *p, struct argv *list)
{
	const char *venv = getenv("VIRTUAL_ENV"), *at = getenv("PATH");

	if (p->configured) {
		argv_add(list, p->configured);
		return;
	}
	if (venv)
		add_below(list, venv, strlen(venv), "bin/python3");
	while (at && *at) {
		size_t len = strcspn(at, ":");

		add_below(list, at, len, "python3");
		at += len + (at[len] == ':');
	}
	add_candidate(list, "/usr/bin/python3");
}

/* ---- the cache ---- */

static struct tried *cached(struct pythons *p, const char *path, bool notebook)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->cache[i].notebook == notebook && !strcmp(p->cache[i].path, path))
			return &p->cache[i];
	return NULL;
}

/* 1 works, 0 does not, -1 not known. */
static int recall(struct pythons *p, const char *path, int64_t mtime_ns, bool notebook)
{
	const struct tried *t;
	int known = -1;

	pthread_mutex_lock(&p->lock);
	t = cached(p, path, notebook);
	if (t && t->mtime_ns == mtime_ns && (t->works || clock_boot_ns() - t->at_ns < FORGET_NS))
		known = t->works;
	pthread_mutex_unlock(&p->lock);
	return known;
}

static void remember(
	struct pythons *p, const char *path, int64_t mtime_ns, bool notebook, bool works)
{
	char *copy = strdup(path);
	struct tried *t;

	if (!copy)
		return;
	pthread_mutex_lock(&p->lock);
	t = cached(p, path, notebook);
	if (!t) {
		t = &p->cache[p->next++ % CACHE_MAX];
		p->count += p->count < CACHE_MAX;
	}
	free(t->path);
	*t = (struct tried){copy, mtime_ns, clock_boot_ns(), notebook, works};
	pthread_mutex_unlock(&p->lock);
}

/* ---- trying one ---- */

/* Packages in the user's own ~/.local count: a job sees them through PYTHONUSERBASE too. */
static int probe_command(
	const struct pythons *p, const char *path, bool notebook, struct argv *command)
{
	struct sandbox_job job = {.internet = true};
	int err = sandbox_command(p->sandbox, p->user, &job, command, NULL);

	argv_addv(command, "env", "HOME=/tmp", NULL);
	if (*p->user->home)
		argv_addf(command, "PYTHONUSERBASE=%s/.local", p->user->home);
	argv_addv(command, path, "-c", notebook ? NEED_NOTEBOOK : NEED_SCRIPT, NULL);
	return err ? err : command->err;
}

static bool try(const struct pythons *p, const char *path, bool notebook)
{
	struct argv command = {0};
	int err = probe_command(p, path, notebook, &command);

	if (!err)
		err = spawn_run(command.v, clock_boot_ns() + PROBE_NS, NULL);
	argv_release(&command);
	return err == 0;
}

static bool works(struct pythons *p, const char *path, bool notebook)
{
	struct stat st;
	int64_t mtime_ns;
	int known;

	if (stat(path, &st) < 0)
		return false;
	mtime_ns = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
	known = recall(p, path, mtime_ns, notebook);
	if (known < 0) {
		known = try(p, path, notebook);
		remember(p, path, mtime_ns, notebook, known);
	}
	return known;
}

static int none_found(const struct pythons *p, bool notebook, struct why *why)
{
	if (p->configured)
		return why_set(why, ENOENT,
			notebook ? _("The configured Python %s does not run for user %s or lacks nbclient or "
				     "ipykernel: %s -m pip install nbclient ipykernel")
				 : _("The configured Python %s does not run for user %s (%s)."),
			p->configured, p->user->name, p->configured);
	if (notebook)
		return why_set(why, ENOENT,
			_("No Python that user %s may run has nbclient and ipykernel: "
			  "apt-get install python3-nbclient python3-ipykernel"),
			p->user->name);
	return why_set(why, ENOENT, _("There is no Python that user %s may run: apt-get install python3"),
		p->user->name);
}

int pythons_find(struct pythons *p, bool notebook, char **out, struct why *why)
{
	struct argv list = {0};
	int err = -ENOENT;

	*out = NULL;
	list_candidates(p, &list);
	for (size_t i = 0; i < list.n && !*out && !list.err; i++) {
		if (works(p, list.v[i], notebook)) {
			*out = strdup(list.v[i]);
			err = *out ? 0 : -ENOMEM;
		}
	}
	if (list.err)
		err = list.err;
	argv_release(&list);
	return err == -ENOENT ? none_found(p, notebook, why) : err;
}
