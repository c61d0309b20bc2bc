#include "fs/engine/classify.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/proof.h"
#include "fs/engine/service_log.h"
#include "fs/engine/traceback.h"
#include "fs/notebook/ipynb.h"

/*
 * The order of evidence:
 *   1. how the process ended, where the supervisor knows it (memory, time, disk, lost, a signal);
 *   2. the sentence with which a service says that it ended the job itself (rules of type "!");
 *   3. the traceback: of the executed notebook, which is the kernel's own record, else of the log;
 *   4. the backend's sentence (type "-"); 5. nothing: unknown.
 *
 * Of a chain of exceptions the last one counts. Where no rule knows it (a bare RuntimeError), the
 * one before is asked, provided that it is the later one's reason and not merely older: see
 * tb_follows().
 */

static const char *const next_words[] = {
	[NEXT_PERSON] = "person", [NEXT_RETRY] = "retry", [NEXT_BACKEND] = "backend"};

/* classify.rules, compiled in (fs/meson.build) */
extern const unsigned char classify_rules[];
extern const size_t classify_rules_len;

#define USER_RULES 200
#define USER_LINE  1024
#define USER_FILE  ((size_t)256 << 10)
#define REPEAT_MAX 1000 /* product of a pattern's {n,m}: regcomp() copies that often */
#define FIELDS     5

struct rule {
	enum error_class class;
	enum next_step next;
	bool sentence; /* type "-" or "!" */
	bool outdoes;  /* "!": whatever exceptions there are in the log */
	bool has_place;
	bool builtin;
	unsigned line;
	regex_t type, message, place;
};

struct classifier {
	struct rule *rules;
	size_t count, cap;
};

/* ---- reading rules ---- */

struct rule_source {
	const char *name; /* for errors */
	bool builtin;
	unsigned line;
};

static int bad_rule(const struct rule_source *src, struct why *why, const char *problem)
{
	return why_set(why, EINVAL, _("%s, line %u: %s"), src->name, src->line, problem);
}

static int word_index(const char *word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(word, words[i]) == 0)
			return (int)i;
	return -EINVAL;
}

/* Patterns of users: no back-reference (exponential time), no repetition that fills the memory. */
static const char *pattern_problem(const char *p)
{
	unsigned long product = 1;

	for (; *p; p++) {
		if (*p == '\\' && p[1] >= '1' && p[1] <= '9')
			return _("back-references are not supported");
		if (*p == '\\' && p[1]) {
			p++;
		} else if (*p == '{' && p[1] >= '0' && p[1] <= '9') {
			unsigned long low = strtoul(p + 1, NULL, 10), high = low;
			const char *comma = strpbrk(p, ",}");
			if (comma && *comma == ',' && comma[1] >= '0' && comma[1] <= '9')
				high = strtoul(comma + 1, NULL, 10);
			if (high < low)
				high = low;
			product *= high > REPEAT_MAX ? REPEAT_MAX + 1 : high ? high : 1;
			if (product > REPEAT_MAX)
				return _("a repetition is too large");
		}
	}
	return NULL;
}

static int compile(
	regex_t *out, const char *pattern, const struct rule_source *src, struct why *why)
{
	const char *problem = pattern_problem(pattern);
	char text[160];
	int r;

	if (problem)
		return bad_rule(src, why, problem);
	r = regcomp(out, pattern, REG_EXTENDED | REG_NOSUB);
	if (!r)
		return 0;
	regerror(r, NULL, text, sizeof text);
	return bad_rule(src, why, text);
}

static int compile_type(
	regex_t *out, const char *pattern, const struct rule_source *src, struct why *why)
{
	AUTO_BUF struct strbuf whole = STRBUF_INIT;

	strbuf_addf(&whole, "^(%s)$", *pattern ? pattern : ".*");
	return whole.err ? whole.err : compile(out, whole.buf, src, why);
}

