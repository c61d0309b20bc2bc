#include "fs/engine/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/check_code.h"
#include "fs/engine/options.h"
#include "fs/engine/problem.h"
#include "fs/engine/source.h"
#include "fs/notebook/ipynb.h"

#define SCRIPT_MAX    ((size_t)16 << 20)
#define HELPER_MAX    ((size_t)1 << 20)
#define HELPERS_MAX   200
#define CODE_MAX      ((size_t)16 << 20) /* nobody writes more; what is beyond is not looked at */
#define FOLDERS_DEEP  100

struct checker {
	int dirfd;
	const struct options *o;
	struct problems *problems;
	bool gpu_code;   /* something that can use a GPU was seen */
	int helpers;     /* modules beside the entry file that were read for that */
	size_t looked;   /* bytes of code so far */
	struct strbuf seen;
};

/* ---- The folder ---- */

/* Kept in the source, never sent: what is in there harms nobody. */
static bool never_sent(const char *path)
{
	static const char *const folders[] = {".git", ".ipynb_checkpoints", "__pycache__"};

	for (const char *part = path; part; part = options_next_part(part)) {
		size_t n = strcspn(part, "/");

		for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
			if (strlen(folders[i]) == n && strncmp(part, folders[i], n) == 0)
				return true;
		}
	}
	return false;
}

static int check_name(struct checker *c, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	if (utf8_valid(name, strlen(name)))
		return 0;
	return problems_add(c->problems, PROBLEM_ERROR, "source.name", path, 0, 0,
		_("rename it, for example with: convmv -f latin1 -t utf8 --notest -r FOLDER"),
		_("the name is not UTF-8 and cannot be kept where this runs"));
}

static int check_link(struct checker *c, const char *path)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(c->dirfd, path, target, sizeof(target) - 1);
	struct stat st;

	if (len < 0)
		return errno == ENOENT ? 0 : -errno;
	target[len] = '\0';
	if (!source_link_inside(path, target))
		return problems_add(c->problems, PROBLEM_ERROR, "source.link", path, 0, 0,
			_("copy what it points to instead (cp -rL), or attach it with \"datasets\""),
			_("a symbolic link that leads out of the folder: %s"), target);
	if (fstatat(c->dirfd, path, &st, 0) < 0)
		return problems_add(c->problems, PROBLEM_WARNING, "source.link", path, 0, 0,
			_("remove it, or add the file"), _("a symbolic link to something that is not there: %s"),
			target);
	return 0;
}

/* A module beside the entry file may be the one that uses the GPU. */
static void look_at_helper(struct checker *c, const struct io_entry *entry)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	size_t len = strlen(entry->path);

	if (!c->o->gpu || c->gpu_code || c->helpers >= HELPERS_MAX || entry->size > (int64_t)HELPER_MAX ||
		len < 4 || strcmp(entry->path + len - 3, ".py") != 0)
		return;
	c->helpers++;
	if (source_read(c->dirfd, entry->path, HELPER_MAX, &text, NULL) == 0)
		c->gpu_code = code_uses_gpu(text.buf);
}

static int visit(void *arg, const struct io_entry *entry)
{
	struct checker *c = arg;
	int err;

	if (never_sent(entry->path))
		return 0;
	err = check_name(c, entry->path);
	if (err)
		return err;
	if (S_ISLNK(entry->mode))
		return check_link(c, entry->path);
	if (S_ISREG(entry->mode))
		look_at_helper(c, entry);
	else if (!S_ISDIR(entry->mode))
		return problems_add(c->problems, PROBLEM_ERROR, "source.type", entry->path, 0, 0,
			_("remove it"), _("only files, folders and symbolic links can be run from"));
	return 0;
}

static int check_tree(struct checker *c, struct why *why)
{
	int err = io_walk(c->dirfd, ".", FOLDERS_DEEP, visit, c);

	if (err == -ELOOP)
		return problems_add(c->problems, PROBLEM_ERROR, "source.depth", "", 0, 0,
			_("flatten it, or pack it into an archive"),
			_("folders are nested more than %d deep"), FOLDERS_DEEP);
	return err ? why_set(why, -err, _("the folder cannot be read: %s"), strerror(-err)) : 0;
}

/* ---- What the options name ---- */

