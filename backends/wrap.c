#include "backends/wrap.h"

#include <errno.h>
#include <stdlib.h>

static const struct backend_handle *begin(struct backend_conn *c, struct wrap_call *call)
{
	call->w = (struct wrapper *)c;
	call->begun_ns = clock_boot_ns();
	if (!call->why)
		call->why = &call->own_why;
	if (call->w->before)
		call->err = call->w->before(call);
	return &call->w->inner;
}

static int end(struct wrap_call *call, int err)
{
	return call->w->after ? call->w->after(call, err) : err;
}

static void wrap_close(struct backend_conn *c)
{
	struct wrapper *w = (struct wrapper *)c;

	if (!w)
		return;
	w->inner.vt->close(w->inner.conn);
	free(w);
}

static int wrap_submit(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct why *why)
{
	struct wrap_call call = {.entry = "submit", .kind = WRAP_ACTS, .found = remote_id, .why = why};
	const struct backend_handle *in = begin(c, &call);

	return call.err ? call.err
			: end(&call, in->vt->submit(in->conn, job, deadline_ns, remote_id, call.why));
}

static int wrap_find(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct job_status *out, struct why *why)
{
	struct wrap_call call = {
		.entry = "find", .kind = WRAP_ASKS, .found = remote_id, .status = out, .why = why};
	const struct backend_handle *in = begin(c, &call);

	return call.err ? call.err
			: end(&call, in->vt->find(in->conn, job, deadline_ns, remote_id, out, call.why));
}

static int wrap_poll(struct backend_conn *c, const char *remote_id, int64_t deadline_ns,
	struct job_status *out, struct why *why)
{
	struct wrap_call call = {
		.entry = "poll", .kind = WRAP_ASKS, .remote_id = remote_id, .status = out, .why = why};
	const struct backend_handle *in = begin(c, &call);

	return call.err ? call.err
			: end(&call, in->vt->poll(in->conn, remote_id, deadline_ns, out, call.why));
}

static int wrap_fetch(struct backend_conn *c, const struct job *job, const char *remote_id,
	int64_t deadline_ns, struct why *why)
{
	struct wrap_call call = {
		.entry = "fetch", .kind = WRAP_ACTS, .remote_id = remote_id, .why = why};
	const struct backend_handle *in = begin(c, &call);

	return call.err ? call.err
			: end(&call, in->vt->fetch(in->conn, job, remote_id, deadline_ns, call.why));
}

static int wrap_logs(struct backend_conn *c, const struct job *job, const char *remote_id,
	int64_t deadline_ns, struct why *why)
{
	struct wrap_call call = {.entry = "logs", .kind = WRAP_ASKS, .remote_id = remote_id, .why = why};
	const struct backend_handle *in = begin(c, &call);

	return call.err ? call.err
			: end(&call, in->vt->logs(in->conn, job, remote_id, deadline_ns, call.why));
}

static int wrap_cancel(
	struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why)
{
	struct wrap_call call = {
		.entry = "cancel", .kind = WRAP_ACTS, .remote_id = remote_id, .why = why};
	const struct backend_handle *in = begin(c, &call);

	return call.err ? call.err
			: end(&call, in->vt->cancel(in->conn, remote_id, deadline_ns, call.why));
}

static int wrap_check(
	struct backend_conn *c, const struct job *job, struct strbuf *warnings, struct why *why)
{
	struct wrap_call call = {.entry = "check", .kind = WRAP_TELLS, .why = why};
	const struct backend_handle *in = begin(c, &call);

	return call.err ? call.err : end(&call, in->vt->check(in->conn, job, warnings, call.why));
}

static int wrap_purge(
	struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why)
{
	struct wrap_call call = {
		.entry = "purge", .kind = WRAP_ACTS, .remote_id = remote_id, .why = why};
	const struct backend_handle *in = begin(c, &call);

	return call.err ? call.err
			: end(&call, in->vt->purge(in->conn, remote_id, deadline_ns, call.why));
}

static int wrap_describe(struct backend_conn *c, struct strbuf *status, struct strbuf *quota)
{
	struct wrap_call call = {.entry = "describe", .kind = WRAP_TELLS};
	const struct backend_handle *in = begin(c, &call);

	return call.err ? call.err : end(&call, in->vt->describe(in->conn, status, quota));
}

/* ---- Things by name ---- */

static int wrap_object_fetch(struct backend_conn *c, const struct object *o, const char *part, const char *known,
	int dirfd, int64_t deadline_ns, struct strbuf *version, struct why *why)
{
	struct wrap_call call = {
		.entry = "object.fetch", .kind = WRAP_ASKS, .remote_id = o->name, .why = why};
	const struct backend_handle *in = begin(c, &call);

	return call.err ? call.err
			: end(&call, in->vt->objects->fetch(in->conn, o, part, known, dirfd, deadline_ns,
					     version, call.why));
}

static int wrap_object_adopt(struct backend_conn *c, const struct object *o, const char *version,
	const struct job *job, int64_t deadline_ns, struct strbuf *remote_id, struct why *why)
{
	struct wrap_call call = {
		.entry = "object.adopt", .kind = WRAP_TELLS, .remote_id = o->name, .why = why};
	const struct backend_handle *in = begin(c, &call);

	return call.err ? call.err
			: end(&call, in->vt->objects->adopt(in->conn, o, version, job, deadline_ns,
					     remote_id, call.why));
}

static int wrap_object_send(struct backend_conn *c, const struct object *o, int dirfd, const char *note,
	int64_t deadline_ns, struct why *why)
{
	struct wrap_call call = {
		.entry = "object.send", .kind = WRAP_ACTS, .remote_id = o->name, .why = why};
	const struct backend_handle *in = begin(c, &call);

	return call.err ? call.err
			: end(&call, in->vt->objects->send(in->conn, o, dirfd, note, deadline_ns, call.why));
}

static void wrap_objects(struct wrapper *w, const struct backend_objects *inner)
{
	w->objects = (struct backend_objects){.valid = inner->valid,
		.fetch = wrap_object_fetch,
		.adopt = inner->adopt ? wrap_object_adopt : NULL,
		.send = inner->send ? wrap_object_send : NULL};
	w->vt.objects = &w->objects;
}

int wrap(struct backend_handle inner, int (*before)(struct wrap_call *call),
	int (*after)(struct wrap_call *call, int err), void *arg, struct backend_handle *out)
{
	struct wrapper *w = calloc(1, sizeof(*w));
	const struct backend *vt = inner.vt;

	if (!w)
		return -ENOMEM;
	*w = (struct wrapper){
		.vt = *vt, .inner = inner, .before = before, .after = after, .arg = arg};
	w->vt.close = wrap_close;
	w->vt.submit = wrap_submit;
	w->vt.find = wrap_find;
	w->vt.poll = wrap_poll;
	w->vt.fetch = wrap_fetch;
	w->vt.logs = vt->logs ? wrap_logs : NULL;
	w->vt.cancel = vt->cancel ? wrap_cancel : NULL;
	w->vt.check = vt->check ? wrap_check : NULL;
	w->vt.purge = vt->purge ? wrap_purge : NULL;
	w->vt.describe = wrap_describe;
	if (vt->objects)
		wrap_objects(w, vt->objects);
	*out = (struct backend_handle){&w->vt, (struct backend_conn *)w};
	return 0;
}
