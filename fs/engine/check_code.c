#include "fs/engine/check_code.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/engine/options.h"
#include "fs/engine/problem.h"

#define INPUT_ROOT "/kaggle/input/"
#define SEEN_BYTES 2048 /* names of inputs that are remembered: a dozen is much */
#define LINE_BYTES 4096 /* of a longer line only the beginning is looked at */

/* One line at a time, copied so that nothing runs past its end. */
struct lines {
	const char *next;
	int number;
	char line[LINE_BYTES];
};

static bool next_line(struct lines *l)
{
	size_t len = strcspn(l->next, "\n"), kept = len < sizeof(l->line) ? len : sizeof(l->line) - 1;

	if (!*l->next)
		return false;
	memcpy(l->line, l->next, kept);
	l->line[kept] = '\0';
	l->next += len + (l->next[len] == '\n');
	l->number++;
	return true;
}

static const char *skip_blank(const char *text)
{
	return text + strspn(text, " \t");
}

static bool starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* ---- Merge conflicts ---- */

static bool marker(const char *line, char c)
{
	for (int i = 0; i < 7; i++) {
		if (line[i] != c)
			return false;
	}
	return line[7] == ' ' || line[7] == '\0' || line[7] == '\r';
}

int code_conflict_line(const char *text)
{
	struct lines l = {.next = text};

	while (next_line(&l)) {
		if (marker(l.line, '<') || marker(l.line, '>'))
			return l.number;
	}
	return 0;
}

static int check_conflict(const struct code *code, struct problems *problems)
{
	int line = code_conflict_line(code->text);

	if (!line)
		return 0;
	return problems_add(problems, PROBLEM_ERROR, "code.conflict", code->file, code->cell, line,
		_("decide which side is right and remove the markers"),
		_("a merge conflict is left in the code"));
}

/* ---- Installing without internet ---- */

/* What follows "pip install" (also ["pip", "install", ...]), or NULL. */
static const char *install_target(const char *line)
{
	static const char *const tools[] = {"pip", "conda", "mamba"};

	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		for (const char *at = strstr(line, tools[i]); at; at = strstr(at + 1, tools[i])) {
			const char *word = at + strlen(tools[i]);

			word += strspn(word, "3.0126789");
			if (!strspn(word, " \t\"',"))
				continue;
			word += strspn(word, " \t\"',");
			if (starts(word, "install"))
				return word + strlen("install") + strspn(word + strlen("install"), " \t\"',");
		}
	}
	return NULL;
}

static bool installs_from_network(const char *line)
{
	const char *target = install_target(line);

	return target && !strstr(line, "--no-index") && !strstr(line, "--offline") && target[0] != '/' &&
		target[0] != '.' && *skip_blank(line) != '#';
}

static int check_install(const struct code *code, const struct lines *l, const struct options *o,
	struct problems *problems)
{
	if (o->internet || !installs_from_network(l->line))
		return 0;
	return problems_add(problems, PROBLEM_WARNING, "code.install", code->file, code->cell, l->number,
		_("attach the packages as a data set and install with --no-index, or set \"internet\": true"),
		_("packages are installed here, but the run has no internet"));
}

/* ---- Input paths ---- */

static size_t name_length(const char *text)
{
	size_t n = 0;

	while (isalnum((unsigned char)text[n]) || text[n] == '-' || text[n] == '_' || text[n] == '.')
		n++;
	return n;
}

/* Kaggle's two layouts: input/SLUG and input/datasets/OWNER/SLUG, input/competitions/SLUG, ... */
static const char *input_slug(const char *at, size_t *len)
{
	static const struct {
		const char *prefix;
		int skip;
	} groups[] = {{"datasets/", 1}, {"notebooks/", 1}, {"models/", 1}, {"competitions/", 0}};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		size_t n;

		if (!starts(at, groups[i].prefix))
			continue;
		at += strlen(groups[i].prefix);
		n = groups[i].skip ? name_length(at) : 0;
		if (groups[i].skip)
			at += at[n] == '/' ? n + 1 : n;
		break;
	}
	*len = name_length(at);
	return at;
}

/* Does the key of a mapping ("owner/slug", "owner/slug/3", "slug") stand for that slug? */
static bool key_is(const char *key, const char *slug)
{
	const char *slash = strchr(key, '/'), *name = slash ? slash + 1 : key;
	size_t n = strcspn(name, "/");

	return strlen(slug) == n && strncmp(name, slug, n) == 0;
}

static const char *mapped_folder(const struct options *o, const char *slug)
{
	for (const struct json *m = json_first(o->datasets); m; m = json_next(m)) {
		if (key_is(json_key(m), slug))
			return json_text(m);
	}
	return NULL;
}

static bool runs_here(const struct options *o)
{
	return o->backends && o->backends[0] && strcmp(o->backends[0], "local") == 0;
}

static bool attached(const struct options *o, const char *slug)
{
	for (char *const *input = o->inputs; input && *input; input++) {
		if (strcmp(*input, slug) == 0)
			return true;
	}
	return false;
}

static int check_input(const struct code *code, int line, const struct options *o, const char *slug,
	struct problems *problems)
{
	const char *folder = mapped_folder(o, slug);

