/*
 * From draft to run: what the folder says about itself is read once, checked, and written down; then
 * the source is made durable; then one transaction says `queued` (or confirm, or rejected). A crash
 * before that commit leaves a draft, and everything is done again. Called by the mount's threads.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/engine/check.h"
#include "fs/engine/door.h"
#include "fs/engine/internal.h"
#include "fs/engine/report.h"

struct submission {
	struct engine *e;
	struct run r;           /* as read before; carries what is decided */
	struct options o;
	struct problems problems;
	int run_dirfd;
	char *source;           /* absolute path of the frozen folder */
	char name[RUN_NAME_MAX + 1]; /* wanted */
};

static bool backend_runs(enum run_kind kind)
{
	return kind == KIND_NOTEBOOK || kind == KIND_SCRIPT || kind == KIND_TRAIN;
}

static void check_kind(struct submission *s)
{
	const char *missing = s->o.missing ? s->o.missing : _("There is nothing to run.");

	if (s->o.kind == KIND_NONE)
		problems_add(&s->problems, PROBLEM_ERROR, "entry.missing", "", 0, 0,
			_("Add a notebook or a script, or name one as \"main\" in kexec.json."), "%s",
			missing);
	else if (!backend_runs(s->o.kind))
		problems_add(&s->problems, PROBLEM_ERROR, "kind.unsupported", "kexec.json", 0, 0,
			_("Submit a notebook, a script or a training job."),
			_("No backend of this installation runs the kind %s."),
			run_kind_words[s->o.kind]);
}

static bool has_credentials(const struct submission *s, const struct backend *b)
{
	return !b->credentials || b->credentials(s->e->config);
}

/* The first backend of the list that there is and that is not switched off; of several, the first for
 * which there are credentials. */
static void choose_backend(struct submission *s)
{
	const struct backend *first = NULL, *best = NULL;
	struct why off = {0};

	for (char **name = s->o.backends; name && *name && !best; name++) {
		struct engine_backend *b = engine_backend_named(s->e, *name);

		if (!b || engine_backend_disabled(s->e, *name, off.err ? NULL : &off))
			continue;
		first = first ? first : b->vt;
		best = has_credentials(s, b->vt) ? b->vt : NULL;
	}
	if (first) {
		snprintf(s->r.backend, sizeof(s->r.backend), "%s", best ? best->name : first->name);
		return;
	}
	if (off.err) {
		problems_add(&s->problems, PROBLEM_ERROR, "backend.disabled", "kexec.json", 0, 0,
			_("Name another backend, or switch this one on and mount again."), "%s",
			why_text(&off));
		return;
	}
	problems_add(&s->problems, PROBLEM_ERROR, "backend.unknown", "kexec.json", 0, 0,
		_("Name one of those in backends/."), _("There is no backend called %s."),
		s->o.backends && s->o.backends[0] ? s->o.backends[0] : "-");
}

static void check_machine(struct submission *s)
{
	const struct config *config = s->e->config;
	struct engine_backend *b = engine_backend_named(s->e, s->r.backend);

	if (!b || (b->vt->caps & BACKEND_NETWORK))
		return;
	if (config->jobs_memory_gb > 0 && s->o.memory_gb > config->jobs_memory_gb)
		problems_add(&s->problems, PROBLEM_WARNING, "machine.memory", "kexec.json", 0, 0,
			_("Lower \"memory_gb\", or raise \"jobs\" in the configuration."),
			_("It asks for %.1f GB of memory; jobs on this machine may use %.1f GB together, so it runs alone."),
			s->o.memory_gb, config->jobs_memory_gb);
	if (s->o.gpu && config->jobs_gpus == 0)
		problems_add(&s->problems, PROBLEM_WARNING, "machine.gpu", "kexec.json", 0, 0,
			_("Name a backend that has a GPU, or leave \"gpu\" out."),
			_("It asks for a GPU and this machine has none: it runs on the CPU."));
}

static void add_warnings(struct submission *s, char *lines)
{
	char *rest = NULL;

	for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		problems_add(&s->problems, PROBLEM_WARNING, "backend.check", "", 0, 0, "", "%s", line);
}

