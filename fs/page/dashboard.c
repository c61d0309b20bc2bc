/*
 * The dashboard. page.html is the page with holes; this file fills them. Runs are rendered while
 * the engine lists them, so that no copy of a thousand runs is held; files of runs are read only
 * afterwards, when the engine's read transaction has ended.
 */
#include "fs/page/page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/engine/engine.h"
#include "fs/page/page_template.h"
#include "fs/page/parts.h"

#define ALERTS_SHOWN 3 /* the rest unfolds */
#define ALERTS_MAX   20
#define ALERT_BYTES  (64 << 10)
#define WALK_MAX     20000             /* rows looked at for the newest of every group */
#define CURVES_BYTES ((size_t)2 << 20) /* of metrics.csv read for one page, shared by its cards */
#define CURVE_MAX    ((size_t)256 << 10)
#define CURVE_MIN    ((size_t)4 << 10)
#define EVERY_ACTIVE 5 /* seconds between reloads */
#define EVERY_IDLE   30

enum group { GROUP_MOVING, GROUP_WAITING, GROUP_ENDED, GROUP_COUNT };
static const int64_t group_max[GROUP_COUNT] = {500, 500, 1000};

struct card {
	int rank;
	size_t order;
	int64_t run;
	int attempt; /* 0: has no curve */
	char *metric;
	struct strbuf html;
};

struct ended {
	int64_t wall_ns;
	size_t order;
	size_t from, to; /* its text in page.ended */
};

struct page {
	struct engine *engine;
	struct stamp now;
	int64_t counts[RUN_STATE_COUNT];
	int64_t expected[GROUP_COUNT], seen[GROUP_COUNT];
	struct card *cards;
	size_t card_count, card_cap;
	struct ended *rows;
	size_t row_count, row_cap;
	struct strbuf alerts, ended;
	int err;
};

static enum group group_of(enum run_state s)
{
	if (run_state_final(s))
		return GROUP_ENDED;
	if (s == RUN_SUBMITTING || s == RUN_RUNNING || s == RUN_COLLECTING || s == RUN_CANCELLING)
		return GROUP_MOVING;
	return GROUP_WAITING;
}

/* What needs a person comes first, then what moves, what waits, and folders still being written. */
static int rank_of(enum run_state s)
{
	if (s == RUN_CONFIRM || s == RUN_UNKNOWN)
		return 0;
	if (group_of(s) == GROUP_MOVING)
		return 1;
	return s == RUN_DRAFT ? 3 : 2;
}

static int64_t failures(const struct page *p)
{
	return p->counts[RUN_FAILED] + p->counts[RUN_REJECTED];
}

/* ---- Gathering ---- */

static int add_card(struct page *p, const struct run *r)
{
	if (p->card_count == p->card_cap) {
		size_t cap = p->card_cap ? p->card_cap * 2 : 32;
		struct card *more = reallocarray(p->cards, cap, sizeof(*more));
		if (!more)
			return -ENOMEM;
		p->cards = more;
		p->card_cap = cap;
	}
	struct card *c = &p->cards[p->card_count];
	*c = (struct card){.rank = rank_of(r->state),
		.order = p->card_count,
		.run = r->id,
		.html = STRBUF_INIT};
	if (rank_of(r->state) < 2 && r->state != RUN_CONFIRM)
		c->attempt = r->attempt;
	if (r->metric_name && !(c->metric = strdup(r->metric_name)))
		return -ENOMEM;
	p->card_count++;
	row_card(&c->html, r, &p->now);
	return c->html.err;
}

/* A rejected run never had an attempt that could end: its last news was the refusal. */
static int64_t ended_at(const struct run *r)
{
	if (r->ended.wall_ns)
		return r->ended.wall_ns;
	return r->answered.wall_ns ? r->answered.wall_ns : r->submitted.wall_ns;
}

static int add_ended(struct page *p, const struct run *r)
{
	if (p->row_count == p->row_cap) {
		size_t cap = p->row_cap ? p->row_cap * 2 : 128;
		struct ended *more = reallocarray(p->rows, cap, sizeof(*more));
		if (!more)
			return -ENOMEM;
		p->rows = more;
		p->row_cap = cap;
	}
	size_t from = p->ended.len;
	row_ended(&p->ended, r, ended_at(r));
	p->rows[p->row_count] = (struct ended){
		.wall_ns = ended_at(r), .order = p->row_count, .from = from, .to = p->ended.len};
	p->row_count++;
	return p->ended.err;
}

