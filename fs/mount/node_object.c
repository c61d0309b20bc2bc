/*
 * backends/<name>/kernels/ and datasets/: things of a service by name. The id of a kernel's nodes and of its
 * owner's is that of the thing (engine_object_find()), that of the two folders the backend's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/objects.h"
#include "fs/mount/ctl.h"
#include "fs/mount/mount.h"
#include "fs/mount/node_rows.h"

bool objects_shown(const struct call *c, struct ref r, const struct run *run)
{
	const char *name = backend_name(c, r);

	(void)run;
	return name && engine_has_objects(c->mount->engine, name);
}

/* ---- Names ---- */

/* Jobs on this machine may have no network, and must not get one through us. */
static int find(const struct call *c, const char *backend, const char *kind, const char *name, bool make,
	int64_t *id)
{
	if (!backend)
		return -ENOENT;
	return engine_object_find(c->mount->engine, backend, kind, name, make && !call_is_job(c), id);
}

int owners_find(const struct call *c, struct ref dir, const char *name, struct ref *out)
{
	int64_t id;
	int rc = find(c, backend_name(c, dir), "owner", name, true, &id);

	*out = (struct ref){.row = N_OWNER, .id = rc ? 0 : id};
	return rc;
}

int kernels_find(const struct call *c, struct ref dir, const char *name, struct ref *out)
{
	struct object_row owner;
	char full[OBJECT_NAME_MAX + 257];
	int64_t id;
	int rc = engine_object(c->mount->engine, dir.id, &owner);

	if (rc)
		return rc;
	snprintf(full, sizeof(full), "%s/%s", owner.name, name);
	rc = find(c, owner.backend, "kernel", full, true, &id);
	*out = (struct ref){.row = N_KERNEL, .id = rc ? 0 : id};
	return rc;
}

/* "<slug>.status" and "<slug>.ctl": the row, and the slug in `slug`. */
static unsigned row_of_name(const char *name, char slug[256])
{
	const char *dot = strrchr(name, '.');

	snprintf(slug, 256, "%.*s", dot ? (int)(dot - name) : 255, name);
	if (!dot)
		return N_DATASET;
	return strcmp(dot, ".status") == 0 ? N_DATASET_STATUS : strcmp(dot, ".ctl") == 0 ? N_DATASET_CTL : 0;
}

int datasets_find(const struct call *c, struct ref dir, const char *name, struct ref *out)
{
	char slug[256], path[128];
	unsigned row = row_of_name(name, slug);
	int64_t id;
	int rc = row ? find(c, backend_name(c, dir), "dataset", slug, row != N_DATASET, &id) : -ENOENT;

	if (!rc && row == N_DATASET)
		rc = engine_object_files(c->mount->engine, id, path, sizeof(path));
	*out = (struct ref){.row = (uint8_t)row, .id = rc ? 0 : id};
	return rc;
}

struct told {
	const struct call *c;
	node_sink *sink;
	void *arg;
};

static int tell(void *arg, const struct object_row *row)
{
	struct told *t = arg;
	char path[128];

	if (engine_object_files(t->c->mount->engine, row->id, path, sizeof(path)))
		return 0; /* only its status was read */
	return t->sink(t->arg, row->name, (struct ref){.row = N_DATASET, .id = row->id}, row->id,
		(struct child_facts){0});
}

int datasets_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg)
{
	const char *backend = backend_name(c, dir);
	struct told t = {c, sink, arg};

	return backend ? engine_object_list(c->mount->engine, backend, "dataset", after, tell, &t) : -ENOENT;
}

int datasets_make(const struct call *c, struct ref dir, const char *name, struct ref *out)
{
	char slug[256];
	int64_t id;
	int rc;

	if (row_of_name(name, slug) != N_DATASET)
		return -EINVAL;
	rc = find(c, backend_name(c, dir), "dataset", name, true, &id);
	if (rc)
		return rc == -ENOENT ? -EINVAL : rc; /* no name for a data set */
	rc = engine_object_make(c->mount->engine, id);
	if (rc == -EEXIST && c->again) /* by the server that died meanwhile */
		rc = 0;
	*out = (struct ref){.row = N_DATASET, .id = id};
	return rc;
}

int dataset_drop(const struct call *c, struct ref dir, struct ref r)
{
	(void)dir;
	return engine_object_unmake(c->mount->engine, r.id);
}

int dataset_backing(const struct call *c, struct ref r, char *path, size_t size)
{
	return engine_object_files(c->mount->engine, r.id, path, size);
}

/* ---- Parts ---- */

const char *object_part(unsigned row)
{
	switch (row) {
	case N_KERNEL_STATUS:
	case N_DATASET_STATUS:
		return "status";
	case N_KERNEL_LOG:
		return "log";
	case N_KERNEL_SOURCE:
		return "source";
	default:
		return "output";
	}
}

int object_backing(const struct call *c, struct ref r, char *path, size_t size)
{
	return engine_object_path(c->mount->engine, r.id, object_part(r.row), r.inc, path, size);
}

int object_render(const struct call *c, struct ref r, struct strbuf *out)
{
	if (r.row == N_KERNEL_CTL || r.row == N_DATASET_CTL)
		return engine_object_words(c->mount->engine, r.id, out);
	return engine_object_text(c->mount->engine, r.id, object_part(r.row), out);
}

/* ---- Words ---- */

static bool is_adopt(struct ref r, const char *word)
{
	return r.row == N_KERNEL_CTL && strcmp(word, "adopt") == 0;
}

const char *object_part_for(struct ref r, const char *text, size_t len)
{
	struct ctl_words *words = malloc(sizeof(*words));
	bool needs = words && ctl_parse(text, len, words) == 0 && words->lines == 1 && words->line[0].argc == 1 &&
		     is_adopt(r, words->line[0].argv[0]);

	free(words);
	return needs ? "source" : NULL;
}

int object_ctl_command(const struct call *c, struct ref r, int argc, char *const argv[], struct why *why)
{
	if (is_adopt(r, argv[0]) && argc == 1)
		return engine_object_adopt(c->mount->engine, c->key, r.id, why);
	if (r.row == N_DATASET_CTL && strcmp(argv[0], "upload") == 0 && argc <= 2)
		return engine_object_upload(c->mount->engine, r.id, argc == 2 ? argv[1] : "", why);
	return why_set(why, EINVAL, _("`%s` is not a word of this file"), argv[0]);
}

void object_ctl_refused(const struct call *c, struct ref r, const char *sentence)
{
	engine_object_refused(c->mount->engine, r.id, sentence);
}