/* What only the backend can know, without asking a service: a submission waits for nobody. */
static void check_with_backend(struct submission *s)
{
	AUTO_BUF struct strbuf warnings = STRBUF_INIT;
	struct engine_backend *b = engine_backend_named(s->e, s->r.backend);
	struct job job = {.run = s->r.id, .token = "", .name = s->r.name,
		.kind = run_kind_words[s->o.kind], .main = s->o.main, .source = s->source,
		.parameters = s->o.parameters, .env = s->o.env, .datasets = s->o.datasets,
		.internet = s->o.internet, .fresh_slug = s->o.fresh_slug};
	struct backend_handle handle = {0};
	struct why why = {0};

	if (!b || !b->vt->check || !s->o.main || problems_errors(&s->problems))
		return;
	job.gpu = s->e->config->jobs_gpus > 0 || (b->vt->caps & BACKEND_NETWORK) ? s->o.gpu : NULL;
	if (s->o.hours > 0 && s->o.hours < 1e6)
		job.limit_ns = (int64_t)(s->o.hours * 3600e9);
	if (s->o.memory_gb > 0 && s->o.memory_gb < 1e6)
		job.memory_bytes = (int64_t)(s->o.memory_gb * 1073741824.0);
	if (engine_backend_open(s->e, s->r.backend, &handle, &why))
		return; /* it waits until the backend can be used, and its status says so */
	if (handle.vt->check(handle.conn, &job, &warnings, &why) == -EINVAL)
		problems_add(&s->problems, PROBLEM_ERROR, "backend.check", "", 0, 0, "", "%s",
			why_text(&why));
	else if (warnings.len)
		add_warnings(s, warnings.buf);
}

static void choose_name(struct submission *s)
{
	const char *wanted = s->o.name ? s->o.name : s->r.folder;

	if (door_name_check(wanted) || wanted[0] == '.') {
		problems_add(&s->problems, PROBLEM_ERROR, "name.invalid", "kexec.json", 0, 0,
			_("Use a plain name without control characters that begins with neither - nor a dot."),
			_("\"name\" cannot be the name of a run."));
		wanted = s->r.folder;
	}
	snprintf(s->name, sizeof(s->name), "%s", wanted);
}

static int read_source(struct submission *s, struct why *why)
{
	AUTO_FD int source = io_open_dir(s->run_dirfd, "source");
	int rc;

	if (source < 0)
		return why_set(why, -source, _("The folder cannot be read: %s."), strerror(-source));
	rc = options_read(source, s->e->config, &s->o, &s->problems, why);
	if (!rc)
		rc = check_source(source, &s->o, &s->problems, why);
	if (rc)
		return rc;
	check_kind(s);
	choose_backend(s);
	check_machine(s);
	check_with_backend(s);
	choose_name(s);
	return 0;
}

static int options_text(const struct options *o, char **out)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct json *json = options_to_json(o);
	int rc = json ? json_print(json, &text, false) : -ENOMEM;

	json_free(json);
	if (rc)
		return rc;
	free(*out);
	*out = strbuf_detach(&text, NULL);
	return *out ? 0 : -ENOMEM;
}

static int write_text(struct submission *s, const char *name, const struct strbuf *text)
{
	if (text->err)
		return text->err;
	return io_write_durable(s->run_dirfd, name, text->buf, text->len, 0644);
}

static int write_validation(struct submission *s)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	AUTO_BUF struct strbuf json = STRBUF_INIT;
	int rc = problems_text(&s->problems, &text);

	if (!rc)
		rc = problems_json(&s->problems, &json);
	if (!rc)
		rc = write_text(s, "validation.txt", &text);
	return rc ? rc : write_text(s, "validation.json", &json);
}

int engine_write_changes(struct engine *e, const struct run *r, int dirfd)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct run previous = {0};
	int64_t id = 0;
	int rc = store_find_previous(e->store, r->folder, r->id, &id);

	if (!rc)
		rc = store_read_run(e->store, id, &previous);
	if (rc && rc != -ENOENT)
		return rc;
	/* The run it was compared with may have been removed while this one ran. */
	if (rc && run_state_final(r->state))
		return 0;
	rc = changes_render(e, r, rc ? NULL : &previous, &text);
	run_release(&previous);
	if (!rc)
		rc = text.err;
	return rc ? rc : io_write_durable(dirfd, "changes", text.buf, text.len, 0644);
}

