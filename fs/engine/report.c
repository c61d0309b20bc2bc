#include "fs/engine/report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/engine/config.h"
#include "fs/engine/metrics.h"
#include "fs/engine/report_facts.h"

#define REPORT_MAX ((size_t)1 << 20)
#define WORD_MAX   200  /* of a hostile text in a table */
#define TEXT_MAX   1024 /* of one in a paragraph */
#define WALK_MAX   100000
#define WALK_DEPTH 64

/* Everything the sections read, gathered once. Attempts are the newest REPORT_ATTEMPTS. */
struct report {
	struct engine *e;
	const struct run *r;
	const struct report_last *last; /* or NULL */
	struct strbuf *out;
	struct json *options;
	struct report_steps steps;
	struct attempt_facts *attempts;
	int count, first; /* attempts[i] is number first + i */
};

/* ---- words ---- */

static void text(struct strbuf *out, const char *s, size_t max)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;

	escape_line(&line, s, strlen(s), max);
	escape_markdown(out, line.buf, line.len);
}

static void cell(struct strbuf *out, const char *s)
{
	strbuf_addch(out, ' ');
	if (s && *s)
		text(out, s, WORD_MAX);
	else
		strbuf_addch(out, '-');
	strbuf_adds(out, " |");
}

static void cell_time(struct strbuf *out, int64_t wall_ns)
{
	AUTO_BUF struct strbuf s = STRBUF_INIT;

	if (wall_ns)
		clock_local(&s, wall_ns);
	cell(out, s.buf);
}

static void cell_duration(struct strbuf *out, int64_t ns)
{
	AUTO_BUF struct strbuf s = STRBUF_INIT;

	if (ns >= 0)
		clock_hms(&s, ns);
	cell(out, s.buf);
}

static void cell_value(struct strbuf *out, double v)
{
	strbuf_addch(out, ' ');
	if (isnan(v))
		strbuf_addch(out, '-');
	else
		metric_print_value(out, v);
	strbuf_adds(out, " |");
}

static void add_size(struct strbuf *out, int64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1024 && u + 1 < sizeof units / sizeof *units) {
		v /= 1024;
		u++;
	}
	strbuf_addf(out, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}

static void heading(struct strbuf *out, const char *s)
{
	strbuf_addf(out, "\n## %s\n\n", s);
}

static void bullet(struct strbuf *out, const char *label, const char *value)
{
	if (!value || !*value)
		return;
	strbuf_addf(out, "- %s: ", label);
	text(out, value, TEXT_MAX);
	strbuf_addch(out, '\n');
}

static void bullet_time(struct strbuf *out, const char *label, const struct stamp *t)
{
	AUTO_BUF struct strbuf s = STRBUF_INIT;

	if (t->wall_ns)
		clock_local(&s, t->wall_ns);
	bullet(out, label, s.buf);
}

static void bullet_duration(
	struct strbuf *out, const char *label, const struct stamp *a, const struct stamp *b)
{
	AUTO_BUF struct strbuf s = STRBUF_INIT;

	if (a->wall_ns && b->wall_ns)
		clock_hms(&s, stamp_since(a, b));
	bullet(out, label, s.buf);
}

/* ---- sections ---- */

static void add_metric_line(struct report *rep)
{
	const struct run *r = rep->r;
	AUTO_BUF struct strbuf s = STRBUF_INIT;

	if (!r->metric_name || !isfinite(r->metric_value))
		return;
	strbuf_addf(&s, "%s = ", r->metric_name);
	metric_print_value(&s, r->metric_value);
	bullet(rep->out, _("Metric"), s.buf);
}

static void add_summary(struct report *rep)
{
	const struct run *r = rep->r;
	struct strbuf *out = rep->out;

	strbuf_adds(out, "# ");
	text(out, r->name, RUN_NAME_MAX);
	strbuf_adds(out, "\n");
	heading(out, _("Summary"));
	bullet(out, _("State"), run_state_words[r->state]);
	bullet(out, _("Detail"), r->detail);
	bullet(out, _("Folder"), r->folder);
	bullet(out, _("Kind"), run_kind_words[r->kind]);
	bullet(out, _("Backend"), r->backend);
	bullet_time(out, _("Submitted"), &r->submitted);
	bullet_time(out, _("Ended"), &r->ended);
	bullet_duration(out, _("From submission to end"), &r->submitted, &r->ended);
	bullet_duration(out, _("Last attempt"), &r->started, &r->ended);
	add_metric_line(rep);
	if (r->cost_usd > 0)
		strbuf_addf(out, _("- Cost: USD %.2f\n"), r->cost_usd);
}

