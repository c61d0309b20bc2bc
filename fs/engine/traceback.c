#include "fs/engine/traceback.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"

/*
 * One pass over the lines, a state machine:
 *
 *   OUTSIDE --header--> FRAMES --"Type: message"--> MESSAGE --blank--> AFTER --"During …"--> AFTER
 *      ^                                                                 |--header--> FRAMES
 *      '-----------------------------anything else-----------------------'
 *
 * A link is built aside and joins its chain when its exception line has been seen, so that half a
 * traceback never replaces a whole one.
 */
enum mode { OUTSIDE, FRAMES, MESSAGE, AFTER };

#define MESSAGE_LINES 8 /* further lines of a message that are kept */
#define NOISE_LINES   4 /* other output that may stand inside one traceback */
#define PREFIX_MAX    96

struct chain {
	struct tb_link *links;
	size_t count;
};

struct parser {
	enum mode mode;
	struct tb_link *link;   /* being built */
	bool ipython, headless; /* headless: a SyntaxError of the main file has no header */
	bool joined;            /* the link stands in its chain already; `tail` grows its message */
	struct tb_link *tail;
	bool aside;               /* the chain does not end the program */
	struct tb_text prefix;    /* before each line of this traceback */
	enum tb_relation pending; /* said by the sentence between two links */
	unsigned extra, noise;
	struct tb_text before[2]; /* the last two lines that were not blank */
	struct chain main, other;
};

static const struct tb_frame no_frame = {
	{"", 0}, {"", 0}, {"", 0}, 0, 0}; /* no text is ever NULL */
static const char header[] = "Traceback (most recent call last)";

/* ---- small text helpers ---- */

static bool starts(struct tb_text t, const char *word)
{
	size_t n = strlen(word);
	return t.len >= n && memcmp(t.at, word, n) == 0;
}

static const char *find(struct tb_text t, const char *word)
{
	return t.at ? memmem(t.at, t.len, word, strlen(word)) : NULL;
}

static bool same(struct tb_text a, struct tb_text b)
{
	return a.len == b.len && (!a.at || !b.at || memcmp(a.at, b.at, a.len) == 0);
}

static struct tb_text skip(struct tb_text t, size_t n)
{
	return (struct tb_text){t.at + n, t.len - n};
}

static struct tb_text trim(struct tb_text t)
{
	while (t.len && (t.at[0] == ' ' || t.at[0] == '\t'))
		t = skip(t, 1);
	while (t.len && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
		t.len--;
	return t;
}

/* Digits at the start, at most nine of them; how many there were. */
static size_t number(struct tb_text t, long *out)
{
	size_t n = 0;
	long v = 0;

	for (; n < t.len && n < 9 && t.at[n] >= '0' && t.at[n] <= '9'; n++)
		v = v * 10 + (t.at[n] - '0');
	if (n)
		*out = v;
	return n;
}

static bool type_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '<' || c == '>' || (c & 0x80);
}

/* "Type: message" or "Type" alone: the length of the type, 0 when it is no exception line. */
static size_t exception_type(struct tb_text t)
{
	size_t n = 0;

	if (!t.len || (t.at[0] >= '0' && t.at[0] <= '9') || t.at[0] == '.' || t.at[0] == '<')
		return 0;
	while (n < t.len && type_char(t.at[n]))
		n++;
	if (n >= TB_TYPE || (n < t.len && t.at[n] != ':'))
		return 0;
	return n;
}

static struct tb_text last_component(struct tb_text t)
{
	const char *dot = t.at ? memrchr(t.at, '.', t.len) : NULL;

	return dot ? skip(t, (size_t)(dot + 1 - t.at)) : t;
}

/* ---- links and chains ---- */

static size_t slot(size_t i)
{
	return i < TB_FRAMES ? i : TB_FIRSTS + (i - TB_FIRSTS) % (TB_FRAMES - TB_FIRSTS);
}

static struct tb_frame *newest_frame(struct tb_link *link)
{
	return link->seen ? &link->frames[slot(link->seen - 1)] : NULL;
}

static void add_frame(struct tb_link *link, const struct tb_frame *f)
{
	link->frames[slot(link->seen)] = *f;
	link->seen++;
}

static struct tb_link *chain_push(struct chain *c, const struct tb_link *link)
{
	if (link->relation == TB_NONE)
		c->count = 0;
	if (c->count == TB_LINKS) {
		memmove(c->links, c->links + 1, (TB_LINKS - 1) * sizeof *c->links);
		c->count--;
	}
	c->links[c->count] = *link;
	return &c->links[c->count++];
}

