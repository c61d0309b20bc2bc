/* render DIR SCENE: writes DIR/index.html and DIR/runs.csv of one of the scenes below. */
#include <fcntl.h>
#include <sys/stat.h>
#include "tests/browser/fake_engine.h"
#include "fs/base/io.h"
#include "fs/page/page.h"

static struct engine engine;

static void curve(int64_t run, const char *name, size_t steps, double rate)
{
	struct strbuf csv = STRBUF_INIT;
	char path[ENGINE_PATH_MAX];

	for (int depth = 0; depth < 3; depth++) {
		static const char *const forms[] = {"runs", "runs/%lld", "runs/%lld/attempts"};
		snprintf(path, sizeof(path), forms[depth], (long long)run);
		mkdirat(engine.dirfd, path, 0755);
	}
	snprintf(path, sizeof(path), "runs/%lld/attempts/1", (long long)run);
	mkdirat(engine.dirfd, path, 0755);
	strbuf_adds(&csv, "step,name,value\n");
	for (size_t i = 0; i < steps; i++)
		strbuf_addf(&csv, "%zu,%s,%.6f\n", i, name,
			0.08 + exp(-rate * (double)i / (double)steps) +
				0.05 * sin((double)(i * i % 97)));
	engine_attempt_path(path, run, 1, "metrics.csv");
	io_write_atomic(engine.dirfd, path, csv.buf, csv.len, 0644);
	strbuf_release(&csv);
}

static struct run *moving(
	const char *name, double progress, double elapsed, double eta, const char *detail)
{
	struct run *r = fake_add(&engine, name, RUN_RUNNING);

	r->attempt = 1;
	r->progress = progress;
	r->started = fake_ago(elapsed);
	r->answered = fake_ago(2);
	r->eta_ns = eta < 0 ? -1 : (int64_t)(eta * 1e9);
	r->detail = (char *)detail;
	return r;
}

static struct run *ended(const char *name, enum run_state state, double ago, double took)
{
	struct run *r = fake_add(&engine, name, state);

	r->attempt = 1;
	r->started = fake_ago(ago + took);
	r->ended = r->answered = fake_ago(ago);
	r->progress = state == RUN_COMPLETE ? 1 : 0.4;
	return r;
}

static void failed(struct run *r, const char *class, const char *context, const char *next)
{
	snprintf(r->error_class, sizeof(r->error_class), "%s", class);
	r->error_context = (char *)context;
	r->next_step = (char *)next;
}

static void some_ended(void)
{
	struct run *r = ended("titanic-baseline", RUN_COMPLETE, 90000, 64);
	r->metric_name = (char *)"cv_auc";
	r->metric_value = 0.8412;
	r = ended("house-prices-stack", RUN_FAILED, 7300, 1911);
	failed(r, "oom",
		"MemoryError: Unable to allocate 12.4 GiB for an array with shape (1460, 1140000)",
		"Goes back to a person: give it more memory_gb or use less.");
	r = ended("titanic-lgbm", RUN_COMPLETE, 3000, 312);
	r->metric_name = (char *)"cv_auc";
	r->metric_value = 0.8721;
	r = ended("eda", RUN_CANCELLED, 1200, 18);
	r->detail = (char *)"cancelled by the user";
	r = ended("客户流失-実験", RUN_REJECTED, 700, 0);
	r->started.wall_ns = 0;
	r->detail = (char *)"2 problems, see validation.txt";
}

static void five(void)
{
	some_ended();
	struct run *r = fake_add(&engine, "telco-churn-xgb", RUN_QUEUED);
	r->detail = (char *)"2 runs are before it";
	r = fake_add(&engine, "adult-copy", RUN_DRAFT);
	r->kind = KIND_NONE;
	r->submitted.wall_ns = 0;
	r->detail = (char *)"receiving 3 files";
	r = moving("titanic-nn-wide", 0.42, 723, 1000, "cell 9 of 21");
	r->metric_name = (char *)"val_loss";
	curve(r->id, "val_loss", 600, 3);
	r = moving("california-housing-gp", -1, 95, -1, "cell 3 of 7");
	r->answered = fake_ago(200);
	r = fake_add(&engine, "paid-sweep", RUN_CONFIRM);
	r->detail = (char *)"Waits for the word confirm in its ctl.";
}