	if (folder && runs_here(o) && access(folder, F_OK) != 0)
		return problems_add(problems, PROBLEM_WARNING, "code.input", code->file, code->cell, line,
			_("correct the folder in \"datasets\""),
			_("%s%s is read here, but its folder %s does not exist"), INPUT_ROOT, slug, folder);
	if (folder || (attached(o, slug) && !runs_here(o)))
		return 0;
	return problems_add(problems, PROBLEM_WARNING, "code.input", code->file, code->cell, line,
		runs_here(o) ? _("say where the data is: \"datasets\": {\"owner/slug\": \"/folder\"} in kexec.json or the configuration")
			     : _("add it to dataset_sources or competition_sources in kernel-metadata.json"),
		_("%s%s is read here, but no such data set is attached"), INPUT_ROOT, slug);
}

/* Each input is told once a file: notebooks name the same folder in every other line. */
static bool told_before(struct strbuf *seen, const char *slug)
{
	size_t n = strlen(slug);

	for (const char *at = seen->buf; *at; at += strcspn(at, "\n") + 1) {
		if (strncmp(at, slug, n) == 0 && at[n] == '\n')
			return true;
	}
	strbuf_addf(seen, "%s\n", slug);
	return false;
}

static int check_inputs(const struct code *code, const struct lines *l, const struct options *o,
	struct problems *problems)
{
	const char *at = strstr(l->line, INPUT_ROOT);
	int err = 0;

	for (; at && !err; at = strstr(at, INPUT_ROOT)) {
		AUTO_FREE char *slug = NULL;
		size_t len;

		at = input_slug(at + strlen(INPUT_ROOT), &len);
		slug = strndup(at, len);
		if (!slug)
			return -ENOMEM;
		if (len && len < 256 && code->seen->len < SEEN_BYTES && !told_before(code->seen, slug))
			err = check_input(code, l->number, o, slug, problems);
	}
	return err;
}

/* ---- The author's own machine ---- */

/* "/home/ann/x", "/Users/ann/x", "C:\Users\ann\x", as a path of its own and not within a URL. */
static bool names_home(const char *line)
{
	static const char *const roots[] = {"/home/", "/Users/", ":\\Users\\", ":\\\\Users\\\\", ":/Users/"};

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		const char *at = strcasestr(line, roots[i]), *user = at ? at + strlen(roots[i]) : NULL;
		size_t n = user ? name_length(user) : 0;
		bool alone = at && (roots[i][0] == ':' || at == line || !strchr("._-/~}", at[-1]));

		if (alone && n && (user[n] == '/' || user[n] == '\\') &&
			(roots[i][0] == ':' || at == line || !isalnum((unsigned char)at[-1])))
			return true;
	}
	return false;
}

static int check_home(const struct code *code, const struct lines *l, struct problems *problems)
{
	if (!names_home(l->line))
		return 0;
	return problems_add(problems, PROBLEM_WARNING, "code.home", code->file, code->cell, l->number,
		_("put the file into the folder and use a relative path, or attach it as a data set"),
		_("a path in somebody's home folder is used here; it does not exist where this runs"));
}

/* ---- Magics ---- */

static int check_magic(const struct code *code, const struct lines *l, bool first, struct problems *problems)
{
	bool cell_magic = starts(l->line, "%%") && isalpha((unsigned char)l->line[2]);

	if (code->cell && cell_magic && !first)
		return problems_add(problems, PROBLEM_WARNING, "code.magic", code->file, code->cell, l->number,
			_("make it a cell of its own"), _("a %%%% magic works only in the first line of a cell"));
	if (!code->cell && (cell_magic || (l->line[0] == '!' && l->line[1] != '=')))
		return problems_add(problems, PROBLEM_WARNING, "code.magic", code->file, 0, l->number,
			_("use subprocess, or submit a notebook"),
			_("this is a command of notebooks, a script cannot use it"));
	return 0;
}

int check_code(const struct code *code, const struct options *o, struct problems *problems)
{
	struct lines l = {.next = code->text};
	bool first = true;
	int err = check_conflict(code, problems);

	while (!err && next_line(&l)) {
		const char *line = skip_blank(l.line);

		if (!*line || *line == '\r' || *line == '#')
			continue;
		err = check_magic(code, &l, first, problems);
		first = false;
		if (!err)
			err = check_install(code, &l, o, problems);
		if (!err)
			err = check_inputs(code, &l, o, problems);
		if (!err)
			err = check_home(code, &l, problems);
	}
	return err;
}

/* ---- GPU ---- */

static bool word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static bool has_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = strcasestr(line, word); at; at = strcasestr(at + 1, word)) {
		if ((at == line || !isalnum((unsigned char)at[-1])) && !word_char(at[n]))
			return true;
	}
	return false;
}

bool code_uses_gpu(const char *text)
{
	static const char *const words[] = {"torch", "torchvision", "pytorch_lightning", "lightning", "fastai",
		"tensorflow", "keras", "jax", "flax", "cupy", "cudf", "cuml", "rapids", "numba", "cuda", "gpu",
		"gpu_hist", "gpus", "nvidia", "nvcc", "mxnet", "paddle", "onnxruntime", "transformers", "diffusers",
		"vllm", "triton", "ultralytics", "timm", "sentence_transformers", "pycuda", "catboost_gpu"};
	struct lines l = {.next = text};

	while (next_line(&l)) {
		if (*skip_blank(l.line) == '#')
			continue;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (has_word(l.line, words[i]))
				return true;
		}
		/* "nvidia-smi", "cuda:0", "device_type='cuda'" are words already; "cudaMalloc" is not. */
		if (strstr(l.line, "cuda"))
			return true;
	}
	return false;
}