static void set_type(struct tb_link *link, struct tb_text type)
{
	size_t n = utf8_cut(type.at, type.len, TB_TYPE - 1);
	memcpy(link->type, type.at, n);
	link->type[n] = 0;
}

static void append_message(char out[TB_MESSAGE], struct tb_text t)
{
	size_t have = strlen(out), room = TB_MESSAGE - 1 - have, n;

	t = trim(t);
	if (have && t.len && room) {
		out[have++] = ' ';
		room--;
	}
	n = utf8_cut(t.at, t.len, room);
	for (size_t i = 0; i < n; i++) /* one line, also where a tab stood inside */
		out[have + i] = (char)(t.at[i] == '\t' ? ' ' : t.at[i]);
	out[have + n] = 0;
}

static void set_message(struct tb_link *link, struct tb_text t)
{
	append_message(link->message, t);
	if (!link->first[0])
		append_message(link->first, t);
}

/* The exception line has been read: the link is whole. */
static void join(struct parser *p, struct tb_text line, size_t type_len)
{
	struct tb_text rest = skip(line, type_len);

	set_type(p->link, (struct tb_text){line.at, type_len});
	set_message(p->link, rest.len ? skip(rest, 1) : rest);
	p->tail = chain_push(p->aside ? &p->other : &p->main, p->link);
	p->joined = true;
	p->extra = 0;
	p->mode = MESSAGE;
}

static bool printed_aside(const struct parser *p)
{
	static const char *const marks[] = {"Exception ignored in", "Exception ignored on",
		"Exception in thread", "Exception in callback", "Exception in Tkinter callback",
		"--- Logging error ---", "Error in atexit._run_exitfuncs",
		"Task exception was never retrieved", "Future exception was never retrieved"};

	for (size_t i = 0; i < 2; i++)
		for (size_t m = 0; m < sizeof marks / sizeof *marks; m++)
			if (find(p->before[i], marks[m]))
				return true;
	return false;
}

static void begin(struct parser *p)
{
	memset(p->link, 0, offsetof(struct tb_link, frames));
	p->link->relation = p->pending;
	/* A link that follows another belongs to the same chain. */
	if (p->pending == TB_NONE)
		p->aside = printed_aside(p);
	p->pending = TB_NONE;
	p->joined = p->ipython = p->headless = false;
	p->prefix.len = 0;
	p->noise = 0;
	p->mode = FRAMES;
}

/* An IPython traceback that was cut off before its last line: the header said the type. */
static void give_up(struct parser *p)
{
	if (p->mode == FRAMES && !p->joined && p->ipython)
		p->tail = chain_push(p->aside ? &p->other : &p->main, p->link);
	p->mode = OUTSIDE;
	p->pending = TB_NONE;
}

/* ---- headers ---- */

/* "NameError      Traceback (most recent call last)": the type stands before, no colon after. */
static bool ipython_header(struct tb_text before, struct tb_text after, struct tb_text *type)
{
	*type = trim(before);
	return !trim(after).len && type->len && exception_type(*type) == type->len;
}

static bool take_header(struct parser *p, struct tb_text line)
{
	const char *at = find(line, header);
	struct tb_text before, after, type;

	if (!at)
		return false;
	before = (struct tb_text){line.at, (size_t)(at - line.at)};
	after = skip(line, before.len + strlen(header));
	if (ipython_header(before, after, &type)) {
		begin(p);
		p->ipython = true;
		set_type(p->link, type);
		return true;
	}
	if (!starts(after, ":") || trim(skip(after, 1)).len || before.len > PREFIX_MAX)
		return false;
	begin(p);
	p->prefix = before;
	return true;
}

/* The file that Python was told to run does not parse: frames without a header; nor has a cell that
 * does not parse one, which papermill prints inside the message of its own exception. */
static bool take_headless(struct parser *p, struct tb_text line)
{
	if (!(starts(line, "  File \"") && !find(line, ", in ")) && !starts(line, "  Cell In"))
		return false;
	if (!find(line, ", line "))
		return false;
	begin(p);
	p->headless = true;
	return true;
}

/* Lines of a group's own traceback begin with "  | " where its header had "  + ". */
static struct tb_text strip_prefix(const struct parser *p, struct tb_text line)
{
	struct tb_text group = trim(p->prefix);