static int check_named(struct checker *c)
{
	int err = 0;

	for (char *const *name = c->o->named_files; name && *name && !err; name++) {
		if (!source_exists(c->dirfd, *name))
			err = problems_add(c->problems, PROBLEM_ERROR, "source.named", *name, 0, 0,
				_("add the file, or correct its name in kexec.json or kernel-metadata.json"),
				_("the file is named, but it is not there"));
	}
	return err;
}

static int check_expect(struct checker *c)
{
	int err = 0;

	for (char *const *name = c->o->expect; name && *name && !err; name++) {
		if (!options_plain_path(*name))
			err = problems_add(c->problems, PROBLEM_ERROR, "source.expect", "kexec.json", 0, 0,
				_("name a file that the run writes in its own folder, for example \"submission.csv\""),
				_("\"expect\" names a path outside the folder: %s"), *name);
	}
	return err;
}

/* ---- The entry file ---- */

/* The line in a sentence of json_parse(), which begins with it in every language. */
static int line_of(const struct why *why)
{
	const char *digits = why->text + strcspn(why->text, "0123456789");

	return why->err == EINVAL ? atoi(digits) : 0;
}

static int add_unreadable(struct checker *c, int err, const struct why *why)
{
	bool large = err == -EFBIG;

	return problems_add(c->problems, PROBLEM_ERROR, large ? "source.size" : "source.entry", c->o->main, 0, 0,
		large ? _("clear its outputs (jupyter nbconvert --clear-output --inplace) and keep data in files of its own")
		      : _("put the file itself into the folder"),
		_("it cannot be taken: %s"), why_text(why));
}

/* Not a notebook. Is it no JSON, and is that because of an unfinished merge? */
static int add_bad_notebook(struct checker *c, const struct strbuf *text, const struct why *why)
{
	struct why syntax = {0};
	struct json *j = json_parse(text->buf, text->len, IPYNB_MAX_BYTES, &syntax);
	int conflict = code_conflict_line(text->buf);

	if (j) {
		json_free(j);
		return problems_add(c->problems, PROBLEM_ERROR, "notebook.format", c->o->main, 0, 0,
			_("open it in Jupyter and save it again"), _("it is no notebook that can be run: %s"),
			why_text(why));
	}
	if (conflict)
		return problems_add(c->problems, PROBLEM_ERROR, "code.conflict", c->o->main, 0, conflict,
			_("decide which side is right and remove the markers, for example with nbdime"),
			_("a merge conflict is left in the notebook"));
	return problems_add(c->problems, PROBLEM_ERROR, "notebook.json", c->o->main, 0, line_of(&syntax),
		_("save it again from Jupyter; it may have been cut off while it was copied"),
		_("it is not JSON: %s"), why_text(&syntax));
}

static int check_cell(struct checker *c, const struct ipynb *nb, size_t i)
{
	AUTO_BUF struct strbuf source = STRBUF_INIT;
	struct code code = {.file = c->o->main, .cell = (int)i + 1, .seen = &c->seen};
	int err = ipynb_cell_source(nb, i, &source);

	c->looked += source.len;
	if (err || c->looked > CODE_MAX)
		return err;
	code.text = source.buf;
	c->gpu_code = c->gpu_code || (c->o->gpu && code_uses_gpu(source.buf));
	return check_code(&code, c->o, c->problems);
}

static int check_kernel(struct checker *c, const struct ipynb *nb)
{
	const char *language = ipynb_language(nb);

	if (strncasecmp(language, "python", 6) == 0 || strcasecmp(language, "ipython") == 0)
		return 0;
	return problems_add(c->problems, PROBLEM_ERROR, "notebook.kernel", c->o->main, 0, 0,
		_("choose a Python kernel in Jupyter and save it"),
		_("its kernel is for %s; only Python notebooks can be run"), language);
}

static int check_cells(struct checker *c, const struct ipynb *nb)
{
	size_t cells = 0;
	int err = check_kernel(c, nb);

	for (size_t i = 0; i < ipynb_cells(nb) && !err; i++) {
		if (!ipynb_cell_is_code(nb, i))
			continue;
		cells++;
		err = check_cell(c, nb, i);
	}
	if (!err && !cells)
		err = problems_add(c->problems, PROBLEM_WARNING, "notebook.empty", c->o->main, 0, 0,
			_("write some code"), _("no cell of the notebook holds code: nothing will happen"));
	return err;
}

static int check_notebook(struct checker *c, const struct strbuf *text)
{
	struct why why = {0};
	struct ipynb *nb = ipynb_parse(text->buf, text->len, &why);
	int err;

	if (!nb && why.err == ENOMEM)
		return -ENOMEM;
	if (!nb)
		return add_bad_notebook(c, text, &why);
	err = check_cells(c, nb);
	ipynb_free(nb);
	return err;
}

