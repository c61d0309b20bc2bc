#include "backends/local/script.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backends/backend.h"
#include "backends/local/attempt.h"
#include "backends/local/sandbox.h"
#include "fs/base/cleanup.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"

/* Handed on from the daemon's environment; everything else in it may be a credential. */
static const char *const passed_on[] = {
	"PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
	"MKL_NUM_THREADS", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
};
static const char *const proxies[] = {
	"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"};

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* 'text' for sh: nothing is special between single quotes but the quote itself. */
static void quote(struct strbuf *out, const char *text)
{
	strbuf_addch(out, '\'');
	for (const char *p = text; *p; p++) {
		if (*p == '\'')
			strbuf_adds(out, "'\\''");
		else
			strbuf_addch(out, *p);
	}
	strbuf_addch(out, '\'');
}

static void set(struct strbuf *out, const char *name, const char *value)
{
	strbuf_addf(out, "export %s=", name);
	quote(out, value);
	strbuf_addch(out, '\n');
}

static void pass_on(struct strbuf *out, const char *const *names, size_t count, bool may_hold_password)
{
	for (size_t i = 0; i < count; i++) {
		const char *value = getenv(names[i]);

		if (value && !(may_hold_password && strchr(value, '@')))
			set(out, names[i], value);
	}
}

static void pass_on_locale(struct strbuf *out)
{
	for (char **e = environ; *e; e++) {
		size_t n = strcspn(*e, "=");
		char name[32];

		if (strncmp(*e, "LC_", 3) || !(*e)[n] || n >= sizeof(name))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)n, *e);
		if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == n)
			set(out, name, *e + n + 1);
	}
}

static bool name_valid(const char *name)
{
	if (!name || !(isalpha((unsigned char)*name) || *name == '_'))
		return false;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_')
			return false;
	/* A shell gives up when OPTIND is no number. */
	return strncmp(name, "KEXEC_", 6) && strcmp(name, "OPTIND");
}

/* A value that is no text stands as JSON does: 1, true. Names that no shell can export are left out. */
static void set_user_env(struct strbuf *out, const struct json *env)
{
	for (const struct json *e = json_first(env); e; e = json_next(e)) {
		AUTO_BUF struct strbuf value = STRBUF_INIT;

		if (!name_valid(json_key(e)))
			continue;
		if (json_text(e))
			set(out, json_key(e), json_text(e));
		else if (!json_print(e, &value, false))
			set(out, json_key(e), value.buf);
	}
}

static void set_own(const struct job *job, const struct sandbox *sandbox, const struct job_user *user,
	const char *box, struct strbuf *out)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/" BOX_HOME, box);
	set(out, "HOME", path);
	if (*user->home) {
		snprintf(path, sizeof(path), "%s/.local", user->home);
		set(out, "PYTHONUSERBASE", path);
		snprintf(path, sizeof(path), "%s/.local/share/jupyter", user->home);
		set(out, "JUPYTER_PATH", path);
	}
	/* Short, so that kernels can use sockets in it; /tmp is private only in the sandbox. */
	if (sandbox->bwrap)
		set(out, "JUPYTER_RUNTIME_DIR", "/tmp/jupyter");
	else
		snprintf(path, sizeof(path), "%s/tmp", box), set(out, "TMPDIR", path);
	set(out, "USER", user->name);
	set(out, "LOGNAME", user->name);
	set(out, "KAGGLE_KERNEL_RUN_TYPE", "Batch");
	set(out, "KEXEC_RUN", job->name);
	set(out, "MPLBACKEND", "Agg");
	set(out, "PYDEVD_DISABLE_FILE_VALIDATION", "1");
	set(out, "PYTHONUNBUFFERED", "1");
	if (!job->gpu)
		set(out, "CUDA_VISIBLE_DEVICES", "");
}

static void set_parameters(struct strbuf *out, const struct json *parameters)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	if (parameters && !json_print(parameters, &text, false))
		set(out, "KEXEC_PARAMETERS", text.buf);
}

static void add_command(
	const struct job *job, const char *box, const char *python, struct strbuf *out)
{
	/* The first word to the supervisor: everything before this line is set-up. */
	strbuf_adds(out, "printf '{\"started\":true}\\n' >&3\nexec ");
	quote(out, python);
	if (!strcmp(job->kind, "notebook")) {
		strbuf_adds(out, " -u ");
		quote(out, box);
		strbuf_adds(out, "/driver.py ");
		quote(out, box);
		strbuf_adds(out, "/notebook.ipynb ");
		quote(out, box);
		strbuf_adds(out, "/" BOX_EXECUTED "\n");
		return;
	}
	strbuf_adds(out, " -u ./");
	quote(out, job->main);
	strbuf_adds(out, " 3>&-\n");
}

int script_print(const struct job *job, const struct sandbox *sandbox, const struct job_user *user,
	const struct sandbox_job *place, const char *python, struct strbuf *out)
{
	const char *box = sandbox_box(sandbox, place);

	strbuf_adds(out, "#!/bin/sh\numask 022\n");
	set(out, "LANG", "C.UTF-8");
	pass_on(out, passed_on, COUNT(passed_on), false);
	if (job->internet)
		pass_on(out, proxies, COUNT(proxies), true);
	pass_on_locale(out);
	set_own(job, sandbox, user, box, out);
	set_parameters(out, job->parameters);
	strbuf_adds(out, "cd ");
	quote(out, sandbox_work(sandbox, place));
	strbuf_adds(out, " || exit 125\n");
	set_user_env(out, job->env);
	add_command(job, box, python, out);
	return out->err;
}
