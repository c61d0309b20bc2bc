/* Opening what is brought from a service: the request waits for it (park.h), no thread does. */
#include <stdlib.h>

#include "fs/engine/objects.h"
#include "fs/mount/node_rows.h"
#include "fs/mount/ops_private.h"

unsigned object_generation(const struct call *c, uint64_t ino)
{
	struct ref r = ino_ref(ino);

	return is_brought(ino) ? engine_object_generation(c->mount->engine, r.id, object_part(r.row)) : 0;
}

void object_ask(const struct call *c, fuse_req_t req, uint64_t ino, const char *part, park_answer *answer, void *data)
{
	struct ref r = ino_ref(ino);
	struct object_wait wait;
	/* A job may have no network, and must not get one through us. */
	int rc = call_is_job(c) ? -EPERM :
		engine_object_ask(c->mount->engine, r.id, part ? part : object_part(r.row), &wait);

	if (rc > 0) {
		loop_keep_parked(c->mount);
		park_object(c, req, &wait, answer, data);
		return;
	}
	answer(c, req, rc, data);
	free(data);
}

static void answer_opendir(const struct call *c, fuse_req_t req, int result, void *data)
{
	const uint64_t *ino = data;
	struct fuse_file_info fi = {.fh = object_generation(c, *ino)};

	if (result == 0 && !fi.fh)
		result = -EAGAIN; /* dropped again meanwhile */
	if (result)
		reply_err(req, result);
	else
		fuse_reply_open(req, &fi);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct call c = call_of(req);
	uint64_t *copy;

	if (known(ino) || !is_brought(ino) || ino_ref(ino).inc) {
		fuse_reply_open(req, fi);
		return;
	}
	copy = malloc(sizeof(*copy));
	if (!copy) {
		reply_err(req, -ENOMEM);
		return;
	}
	*copy = ino;
	object_ask(&c, req, ino, NULL, answer_opendir, copy);
}
