#include "fs/engine/report_facts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/engine/traceback.h"

#define EVENT_MAX    ((size_t)64 << 10)
#define END_JSON_MAX ((size_t)64 << 10)
#define NOTEBOOK_MAX ((size_t)16 << 20) /* outputs may be large; a larger one is left to the log   \
					 */

/* ---- steps ---- */

static void copy_word(char out[16], const char *word)
{
	snprintf(out, 16, "%s", word ? word : "-");
}

static void step_release(struct report_step *s)
{
	free(s->reason);
	s->reason = NULL;
}

/* Room for one more at the end; the oldest goes. */
static struct report_step *steps_push(struct report_steps *s)
{
	if (s->count == REPORT_STEPS) {
		step_release(&s->list[0]);
		memmove(s->list, s->list + 1, (REPORT_STEPS - 1) * sizeof *s->list);
		s->count--;
		s->left_out++;
	}
	s->list[s->count] = (struct report_step){.lasted_ns = -1};
	return &s->list[s->count++];
}

static int push_step(struct report_steps *s, struct stamp at, const char *from, const char *to,
	int attempt, const char *reason)
{
	struct report_step *step = steps_push(s);

	step->at = at;
	copy_word(step->from, from);
	copy_word(step->to, to);
	step->attempt = attempt;
	step->reason = strdup(reason ? reason : "");
	if (s->count > 1)
		step[-1].lasted_ns = stamp_since(&step[-1].at, &step->at);
	return step->reason ? 0 : -ENOMEM;
}

static int add_step(struct report_steps *s, const struct json *event)
{
	const char *time = json_text(json_get(event, "time"));
	const char *to = json_text(json_get(event, "to"));
	struct stamp at = {0};

	if (!to || !time || clock_parse_rfc3339(time, &at.wall_ns))
		return 0;
	return push_step(s, at, json_text(json_get(event, "from")), to,
		(int)json_int(json_get(event, "attempt"), 0), json_text(json_get(event, "reason")));
}

int steps_add(struct report_steps *s, const char *from, const char *to, int attempt,
	const char *reason)
{
	return push_step(s, stamp_now(), from, to, attempt, reason);
}

/* The events tell the time of the clock on the wall, which may have been turned in between. */
static void measure_steps(struct engine *e, int64_t run, struct report_steps *s)
{
	struct stamp at[REPORT_STEPS];
	int n = engine_event_stamps(e, run, at, REPORT_STEPS);

	if (n < 0 || (size_t)n != s->count)
		return;
	for (int i = 0; i < n; i++) {
		/* Not one of an older version, nor one that came in between the two readings. */
		if (at[i].wall_ns / 1000 == s->list[i].at.wall_ns / 1000)
			s->list[i].at = at[i];
		if (i)
			s->list[i - 1].lasted_ns = stamp_since(&s->list[i - 1].at, &s->list[i].at);
	}
}

int steps_read(struct engine *e, int64_t run, struct report_steps *out)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int r;

	*out = (struct report_steps){0};
	r = engine_events(e, run, &text);
	for (char *line, *rest = text.buf; !r && (line = strsep(&rest, "\n"));) {
		struct json *event = *line ? json_parse(line, strlen(line), EVENT_MAX, NULL) : NULL;
		if (event)
			r = add_step(out, event);
		json_free(event);
	}
	if (r)
		steps_release(out);
	else
		measure_steps(e, run, out);
	return r;
}

void steps_release(struct report_steps *s)
{
	for (size_t i = 0; i < s->count; i++)
		step_release(&s->list[i]);
	s->count = 0;
}

/* ---- attempts ---- */

/* The folder was a job's to write: no FIFO to hang on, no link to follow. */
int read_tail(int dirfd, const char *path, size_t max, struct strbuf *out)
{
	AUTO_FD int fd =
		openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	size_t want;
	int n;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENOTDIR ? 0 : -errno;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	want = (uint64_t)st.st_size > max ? max : (size_t)st.st_size;
	if (lseek(fd, st.st_size - (off_t)want, SEEK_SET) < 0)
		return -errno;
	n = strbuf_reserve(out, want);
	if (!n)
		n = io_read_all(fd, out->buf + out->len, want);
	if (n < 0)
		return n;
	out->len += (size_t)n;
	out->buf[out->len] = 0;
	return 0;
}