static void add_steps(struct report *rep)
{
	struct strbuf *out = rep->out;

	heading(out, _("Steps"));
	if (!rep->steps.count) {
		strbuf_addf(out, "%s\n", _("No state change was recorded."));
		return;
	}
	if (rep->steps.left_out)
		strbuf_addf(out, _("%zu earlier changes are left out.\n\n"), rep->steps.left_out);
	strbuf_addf(out, "| %s | %s | %s | %s | %s |\n|---|---|---|---|---|\n", _("At"), _("State"),
		_("Lasted"), _("Attempt"), _("Reason"));
	for (size_t i = 0; i < rep->steps.count; i++) {
		const struct report_step *s = &rep->steps.list[i];
		strbuf_adds(out, "|");
		cell_time(out, s->at.wall_ns);
		cell(out, s->to);
		cell_duration(out, s->lasted_ns);
		if (s->attempt > 0)
			strbuf_addf(out, " %d |", s->attempt);
		else
			cell(out, NULL);
		cell(out, s->reason);
		strbuf_adds(out, "\n");
	}
}

static void add_attempts(struct report *rep)
{
	struct strbuf *out = rep->out;

	heading(out, _("Attempts"));
	if (!rep->count) {
		strbuf_addf(out, "%s\n", _("It was never started."));
		return;
	}
	if (rep->first > 1)
		strbuf_addf(out, _("%d earlier attempts are left out.\n\n"), rep->first - 1);
	strbuf_addf(out, "| %s | %s | %s | %s | %s | %s |\n|---|---|---|---|---|---|\n",
		_("Attempt"), _("Backend"), _("State"), _("Started"), _("Took"), _("Detail"));
	for (int i = 0; i < rep->count; i++) {
		const struct attempt *a = &rep->attempts[i].attempt;
		strbuf_addf(out, "| %d |", rep->first + i);
		cell(out, a->backend);
		cell(out, a->state);
		cell_time(out, a->started.wall_ns);
		cell_duration(out, a->started.wall_ns && a->ended.wall_ns
					   ? stamp_since(&a->started, &a->ended)
					   : -1);
		cell(out, a->detail);
		strbuf_adds(out, "\n");
	}
}

/* What was done about the failure of an attempt: the next one, or the run's next step. */
static void add_done(struct report *rep, int i)
{
	const struct attempt *a = &rep->attempts[i].attempt, *next;
	AUTO_BUF struct strbuf s = STRBUF_INIT;

	if (i + 1 == rep->count) {
		bullet(rep->out, _("What happens next"), rep->r->next_step);
		return;
	}
	next = &rep->attempts[i + 1].attempt;
	if (strcmp(a->backend, next->backend) == 0)
		strbuf_addf(&s, _("tried again as attempt %d"), rep->first + i + 1);
	else
		strbuf_addf(&s, _("tried again as attempt %d on %s"), rep->first + i + 1,
			next->backend);
	if (a->ended.wall_ns && next->started.wall_ns) {
		strbuf_adds(&s, ", ");
		strbuf_adds(&s, _("after "));
		clock_hms(&s, stamp_since(&a->ended, &next->started));
	}
	bullet(rep->out, _("What was done"), s.buf);
}

/* The class of the last attempt is the one the store tells everywhere else; always one of the
 * words. */
static const char *class_of(const struct report *rep, int i)
{
	for (int c = 0; i + 1 == rep->count && c < ERROR_CLASS_COUNT; c++)
		if (strcmp(rep->r->error_class, error_class_words[c]) == 0)
			return error_class_words[c];
	return error_class_words[rep->attempts[i].why.class];
}

static bool failed(const struct report *rep, int i)
{
	return rep->attempts[i].why.class != ERROR_NONE ||
	       (i + 1 == rep->count && rep->r->error_class[0]);
}

static void add_proof(struct strbuf *out, const struct diagnosis *why)
{
	if (!why->proof[0][0])
		return;
	strbuf_addf(out, "- %s:\n", _("What shows it"));
	for (size_t i = 0; i < PROOF_LINES && why->proof[i][0]; i++) {
		strbuf_adds(out, "  - ");
		text(out, why->proof[i], PROOF_LINE);
		strbuf_addch(out, '\n');
	}
}