/* The patterns of a rule whose words are known; what was compiled is freed when a later one fails.
 */
static int compile_rule(struct rule *rule, char *const field[FIELDS], const struct rule_source *src,
	struct why *why)
{
	int r = compile_type(&rule->type, rule->sentence ? "" : field[1], src, why);

	if (r)
		return r;
	r = compile(&rule->message, field[2], src, why);
	if (r) {
		regfree(&rule->type);
		return r;
	}
	rule->has_place = field[4] && *field[4];
	r = rule->has_place ? compile(&rule->place, field[4], src, why) : 0;
	if (r) {
		regfree(&rule->type);
		regfree(&rule->message);
	}
	return r;
}

static int reserve_rule(struct classifier *c)
{
	size_t cap = c->cap ? c->cap * 2 : 64;
	struct rule *rules;

	if (c->count < c->cap)
		return 0;
	rules = reallocarray(c->rules, cap, sizeof *rules);
	if (!rules)
		return -ENOMEM;
	c->rules = rules;
	c->cap = cap;
	return 0;
}

static int add_rule(
	struct classifier *c, char *line, const struct rule_source *src, struct why *why)
{
	char *field[FIELDS] = {0}, *rest = line;
	struct rule rule = {.builtin = src->builtin, .line = src->line};
	size_t n = 0;
	int class, next, r;

	while (rest && n < FIELDS)
		field[n++] = strsep(&rest, "\t");
	if (n < 4 || rest)
		return bad_rule(src, why, _("four or five fields separated by tabs are expected"));
	class = word_index(field[0], error_class_words, ERROR_CLASS_COUNT);
	if (class <= ERROR_NONE)
		return bad_rule(src, why, _("not a class of errors"));
	next = word_index(field[3], next_words, sizeof next_words / sizeof *next_words);
	if (next < 0)
		return bad_rule(src, why, _("the next step must be retry, person or backend"));
	rule.class = (enum error_class) class;
	rule.next = (enum next_step)next;
	rule.outdoes = strcmp(field[1], "!") == 0;
	rule.sentence = rule.outdoes || strcmp(field[1], "-") == 0;
	r = reserve_rule(c);
	if (!r)
		r = compile_rule(&rule, field, src, why);
	if (!r)
		c->rules[c->count++] = rule;
	return r;
}

static int add_rules(struct classifier *c, char *text, struct rule_source src, struct why *why)
{
	size_t limit = c->count + USER_RULES;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		size_t n = strlen(line);
		int r;

		src.line++;
		if (n && line[n - 1] == '\r')
			line[n - 1] = 0;
		if (!*line || *line == '#')
			continue;
		if (!src.builtin && n > USER_LINE)
			return bad_rule(&src, why, _("the line is too long"));
		if (!src.builtin && c->count == limit)
			return bad_rule(&src, why, _("there are too many rules"));
		r = add_rule(c, line, &src, why);
		if (r)
			return r;
	}
	return 0;
}

static int read_user_rules(const char *folder, struct strbuf *out, struct why *why)
{
	AUTO_FD int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return errno == ENOENT ? 0 : why_set(why, errno, "%s: %s", folder, strerror(errno));
	r = io_read(dir, "classify.rules", USER_FILE, out);
	if (r == -ENOENT)
		return 0;
	if (r)
		return why_set(why, -r, "%s/classify.rules: %s", folder, strerror(-r));
	if (memchr(out->buf, 0, out->len) || !utf8_valid(out->buf, out->len))
		return why_set(why, EINVAL, _("%s/classify.rules is no UTF-8 text"), folder);
	return 0;
}

