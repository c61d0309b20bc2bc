/* backends/<name>/. Its id is the index in engine_backends() + 1. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"
#include "fs/engine/engine.h"
#include "fs/mount/mount.h"
#include "fs/mount/node_rows.h"

const char *backend_name(const struct call *c, struct ref r)
{
	const char *const *names = engine_backends(c->mount->engine);

	for (int64_t i = 0; names[i]; i++)
		if (i + 1 == r.id)
			return names[i];
	return NULL;
}

int backends_find(const struct call *c, struct ref dir, const char *name, struct ref *out)
{
	const char *const *names = engine_backends(c->mount->engine);

	(void)dir;
	for (int64_t i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0) {
			*out = (struct ref){.row = N_BACKEND, .id = i + 1};
			return 0;
		}
	return -ENOENT;
}

int backends_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg)
{
	const char *const *names = engine_backends(c->mount->engine);

	(void)dir;
	for (int64_t i = 0; names[i]; i++)
		if (i + 1 > after && sink(arg, names[i], (struct ref){.row = N_BACKEND, .id = i + 1}, i + 1, (struct child_facts){0}) != 0)
			break;
	return 0;
}

int backend_render(const struct call *c, struct ref r, struct strbuf *out)
{
	const char *name = backend_name(c, r);

	if (!name)
		return -ENOENT;
	switch (r.row) {
	case N_BACK_STATUS:
		return engine_backend_status(c->mount->engine, name, out);
	case N_BACK_QUOTA:
		return engine_backend_quota(c->mount->engine, name, out);
	case N_BACK_CTL:
		return strbuf_addf(out, "%s\n", _("no word is valid for this backend"));
	default:
		return config_print_backend(c->mount->config, name, out);
	}
}

int backend_ctl_command(const struct call *c, struct ref r, int argc, char *const argv[], struct why *why)
{
	(void)c;
	(void)r;
	(void)argc;
	return why_set(why, EINVAL, _("`%s` is not a word of this file"), argv[0]);
}

/* ---- runs/: links to the runs of this backend ---- */

static bool run_is_of(const struct call *c, int64_t run, struct ref backend)
{
	const char *name = backend_name(c, backend);
	struct run row = {0};
	bool yes = name && engine_run(c->mount->engine, run, &row) == 0 && strcmp(row.backend, name) == 0;

	run_release(&row);
	return yes;
}

int backend_runs_find(const struct call *c, struct ref dir, const char *name, struct ref *out)
{
	int64_t id;
	int r = engine_find(c->mount->engine, PLACE_RUNS, name, &id);

	if (r != 0 || !run_is_of(c, id, dir))
		return -ENOENT;
	*out = (struct ref){.row = N_BACK_RUN_LINK, .id = id};
	return 0;
}

struct told {
	const struct call *c;
	struct ref dir;
	node_sink *sink;
	void *arg;
};

static int tell(void *arg, const struct engine_entry *e)
{
	struct told *t = arg;

	if (!run_is_of(t->c, e->id, t->dir))
		return 0;
	return t->sink(t->arg, e->name, (struct ref){.row = N_BACK_RUN_LINK, .id = e->id}, e->id,
		(struct child_facts){.mtime_ns = e->mtime_ns});
}

int backend_runs_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg)
{
	struct told t = {c, dir, sink, arg};

	return engine_list(c->mount->engine, LIST_RUNS, after, tell, &t);
}

int backend_run_target(const struct call *c, struct ref r, struct strbuf *out)
{
	struct run run = {0};
	int rc = engine_run(c->mount->engine, r.id, &run);

	if (rc == 0)
		strbuf_addf(out, "../../../runs/%s", run.name);
	run_release(&run);
	return rc;
}
