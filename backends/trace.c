/*
 * A backend that logs every call of another and what came back: how long it took, the errno, the
 * sentence. It keeps the shape of the one inside: an optional entry that is NULL there is NULL here.
 */
#include "backends/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/log.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

struct trace {
	struct backend vt; /* what callers see */
	struct backend_handle inner;
	struct log *log;
};

static struct trace *trace_of(struct backend_conn *c)
{
	return (struct trace *)c;
}

static const char *const state_words[] = {
	[JOB_ABSENT] = "absent",
	[JOB_PENDING] = "pending",
	[JOB_RUNNING] = "running",
	[JOB_ENDED] = "ended",
	[JOB_LOST] = "lost",
	[JOB_UNKNOWN] = "unknown",
};

struct call {
	struct trace *t;
	const char *entry;
	int64_t begun;
};

static struct call call_begin(struct backend_conn *c, const char *entry)
{
	return (struct call){trace_of(c), entry, clock_boot_ns()};
}

static void add_field(struct strbuf *fields, const char *key, const char *text)
{
	strbuf_addf(fields, ",\"%s\":\"", key);
	escape_json(fields, text, strlen(text));
	strbuf_addch(fields, '"');
}

/* One line a call; `status` and `remote_id` may be NULL. Returns err, so that callers can end with it. */
static int call_end(const struct call *call, const char *remote_id, const struct job_status *status,
	int err, const struct why *why)
{
	AUTO_BUF struct strbuf fields = STRBUF_INIT;
	int64_t took = clock_boot_ns() - call->begun;

	strbuf_addf(&fields, "\"backend\":\"%s\",\"entry\":\"%s\",\"ms\":%lld,\"errno\":%d",
		call->t->vt.name, call->entry, (long long)(took / NS_PER_MS), err < 0 ? -err : 0);
	if (remote_id && *remote_id)
		add_field(&fields, "remote_id", remote_id);
	if (status && !err) {
		add_field(&fields, "state", state_words[status->state]);
		add_field(&fields, "cause", end_cause_words[status->cause]);
	}
	log_write(call->t->log, err < 0 ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "backend_call", fields.buf,
		"%s", err < 0 ? why_text(why) : "");
	return err;
}

static void trace_close(struct backend_conn *c)
{
	struct trace *t = trace_of(c);

	if (!t)
		return;
	t->inner.vt->close(t->inner.conn);
	free(t);
}

static int trace_submit(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct why *why)
{
	struct call call = call_begin(c, "submit");
	struct why own = {0};
	int err = call.t->inner.vt->submit(
		call.t->inner.conn, job, deadline_ns, remote_id, why ? why : &own);

	return call_end(&call, remote_id->buf, NULL, err, why ? why : &own);
}

static int trace_find(struct backend_conn *c, const struct job *job, int64_t deadline_ns,
	struct strbuf *remote_id, struct job_status *out, struct why *why)
{
	struct call call = call_begin(c, "find");
	struct why own = {0};
	int err = call.t->inner.vt->find(
		call.t->inner.conn, job, deadline_ns, remote_id, out, why ? why : &own);

	return call_end(&call, remote_id->buf, out, err, why ? why : &own);
}

static int trace_poll(struct backend_conn *c, const char *remote_id, int64_t deadline_ns,
	struct job_status *out, struct why *why)
{
	struct call call = call_begin(c, "poll");
	struct why own = {0};
	int err = call.t->inner.vt->poll(
		call.t->inner.conn, remote_id, deadline_ns, out, why ? why : &own);

	return call_end(&call, remote_id, out, err, why ? why : &own);
}

static int trace_fetch(struct backend_conn *c, const struct job *job, const char *remote_id,
	int64_t deadline_ns, struct why *why)
{
	struct call call = call_begin(c, "fetch");
	struct why own = {0};
	int err = call.t->inner.vt->fetch(
		call.t->inner.conn, job, remote_id, deadline_ns, why ? why : &own);

	return call_end(&call, remote_id, NULL, err, why ? why : &own);
}

static int trace_logs(struct backend_conn *c, const struct job *job, const char *remote_id,
	int64_t deadline_ns, struct why *why)
{
	struct call call = call_begin(c, "logs");
	struct why own = {0};
	int err = call.t->inner.vt->logs(
		call.t->inner.conn, job, remote_id, deadline_ns, why ? why : &own);

	return call_end(&call, remote_id, NULL, err, why ? why : &own);
}

static int trace_cancel(
	struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why)
{
	struct call call = call_begin(c, "cancel");
	struct why own = {0};
	int err = call.t->inner.vt->cancel(
		call.t->inner.conn, remote_id, deadline_ns, why ? why : &own);

	return call_end(&call, remote_id, NULL, err, why ? why : &own);
}

static int trace_check(
	struct backend_conn *c, const struct job *job, struct strbuf *warnings, struct why *why)
{
	struct call call = call_begin(c, "check");
	struct why own = {0};
	int err = call.t->inner.vt->check(call.t->inner.conn, job, warnings, why ? why : &own);

	return call_end(&call, NULL, NULL, err, why ? why : &own);
}

static int trace_purge(
	struct backend_conn *c, const char *remote_id, int64_t deadline_ns, struct why *why)
{
	struct call call = call_begin(c, "purge");
	struct why own = {0};
	int err = call.t->inner.vt->purge(
		call.t->inner.conn, remote_id, deadline_ns, why ? why : &own);

	return call_end(&call, remote_id, NULL, err, why ? why : &own);
}

static int trace_describe(struct backend_conn *c, struct strbuf *status, struct strbuf *quota)
{
	struct call call = call_begin(c, "describe");
	int err = call.t->inner.vt->describe(call.t->inner.conn, status, quota);

	return call_end(&call, NULL, NULL, err, NULL);
}

int backend_trace(struct backend_handle inner, struct log *log, struct backend_handle *out)
{
	struct trace *t = calloc(1, sizeof(*t));
	const struct backend *vt = inner.vt;

	if (!t)
		return -ENOMEM;
	t->inner = inner;
	t->log = log;
	t->vt = *vt; /* api, name, caps, open */
	t->vt.close = trace_close;
	t->vt.submit = trace_submit;
	t->vt.find = trace_find;
	t->vt.poll = trace_poll;
	t->vt.fetch = trace_fetch;
	t->vt.logs = vt->logs ? trace_logs : NULL;
	t->vt.cancel = vt->cancel ? trace_cancel : NULL;
	t->vt.check = vt->check ? trace_check : NULL;
	t->vt.purge = vt->purge ? trace_purge : NULL;
	t->vt.describe = trace_describe;
	*out = (struct backend_handle){&t->vt, (struct backend_conn *)t};
	return 0;
}