static int load(struct classifier *c, const char *folder, struct why *why)
{
	AUTO_BUF struct strbuf user = STRBUF_INIT;
	AUTO_FREE char *builtin = strndup((const char *)classify_rules, classify_rules_len);
	int r = builtin ? 0 : -ENOMEM;

	if (!r && folder)
		r = read_user_rules(folder, &user, why);
	if (!r && user.len)
		r = add_rules(c, user.buf, (struct rule_source){.name = "classify.rules"}, why);
	if (!r)
		r = add_rules(c, builtin,
			(struct rule_source){.name = "built-in rules", .builtin = true}, why);
	return r;
}

int classifier_open(const char *config_folder, struct classifier **out, struct why *why)
{
	struct classifier *c = calloc(1, sizeof *c);
	int r = c ? load(c, config_folder, why) : -ENOMEM;

	if (r) {
		classifier_close(c);
		c = NULL;
	}
	*out = c;
	return r;
}

void classifier_close(struct classifier *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++) {
		regfree(&c->rules[i].type);
		regfree(&c->rules[i].message);
		if (c->rules[i].has_place)
			regfree(&c->rules[i].place);
	}
	free(c->rules);
	free(c);
}

/* ---- evidence ---- */

struct evidence {
	struct traceback tb;
	bool found;    /* tb holds a chain */
	size_t cell;   /* failing cell of the notebook, 0 = none */
	bool yfinance; /* the notebook imports it */
	bool offline;  /* rules of no_internet hold */
	const char *text;
	size_t len;
};

static void one_line(char *out, size_t size, const char *text, size_t len)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;
	size_t n;

	escape_line(&line, text, len, size - 1);
	n = line.len < size ? line.len : size - 1;
	memcpy(out, line.buf, n);
	out[n] = 0;
}

static bool same_type(const char *printed, const char *ename)
{
	const char *dot = strrchr(printed, '.');
	return strcmp(dot ? dot + 1 : printed, ename) == 0;
}

/* The kernel's record of the exception itself is exact where printed lines only look so. */
static int trust_record(struct traceback *tb, const struct ipynb_error *e)
{
	struct tb_link *last;

	if (!tb->count) {
		tb->links = calloc(1, sizeof *tb->links);
		if (!tb->links)
			return -ENOMEM;
		tb->count = 1;
	}
	last = &tb->links[tb->count - 1];
	if (!same_type(last->type, e->ename))
		one_line(last->type, sizeof last->type, e->ename, strlen(e->ename));
	one_line(last->message, sizeof last->message, e->evalue, strlen(e->evalue));
	memcpy(last->first, last->message, sizeof last->first);
	return 0;
}

static bool from_notebook(struct evidence *ev, const char *text, size_t len)
{
	struct ipynb *nb = text ? ipynb_parse(text, len, NULL) : NULL;
	struct ipynb_error e = {0};
	bool found = false;

	if (!nb)
		return false;
	if (ipynb_find_error(nb, &e) == 0) {
		const char *lines = e.traceback ? e.traceback : "";
		int r = traceback_find(lines, strlen(lines), &ev->tb);
		if (r == -ENOENT)
			ev->tb = (struct traceback){.text = STRBUF_INIT};
		found = (r == 0 || r == -ENOENT) && e.ename && e.evalue &&
			trust_record(&ev->tb, &e) == 0;
		if (!found && (r == 0 || r == -ENOENT))
			traceback_release(&ev->tb);
		ev->cell = found ? e.cell : 0;
		ipynb_error_release(&e);
	}
	ipynb_free(nb);
	return found;
}

static bool mentions(const char *text, size_t len, const char *word)
{
	return text && memmem(text, len, word, strlen(word));
}

static void gather(struct evidence *ev, const struct classify_facts *facts)
{
	ev->offline = facts->offline;
	ev->found = from_notebook(ev, facts->notebook, facts->notebook_len);
	if (!ev->found)
		ev->found = ev->text && traceback_find(ev->text, ev->len, &ev->tb) == 0;
	ev->yfinance = mentions(facts->notebook, facts->notebook_len, "import yfinance") ||
		       mentions(facts->notebook, facts->notebook_len, "from yfinance");
}

