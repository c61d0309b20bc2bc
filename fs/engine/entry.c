#include "fs/engine/entry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "backends/backend.h"
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"
#include "fs/engine/door.h"
#include "fs/engine/options_fields.h"
#include "fs/engine/source.h"

#define JOB_MAX_BYTES ((size_t)16 << 20)
#define NAMES_SHOWN   3
#define SENTENCE_MAX  1000

/* The documents that are runnable when they carry "kexec": 1. */
static const struct {
	const char *file;
	enum run_kind kind;
} job_files[] = {
	{"plan.json", KIND_PLAN},
	{"study.json", KIND_STUDY},
	{"train.json", KIND_TRAIN},
	{"spec.json", KIND_SPEC},
};
#define JOB_FILES (sizeof(job_files) / sizeof(job_files[0]))

/* Files of one ending at the top of the folder. */
struct candidates {
	const char *ending;
	const char *usual; /* "main.ipynb" */
	enum run_kind kind;
	char *first;       /* lowest name in byte order: the same answer in every file system */
	size_t count;
	bool has_usual;
	struct strbuf names; /* some of them, for the sentence */
};

static bool ends_with(const char *name, const char *ending)
{
	size_t len = strlen(name), n = strlen(ending);

	return len > n && strcasecmp(name + len - n, ending) == 0;
}

static bool is_file(int dirfd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_REG || entry->d_type == DT_LNK;
	return fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(S_ISREG(st.st_mode) || S_ISLNK(st.st_mode));
}

static int add_candidate(struct candidates *c, const char *name)
{
	c->has_usual |= strcmp(name, c->usual) == 0;
	if (++c->count <= NAMES_SHOWN) {
		if (c->names.len)
			strbuf_adds(&c->names, ", ");
		escape_line(&c->names, name, strlen(name), 100);
	}
	if (c->first && strcmp(name, c->first) >= 0)
		return 0;
	free(c->first);
	c->first = strdup(name);
	return c->first ? 0 : -ENOMEM;
}

/* Dot files are editors', file managers' and copiers'; a name that is not UTF-8 is a problem that the
 * checks tell. */
static bool counts(int dirfd, const struct dirent *entry)
{
	const char *name = entry->d_name;

	return name[0] != '.' && utf8_valid(name, strlen(name)) && !door_temporary_name(name) &&
		is_file(dirfd, entry);
}

static int list_candidates(int dirfd, struct candidates *notebooks, struct candidates *scripts)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int err = 0;

	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (errno = 0, entry = readdir(dir))) {
		if (ends_with(entry->d_name, notebooks->ending) && counts(fd, entry))
			err = add_candidate(notebooks, entry->d_name);
		else if (ends_with(entry->d_name, scripts->ending) && counts(fd, entry))
			err = add_candidate(scripts, entry->d_name);
	}
	if (!err && errno)
		err = -errno;
	closedir(dir);
	return err;
}

static int choose(struct options *o, enum run_kind kind, const char *main)
{
	char *copy = strdup(main);

	if (!copy)
		return -ENOMEM;
	free(o->main);
	o->main = copy;
	o->kind = kind;
	return 0;
}

static int __attribute__((format(printf, 2, 3))) not_runnable(struct options *o, const char *fmt, ...)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT, line = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&text, fmt, ap);
	va_end(ap);
	escape_line(&line, text.buf, text.len, SENTENCE_MAX);
	o->kind = KIND_NONE;
	free(o->missing);
	o->missing = strbuf_detach(&line, NULL);
	return o->missing ? 0 : -ENOMEM;
}

static enum run_kind kind_of_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	if (ends_with(name, ".ipynb"))
		return KIND_NOTEBOOK;
	if (ends_with(name, ".py"))
		return KIND_SCRIPT;
	for (size_t i = 0; i < JOB_FILES; i++) {
		if (strcmp(name, job_files[i].file) == 0)
			return job_files[i].kind;
	}
	return KIND_NONE;
}

/* The file that kind usually is in, when kexec.json says the kind alone. */
static int main_of_job(struct options *o)
{
	for (size_t i = 0; i < JOB_FILES; i++) {
		if (job_files[i].kind == o->kind)
			return choose(o, o->kind, job_files[i].file);
	}
	return 0;
}