	if (p->prefix.len && starts(group, "+ Exception Group")) {
		size_t n = (size_t)(group.at - p->prefix.at);
		if (line.len <= n || line.at[n] != '|')
			return line;
		line = skip(line, n + 1);
		return line.len && line.at[0] == ' ' ? skip(line, 1) : line;
	}
	if (line.len >= p->prefix.len && memcmp(line.at, p->prefix.at, p->prefix.len) == 0)
		return skip(line, p->prefix.len);
	/* an empty line of a prefixed log has no trailing space */
	if (line.len && same(trim(line), trim(p->prefix)))
		return skip(line, line.len);
	return line;
}

/* ---- frames ---- */

/* `File "x.py", line 3, in f` */
static bool plain_frame(struct tb_text t, struct tb_frame *f)
{
	const char *end;
	struct tb_text rest;

	if (!starts(t, "File \""))
		return false;
	t = skip(t, 6);
	end = find(t, "\", line ");
	if (!end)
		return false;
	f->file = (struct tb_text){t.at, (size_t)(end - t.at)};
	rest = skip(t, f->file.len + 8);
	rest = skip(rest, number(rest, &f->line));
	if (starts(rest, ", in "))
		f->func = skip(rest, 5);
	return true;
}

/* A function as IPython prints it, without its arguments. */
static struct tb_text function_name(struct tb_text t)
{
	const char *open = memchr(t.at, '(', t.len);
	return open ? (struct tb_text){t.at, (size_t)(open - t.at)} : t;
}

/* "Cell In[1], line 5, in g()", "Input In [1], in <cell line: 2>()" */
static bool cell_frame(struct tb_text t, struct tb_frame *f)
{
	const char *at = memchr(t.at, '[', t.len);
	struct tb_text rest;

	if (!(starts(t, "Cell In") || starts(t, "Input In")) || !at)
		return false;
	rest = skip(t, (size_t)(at + 1 - t.at));
	if (!number(rest, &f->cell) || !f->cell)
		return false;
	f->file = t;
	if ((at = find(t, ", line ")))
		number(skip(t, (size_t)(at + 7 - t.at)), &f->line);
	if ((at = find(t, ", in ")))
		f->func = function_name(skip(t, (size_t)(at + 5 - t.at)));
	return true;
}

/* "<ipython-input-3-…> in f(a)" and "~/x.py in f(a)", before IPython 8 */
static bool old_frame(struct tb_text t, struct tb_frame *f)
{
	const char *in = find(t, " in ");

	if (!in || !(t.at[0] == '/' || t.at[0] == '~' || starts(t, "<ipython-input-")))
		return false;
	f->file = (struct tb_text){t.at, (size_t)(in - t.at)};
	f->func = function_name(skip(t, f->file.len + 4));
	if (t.at[0] == '<' && !number(skip(t, 15), &f->cell))
		f->cell = 0;
	return true;
}

/* "File ~/x.py:12, in f(a)" */
static bool file_frame(struct tb_text t, struct tb_frame *f)
{
	const char *in = find(t, ", in "), *colon;
	struct tb_text place;

	if (!starts(t, "File "))
		return false;
	place = skip(t, 5);
	if (in) {
		f->func = function_name(skip(t, (size_t)(in + 5 - t.at)));
		place.len = (size_t)(in - place.at);
	}
	colon = memrchr(place.at, ':', place.len);
	if (!colon || !number(skip(place, (size_t)(colon + 1 - place.at)), &f->line))
		return false;
	f->file = (struct tb_text){place.at, (size_t)(colon - place.at)};
	return true;
}

/* "----> 5   f()", "-> 1234   f()": the line that was running. */
static bool arrow(struct tb_text t, long *line, struct tb_text *source)
{
	size_t n = 0;

	while (n < t.len && t.at[n] == '-')
		n++;
	if (n < 1 || n >= t.len || t.at[n] != '>')
		return false;
	t = trim(skip(t, n + 1));
	n = number(t, line);
	*source = trim(skip(t, n));
	return n > 0;
}

static void take_source(struct tb_link *link, struct tb_text line)
{
	struct tb_frame *f = newest_frame(link);
	struct tb_text t = trim(line);
	size_t marks = 0;

	while (marks < t.len && (t.at[marks] == '^' || t.at[marks] == '~'))
		marks++;
	if (f && !f->source.len && t.len && marks < t.len)
		f->source = t;
}

static void plain_line(struct parser *p, struct tb_text line)
{
	struct tb_frame f = no_frame;
	size_t n;

	if (!line.len || line.at[0] == ' ' || line.at[0] == '\t') {
		struct tb_text t = trim(line);
		if (plain_frame(t, &f) || cell_frame(t, &f))
			add_frame(p->link, &f);
		else
			take_source(p->link, line);
		return;
	}
	n = exception_type(line);
	if (n)
		join(p, line, n);
	else if (++p->noise > NOISE_LINES)
		give_up(p);
}