/* ---- rules against evidence ---- */

static bool type_matches(const struct rule *rule, const char *type)
{
	const char *dot = strrchr(type, '.');

	return regexec(&rule->type, type, 0, NULL, 0) == 0 ||
	       (dot && regexec(&rule->type, dot + 1, 0, NULL, 0) == 0);
}

static bool frame_matches(const regex_t *place, const struct tb_frame *f)
{
	char text[640];
	size_t file = f->file.len > 300 ? 300 : f->file.len;
	size_t source = f->source.len > 300 ? 300 : f->source.len;

	snprintf(text, sizeof text, "%.*s: %.*s", (int)file, f->file.at, (int)source, f->source.at);
	return regexec(place, text, 0, NULL, 0) == 0;
}

/* The frame that the rule's place names, outermost first; NULL. */
static const struct tb_frame *frame_of_place(const struct rule *rule, const struct tb_link *link)
{
	for (size_t i = 0; i < tb_frames(link); i++)
		if (frame_matches(&rule->place, tb_frame(link, i)))
			return tb_frame(link, i);
	return NULL;
}

static bool place_matches(
	const struct rule *rule, const struct evidence *ev, const struct tb_link *link)
{
	if (!rule->has_place)
		return true;
	if (ev->yfinance && regexec(&rule->place, "notebook: import yfinance", 0, NULL, 0) == 0)
		return true;
	return frame_of_place(rule, link) != NULL;
}

static const struct rule *rule_for_link(
	const struct classifier *c, const struct evidence *ev, const struct tb_link *link)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct rule *rule = &c->rules[i];
		if (rule->class == ERROR_NO_INTERNET && !ev->offline)
			continue;
		if (!rule->sentence && type_matches(rule, link->type) &&
			regexec(&rule->message, link->first, 0, NULL, 0) == 0 &&
			place_matches(rule, ev, link))
			return rule;
	}
	return NULL;
}

static const struct rule *rule_for_sentence(
	const struct classifier *c, const char *sentence, bool outdoes)
{
	for (size_t i = 0; *sentence && i < c->count; i++)
		if (c->rules[i].sentence && c->rules[i].outdoes == outdoes &&
			regexec(&c->rules[i].message, sentence, 0, NULL, 0) == 0)
			return &c->rules[i];
	return NULL;
}

static void set_rule(struct diagnosis *out, const struct rule *rule)
{
	out->class = rule->class;
	out->next = rule->next;
	snprintf(out->rule, sizeof out->rule, "%s:%u", rule->builtin ? "builtin" : "user",
		rule->line);
}

static void set_end(
	struct diagnosis *out, enum error_class class, enum next_step next, const char *id)
{
	out->class = class;
	out->next = next;
	snprintf(out->rule, sizeof out->rule, "end:%s", id);
}

static void set_link(struct diagnosis *out, const struct tb_link *link)
{
	snprintf(out->exception, sizeof out->exception, "%s", link->type);
	snprintf(out->message, sizeof out->message, "%s", link->message);
}

/* The failing cell, with the line inside it where the outermost frame is that cell. */
static void set_where(struct diagnosis *out, const struct evidence *ev, const struct tb_link *link)
{
	const struct tb_frame *outer = tb_frame(&ev->tb.links[ev->tb.count - 1], 0);

	if (!ev->cell)
		tb_where(link, out->where, sizeof out->where);
	else if (outer && outer->cell && outer->line)
		snprintf(
			out->where, sizeof out->where, "cell %zu, line %ld", ev->cell, outer->line);
	else
		snprintf(out->where, sizeof out->where, "cell %zu", ev->cell);
}