static enum end_cause parse_cause(const char *word)
{
	for (int i = 0; word && i < END_CAUSE_COUNT; i++)
		if (strcmp(word, end_cause_words[i]) == 0)
			return (enum end_cause)i;
	return END_NONE;
}

static void read_end(const struct json *j, struct job_status *end)
{
	const char *detail = json_text(json_get(j, "detail"));

	end->state = JOB_ENDED;
	end->cause = parse_cause(json_text(json_get(j, "cause")));
	end->exit_code = (int)json_int(json_get(j, "exit_code"), -1);
	end->signal = (int)json_int(json_get(j, "signal"), 0);
	end->max_rss_bytes = json_int(json_get(j, "max_rss_bytes"), 0);
	snprintf(end->detail, sizeof end->detail, "%s", detail ? detail : "");
}

/* How it ended: by its own record, else by the word the store keeps. */
static int how_it_ended(struct engine *e, int64_t run, int n, struct attempt_facts *f)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	char path[ENGINE_PATH_MAX];
	struct json *j = NULL;
	int r = read_tail(engine_state_dirfd(e), engine_attempt_path(path, run, n, "end.json"),
		END_JSON_MAX, &text);

	if (!r && text.len)
		j = json_parse(text.buf, text.len, END_JSON_MAX, NULL);
	if (j) {
		f->ended = true;
		read_end(j, &f->end);
	} else {
		f->end = (struct job_status){
			.state = JOB_ENDED, .cause = END_ERROR, .exit_code = -1};
		if (run_state_parse(f->attempt.state) == RUN_COMPLETE)
			f->end.cause = END_OK;
		else if (run_state_parse(f->attempt.state) == RUN_CANCELLED)
			f->end.cause = END_CANCELLED;
	}
	json_free(j);
	return r;
}

static int diagnose(struct engine *e, const struct classifier *c, int64_t run, int n,
	const struct attempt_about *about, struct attempt_facts *f)
{
	AUTO_BUF struct strbuf log = STRBUF_INIT, notebook = STRBUF_INIT;
	struct classify_facts facts = {.end = &f->end, .offline = about->offline};
	const char *main = about->main;
	char path[ENGINE_PATH_MAX], name[ENGINE_PATH_MAX];
	int r = read_tail(
		engine_state_dirfd(e), engine_attempt_path(path, run, n, "log"), TB_TAIL, &log);

	/* Only a name at the top of the output: what a path leads through is the job's to choose.
	 */
	if (!r && main && !strchr(main, '/') && strlen(main) < ENGINE_PATH_MAX / 2) {
		snprintf(name, sizeof name, "output/%s", main);
		r = read_tail(engine_state_dirfd(e), engine_attempt_path(path, run, n, name),
			NOTEBOOK_MAX, &notebook);
	}
	if (r)
		return r;
	facts.log = log.buf;
	facts.log_len = log.len;
	facts.notebook = notebook.len ? notebook.buf : NULL;
	facts.notebook_len = notebook.len;
	classify(c, &facts, &f->why);
	return 0;
}

static int copy_attempt(const struct attempt *a, struct attempt *out)
{
	*out = *a;
	out->external_id = a->external_id ? strdup(a->external_id) : NULL;
	out->detail = strdup(a->detail ? a->detail : "");
	if (out->detail && (out->external_id || !a->external_id))
		return 0;
	attempt_release(out);
	return -ENOMEM;
}

int attempt_facts_read(struct engine *e, const struct classifier *c, int64_t run, int n,
	const struct attempt *known, const struct attempt_about *about, struct attempt_facts *out)
{
	int r;

	*out = (struct attempt_facts){0};
	r = known ? copy_attempt(known, &out->attempt) : engine_attempt(e, run, n, &out->attempt);
	if (r)
		return r;
	r = how_it_ended(e, run, n, out);
	if (!r)
		r = diagnose(e, c, run, n, about, out);
	if (r)
		attempt_facts_release(out);
	return r;
}

void attempt_facts_release(struct attempt_facts *f)
{
	attempt_release(&f->attempt);
}