static void thousand(void)
{
	static const char *const stems[] = {
		"titanic-lgbm", "house-prices-stack", "telco-churn", "adult-mlp"};
	static char names[1100][64];

	for (int i = 0; i < 1092; i++) {
		snprintf(names[i], sizeof(names[i]), "%s-%d", stems[i % 4], i);
		struct run *r = ended(names[i], i % 9 == 4 ? RUN_FAILED : RUN_COMPLETE,
			200.0 * (1100 - i), 40 + i * 7 % 2400);
		if (i % 9 == 4) {
			failed(r, i % 2 ? "missing_dep" : "code",
				"ModuleNotFoundError: No module named 'lightgbm'",
				"Goes back to a person with the reason.");
			continue;
		}
		r->metric_name = (char *)(i % 4 == 1 ? "rmse" : "cv_auc");
		r->metric_value = 0.7 + (i * 37 % 1000) / 5000.0;
	}
	five();
}

#define EVIL "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

static void hostile(void)
{
	engine.alerts =
		"{\"time\":\"2026-11-20T14:03:12+09:00\",\"run\":\"\\\"><script>document.title='"
		"owned'"
		"</script>\",\"message\":\"</li></ol><script>document.title='owned'</script>\"}\n"
		"not json <script>document.title='owned'</script>\n"
		"{\"time\":\"2026-11-20T14:04:00+09:00\",\"run\":\"plain\",\"message\":\"The disk "
		"is nearly full.\"}\n";
	five();
	struct run *r = ended(
		"\"' onmouseover=document.title='owned' {{css}} {{title}}", RUN_FAILED, 60, 5);
	failed(r, "<b>\"'", "</p></details></td></tr></table>" EVIL "\xff\xfe\x01\x1b[31mred",
		EVIL);
	r->metric_name = (char *)EVIL;
	r->metric_value = 1;
	snprintf(r->backend, sizeof(r->backend), "</td><script>1</script>");
	ended("javascript:document.title='owned'", RUN_COMPLETE, 50, 5);
	ended("\xe2\x80\xae"
	      "reversed <!-- & #?%2e%2e ;",
		RUN_COMPLETE, 40, 5);
	ended("]]></style></script></title><script>document.title='owned'", RUN_COMPLETE, 30, 5);
	r = moving(EVIL, 0.5, 100, 5, EVIL);
	r->metric_name = (char *)"</svg><script>document.title='owned'</script>";
	curve(r->id, "</svg><script>document.title='owned'</script>", 50, 2);
}

/* The same page a moment later: one more run on top. */
static void later(void)
{
	hostile();
	ended("fresh-arrival", RUN_COMPLETE, 1, 5);
}

/* As `thousand`, with one more, which pushes every row down. */
static void thousand_later(void)
{
	thousand();
	ended("fresh-arrival", RUN_COMPLETE, 1, 5);
}

static void quiet(void)
{
	some_ended();
}

static void empty(void)
{
}

static const struct {
	const char *name;
	void (*make)(void);
} scenes[] = {{"empty", empty}, {"quiet", quiet}, {"five", five}, {"thousand", thousand},
	{"thousand_later", thousand_later}, {"hostile", hostile}, {"later", later}};

int main(int argc, char **argv)
{
	struct strbuf html = STRBUF_INIT, csv = STRBUF_INIT;
	size_t i, n = sizeof(scenes) / sizeof(scenes[0]);

	for (i = 0; argc == 3 && i < n && strcmp(scenes[i].name, argv[2]) != 0; i++)
		;
	if (argc != 3 || i == n) {
		fprintf(stderr, "usage: render DIR SCENE\n");
		return 2;
	}
	engine.dirfd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (engine.dirfd < 0)
		return 1;
	scenes[i].make();
	if (page_dashboard(&engine, &html) < 0 || page_runs_csv(&engine, &csv) < 0)
		return 1;
	if (io_write_atomic(engine.dirfd, "index.html", html.buf, html.len, 0644) < 0 ||
		io_write_atomic(engine.dirfd, "runs.csv", csv.buf, csv.len, 0644) < 0)
		return 1;
	strbuf_release(&html);
	strbuf_release(&csv);
	return 0;
}