/* The link that explains the end, and the rule that knows it (NULL: none does, the last link). */
static const struct rule *judge_chain(
	const struct classifier *c, const struct evidence *ev, const struct tb_link **link)
{
	const struct traceback *tb = &ev->tb;

	for (size_t i = tb->count; i-- > 0;) {
		const struct rule *rule = rule_for_link(c, ev, &tb->links[i]);
		if (rule) {
			*link = &tb->links[i];
			return rule;
		}
		if (!tb_follows(tb, i))
			break;
	}
	*link = &tb->links[tb->count - 1];
	return NULL;
}

#define LAST_WORDS ((size_t)4096)

/* What a shell, the kernel or C++ says when memory ran out. Only asked once a signal is known to
 * have ended the process: a program that prints these words proves nothing. The line is its proof.
 */
static bool died_of_memory(const struct evidence *ev, struct diagnosis *out)
{
	static const char *const words[] = {"\nKilled\n", "Out of memory: Killed process",
		"oom-kill:", "Memory cgroup out of memory", "'std::bad_alloc'", "oom_reaper"};
	AUTO_BUF struct strbuf tail = STRBUF_INIT;
	size_t len = ev->len < LAST_WORDS ? ev->len : LAST_WORDS;

	if (!ev->text)
		return false;
	strbuf_addch(&tail, '\n');
	escape_plain(&tail, ev->text + ev->len - len, len);
	strbuf_addch(&tail, '\n');
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		const char *at = memmem(tail.buf, tail.len, words[i], strlen(words[i]));
		if (at) {
			proof_line_at(out, tail.buf, tail.len, at + (*at == '\n'));
			return true;
		}
	}
	return false;
}

static void by_chain(const struct classifier *c, const struct evidence *ev, struct diagnosis *out)
{
	const struct tb_link *link;
	const struct rule *rule = judge_chain(c, ev, &link);
	const struct tb_frame *at = rule && rule->has_place ? frame_of_place(rule, link) : NULL;

	set_end(out, ERROR_CODE, NEXT_PERSON, "exception");
	if (rule)
		set_rule(out, rule);
	proof_chain(out, &ev->tb, link, at);
	/* a kernel that died leaves no exception of its own */
	if (same_type(link->type, "DeadKernelError") && died_of_memory(ev, out))
		set_end(out, ERROR_OOM, NEXT_PERSON, "killed");
	set_link(out, link);
	set_where(out, ev, link);
}

/* ---- how the process ended ---- */

static bool by_signal(int sig, const struct evidence *ev, struct diagnosis *out)
{
	if (sig <= 0)
		return false;
	if ((sig == SIGKILL || sig == SIGABRT || sig == SIGBUS) && died_of_memory(ev, out))
		set_end(out, ERROR_OOM, NEXT_PERSON, "killed");
	else if (sig == SIGSEGV || sig == SIGABRT || sig == SIGBUS || sig == SIGFPE ||
		 sig == SIGTRAP || sig == SIGSYS)
		set_end(out, ERROR_CODE, NEXT_PERSON, "signal");
	else if (sig == SIGILL) /* built for another processor */
		set_end(out, ERROR_INFRA, NEXT_BACKEND, "signal");
	else
		set_end(out, ERROR_INFRA, NEXT_RETRY, "signal");
	snprintf(out->message, sizeof out->message, _("ended by signal %d (%s)"), sig,
		strsignal(sig));
	return true;
}

/* Facts that no text can overrule. */
static bool by_fact(const struct job_status *end, struct diagnosis *out)
{
	const char *said = NULL;

	if (end->cause == END_MEMORY) {
		set_end(out, ERROR_OOM, NEXT_PERSON, "memory");
		said = _("the memory limit was passed");
	} else if (end->cause == END_TIME_LIMIT) {
		set_end(out, ERROR_TIME_LIMIT, NEXT_PERSON, "time");
		said = _("the time limit was passed");
	} else if (end->cause == END_DISK) {
		set_end(out, ERROR_DISK_FULL, NEXT_PERSON, "disk");
		said = _("the disk is full");
	} else if (end->state == JOB_LOST) {
		set_end(out, ERROR_INFRA, NEXT_RETRY, "lost");
		said = _("the machine went down while it ran");
	}
	if (said)
		snprintf(out->message, sizeof out->message, "%s", said);
	return said != NULL;
}

