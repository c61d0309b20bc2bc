/* A run as people and programs read it: the line of `status`, and state.json. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/engine/run.h"

#define DETAIL_SHOWN 400

static void add_progress(const struct run *r, struct strbuf *out)
{
	if (r->state == RUN_DRAFT || !(r->progress >= 0))
		strbuf_adds(out, " -");
	else
		strbuf_addf(out, " %d%%", (int)(fmin(r->progress, 1) * 100));
}

/* ELAPSED is that of the last answer, so that the line changes only with news. */
static void add_elapsed(const struct run *r, struct strbuf *out)
{
	const struct stamp *end = r->ended.wall_ns ? &r->ended : &r->answered;

	strbuf_addch(out, ' ');
	if (r->started.wall_ns)
		clock_hms(out, stamp_since(&r->started, end));
	else
		strbuf_addch(out, '-');
}

int run_status_line(const struct run *r, struct strbuf *out)
{
	strbuf_adds(out, run_state_words[r->state]);
	add_progress(r, out);
	strbuf_addf(out, " %s", r->backend[0] ? r->backend : "-");
	add_elapsed(r, out);
	if (r->eta_ns >= 0 && (r->state == RUN_RUNNING || r->state == RUN_UNKNOWN)) {
		strbuf_adds(out, " eta ");
		clock_hms(out, r->eta_ns);
	}
	if (r->detail && *r->detail) {
		strbuf_addch(out, ' ');
		escape_line(out, r->detail, strlen(r->detail), DETAIL_SHOWN);
	}
	strbuf_adds(out, " (at ");
	clock_local(out, r->answered.wall_ns ? r->answered.wall_ns : r->created.wall_ns);
	strbuf_adds(out, ")\n");
	return out->err;
}

/* ---- state.json ---- */

static int set_time(struct json *j, const char *key, const struct stamp *at)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	if (!at->wall_ns)
		return json_set_null(j, key);
	clock_rfc3339(&text, at->wall_ns);
	return json_set_text(j, key, text.buf);
}

static int set_maybe(struct json *j, const char *key, const char *text)
{
	return json_set_text(j, key, text && *text ? text : NULL);
}

static int set_known(struct json *j, const char *key, double value, bool known)
{
	return known && isfinite(value) ? json_set_number(j, key, value) : json_set_null(j, key);
}

static int set_facts(struct json *j, const struct run *r)
{
	return json_set_int(j, "id", r->id) || json_set_text(j, "name", r->name) ||
	       json_set_text(j, "folder", r->folder) ||
	       json_set_text(j, "state", run_state_words[r->state]) ||
	       json_set_text(j, "kind", run_kind_words[r->kind]) ||
	       set_maybe(j, "backend", r->backend) || json_set_int(j, "attempt", r->attempt) ||
	       json_set_int(j, "attempts", r->attempt) ||
	       json_set_int(j, "priority", r->priority) ||
	       set_known(j, "progress", r->progress, r->progress >= 0) ||
	       set_known(j, "eta_seconds", (double)r->eta_ns / (double)NS_PER_S, r->eta_ns >= 0) ||
	       set_maybe(j, "detail", r->detail);
}

static int set_times(struct json *j, const struct run *r)
{
	return set_time(j, "created", &r->created) || set_time(j, "submitted", &r->submitted) ||
	       set_time(j, "started", &r->started) || set_time(j, "ended", &r->ended) ||
	       set_time(j, "answered", &r->answered);
}

static int set_outcome(struct json *j, const struct run *r)
{
	struct json *metric = json_object();

	if (!metric || set_maybe(metric, "name", r->metric_name) ||
		set_known(metric, "value", r->metric_value, true)) {
		json_free(metric);
		return -1;
	}
	return json_set(j, "metric", metric) || json_set_number(j, "cost_usd", r->cost_usd) ||
	       set_maybe(j, "error_class", r->error_class) ||
	       set_maybe(j, "next_step", r->next_step) ||
	       set_maybe(j, "external_id", r->external_id);
}

/* Where an orchestrator that was away goes on: after a run that ended well with its evaluation, else
 * with building it again. */
static int set_resume(struct json *j, const struct run *r)
{
	bool ended = run_state_final(r->state);
	bool well = !ended || r->state == RUN_COMPLETE;

	if (r->state == RUN_DRAFT)
		return 0;
	return json_set_text(j, "status", ended ? "in_progress" : "waiting_training") ||
	       json_set_text(j, "resume_from", well ? "evaluator" : "builder_model");
}

/* The lines of the log that show why it failed: an array, null where there was no error. */
static int set_lines(struct json *j, const char *lines)
{
	struct json *list = lines && *lines ? json_array() : NULL;
	int rc = 0;

	if (!list)
		return json_set_null(j, "error_lines");
	while (lines && !rc) {
		const char *end = strchrnul(lines, '\n');
		AUTO_FREE char *line = strndup(lines, (size_t)(end - lines));

		rc = line ? json_append_text(list, line) : -ENOMEM;
		lines = *end ? end + 1 : NULL;
	}
	if (!rc)
		return json_set(j, "error_lines", list);
	json_free(list);
	return rc;
}

/* "owner/slug" of the remote id "owner/slug/v3". */
static int set_kernel(struct json *j, const struct run *r)
{
	bool kaggle = strcmp(r->backend, "kaggle") == 0 && r->external_id;
	const char *version = kaggle ? strrchr(r->external_id, '/') : NULL;
	char kernel[256] = "";

	if (!kaggle)
		return set_maybe(j, "kaggle_kernel", NULL);
	if (!version || version[1] != 'v' || strchr(r->external_id, '/') == version)
		version = r->external_id + strlen(r->external_id);
	snprintf(kernel, sizeof(kernel), "%.*s", (int)(version - r->external_id), r->external_id);
	return json_set_text(j, "kaggle_kernel", kernel);
}

static int set_orchestrator(struct json *j, const struct run *r, const struct json *options)
{
	const char *feature = json_text(json_get(options, "feature"));

	return set_resume(j, r) ||
	       set_kernel(j, r) ||
	       set_time(j, "submitted_at", &r->submitted) ||
	       json_set_text(j, "current_feature", feature ? feature : r->folder) ||
	       json_set_int(j, "current_attempt", json_int(json_get(options, "attempt"), 1)) ||
	       set_maybe(j, "error_type", r->error_class) ||
	       set_maybe(j, "error_context", r->error_context) || set_lines(j, r->error_lines);
}

int run_state_json(const struct run *r, struct strbuf *out)
{
	size_t len = r->options ? strlen(r->options) : 0;
	struct json *options = len ? json_parse(r->options, len, len, NULL) : NULL;
	struct json *j = json_object();
	int rc = -ENOMEM;

	if (j && !set_facts(j, r) && !set_times(j, r) && !set_outcome(j, r) &&
		!set_orchestrator(j, r, options))
		rc = options ? json_set(j, "options", move_ptr(options))
			     : json_set_null(j, "options");
	if (!rc)
		rc = json_print(j, out, true);
	strbuf_addch(out, '\n');
	json_free(options);
	json_free(j);
	return rc ? rc : out->err;
}
