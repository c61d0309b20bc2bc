/*
 * A backend that logs every call of another and what came back: how long it took, the errno, the
 * sentence.
 */
#include "backends/backend.h"

#include <string.h>
#include "backends/wrap.h"
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/log.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

static const char *const state_words[] = {
	[JOB_ABSENT] = "absent",
	[JOB_PENDING] = "pending",
	[JOB_RUNNING] = "running",
	[JOB_ENDED] = "ended",
	[JOB_LOST] = "lost",
	[JOB_UNKNOWN] = "unknown",
};

/* The figures are the backend's, and some of those are a service's. */
static const char *word(const char *const *words, size_t count, unsigned i)
{
	return i < count ? words[i] : "?";
}

static void add_field(struct strbuf *fields, const char *key, const char *text)
{
	strbuf_addf(fields, ",\"%s\":\"", key);
	escape_json(fields, text, strlen(text));
	strbuf_addch(fields, '"');
}

/* One line a call. */
static int log_call(struct wrap_call *call, int err)
{
	AUTO_BUF struct strbuf fields = STRBUF_INIT;
	const char *remote_id = call->found ? call->found->buf : call->remote_id;
	int64_t took = clock_boot_ns() - call->begun_ns;

	strbuf_addf(&fields, "\"backend\":\"%s\",\"entry\":\"%s\",\"ms\":%lld,\"errno\":%d",
		call->w->vt.name, call->entry, (long long)(took / NS_PER_MS), err < 0 ? -err : 0);
	if (remote_id && *remote_id)
		add_field(&fields, "remote_id", remote_id);
	if (call->status && !err) {
		add_field(&fields, "state",
			word(state_words, JOB_UNKNOWN + 1, (unsigned)call->status->state));
		add_field(&fields, "cause",
			word(end_cause_words, END_CAUSE_COUNT, (unsigned)call->status->cause));
	}
	log_write(call->w->arg, err < 0 ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "backend_call", fields.buf,
		"%s", err < 0 ? why_text(call->why) : "");
	return err;
}

int backend_trace(struct backend_handle inner, struct log *log, struct backend_handle *out)
{
	return wrap(inner, NULL, log_call, log, out);
}