static void add_error(struct report *rep, int i)
{
	const struct diagnosis *why = &rep->attempts[i].why;
	const char *message = why->message;

	/* a failure that the attempt itself does not show: a file that `expect` named, a deadline
	 */
	if (i + 1 == rep->count && rep->r->error_context && (why->class == ERROR_NONE || !*message))
		message = rep->r->error_context;
	strbuf_addf(rep->out, _("### Attempt %d\n\n"), rep->first + i);
	strbuf_addf(rep->out, _("- Class: `%s`\n"), class_of(rep, i));
	bullet(rep->out, _("Exception"), why->exception);
	bullet(rep->out, _("Message"), message);
	bullet(rep->out, _("Where"), why->where);
	add_proof(rep->out, why);
	bullet(rep->out, _("How the process ended"), rep->attempts[i].end.detail);
	add_done(rep, i);
}

static void add_errors(struct report *rep)
{
	const struct run *r = rep->r;
	bool any = false;

	heading(rep->out, _("Errors"));
	for (int i = 0; i < rep->count; i++) {
		if (failed(rep, i)) {
			if (any)
				strbuf_addch(rep->out, '\n');
			add_error(rep, i);
			any = true;
		}
	}
	if (!rep->count && r->error_class[0]) {
		bullet(rep->out, _("Class"), r->error_class);
		bullet(rep->out, _("Message"), r->error_context);
		bullet(rep->out, _("What happens next"), r->next_step);
	} else if (!any) {
		strbuf_addf(rep->out, "%s\n", _("None."));
	}
}

static void metric_row(struct strbuf *out, const struct metric_summary *m)
{
	strbuf_adds(out, "|");
	cell(out, m->name);
	strbuf_addf(out, " %zu |", m->count);
	cell_value(out, m->last);
	cell_value(out, m->min);
	cell_value(out, m->max);
	strbuf_adds(out, "\n");
}

static int add_metrics(struct report *rep)
{
	AUTO_BUF struct strbuf csv = STRBUF_INIT;
	struct metric_summary list[METRICS_SERIES];
	char path[ENGINE_PATH_MAX];
	size_t count = 0;
	int r = 0;

	heading(rep->out, _("Metrics"));
	if (rep->r->attempt > 0)
		r = read_tail(engine_state_dirfd(rep->e),
			engine_attempt_path(path, rep->r->id, rep->r->attempt, "metrics.csv"),
			METRICS_MAX_BYTES, &csv);
	if (r)
		return r;
	count = metrics_summary(csv.buf, csv.len, list);
	if (!count) {
		strbuf_addf(rep->out, "%s\n", _("None was reported."));
		return 0;
	}
	strbuf_addf(rep->out, "| %s | %s | %s | %s | %s |\n|---|---|---|---|---|\n", _("Name"),
		_("Values"), _("Last"), _("Lowest"), _("Highest"));
	for (size_t i = 0; i < count; i++)
		metric_row(rep->out, &list[i]);
	return 0;
}

/* ---- files ---- */

struct files {
	struct strbuf list;
	size_t count, seen;
	int64_t bytes;
};

static int visit_file(void *arg, const struct io_entry *entry)
{
	struct files *f = arg;

	if (++f->seen > WALK_MAX)
		return 1;
	if (!S_ISREG(entry->mode))
		return 0;
	f->bytes += entry->size;
	if (f->count++ < REPORT_FILES) {
		strbuf_adds(&f->list, "- ");
		text(&f->list, entry->path, TEXT_MAX);
		strbuf_adds(&f->list, " (");
		add_size(&f->list, entry->size);
		strbuf_adds(&f->list, ")\n");
	}
	return 0;
}

static void add_file_list(struct strbuf *out, const struct files *f)
{
	if (!f->count) {
		strbuf_addf(out, "%s\n", _("None."));
		return;
	}
	strbuf_addf(out, f->seen > WALK_MAX ? _("More than %zu files.\n\n") : _("%zu files, "),
		f->count);
	if (f->seen <= WALK_MAX) {
		add_size(out, f->bytes);
		strbuf_adds(out, ".\n\n");
	}
	strbuf_add(out, f->list.buf, f->list.len);
	if (f->count > REPORT_FILES)
		strbuf_addf(out, _("- … and %zu more\n"), f->count - REPORT_FILES);
}

