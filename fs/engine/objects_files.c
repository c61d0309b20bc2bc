/* What lies in objects/<id>/: generations of parts, and the way of old ones. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/io.h"
#include "fs/base/io_dir.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/engine/objects_private.h"

#define SUPERSEDED_NS (600 * NS_PER_S)
#define UNUSED_NS     (INT64_C(7) * 24 * 3600 * NS_PER_S)
#define BYTES_MAX     (INT64_C(4) << 30) /* of all together; then those go that nobody opened for longest */
#define PAGE	      64
#define DEPTH_MAX     64
#define TEXT_MAX      ((size_t)1 << 20)
#define SENTENCE      "trouble"

static void name_dir(char out[64], int64_t id)
{
	snprintf(out, 64, OBJECTS_DIR "/%" PRId64, id);
}

int object_dir(struct engine *e, int64_t id)
{
	char path[64];

	name_dir(path, id);
	if (mkdirat(e->state_dirfd, path, 0700) && errno != EEXIST)
		return -errno;
	return io_open_dir(e->state_dirfd, path);
}

/* ---- Generations ---- */

int object_part_read(struct engine *e, int64_t id, const char *part, struct object_part *out)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	char path[128];
	struct json *j;
	int rc;

	memset(out, 0, sizeof(*out));
	snprintf(path, sizeof(path), OBJECTS_DIR "/%" PRId64 "/%.20s.json", id, part);
	rc = io_read(e->state_dirfd, path, 4096, &text);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	j = json_parse(text.buf, text.len, 4096, NULL);
	int64_t n = json_int(json_get(j, "generation"), 0);
	const char *version = json_text(json_get(j, "version"));

	out->generation = n > 0 && n <= OBJECT_GENERATIONS ? (unsigned)n : 0;
	snprintf(out->version, sizeof(out->version), "%s", version ? version : "");
	json_free(j);
	return 0;
}

static int print_part(unsigned generation, const char *version, struct strbuf *out)
{
	struct json *j = json_object();
	int rc = json_set_int(j, "generation", generation);

	if (!rc)
		rc = json_set_text(j, "version", version);
	if (!rc)
		rc = json_print(j, out, false);
	json_free(j);
	return rc;
}

int object_part_publish(int dirfd, const char *temporary, const char *part, const char *version,
	const struct object_part *before)
{
	unsigned n = before->generation % OBJECT_GENERATIONS + 1;
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	char name[64];
	int rc;

	snprintf(name, sizeof(name), "%s.%u", part, n);
	rc = io_remove_tree(dirfd, name); /* of a server that died before it could say so */
	if (!rc)
		rc = fault_point("object.rename");
	if (!rc && renameat(dirfd, temporary, dirfd, name))
		rc = -errno;
	if (!rc)
		rc = io_fsync_dir(dirfd);
	if (!rc)
		rc = print_part(n, version, &text);
	snprintf(name, sizeof(name), "%s.json", part);
	return rc ? rc : io_write_durable(dirfd, name, text.buf, text.len, 0600);
}

unsigned engine_object_generation(struct engine *e, int64_t id, const char *part)
{
	struct object_part p;

	return object_part_read(e, id, part, &p) ? 0 : p.generation;
}

int engine_object_path(struct engine *e, int64_t id, const char *part, unsigned generation, char *path, size_t size)
{
	if (!generation)
		generation = engine_object_generation(e, id, part);
	if (!generation)
		return -ENOENT;
	snprintf(path, size, OBJECTS_DIR "/%" PRId64 "/%s.%u/%s", id, part, generation, part);
	return 0;
}

int engine_object_text(struct engine *e, int64_t id, const char *part, struct strbuf *out)
{
	char path[128];
	int rc = engine_object_path(e, id, part, 0, path, sizeof(path));

	if (!rc)
		rc = io_read(e->state_dirfd, path, TEXT_MAX, out);
	return rc == -ENOENT ? 0 : rc;
}

/* ---- What a data set is to consist of ---- */