static bool all_seen(const struct page *p)
{
	for (int g = 0; g < GROUP_COUNT; g++)
		if (p->seen[g] < p->expected[g] && p->seen[g] < group_max[g])
			return false;
	return true;
}

static int gather(void *arg, const struct run *r)
{
	struct page *p = arg;

	if (r->place != PLACE_RUNS)
		return 0;
	enum group g = group_of(r->state);
	if (p->seen[g]++ < group_max[g])
		p->err = g == GROUP_ENDED ? add_ended(p, r) : add_card(p, r);
	return p->err < 0 || all_seen(p);
}

static int by_rank(const void *a, const void *b)
{
	const struct card *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* What ended last is what somebody who waits looks for. */
static int by_end(const void *a, const void *b)
{
	const struct ended *x = a, *y = b;

	if (x->wall_ns != y->wall_ns)
		return x->wall_ns > y->wall_ns ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int page_gather(struct page *p)
{
	int r = engine_counts(p->engine, p->counts);

	if (r < 0)
		return r;
	for (int s = 0; s < RUN_STATE_COUNT; s++)
		p->expected[group_of((enum run_state)s)] += p->counts[s];
	r = engine_alerts(p->engine, &p->alerts);
	if (r >= 0)
		r = engine_recent(p->engine, WALK_MAX, gather, p);
	if (r >= 0)
		r = p->err;
	if (r < 0)
		return r;
	if (p->card_count > 1)
		qsort(p->cards, p->card_count, sizeof(*p->cards), by_rank);
	if (p->row_count > 1)
		qsort(p->rows, p->row_count, sizeof(*p->rows), by_end);
	return 0;
}

static void page_release(struct page *p)
{
	for (size_t i = 0; i < p->card_count; i++) {
		free(p->cards[i].metric);
		strbuf_release(&p->cards[i].html);
	}
	free(p->cards);
	free(p->rows);
	strbuf_release(&p->alerts);
	strbuf_release(&p->ended);
}

/* ---- The holes of page.html ---- */

/* Of the catalogue in use, as its header says; without one the sentences are English. */
static void put_lang(struct page *p, struct strbuf *out)
{
	const char *header = gettext(""), *at = strstr(header, "Language: ");
	size_t n =
		at ? strspn(at + 10, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") : 0;

	if (n)
		strbuf_add(out, at + 10, n);
	else
		strbuf_adds(out, "en");
}

static void put_every(struct page *p, struct strbuf *out)
{
	bool active = p->expected[GROUP_MOVING] + p->expected[GROUP_WAITING] > 0;

	strbuf_addf(out, "%d", active ? EVERY_ACTIVE : EVERY_IDLE);
}

static void put_rendered(struct page *p, struct strbuf *out)
{
	strbuf_addf(out, "%" PRId64, p->now.wall_ns / NS_PER_MS);
}

static void put_title(struct page *p, struct strbuf *out)
{
	strbuf_addf(out, _("%lld running, %lld waiting, %lld failed"),
		(long long)p->expected[GROUP_MOVING], (long long)p->expected[GROUP_WAITING],
		(long long)failures(p));
	strbuf_adds(out, " – kexec");
}

static void put_updated(struct page *p, struct strbuf *out)
{
	AUTO_BUF struct strbuf local = STRBUF_INIT;

	clock_local(&local, p->now.wall_ns);
	strbuf_adds(out, _("as of"));
	strbuf_adds(out, " <time datetime=\"");
	clock_rfc3339(out, p->now.wall_ns);
	strbuf_addf(out, "\">%s</time>", local.len > 11 ? local.buf + 11 : local.buf);
}

static void put_count(struct strbuf *out, int64_t count, const char *class, const char *label)
{
	strbuf_addf(out, "<li class=\"%s\"><b>%" PRId64 "</b>%s</li>", count ? class : "zero",
		count, label);
}

static void put_counts(struct page *p, struct strbuf *out)
{
	strbuf_adds(out, "<ul class=\"counts\">");
	put_count(out, p->expected[GROUP_MOVING], "", _("running"));
	put_count(out, p->expected[GROUP_WAITING], "", _("waiting"));
	put_count(out, p->expected[GROUP_ENDED] - failures(p), "", _("finished"));
	put_count(out, failures(p), "bad", _("failed"));
	strbuf_adds(out, "</ul>");
}

static void put_alert(struct strbuf *out, const char *line, size_t len)
{
	struct json *alert = json_parse(line, len, ALERT_BYTES, NULL);
	const char *time = json_text(json_get(alert, "time"));
	const char *run = json_text(json_get(alert, "run"));
	const char *message = json_text(json_get(alert, "message"));
	int64_t wall_ns;

	if (message) {
		strbuf_adds(out, "<li>");
		if (time && clock_parse_rfc3339(time, &wall_ns) == 0)
			put_time(out, wall_ns);
		if (run) {
			strbuf_adds(out, "<a");
			put_href(out, run, "");
			strbuf_addch(out, '>');
			put_text(out, run, RUN_NAME_MAX);
			strbuf_adds(out, "</a>");
		}
		put_text(out, message, 600);
		strbuf_adds(out, "</li>");
	}
	json_free(alert);
}

/* The lines from the newest, which is the last, backwards. */
static void put_alerts(struct page *p, struct strbuf *out)
{
	AUTO_BUF struct strbuf item = STRBUF_INIT;
	size_t end = p->alerts.len, shown = 0;

	while (end > 0 && shown < ALERTS_MAX) {
		const char *nl = memrchr(p->alerts.buf, '\n', end - 1);
		size_t from = nl ? (size_t)(nl + 1 - p->alerts.buf) : 0;
		strbuf_reset(&item);
		put_alert(&item, p->alerts.buf + from, end - from);
		end = from;
		if (item.len == 0)
			continue;
		if (shown == 0)
			strbuf_addf(out,
				"<section aria-labelledby=\"h-alerts\"><h2 id=\"h-alerts\">%s</h2>"
				"<div class=\"alerts\"><ol>",
				_("Alerts"));
		else if (shown == ALERTS_SHOWN)
			strbuf_addf(out,
				"</ol><details id=\"d-alerts\">"
				"<summary id=\"s-alerts\">%s</summary><ol>",
				_("Earlier"));
		strbuf_add(out, item.buf, item.len);
		shown++;
	}
	if (shown > ALERTS_SHOWN)
		strbuf_adds(out, "</ol></details></div></section>");
	else if (shown)
		strbuf_adds(out, "</ol></div></section>");
}

static void put_heading(struct strbuf *out, const char *id, const char *text, int64_t count)
{
	strbuf_addf(out,
		"<section aria-labelledby=\"%s\"><h2 id=\"%s\">%s<span>%" PRId64 "</span></h2>", id,
		id, text, count);
}

/* What is not shown because there is more than fits is said. */
static void put_more(struct strbuf *out, int64_t shown, int64_t of)
{
	if (shown >= of)
		return;
	strbuf_adds(out, "<p class=\"more\">");
	strbuf_addf(out, _("The newest %lld of %lld are shown; runs.csv has them all."),
		(long long)shown, (long long)of);
	strbuf_adds(out, "</p>");
}

static void put_empty(struct strbuf *out)
{
	strbuf_addf(out,
		"<section class=\"empty\"><h2>%s</h2><p>%s</p>"
		"<code id=\"door\">cp -r my-notebook queue/</code></section>",
		_("No runs yet"), _("Copy a folder with a notebook into queue/ and it runs."));
}

static void put_cards(struct page *p, struct strbuf *out)
{
	char path[ENGINE_PATH_MAX];
	size_t curves = 0;

	for (size_t i = 0; i < p->card_count; i++)
		curves += p->cards[i].attempt > 0;
	size_t each = CURVES_BYTES / (curves ? curves : 1);
	each = each > CURVE_MAX ? CURVE_MAX : each < CURVE_MIN ? CURVE_MIN : each;
	strbuf_adds(out, "<ol class=\"cards\" role=\"list\">");
	for (size_t i = 0; i < p->card_count; i++) {
		const struct card *c = &p->cards[i];
		strbuf_add(out, c->html.buf, c->html.len);
		if (c->attempt > 0) {
			engine_attempt_path(path, c->run, c->attempt, "metrics.csv");
			spark_put(out, engine_state_dirfd(p->engine), path, each, c->metric);
		}
		strbuf_adds(out, "</li>\n");
	}
	strbuf_adds(out, "</ol>");
}

static void put_active(struct page *p, struct strbuf *out)
{
	int64_t active = p->expected[GROUP_MOVING] + p->expected[GROUP_WAITING];

	if (p->card_count == 0 && p->row_count == 0) {
		put_empty(out);
		return;
	}
	put_heading(out, "h-active", _("Running and waiting"), active);
	if (p->card_count)
		put_cards(p, out);
	else
		strbuf_addf(out, "<p class=\"more\">%s</p>", _("Nothing is running or waiting."));
	put_more(out, (int64_t)p->card_count, active);
	strbuf_adds(out, "</section>");
}

static void put_ended(struct page *p, struct strbuf *out)
{
	static const char *const heads[] = {N_("Run"), N_("State"), N_("Kind"), N_("Backend"),
		N_("Metric"), N_("Value"), N_("Time taken"), N_("Ended"), N_("Outcome")};

	if (p->row_count == 0)
		return;
	put_heading(out, "h-ended", _("Finished and failed"), p->expected[GROUP_ENDED]);
	strbuf_adds(out, "<table aria-labelledby=\"h-ended\"><thead><tr>");
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		strbuf_addf(out, "<th scope=\"col\">%s</th>", _(heads[i]));
	strbuf_adds(out, "</tr></thead><tbody>\n");
	for (size_t i = 0; i < p->row_count; i++)
		strbuf_add(out, p->ended.buf + p->rows[i].from, p->rows[i].to - p->rows[i].from);
	strbuf_adds(out, "</tbody></table>");
	put_more(out, (int64_t)p->row_count, p->expected[GROUP_ENDED]);
	strbuf_adds(out, "</section>");
}

static const struct hole {
	const char *name;
	void (*put)(struct page *p, struct strbuf *out); /* or: */
	const char *word;
} holes[] = {
	{"lang", .put = put_lang},
	{"every", .put = put_every},
	{"rendered", .put = put_rendered},
	{"title", .put = put_title},
	{"updated", .put = put_updated},
	{"counts", .put = put_counts},
	{"alerts", .put = put_alerts},
	{"active", .put = put_active},
	{"ended", .put = put_ended},
	{"word.pause", .word = N_("Pause")},
	{"word.resume", .word = N_("Resume")},
	{"word.filter", .word = N_("Filter: name, state, error …")},
	{"word.no_match", .word = N_("No run matches the filter.")},
};

static int fill(struct page *p, const char *name, size_t len, struct strbuf *out)
{
	for (size_t i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
		const struct hole *h = &holes[i];
		if (strlen(h->name) != len || memcmp(h->name, name, len) != 0)
			continue;
		if (h->put)
			h->put(p, out);
		else
			escape_html(out, _(h->word), strlen(_(h->word)));
		return 0;
	}
	return -ENOENT;
}

/* Only the template is searched for holes, never what was put into one. */
static int page_write(struct page *p, struct strbuf *out)
{
	const char *at = page_template, *open;

	while ((open = strstr(at, "{{"))) {
		const char *name = open + 2, *close = strstr(name, "}}");
		strbuf_add(out, at, (size_t)(open - at));
		if (!close || fill(p, name, (size_t)(close - name), out) < 0)
			return -EINVAL;
		at = close + 2;
	}
	strbuf_adds(out, at);
	return out->err;
}

int page_dashboard(struct engine *e, struct strbuf *out)
{
	struct page p = {
		.engine = e, .now = stamp_now(), .alerts = STRBUF_INIT, .ended = STRBUF_INIT};
	int r = page_gather(&p);

	if (r >= 0)
		r = page_write(&p, out);
	page_release(&p);
	return r;
}