static bool syntax_error(struct tb_text line, size_t n)
{
	static const char *const types[] = {"SyntaxError", "IndentationError", "TabError"};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (n == strlen(types[i]) && memcmp(line.at, types[i], n) == 0)
			return true;
	return false;
}

static void headless_line(struct parser *p, struct tb_text line)
{
	bool ended = line.len && line.at[0] != ' ' && !syntax_error(line, exception_type(line));

	if (ended || ++p->noise > NOISE_LINES)
		p->mode = OUTSIDE;
	else
		plain_line(p, line);
}

static void ipython_line(struct parser *p, struct tb_text line)
{
	struct tb_text wanted = {p->link->type, strlen(p->link->type)}, source;
	struct tb_frame f = no_frame, *newest = newest_frame(p->link);
	size_t n;
	long at;

	if (!line.at || !line.len)
		return;
	if (cell_frame(line, &f) || old_frame(line, &f) || file_frame(line, &f)) {
		add_frame(p->link, &f);
	} else if (arrow(line, &at, &source)) {
		if (newest && !newest->source.len) {
			newest->source = source;
			if (!newest->line)
				newest->line = at;
		}
	} else if ((n = exception_type(line)) &&
		   same(last_component((struct tb_text){line.at, n}), last_component(wanted))) {
		join(p, line, n);
	}
}

/* ---- what follows a link ---- */

static enum tb_relation relation_said(struct tb_text line)
{
	if (starts(line, "The above exception was the direct cause of the following exception"))
		return TB_CAUSE;
	if (starts(line, "During handling of the above exception, another exception occurred"))
		return TB_CONTEXT;
	return TB_NONE;
}

static void message_line(struct parser *p, struct tb_text line)
{
	if (!trim(line).len ||
		starts(line, "\"\"\"")) /* quotes end a worker's embedded traceback */
		p->mode = AFTER;
	else if (p->extra++ < MESSAGE_LINES)
		set_message(p->tail, line);
}

static void after_line(struct parser *p, struct tb_text line)
{
	enum tb_relation said = relation_said(line);

	if (!trim(line).len)
		return;
	if (said == TB_NONE) {
		p->mode = OUTSIDE;
		p->pending = TB_NONE;
	} else {
		p->pending = said;
	}
}

static void inside_line(struct parser *p, struct tb_text line)
{
	if (p->mode == FRAMES && p->ipython)
		ipython_line(p, line);
	else if (p->mode == FRAMES && p->headless)
		headless_line(p, line);
	else if (p->mode == FRAMES)
		plain_line(p, line);
	else if (p->mode == MESSAGE)
		message_line(p, line);
	else
		after_line(p, line);
}

static void remember(struct parser *p, struct tb_text line)
{
	if (!trim(line).len)
		return;
	p->before[0] = p->before[1];
	p->before[1] = line;
}

static void take_line(struct parser *p, struct tb_text whole)
{
	struct tb_text line = p->mode == OUTSIDE ? whole : strip_prefix(p, whole);

	if (!take_header(p, whole)) {
		bool headless = p->mode != FRAMES && take_headless(p, whole);
		if (!headless && p->mode != OUTSIDE) {
			inside_line(p, line);
			headless = p->mode == OUTSIDE && take_headless(p, whole);
		}
		if (headless)
			plain_line(p, whole);
	}
	remember(p, whole);
}

static void take_alone(struct parser *p, const char *type, struct tb_text message)
{
	p->pending = TB_NONE;
	begin(p);
	set_type(p->link, (struct tb_text){type, strlen(type)});
	set_message(p->link, message);
	chain_push(&p->main, p->link);
}

/* Last lines that are no traceback: `python -m name` in the interpreter's own words, and a kernel
 * that died, of which there cannot be one. The latter outdoes tracebacks that the program printed
 * before. */
static void take_last_line(struct parser *p)
{
	struct tb_text line = p->before[1];
	const char *at = find(line, ": No module named ");

	if (starts(line, "DeadKernelError: "))
		take_alone(p, "DeadKernelError", skip(line, 17));
	else if (!p->main.count && at && memmem(line.at, (size_t)(at - line.at), "python", 6))
		take_alone(p, "ModuleNotFoundError", skip(line, (size_t)(at + 2 - line.at)));
}