int engine_object_files(struct engine *e, int64_t id, char *path, size_t size)
{
	struct stat st;

	snprintf(path, size, OBJECTS_DIR "/%" PRId64 "/" OBJECT_FILES, id);
	return fstatat(e->state_dirfd, path, &st, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

int engine_object_make(struct engine *e, int64_t id)
{
	AUTO_FD int dirfd = object_dir(e, id);

	if (dirfd < 0)
		return dirfd;
	return mkdirat(dirfd, OBJECT_FILES, 0755) ? -errno : io_fsync_dir(dirfd);
}

int engine_object_unmake(struct engine *e, int64_t id)
{
	AUTO_FD int dirfd = object_dir(e, id);

	if (dirfd < 0)
		return dirfd;
	if (object_busy(e->objects, id, OBJECT_UPLOAD))
		return -EBUSY;
	return unlinkat(dirfd, OBJECT_FILES, AT_REMOVEDIR) ? -errno : io_fsync_dir(dirfd);
}

/* ---- The sentence in ctl ---- */

void object_say(struct engine *e, int64_t id, const char *sentence)
{
	AUTO_FD int dirfd = object_dir(e, id);

	if (dirfd >= 0)
		io_write_atomic(dirfd, SENTENCE, sentence, strlen(sentence), 0600);
}

void engine_object_refused(struct engine *e, int64_t id, const char *sentence)
{
	object_say(e, id, sentence);
}

int object_sentence(struct engine *e, int64_t id, struct strbuf *out)
{
	char path[128];

	snprintf(path, sizeof(path), OBJECTS_DIR "/%" PRId64 "/" SENTENCE, id);
	int rc = io_read(e->state_dirfd, path, 4096, out);

	if (!rc && out->len)
		rc = strbuf_addch(out, '\n');
	return rc == -ENOENT ? 0 : rc;
}

/* ---- Housekeeping ---- */

/* "output.7" of the part "output", of which 8 is the newest? */
static bool superseded(struct engine *e, int64_t id, const char *name)
{
	const char *dot = strrchr(name, '.');
	char part[32], json[160];
	struct object_part now;
	struct stat st;

	if (!dot || dot[1] < '1' || dot[1] > '9' || (size_t)(dot - name) >= sizeof(part))
		return false;
	snprintf(part, sizeof(part), "%.*s", (int)(dot - name), name);
	if (object_part_read(e, id, part, &now) || strtoul(dot + 1, NULL, 10) == now.generation)
		return false;
	snprintf(json, sizeof(json), OBJECTS_DIR "/%" PRId64 "/%s.json", id, part);
	/* The record was written when this one was superseded. */
	return fstatat(e->state_dirfd, json, &st, AT_SYMLINK_NOFOLLOW) ||
	       clock_wall_ns() - (int64_t)st.st_mtim.tv_sec * NS_PER_S > SUPERSEDED_NS;
}

static void tidy(struct engine *e, int64_t id)
{
	AUTO_BUF struct strbuf names = STRBUF_INIT;
	AUTO_FREE const char **list = NULL;
	AUTO_FD int dirfd = object_dir(e, id);
	size_t count = 0;

	if (dirfd < 0 || object_busy(e->objects, id, NULL) || io_dir_list(dirfd, &names, &list, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		if (superseded(e, id, list[i]))
			io_remove_tree(dirfd, list[i]);
	}
}

static int add_size(void *arg, const struct io_entry *entry)
{
	*(int64_t *)arg += entry->size;
	return 0;
}

/* The row first: what has no row is swept away, what has a row and no files is brought again. */
static int drop(struct engine *e, int64_t id)
{
	int rc = object_busy(e->objects, id, NULL) ? -EBUSY : store_begin(e->store);
	char path[64];

	if (!rc)
		rc = store_end(e->store, store_drop_object(e->store, id));
	name_dir(path, id);
	return rc ? rc : io_remove_tree(e->state_dirfd, path);
}

/* Those that nobody opened since then; up to so many. The count. */
static int drop_unused(struct engine *e, int64_t before_ns, int max)
{
	int64_t ids[PAGE];
	int n = store_old_objects(e->store, OBJECT_DATASET, before_ns, ids, max < PAGE ? max : PAGE), dropped = 0;

	for (int i = 0; i < n; i++)
		dropped += drop(e, ids[i]) == 0;
	return dropped;
}

/* The folder of an id: tidied, or swept away where its row is gone. */
static void visit(struct engine *e, const char *name)
{
	struct object_row row;
	char path[300];

	if (store_read_object(e->store, strtoll(name, NULL, 10), &row) != -ENOENT) {
		tidy(e, strtoll(name, NULL, 10));
		return;
	}
	snprintf(path, sizeof(path), OBJECTS_DIR "/%s", name);
	io_remove_tree(e->state_dirfd, path);
}

void objects_housekeep(struct objects *o)
{
	AUTO_FD int dirfd = io_open_dir(o->e->state_dirfd, OBJECTS_DIR);
	AUTO_BUF struct strbuf names = STRBUF_INIT;
	AUTO_FREE const char **list = NULL;
	int64_t now = clock_wall_ns(), bytes = 0;
	size_t count = 0;

	if (dirfd < 0 || io_dir_list(dirfd, &names, &list, &count))
		return;
	for (size_t i = 0; i < count; i++)
		visit(o->e, list[i]);
	while (drop_unused(o->e, now - UNUSED_NS, PAGE) == PAGE)
		;
	io_walk(o->e->state_dirfd, OBJECTS_DIR, DEPTH_MAX, add_size, &bytes);
	if (bytes > BYTES_MAX)
		drop_unused(o->e, now - SUPERSEDED_NS, 1);
}