/* PEP 263: a comment in the first two lines may name another encoding. */
static bool names_encoding(const char *text)
{
	const char *end = strchr(text, '\n'), *found = strstr(text, "coding");

	end = end ? strchr(end + 1, '\n') : NULL;
	return found && (!end || found < end);
}

static int check_script(struct checker *c, const struct strbuf *text)
{
	const struct code code = {.file = c->o->main, .text = text->buf, .seen = &c->seen};

	if (strlen(text->buf) != text->len)
		return problems_add(c->problems, PROBLEM_ERROR, "script.binary", c->o->main, 0, 0,
			_("save it as plain text (UTF-8)"), _("it holds NUL bytes: it is no Python source"));
	if (!utf8_valid(text->buf, text->len) && !names_encoding(text->buf))
		return problems_add(c->problems, PROBLEM_ERROR, "script.encoding", c->o->main, 0, 0,
			_("save it as UTF-8, or name its encoding in the first line"), _("it is not UTF-8"));
	if (strspn(text->buf, " \t\r\n") == text->len)
		return problems_add(c->problems, PROBLEM_WARNING, "script.empty", c->o->main, 0, 0,
			_("write some code"), _("it is empty: nothing will happen"));
	c->gpu_code = c->gpu_code || (c->o->gpu && code_uses_gpu(text->buf));
	return check_code(&code, c->o, c->problems);
}

static int check_job(struct checker *c, const struct strbuf *text)
{
	struct why why = {0};
	struct json *j = json_parse(text->buf, text->len, SCRIPT_MAX, &why);
	bool parsed = j != NULL, object = json_type(j) == JSON_OBJECT;

	json_free(j);
	if (object)
		return 0;
	if (parsed)
		why_set(&why, EPROTO, _("it must be one JSON object"));
	return problems_add(c->problems, PROBLEM_ERROR, "job.json", c->o->main, 0, line_of(&why),
		_("correct the file"), _("it is not a job description: %s"), why_text(&why));
}

static int check_entry(struct checker *c)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	bool notebook = c->o->kind == KIND_NOTEBOOK;
	struct why why = {0};
	int err;

	if (c->o->kind == KIND_NONE || !c->o->main)
		return problems_add(c->problems, PROBLEM_ERROR, "source.entry", "", 0, 0,
			_("add a notebook or a script, or name it as \"main\" in kexec.json"),
			_("nothing can be run: %s"), c->o->missing ? c->o->missing : _("no entry file"));
	err = options_plain_path(c->o->main) ?
		source_read(c->dirfd, c->o->main, notebook ? IPYNB_MAX_BYTES : SCRIPT_MAX, &text, &why) :
		why_set(&why, EXDEV, _("its path leads out of the folder"));
	if (err == -ENOMEM)
		return err;
	/* That it is not there was told with the other named files. */
	if (err == -ENOENT && c->o->named_files && c->o->named_files[0])
		return 0;
	if (err)
		return add_unreadable(c, err, &why);
	if (notebook)
		return check_notebook(c, &text);
	return c->o->kind == KIND_SCRIPT ? check_script(c, &text) : check_job(c, &text);
}

static int check_gpu(struct checker *c)
{
	bool code = c->o->kind == KIND_NOTEBOOK || c->o->kind == KIND_SCRIPT;

	if (!c->o->gpu || c->gpu_code || !code || problems_errors(c->problems))
		return 0;
	return problems_add(c->problems, PROBLEM_WARNING, "code.gpu", c->o->main, 0, 0,
		_("leave \"gpu\" out (enable_gpu in kernel-metadata.json) and save the allowance"),
		_("a GPU is asked for, but no library that uses one is imported"));
}

int check_source(int dirfd, const struct options *options, struct problems *problems, struct why *why)
{
	struct checker c = {.dirfd = dirfd, .o = options, .problems = problems, .seen = STRBUF_INIT};
	int err = check_tree(&c, why);

	if (!err)
		err = check_named(&c);
	if (!err)
		err = check_expect(&c);
	if (!err)
		err = check_entry(&c);
	if (!err)
		err = check_gpu(&c);
	strbuf_release(&c.seen);
	if (err && why && !why->err)
		why_set(why, -err, _("the folder cannot be checked: %s"), strerror(-err));
	return err;
}