static int add_files(struct report *rep)
{
	struct files f = {.list = STRBUF_INIT};
	char path[ENGINE_PATH_MAX];
	int r = 0;

	heading(rep->out, _("Files"));
	if (rep->r->attempt > 0)
		r = io_walk(engine_state_dirfd(rep->e),
			engine_attempt_path(path, rep->r->id, rep->r->attempt, "output"),
			WALK_DEPTH, visit_file, &f);
	if (r == -ENOENT || r == -ELOOP || r == 1) /* nothing, a tree too deep, or enough */
		r = 0;
	if (!r)
		r = f.list.err;
	if (!r)
		add_file_list(rep->out, &f);
	strbuf_release(&f.list);
	return r;
}

/* ---- lessons ---- */

struct lessons {
	struct strbuf *out;
	unsigned count;
};

static void lesson(struct lessons *l, const char *sentence)
{
	strbuf_addf(l->out, "- %s\n", sentence);
	l->count++;
}

/* "No module named 'a.b'" -> "a": what is installed is the top package. */
static void missing_package(const char *message, char out[64])
{
	const char *at = strstr(message, "No module named '");
	size_t n;

	out[0] = 0;
	if (!at)
		return;
	at += strlen("No module named '");
	n = strcspn(at, "'.\"");
	if (!n || n >= 64 ||
		strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") < n)
		return;
	memcpy(out, at, n);
	out[n] = 0;
}

static void lesson_package(struct lessons *l, const char *message)
{
	AUTO_BUF struct strbuf s = STRBUF_INIT;
	char package[64];

	missing_package(message, package);
	if (!package[0]) {
		lesson(l, _("A package or library was missing. Install it into the Python that "
			    "runs jobs (`python` in "
			    "the configuration), or in the first cell with `%pip install` (needs "
			    "`\"internet\": true`)."));
		return;
	}
	strbuf_addf(&s,
		_("The package `%s` was missing. Install it into the Python that runs jobs "
		  "(`python` in the "
		  "configuration), or in the first cell with `%%pip install %s` (needs "
		  "`\"internet\": true`)."),
		package, package);
	lesson(l, s.buf);
}

static void lesson_memory(struct lessons *l, const struct report *rep, const struct job_status *end)
{
	double limit = json_number(json_get(rep->options, "memory_gb"), 0);
	AUTO_BUF struct strbuf s = STRBUF_INIT;

	strbuf_adds(&s, _("Memory ran out: smaller batches, `float32` columns or reading in parts "
			  "need less."));
	if (end->max_rss_bytes > 0) {
		strbuf_adds(&s, " ");
		strbuf_adds(&s, _("At its peak it held "));
		add_size(&s, end->max_rss_bytes);
		strbuf_adds(&s, ".");
	}
	strbuf_adds(&s, " ");
	if (limit > 0)
		strbuf_addf(&s,
			_("`memory_gb` in kexec.json was %g; raise it where the machine has more."),
			limit);
	else
		strbuf_adds(&s, _("`memory_gb` in kexec.json says how much it may use."));
	lesson(l, s.buf);
}

static void lesson_time(struct lessons *l, const struct report *rep)
{
	double hours = json_number(json_get(rep->options, "hours"), 0);
	AUTO_BUF struct strbuf s = STRBUF_INIT;

	strbuf_adds(&s, _("The time limit ended it. Save progress and go on from there, or do less "
			  "an attempt;"));
	strbuf_adds(&s, " ");
	if (hours > 0)
		strbuf_addf(&s, _("`hours` in kexec.json was %g."), hours);
	else
		strbuf_adds(&s, _("`hours` in kexec.json sets the limit."));
	lesson(l, s.buf);
}

static void lesson_of_class(struct lessons *l, const struct report *rep,
	const struct attempt_facts *f, const char *class, const char *message)
{
	enum error_class c = ERROR_NONE;

	while (c < ERROR_CLASS_COUNT && strcmp(class, error_class_words[c]))
		c++;
	if (c == ERROR_OOM)
		lesson_memory(l, rep, &f->end);
	else if (c == ERROR_MISSING_DEP)
		lesson_package(l, message);
	else if (c == ERROR_DATASET_MISSING)
		lesson(l,
			_("Data was not where the program looked. Map it in kexec.json: "
			  "`\"datasets\": "
			  "{\"owner/slug\": \"/folder\"}`; a job sees it under `/kaggle/input/`."));
	else if (c == ERROR_PANDAS_COMPAT)
		lesson(l, _("The program was written for an older pandas or NumPy: replace the "
			    "removed call, or pin the "
			    "version it needs."));
	else if (c == ERROR_NETWORK_TIMEOUT)
		lesson(l, _("A service could not be reached. `\"retry\": {\"max_attempts\": 3}` in "
			    "kexec.json tries again by "
			    "itself; data that rarely changes is better kept as a data set."));
	else if (c == ERROR_YFINANCE)
		lesson(l, _("Prices could not be fetched as expected: keep a copy as a data set, "
			    "and flatten the columns that "
			    "yfinance returns as a MultiIndex."));
	else if (c == ERROR_QUOTA)
		lesson(l, _("An allowance was used up: name a second backend (`\"backend\": "
			    "[\"kaggle\", \"local\"]`)."));
	else if (c == ERROR_TIME_LIMIT)
		lesson_time(l, rep);
	else if (c == ERROR_GPU)
		lesson(l, _("The GPU was not there or too old or too new for the installed "
			    "libraries: `\"gpu\"` in kexec.json asks for another type; test with "
			    "`torch.cuda.is_available()` before using it."));
	else if (c == ERROR_KERNEL_DIED)
		lesson(l, _("The kernel died without a word. Memory is the usual reason: smaller "
			    "batches, `float32` columns or reading in parts need less."));
	else if (c == ERROR_KERNELSPEC)
		lesson(l, _("The notebook names no kernel that is installed: "
			    "`\"metadata\": {\"kernelspec\": {\"name\": \"python3\", \"language\": "
			    "\"python\", \"display_name\": \"Python 3\"}}`."));
	else if (c == ERROR_NO_INTERNET)
		lesson(l, _("It asked for the internet and had none: `\"internet\": true` in "
			    "kexec.json or `enable_internet` in kernel-metadata.json (Kaggle wants a "
			    "verified phone number for it), or bring files and packages as data sets."));
	else if (c == ERROR_ACCESS)
		lesson(l, _("A service refused it: accept the competition's rules or the model's "
			    "terms in the browser, attach the secret to the notebook, or give the "
			    "account the permission; then `retry`."));
	else if (c == ERROR_DISK_FULL)
		lesson(l, _("The disk was full: keep fewer checkpoints, write compressed files, and "
			    "use `/tmp` for what is not a result."));
	else if (c == ERROR_DATA)
		lesson(l, _("The data were not as expected: look at `columns`, `dtypes`, shapes and "
			    "`isna().sum()` before the line that failed."));
	else if (c == ERROR_INFRA)
		lesson(l, _("The machine, not the program, failed: `\"on_error\": \"retry\"` in "
			    "kexec.json tries again by "
			    "itself."));
}

/* How the time that was asked for compares with the time it took. */
static void lesson_hours(struct lessons *l, const struct report *rep)
{
	double hours = json_number(json_get(rep->options, "hours"), 0), used;
	const struct run *r = rep->r;
	AUTO_BUF struct strbuf s = STRBUF_INIT;

	if (!(hours > 0) || r->state != RUN_COMPLETE || !r->started.wall_ns || !r->ended.wall_ns)
		return;
	used = (double)stamp_since(&r->started, &r->ended) / (double)NS_PER_S / 3600 / hours;
	if (used >= 0.1 && used <= 0.9)
		return;
	strbuf_addf(&s,
		used > 0.9 ? _("It used %.0f %% of its `hours`: a little slower, and it would have "
			       "been stopped.")
			   : _("It used %.0f %% of its `hours`: it may ask for less and be planned "
			       "earlier."),
		used * 100);
	lesson(l, s.buf);
}

static void lesson_waiting(struct lessons *l, const struct report *rep)
{
	int64_t waited = 0, ran = 0;
	AUTO_BUF struct strbuf s = STRBUF_INIT;

	for (size_t i = 0; i < rep->steps.count; i++) {
		const struct report_step *st = &rep->steps.list[i];
		if (st->lasted_ns < 0)
			continue;
		if (!strcmp(st->to, "queued") || !strcmp(st->to, "waiting"))
			waited += st->lasted_ns;
		else if (!strcmp(st->to, "running"))
			ran += st->lasted_ns;
	}
	if (waited < 60 * NS_PER_S || waited <= ran)
		return;
	strbuf_adds(&s, _("It waited longer than it ran: "));
	clock_hms(&s, waited);
	strbuf_adds(&s, ". ");
	strbuf_adds(&s, _("A second backend or a higher `priority` starts it earlier."));
	lesson(l, s.buf);
}

static bool told_before(const struct report *rep, int i)
{
	for (int k = 0; k < i; k++)
		if (failed(rep, k) && strcmp(class_of(rep, k), class_of(rep, i)) == 0)
			return true;
	return false;
}

static void add_lessons(struct report *rep)
{
	struct lessons l = {.out = rep->out};

	heading(rep->out, _("Lessons"));
	for (int i = 0; i < rep->count; i++)
		if (failed(rep, i) && !told_before(rep, i))
			lesson_of_class(&l, rep, &rep->attempts[i], class_of(rep, i),
				rep->attempts[i].why.message);
	if (rep->r->state == RUN_COMPLETE && rep->count > 1 && failed(rep, 0))
		lesson(&l, _("An earlier attempt failed and a later one did not: keep `retry` for "
			     "this notebook."));
	lesson_hours(&l, rep);
	lesson_waiting(&l, rep);
	if (!l.count)
		strbuf_addf(rep->out, "%s\n",
			rep->r->state == RUN_COMPLETE ? _("Nothing to change.")
						      : _("None that rules could find."));
}

/* ---- gathering ---- */

static int read_steps(struct report *rep)
{
	int r = steps_read(rep->e, rep->r->id, &rep->steps);

	if (r || !rep->last)
		return r;
	return steps_add(&rep->steps, run_state_words[rep->last->from],
		run_state_words[rep->r->state], rep->r->attempt, rep->last->reason);
}

/* The attempt whose end the last move stores. */
static const struct attempt *ending(const struct report *rep, int n)
{
	const struct attempt *a = rep->last ? rep->last->attempt : NULL;

	return a && a->n == n ? a : NULL;
}

static int read_attempts(struct report *rep)
{
	const struct config *config = engine_config(rep->e);
	struct attempt_about about = {.main = json_text(json_get(rep->options, "main")),
		.offline = !json_bool(json_get(rep->options, "internet"), true)};
	struct classifier *c = NULL;
	int total = engine_attempt_count(rep->e, rep->r->id), r = 0;

	if (total <= 0)
		return total;
	rep->first = total > REPORT_ATTEMPTS ? total - REPORT_ATTEMPTS + 1 : 1;
	rep->attempts = calloc((size_t)total - (size_t)rep->first + 1, sizeof *rep->attempts);
	if (!rep->attempts)
		return -ENOMEM;
	/* a broken file of the user's costs his rules, not the report */
	if (classifier_open(config ? config->folder : NULL, &c, NULL))
		r = classifier_open(NULL, &c, NULL);
	for (int n = rep->first; !r && n <= total; n++) {
		r = attempt_facts_read(rep->e, c, rep->r->id, n, ending(rep, n), &about,
			&rep->attempts[rep->count]);
		if (!r)
			rep->count++;
	}
	classifier_close(c);
	return r;
}

static void report_release(struct report *rep)
{
	for (int i = 0; i < rep->count; i++)
		attempt_facts_release(&rep->attempts[i]);
	free(rep->attempts);
	steps_release(&rep->steps);
	json_free(rep->options);
}

static int add_sections(struct report *rep)
{
	int r;

	add_summary(rep);
	add_steps(rep);
	add_attempts(rep);
	add_errors(rep);
	r = add_metrics(rep);
	if (!r)
		r = add_files(rep);
	add_lessons(rep);
	return r ? r : rep->out->err;
}

int report_render(struct engine *e, const struct run *run, const struct report_last *last,
	struct strbuf *out)
{
	struct report rep = {.e = e, .r = run, .last = last, .out = out, .first = 1};
	int r;

	if (run->options)
		rep.options = json_parse(run->options, strlen(run->options), REPORT_MAX, NULL);
	r = read_steps(&rep);
	if (!r)
		r = read_attempts(&rep);
	if (!r)
		r = add_sections(&rep);
	report_release(&rep);
	return r;
}