/* One syncfs makes the whole source durable: for many small files far cheaper than one fsync each. */
static int make_durable(struct submission *s)
{
	int rc = fault_point("submit.syncfs");

	if (rc)
		return rc;
	return syncfs(s->run_dirfd) ? -errno : 0;
}

static void apply_decision(const struct submission *s, struct run *r)
{
	r->kind = s->o.kind;
	r->priority = s->o.priority;
	r->submitted = stamp_now();
	r->resting = false;
	memcpy(r->backend, s->r.backend, sizeof(r->backend));
	text_set(&r->detail, "", DETAIL_MAX);
	free(r->options);
	r->options = s->r.options ? strdup(s->r.options) : NULL;
}

static void apply_rejection(const struct submission *s, struct run *r)
{
	for (size_t i = 0; i < s->problems.count; i++) {
		if (s->problems.list[i].severity != PROBLEM_ERROR)
			continue;
		text_set(&r->error_context, s->problems.list[i].what, CONTEXT_MAX);
		text_set(&r->next_step, s->problems.list[i].fix, DETAIL_MAX);
		break;
	}
	text_set(&r->detail, _("see validation.txt"), DETAIL_MAX);
	r->ended = r->submitted;
}

/* In a transaction. */
static int commit_submission(struct submission *s, struct run *r)
{
	enum run_state to = s->o.confirm ? RUN_CONFIRM : RUN_QUEUED;
	int rc = store_get_run(s->e->store, s->r.id, r);

	if (rc)
		return rc;
	if (r->state != RUN_DRAFT || r->place == PLACE_STAGING) {
		run_release(r);
		return -EBUSY;
	}
	if (problems_errors(&s->problems))
		to = RUN_REJECTED;
	apply_decision(s, r);
	if (to == RUN_REJECTED)
		apply_rejection(s, r);
	rc = store_free_name(s->e->store, PLACE_RUNS, s->name, r->id, r->name);
	r->queue_order = store_version(s->e->store) + 1;
	return rc ? rc : run_move(s->e->store, r, to, "submit");
}

static int finish(struct submission *s)
{
	struct run r = {0};
	unsigned what = CHANGE_STATE | CHANGE_UNQUEUED;
	int rc = store_begin(s->e->store);

	if (rc)
		return rc;
	rc = store_end(s->e->store, commit_submission(s, &r));
	if (!rc) {
		if (strcmp(s->r.name, r.name) != 0)
			what |= CHANGE_NEW | CHANGE_GONE;
		engine_tell(s->e, what, &s->r, &r);
	}
	run_release(&r);
	return rc;
}

static int submit(struct submission *s, struct why *why)
{
	char path[ENGINE_PATH_MAX];
	int rc;

	if (s->r.state != RUN_DRAFT || s->r.place == PLACE_STAGING)
		return why_set(why, EBUSY, _("Only a draft with a visible name can be submitted."));
	s->run_dirfd = io_open_dir(s->e->state_dirfd, engine_run_file_path(path, s->r.id, "."));
	if (s->run_dirfd < 0)
		return why_set(why, -s->run_dirfd, _("The folder cannot be read: %s."),
			strerror(-s->run_dirfd));
	if (asprintf(&s->source, "%s/%s", s->e->state_path, engine_source_path(path, s->r.id)) < 0) {
		s->source = NULL;
		return -ENOMEM;
	}
	rc = read_source(s, why);
	if (!rc)
		rc = options_text(&s->o, &s->r.options);
	if (!rc)
		rc = write_validation(s);
	if (!rc)
		rc = engine_write_changes(s->e, &s->r, s->run_dirfd);
	if (!rc)
		rc = make_durable(s);
	if (!rc)
		rc = finish(s);
	return rc;
}

int engine_submit(struct engine *e, int64_t id, struct why *why)
{
	struct submission s = {.e = e, .run_dirfd = -1};
	struct why own = {0};
	int rc;

	if (!why)
		why = &own;
	rc = store_read_run(e->store, id, &s.r);
	if (rc)
		return rc;
	options_init(&s.o);
	rc = submit(&s, why);
	if (rc && !why->err)
		why_set(why, -rc, _("The folder cannot be submitted: %s."), strerror(-rc));
	if (s.run_dirfd >= 0)
		close(s.run_dirfd);
	free(s.source);
	problems_release(&s.problems);
	options_release(&s.o);
	run_release(&s.r);
	return rc;
}
