/* One run on the dashboard: a card while it lives, a table row once it has ended. */
#include "fs/page/parts.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/engine/run.h"

#define SENTENCE_MAX 300
#define CONTEXT_MAX  600
#define STALE_NS     (60 * NS_PER_S)

void put_text(struct strbuf *out, const char *text, size_t max)
{
	size_t len = strlen(text), cut = utf8_cut(text, len, max);

	strbuf_adds(out, "<bdi>");
	escape_html(out, text, cut);
	strbuf_adds(out, cut < len ? "…</bdi>" : "</bdi>");
}

void put_href(struct strbuf *out, const char *name, const char *leaf)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	/* A browser resolves these however they are written. */
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	strbuf_adds(out, " href=\"runs/");
	for (const char *c = name; *c; c++) {
		if (strchr(plain, *c))
			strbuf_addch(out, *c);
		else
			strbuf_addf(out, "%%%02X", (unsigned char)*c);
	}
	strbuf_addf(out, "/%s\"", leaf);
}

void put_time(struct strbuf *out, int64_t wall_ns)
{
	if (wall_ns <= 0)
		return;
	strbuf_adds(out, "<time datetime=\"");
	clock_rfc3339(out, wall_ns);
	strbuf_adds(out, "\">");
	size_t before = out->len;
	clock_local(out, wall_ns);
	if (out->len > before + 3)
		strbuf_truncate(out, out->len - 3); /* the seconds */
	strbuf_adds(out, "</time>");
}

static void put_name(struct strbuf *out, const struct run *r)
{
	strbuf_addf(out, "<a id=\"a%" PRId64 "\"", r->id);
	put_href(out, r->name, "");
	strbuf_addch(out, '>');
	put_text(out, r->name, RUN_NAME_MAX);
	strbuf_adds(out, "</a>");
}

static void put_badge(struct strbuf *out, const struct run *r)
{
	const char *word = run_state_words[r->state];

	strbuf_addf(out, "<span class=\"badge %s\">%s</span>", word, word);
}

static const char *kind_word(const struct run *r)
{
	return r->kind > KIND_NONE && r->kind < KIND_COUNT ? run_kind_words[r->kind] : "";
}

static void put_meta(struct strbuf *out, const struct run *r)
{
	const char *kind = kind_word(r), *gap = "";

	strbuf_adds(out, "<p class=\"meta\">");
	if (*kind) {
		strbuf_adds(out, kind);
		gap = " · ";
	}
	if (r->backend[0]) {
		strbuf_adds(out, gap);
		put_text(out, r->backend, sizeof(r->backend));
		gap = " · ";
	}
	if (r->attempt > 1) {
		strbuf_adds(out, gap);
		strbuf_addf(out, _("attempt %d"), r->attempt);
		gap = " · ";
	}
	strbuf_adds(out, gap);
	put_time(out, r->submitted.wall_ns ? r->submitted.wall_ns : r->created.wall_ns);
	strbuf_adds(out, "</p>");
}

static bool under_way(enum run_state s)
{
	return s == RUN_SUBMITTING || s == RUN_RUNNING || s == RUN_COLLECTING ||
	       s == RUN_CANCELLING || s == RUN_UNKNOWN;
}

static void put_clock(struct strbuf *out, const struct run *r, const struct stamp *now)
{
	bool known = r->progress >= 0; /* false for NaN too */
	double share = known ? fmin(r->progress, 1) : 0;

	if (known)
		strbuf_addf(out,
			"<progress max=\"1\" value=\"%.4g\" aria-labelledby=\"a%" PRId64
			"\"></progress>",
			share, r->id);
	strbuf_adds(out, "<p class=\"clock\">");
	if (known)
		strbuf_addf(out, "<b>%d%%</b>", (int)(share * 100));
	if (r->started.wall_ns) {
		int64_t elapsed = stamp_since(&r->started, now);
		strbuf_addf(out, "<span data-elapsed=\"%" PRId64 "\">", elapsed / NS_PER_S);
		clock_hms(out, elapsed);
		strbuf_adds(out, "</span>");
	}
	if (r->eta_ns >= 0 && r->answered.wall_ns) {
		AUTO_BUF struct strbuf left = STRBUF_INIT;
		int64_t since = stamp_since(&r->answered, now);
		clock_hms(&left, r->eta_ns > since ? r->eta_ns - since : 0);
		strbuf_adds(out, "<span>");
		/* TRANSLATORS: %s is a duration such as 00:16:40 */
		strbuf_addf(out, _("%s left"), left.buf);
		strbuf_adds(out, "</span>");
	}
	strbuf_adds(out, "</p>");
}