static int from_candidates(struct options *o, const struct candidates *c)
{
	if (c->count == 1)
		return choose(o, c->kind, c->first);
	if (c->has_usual)
		return choose(o, c->kind, c->usual);
	if (c->count == 0)
		return not_runnable(o, _("no file ending in %s is there yet"), c->ending);
	return not_runnable(o, _("several files end in %s (%s%s): name one as \"main\" in kexec.json"),
		c->ending, c->names.buf, c->count > NAMES_SHOWN ? ", ..." : "");
}

/* kexec.json says the kind. */
static int from_kind(struct options *o, const struct metadata *m, const struct candidates *notebooks,
	const struct candidates *scripts)
{
	if (o->main)
		return 0;
	if (o->kind != KIND_NOTEBOOK && o->kind != KIND_SCRIPT)
		return main_of_job(o);
	if (m->code_file && kind_of_name(m->code_file) == o->kind)
		return choose(o, o->kind, m->code_file);
	return from_candidates(o, o->kind == KIND_NOTEBOOK ? notebooks : scripts);
}

/* kexec.json says the file. */
static int from_main(struct options *o)
{
	o->kind = kind_of_name(o->main);
	if (o->kind != KIND_NONE)
		return 0;
	return not_runnable(o, _("\"main\" is %s: say in kexec.json of which \"kind\" it is"), o->main);
}

static int from_metadata(struct options *o, const struct metadata *m)
{
	enum run_kind kind = m->kind != KIND_NONE ? m->kind : kind_of_name(m->code_file);

	if (m->language == LANGUAGE_OTHER)
		return not_runnable(o, _("kernel-metadata.json names a language other than Python"));
	if (kind == KIND_NONE)
		return not_runnable(o, _("kernel-metadata.json does not say the kernel_type of %s"), m->code_file);
	return choose(o, kind, m->code_file);
}

/* Which job documents count: 0 or more; `bad` gets a sentence about one that is not JSON. */
static int from_job_files(int dirfd, struct options *o, size_t *count, struct strbuf *bad)
{
	AUTO_BUF struct strbuf names = STRBUF_INIT;
	int err = 0;

	*count = 0;
	for (size_t i = 0; i < JOB_FILES && !err; i++) {
		AUTO_BUF struct strbuf text = STRBUF_INIT;
		struct why why = {0};
		struct json *j;

		if (source_read(dirfd, job_files[i].file, JOB_MAX_BYTES, &text, &why) < 0)
			continue;
		j = json_parse(text.buf, text.len, JOB_MAX_BYTES, &why);
		if (!j)
			strbuf_addf(bad, _("; %s cannot be read: %s"), job_files[i].file, why_text(&why));
		if (json_int(json_get(j, "kexec"), 0) == 1) {
			strbuf_addf(&names, "%s%s", (*count)++ ? ", " : "", job_files[i].file);
			err = choose(o, job_files[i].kind, job_files[i].file);
		}
		json_free(j);
	}
	if (*count <= 1 || err)
		return err;
	free(o->main);
	o->main = NULL;
	return not_runnable(o, _("several job files are there (%s): say in kexec.json which \"kind\" this is"),
		names.buf);
}

/*
 * "Exactly one .ipynb, else exactly one .py, else main.ipynb or main.py": several notebooks beside one
 * .py are not that script's run, though: a helper module would be run in the place of the notebook
 * that was meant, so that is "several" unless one is called main.
 */
static int from_files(struct options *o, const struct candidates *notebooks, const struct candidates *scripts,
	const char *bad)
{
	if (notebooks->count == 1 || notebooks->has_usual)
		return from_candidates(o, notebooks);
	if (notebooks->count == 0 && scripts->count == 0)
		return not_runnable(o, _("no notebook (.ipynb) and no script (.py) is there yet%s"), bad);
	if (notebooks->count == 0 || scripts->has_usual)
		return from_candidates(o, scripts);
	return from_candidates(o, notebooks);
}

static int find(int dirfd, const struct metadata *m, struct options *o, const struct candidates *notebooks,
	const struct candidates *scripts)
{
	AUTO_BUF struct strbuf bad = STRBUF_INIT;
	size_t jobs;
	int err;

	if (o->kind != KIND_NONE)
		return from_kind(o, m, notebooks, scripts);
	if (o->main)
		return from_main(o);
	if (m->present && m->code_file)
		return from_metadata(o, m);
	err = from_job_files(dirfd, o, &jobs, &bad);
	if (err || jobs)
		return err;
	return from_files(o, notebooks, scripts, bad.buf);
}

