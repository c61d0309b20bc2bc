/*
 * A backend whose calls can be made to fail or to kill the process before the effect and after it,
 * for tests: the points are "<backend>.<entry>.before" and ".after". A failure after the effect is a
 * doubt (-EUCLEAN for submit: it happened, the answer was lost), which find() must clear up.
 */
#include "backends/backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

struct fault {
	struct backend vt;
	struct backend_handle inner;
};

static struct fault *fault_of(struct backend_conn *c)
{
	return (struct fault *)c;
}

static int point(const struct fault *f, const char *entry, const char *when, struct why *why)
{
	char name[64];
	int err;

	snprintf(name, sizeof(name), "%s.%s.%s", f->vt.name, entry, when);
	err = fault_point(name);
	if (err < 0)
		why_set(why, -err, _("A fault was injected at %s."), name);
	return err;
}

static void fault_close(struct backend_conn *c)
{
	struct fault *f = fault_of(c);

	if (!f)
		return;
	f->inner.vt->close(f->inner.conn);
	free(f);
}

static int fault_submit(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct why *why)
{
	struct fault *f = fault_of(c);
	int err = point(f, "submit", "before", why);

	if (err < 0)
		return err;
	err = f->inner.vt->submit(f->inner.conn, job, deadline_ns, remote_id, why);
	if (err < 0 || !point(f, "submit", "after", why))
		return err;
	strbuf_reset(remote_id);
	return -EUCLEAN;
}

static int fault_find(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct job_status *out, struct why *why)
{
	struct fault *f = fault_of(c);
	int err = point(f, "find", "before", why);

	return err < 0 ? err : f->inner.vt->find(f->inner.conn, job, deadline_ns, remote_id, out, why);
}

static int fault_poll(struct backend_conn *c, const char *remote_id, int64_t deadline_ns,
	struct job_status *out, struct why *why)
{
	struct fault *f = fault_of(c);
	int err = point(f, "poll", "before", why);

	return err < 0 ? err : f->inner.vt->poll(f->inner.conn, remote_id, deadline_ns, out, why);
}

static int fault_fetch(struct backend_conn *c, const struct job *job, const char *remote_id,
	int64_t deadline_ns, struct why *why)
{
	struct fault *f = fault_of(c);
	int err = point(f, "fetch", "before", why);

	if (!err)
		err = f->inner.vt->fetch(f->inner.conn, job, remote_id, deadline_ns, why);
	return err < 0 ? err : point(f, "fetch", "after", why);
}

static int fault_logs(struct backend_conn *c, const struct job *job, const char *remote_id,
	int64_t deadline_ns, struct why *why)
{
	struct fault *f = fault_of(c);
	int err = point(f, "logs", "before", why);

	return err < 0 ? err : f->inner.vt->logs(f->inner.conn, job, remote_id, deadline_ns, why);
}

static int fault_cancel(
	struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why)
{
	struct fault *f = fault_of(c);
	int err = point(f, "cancel", "before", why);

	if (!err)
		err = f->inner.vt->cancel(f->inner.conn, remote_id, deadline_ns, why);
	return err < 0 ? err : point(f, "cancel", "after", why);
}

static int fault_check(
	struct backend_conn *c, const struct job *job, struct strbuf *warnings, struct why *why)
{
	struct fault *f = fault_of(c);

	return f->inner.vt->check(f->inner.conn, job, warnings, why);
}

static int fault_purge(
	struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why)
{
	struct fault *f = fault_of(c);
	int err = point(f, "purge", "before", why);

	if (!err)
		err = f->inner.vt->purge(f->inner.conn, remote_id, deadline_ns, why);
	return err < 0 ? err : point(f, "purge", "after", why);
}

static int fault_describe(struct backend_conn *c, struct strbuf *status, struct strbuf *quota)
{
	struct fault *f = fault_of(c);

	return f->inner.vt->describe(f->inner.conn, status, quota);
}

int backend_fault(struct backend_handle inner, struct backend_handle *out)
{
	struct fault *f = calloc(1, sizeof(*f));
	const struct backend *vt = inner.vt;

	if (!f)
		return -ENOMEM;
	f->inner = inner;
	f->vt = *vt; /* api, name, caps, open */
	f->vt.close = fault_close;
	f->vt.submit = fault_submit;
	f->vt.find = fault_find;
	f->vt.poll = fault_poll;
	f->vt.fetch = fault_fetch;
	f->vt.logs = vt->logs ? fault_logs : NULL;
	f->vt.cancel = vt->cancel ? fault_cancel : NULL;
	f->vt.check = vt->check ? fault_check : NULL;
	f->vt.purge = vt->purge ? fault_purge : NULL;
	f->vt.describe = fault_describe;
	*out = (struct backend_handle){&f->vt, (struct backend_conn *)f};
	return 0;
}
