/*
 * `upload`: a copy of files/ is made and, with its note, durably there before the word is answered; a thread
 * sends it. So writing goes on meanwhile, and a new server sends what a dead one had not finished. When the
 * old one died just then the service may get the same version twice; it never gets half of one.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/engine/objects_private.h"

#define WISH	  "upload"      /* note and copy */
#define TEMPORARY "upload.part"
#define COPY	  "upload/files"
#define NOTE	  "upload/note"
#define NOTE_MAX  1000
#define SEND_NS	  (3600 * NS_PER_S)
#define AGAIN	  5 /* times, while the service is away */
#define PAUSE_S	  20

bool object_upload_wanted(struct engine *e, int64_t id)
{
	struct stat st;
	char path[96];

	snprintf(path, sizeof(path), OBJECTS_DIR "/%" PRId64 "/" WISH, id);
	return fstatat(e->state_dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Copy and note get their name together. */
static int keep_wish(int dirfd, const char *note, struct why *why)
{
	int rc = io_remove_tree(dirfd, TEMPORARY);

	if (!rc && mkdirat(dirfd, TEMPORARY, 0700))
		rc = -errno;
	if (!rc)
		rc = io_copy_tree(dirfd, OBJECT_FILES, dirfd, TEMPORARY "/files", why);
	AUTO_FD int part = rc ? -1 : io_open_dir(dirfd, TEMPORARY);

	if (!rc && part < 0)
		rc = part;
	if (!rc)
		rc = io_write_durable(part, "note", note, strlen(note), 0600);
	if (!rc && syncfs(dirfd))
		rc = -errno;
	if (!rc && renameat(dirfd, TEMPORARY, dirfd, WISH))
		rc = -errno;
	return rc ? rc : io_fsync_dir(dirfd);
}

static int seen(void *arg, const struct io_entry *entry)
{
	(void)arg;
	return S_ISREG(entry->mode) ? 1 : 0;
}

int engine_object_upload(struct engine *e, int64_t id, const char *note, struct why *why)
{
	AUTO_FD int dirfd = object_dir(e, id);
	int rc = dirfd < 0 ? dirfd : 0;

	if (!rc && strlen(note) > NOTE_MAX)
		rc = why_set(why, E2BIG, _("A message of at most %d bytes is taken."), NOTE_MAX);
	if (!rc && object_upload_wanted(e, id))
		rc = why_set(why, EBUSY, _("An upload is under way already."));
	if (!rc && io_walk(dirfd, OBJECT_FILES, 64, seen, NULL) != 1)
		rc = why_set(why, EINVAL, _("There is no file in the folder."));
	if (!rc)
		rc = keep_wish(dirfd, note, why);
	if (rc)
		return rc;
	rc = object_want(e->objects, id, OBJECT_UPLOAD);
	return rc < 0 ? rc : 0;
}

static int send_once(struct engine *e, const struct object_row *row, int dirfd, const char *note, struct why *why)
{
	const struct object o = {.kind = row->kind, .name = row->name};
	struct backend_handle b = {0};
	AUTO_FD int files = io_open_dir(dirfd, COPY);
	int rc = files < 0 ? files : engine_backend_open(e, row->backend, &b, why);

	if (rc)
		return rc;
	if (!b.vt->objects || !b.vt->objects->send)
		return -EOPNOTSUPP;
	return b.vt->objects->send(b.conn, &o, files, note, clock_boot_ns() + SEND_NS, why);
}

/* A service that is away is asked a few times; then it is told, and the files are still there. */
static int send_patiently(struct engine *e, const struct object_row *row, int dirfd, const char *note, struct why *why)
{
	int rc = -EAGAIN;

	for (int i = 0; i < AGAIN && rc == -EAGAIN && !objects_stopping(e->objects, i ? PAUSE_S : 0); i++) {
		memset(why, 0, sizeof(*why));
		rc = send_once(e, row, dirfd, note, why);
	}
	return rc;
}

int object_send(struct engine *e, const struct object_row *row, struct why *why)
{
	AUTO_BUF struct strbuf note = STRBUF_INIT;
	AUTO_FD int dirfd = object_dir(e, row->id);
	int rc = dirfd < 0 ? dirfd : io_read(dirfd, NOTE, NOTE_MAX + 1, &note);

	if (!rc)
		rc = fault_point("object.send");
	if (!rc)
		rc = send_patiently(e, row, dirfd, note.buf, why);
	if (objects_stopping(e->objects, 0))
		return rc; /* the next server goes on */
	if (rc && !why->err)
		why_set(why, -rc, _("It could not be sent: %s"), strerror(-rc));
	int removed = io_remove_tree(dirfd, WISH);

	return rc ? rc : removed;
}