/* A kind and a file that cannot belong together. */
static int check_pair(const struct options *o, struct problems *problems)
{
	enum run_kind by_name = o->main ? kind_of_name(o->main) : KIND_NONE;

	if (o->kind == KIND_NONE || by_name == KIND_NONE || by_name == o->kind)
		return 0;
	return problems_add(problems, PROBLEM_ERROR, "options.kind", o->main, 0, 0,
		_("correct \"kind\" or \"main\" in kexec.json (kernel_type or code_file in kernel-metadata.json)"),
		_("the kind is %s, but the file is a %s"), run_kind_words[o->kind], run_kind_words[by_name]);
}

int entry_find(int dirfd, const struct metadata *m, struct options *o, struct problems *problems,
	struct why *why)
{
	struct candidates notebooks = {".ipynb", "main.ipynb", KIND_NOTEBOOK, .names = STRBUF_INIT};
	struct candidates scripts = {".py", "main.py", KIND_SCRIPT, .names = STRBUF_INIT};
	int err = list_candidates(dirfd, &notebooks, &scripts);

	if (err)
		why_set(why, -err, _("the folder cannot be read: %s"), strerror(-err));
	else
		err = find(dirfd, m, o, &notebooks, &scripts);
	if (!err)
		err = check_pair(o, problems);
	free(notebooks.first);
	free(scripts.first);
	strbuf_release(&notebooks.names);
	strbuf_release(&scripts.names);
	return err;
}

/* ---- Backends ---- */

static bool has_credentials(const struct config *config, const char *name)
{
	const struct backend *b = backend_find(name);

	return b && (!b->credentials || b->credentials(config));
}

static bool known(const struct config *config, const char *name)
{
	const char *const *words = config->known_backends;

	if (!words)
		return true; /* nobody said which there are */
	for (; *words; words++) {
		if (strcmp(*words, name) == 0)
			return true;
	}
	return false;
}

static int unknown_backend(const struct config *config, const char *file, const char *name,
	struct problems *problems)
{
	AUTO_BUF struct strbuf fix = STRBUF_INIT;
	const char *near = nearest_word(name, config->known_backends);

	if (near)
		strbuf_addf(&fix, _("did you mean \"%s\"?"), near);
	else
		strbuf_adds(&fix, _("known backends:"));
	for (const char *const *word = config->known_backends; !near && *word; word++)
		strbuf_addf(&fix, " %s", *word);
	return problems_add(problems, PROBLEM_ERROR, "options.backend", file, 0, 0, fix.buf,
		_("there is no backend \"%s\""), name);
}

static bool named_before(char *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i], name) == 0)
			return true;
	}
	return false;
}

/* Of the folder's own list: each known name once. */
static int keep_known(const struct config *config, struct options *o, struct problems *problems)
{
	size_t kept = 0;
	int err = 0;

	for (size_t i = 0; o->backends[i]; i++) {
		char *name = o->backends[i];

		o->backends[i] = NULL;
		if (known(config, name) && !named_before(o->backends, kept, name)) {
			o->backends[kept++] = name;
			continue;
		}
		if (!known(config, name) && !err)
			err = unknown_backend(config, "kexec.json", name, problems);
		free(name);
	}
	return err;
}

static int one_backend(struct options *o, const char *name)
{
	char **list = calloc(2, sizeof(*list));

	if (list)
		list[0] = strdup(name);
	if (!list || !list[0]) {
		free(list);
		return -ENOMEM;
	}
	fields_free_list(&o->backends);
	o->backends = list;
	return 0;
}

int entry_backends(const struct config *config, bool metadata, struct options *o, struct problems *problems)
{
	const char *fallback = config->default_backend ? config->default_backend : "local";
	int err = 0;

	if (o->backends && !o->backends[0])
		err = problems_add(problems, PROBLEM_ERROR, "options.backend", "kexec.json", 0, 0,
			_("name one, or leave the key out"), _("\"backend\" is an empty list"));
	else if (o->backends)
		err = keep_known(config, o, problems);
	else if (metadata && known(config, "kaggle") && config_backend_enabled(config, "kaggle") &&
		 has_credentials(config, "kaggle"))
		return one_backend(o, "kaggle");
	if (err || (o->backends && o->backends[0]))
		return err;
	if (!known(config, fallback))
		err = unknown_backend(config, "", fallback, problems);
	return err ? err : one_backend(o, fallback);
}