/* A shell reports a child that a signal ended as 128 + signal. */
static int end_signal(const struct job_status *end, bool exception)
{
	if (end->cause == END_SIGNAL)
		return end->signal > 0 ? end->signal : SIGKILL;
	if (!exception && end->exit_code > 128 && end->exit_code < 160)
		return end->exit_code - 128;
	return 0;
}

/* The last line that says something: all that is known where there was no exception. */
static void last_line(const char *text, size_t len, char *out, size_t size)
{
	while (text && len) {
		const char *nl = memrchr(text, '\n', len);
		size_t start = nl ? (size_t)(nl + 1 - text) : 0;

		one_line(out, size, text + start, len - start);
		if (out[strspn(out, " ")])
			return;
		len = nl ? start - 1 : 0;
	}
	out[0] = 0;
}

static void say(struct diagnosis *out, const struct job_status *end)
{
	one_line(out->message, sizeof out->message, end->detail,
		strnlen(end->detail, sizeof end->detail));
}

static void by_words(const struct classifier *c, const struct job_status *end,
	const struct evidence *ev, struct diagnosis *out)
{
	const struct rule *rule = rule_for_sentence(c, end->detail, false);

	if (rule)
		set_rule(out, rule);
	else if (end->cause == END_SETUP)
		set_end(out, ERROR_INFRA, NEXT_PERSON, "setup");
	else
		set_end(out, ERROR_UNKNOWN, NEXT_PERSON, "error");
	if (end->detail[0] && (rule || end->cause == END_SETUP))
		say(out, end);
	else
		last_line(ev->text, ev->len < TB_TAIL ? ev->len : TB_TAIL, out->message,
			sizeof out->message);
	if (!out->message[0])
		say(out, end);
}

/* The service says that it ended the job: nothing in the log can tell better. */
static bool by_service(
	const struct classifier *c, const struct job_status *end, struct diagnosis *out)
{
	const struct rule *rule = rule_for_sentence(c, end->detail, true);

	if (!rule)
		return false;
	set_rule(out, rule);
	say(out, end);
	return true;
}

/* The place stays useful where a fact decides: the line that was running at the time limit. */
static void place_of_fact(const struct evidence *ev, struct diagnosis *out)
{
	if (ev->found)
		set_where(out, ev, &ev->tb.links[ev->tb.count - 1]);
}

static void judge(const struct classifier *c, const struct job_status *end,
	const struct evidence *ev, struct diagnosis *out)
{
	if (by_fact(end, out) || by_signal(end_signal(end, ev->found), ev, out) ||
		by_service(c, end, out))
		place_of_fact(ev, out);
	else if (ev->found)
		by_chain(c, ev, out);
	else
		by_words(c, end, ev, out);
	if (!out->proof[0][0]) /* no line of the log: what was said of the end is all there is */
		proof_line(out, out->message, strlen(out->message));
}

void classify(const struct classifier *c, const struct classify_facts *facts, struct diagnosis *out)
{
	const struct job_status *end = facts->end;
	AUTO_BUF struct strbuf plain = STRBUF_INIT;
	struct evidence ev = {.text = facts->log, .len = facts->log ? facts->log_len : 0};

	*out = (struct diagnosis){.class = ERROR_NONE, .next = NEXT_PERSON};
	if (end->state != JOB_LOST && (end->cause == END_OK || end->cause == END_CANCELLED))
		return;
	if (service_log_text(ev.text, ev.len, &plain)) {
		ev.text = plain.buf;
		ev.len = plain.len;
	}
	gather(&ev, facts);
	judge(c, end, &ev, out);
	if (ev.found)
		traceback_release(&ev.tb);
}