static void put_heard(struct strbuf *out, const struct run *r, const struct stamp *now)
{
	if (!r->answered.wall_ns || stamp_since(&r->answered, now) < STALE_NS)
		return;
	strbuf_adds(out, "<p class=\"heard\">");
	strbuf_adds(out, _("last heard of"));
	strbuf_addch(out, ' ');
	put_time(out, r->answered.wall_ns);
	strbuf_adds(out, "</p>");
}

static void put_sentence(struct strbuf *out, const char *class, const char *text)
{
	if (!*text)
		return;
	strbuf_addf(out, "<p class=\"%s\">", class);
	put_text(out, text, SENTENCE_MAX);
	strbuf_adds(out, "</p>");
}

void row_card(struct strbuf *out, const struct run *r, const struct stamp *now)
{
	strbuf_addf(out, "<li class=\"card\" id=\"r%" PRId64 "\" data-run><h3>", r->id);
	put_name(out, r);
	strbuf_adds(out, "</h3>");
	put_badge(out, r);
	put_meta(out, r);
	if (under_way(r->state)) {
		put_clock(out, r, now);
		put_heard(out, r, now);
	}
	put_sentence(out, "say", r->detail);
	if (strcmp(r->next_step, r->detail) != 0)
		put_sentence(out, "say", r->next_step);
}

static void put_link(struct strbuf *out, const struct run *r, const char *leaf, const char *text)
{
	strbuf_adds(out, "<a");
	put_href(out, r->name, leaf);
	strbuf_addf(out, ">%s</a>", text);
}

/* What went wrong in one line, the rest unfolds. */
static void put_trouble(struct strbuf *out, const struct run *r)
{
	const char *say = *r->next_step ? r->next_step : r->detail;

	strbuf_addf(
		out, "<details id=\"d%" PRId64 "\"><summary id=\"s%" PRId64 "\">", r->id, r->id);
	if (r->error_class[0]) {
		strbuf_adds(out, "<code>");
		escape_html(out, r->error_class, strlen(r->error_class));
		strbuf_adds(out, "</code> ");
	}
	put_text(out, say, SENTENCE_MAX);
	strbuf_adds(out, "</summary>");
	if (*r->error_context) {
		strbuf_adds(out, "<p>");
		put_text(out, r->error_context, CONTEXT_MAX);
		strbuf_adds(out, "</p>");
	}
	if (r->state == RUN_REJECTED) {
		put_link(out, r, "validation.txt", "validation.txt");
	} else {
		put_link(out, r, "report.md", "report.md");
		put_link(out, r, "log", "log");
	}
	strbuf_adds(out, "</details>");
}

static void put_outcome(struct strbuf *out, const struct run *r)
{
	if (r->state == RUN_COMPLETE)
		put_link(out, r, "results/", "results/");
	else if (r->state == RUN_FAILED || r->state == RUN_REJECTED || r->error_class[0])
		put_trouble(out, r);
	else if (*r->detail)
		put_text(out, r->detail, SENTENCE_MAX);
}

void row_ended(struct strbuf *out, const struct run *r, int64_t ended_wall_ns)
{
	strbuf_addf(out, "<tr id=\"r%" PRId64 "\" data-run><th scope=\"row\">", r->id);
	put_name(out, r);
	strbuf_adds(out, "</th><td>");
	put_badge(out, r);
	strbuf_addf(out, "</td><td>%s</td><td>", kind_word(r));
	escape_html(out, r->backend, strlen(r->backend));
	strbuf_adds(out, "</td><td>");
	if (r->metric_name && isfinite(r->metric_value)) {
		put_text(out, r->metric_name, SENTENCE_MAX);
		strbuf_addf(out, "</td><td>%.6g</td><td>", r->metric_value);
	} else {
		strbuf_adds(out, "</td><td></td><td>");
	}
	if (r->started.wall_ns && r->ended.wall_ns)
		clock_hms(out, stamp_since(&r->started, &r->ended));
	strbuf_adds(out, "</td><td>");
	put_time(out, ended_wall_ns);
	strbuf_adds(out, "</td><td>");
	put_outcome(out, r);
	strbuf_adds(out, "</td></tr>\n");
}