static void parse(struct parser *p, const struct strbuf *text)
{
	size_t at = 0;

	while (at < text->len) {
		const char *nl = memchr(text->buf + at, '\n', text->len - at);
		size_t end = nl ? (size_t)(nl - text->buf) : text->len;
		take_line(p, (struct tb_text){text->buf + at, end - at});
		at = end + 1;
	}
	give_up(p);
	take_last_line(p);
}

/* ---- entry ---- */

/* Progress bars rewrite their line with '\r': what follows one is a line of its own. */
static int clean(const char *text, size_t len, struct strbuf *out)
{
	AUTO_FREE char *copy = NULL;

	if (len > TB_TAIL) {
		text += len - TB_TAIL;
		len = TB_TAIL;
	}
	copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++)
		copy[i] = (char)(text[i] == '\r' ? '\n' : text[i]);
	escape_plain(out, copy, len);
	return out->err;
}

static void parser_finish(struct parser *p)
{
	free(p->link);
	free(p->main.links);
	free(p->other.links);
}

int traceback_find(const char *text, size_t len, struct traceback *out)
{
	struct parser p = {.before = {{"", 0}, {"", 0}}, .prefix = {"", 0}};
	struct chain *found;
	int r;

	*out = (struct traceback){.text = STRBUF_INIT};
	p.link = calloc(1, sizeof *p.link);
	p.main.links = calloc(TB_LINKS, sizeof *p.main.links);
	p.other.links = calloc(TB_LINKS, sizeof *p.other.links);
	r = p.link && p.main.links && p.other.links ? clean(text, len, &out->text) : -ENOMEM;
	if (!r) {
		parse(&p, &out->text);
		found = p.main.count ? &p.main : &p.other;
		out->links = move_ptr(found->links);
		out->count = found->count;
		if (!out->count)
			r = -ENOENT;
	}
	parser_finish(&p);
	if (r)
		traceback_release(out);
	return r;
}

void traceback_release(struct traceback *tb)
{
	strbuf_release(&tb->text);
	free(tb->links);
	tb->links = NULL;
	tb->count = 0;
}

size_t tb_frames(const struct tb_link *link)
{
	return link->seen < TB_FRAMES ? link->seen : TB_FRAMES;
}

const struct tb_frame *tb_frame(const struct tb_link *link, size_t i)
{
	if (i >= tb_frames(link))
		return NULL;
	return &link->frames[i < TB_FIRSTS ? i : slot(link->seen - tb_frames(link) + i)];
}

static bool installed(const struct tb_frame *f)
{
	static const char *const marks[] = {"/site-packages/", "/dist-packages/", "/lib/python3",
		"/lib64/python3", "<frozen ", "<string>", "<__array_function__"};

	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
		if (find(f->file, marks[i]))
			return true;
	return false;
}

const struct tb_frame *tb_own_frame(const struct tb_link *link)
{
	size_t n = tb_frames(link);

	for (size_t i = n; i-- > 0;)
		if (!installed(tb_frame(link, i)))
			return tb_frame(link, i);
	return n ? tb_frame(link, n - 1) : NULL;
}

bool tb_follows(const struct traceback *tb, size_t i)
{
	const struct tb_frame *raise, *try;

	if (i == 0 || i >= tb->count)
		return false;
	if (tb->links[i].relation != TB_CONTEXT)
		return tb->links[i].relation == TB_CAUSE;
	raise = tb_frame(&tb->links[i], tb_frames(&tb->links[i]) - 1);
	try = tb_frame(&tb->links[i - 1], 0);
	if (!raise || !try || !starts(raise->source, "raise"))
		return false;
	/* IPython puts the line into a cell's title: cells compare by number. */
	if (raise->cell || try->cell)
		return raise->cell == try->cell && same(raise->func, try->func);
	return same(raise->file, try->file) && same(raise->func, try->func);
}

void tb_where(const struct tb_link *link, char *out, size_t size)
{
	const struct tb_frame *f = tb_own_frame(link);
	struct tb_text file;

	out[0] = 0;
	if (!f)
		return;
	if (f->cell) {
		snprintf(out, size, f->line ? "In [%ld], line %ld" : "In [%ld]", f->cell, f->line);
		return;
	}
	file = f->file;
	if (file.len > size / 2) { /* the end of a path tells more than its start */
		file = skip(file, file.len - size / 2);
		while (file.len && ((unsigned char)file.at[0] & 0xc0) == 0x80)
			file = skip(file, 1);
	}
	snprintf(out, size, f->line ? "%.*s:%ld" : "%.*s", (int)file.len, file.at, f->line);
}
