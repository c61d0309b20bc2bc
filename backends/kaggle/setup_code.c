#include "backends/kaggle/setup_code.h"

#include <errno.h>
#include <string.h>

#include "backends/kaggle/source.h"
#include "fs/base/cleanup.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/notebook/ipynb.h"

/*
 * Files that came along are put where they are on this machine: in the working directory, small ones as
 * copies (a job may write to them), large ones as links, and on sys.path. A data set is mounted under one
 * of several names, unpacked or as the zip that was sent.
 */
static const char files_code[] =
	"def _kexec_files(dataset, probe):\n"
	"    import os, shutil, sys, tempfile, zipfile\n"
	"    owner, slug = dataset.split('/')\n"
	"    top = os.environ.get('KEXEC_INPUT', '/kaggle/input')\n"
	"    bases = [os.path.join(top, *p) for p in (('datasets', owner, slug), (slug,), (owner, slug))]\n"
	"    found = None\n"
	"    for base in bases:\n"
	"        for root in (base, os.path.join(base, 'source')):\n"
	"            if found is None and os.path.isfile(os.path.join(root, probe)):\n"
	"                found = root\n"
	"        packed = os.path.join(base, 'source.zip')\n"
	"        if found is None and os.path.isfile(packed):\n"
	"            found = tempfile.mkdtemp(prefix='kexec-')\n"
	"            zipfile.ZipFile(packed).extractall(found)\n"
	"    if found is None:\n"
	"        print('kexec: the data set ' + dataset + ' is not mounted', file=sys.stderr)\n"
	"        return\n"
	"    for root, _, names in os.walk(found):\n"
	"        place = os.path.relpath(root, found)\n"
	"        os.makedirs(place, exist_ok=True)\n"
	"        for name in names:\n"
	"            old, new = os.path.join(root, name), os.path.join(place, name)\n"
	"            if os.path.lexists(new):\n"
	"                continue\n"
	"            if os.path.getsize(old) > 10000000:\n"
	"                os.symlink(old, new)\n"
	"            else:\n"
	"                shutil.copyfile(old, new)\n"
	"    for path in (found, os.getcwd()):\n"
	"        if path not in sys.path:\n"
	"            sys.path.insert(0, path)\n";

static int literal(const char *text, struct strbuf *out)
{
	struct json *array = json_array();
	int err = json_append_text(array, text);

	if (!err)
		err = python_literal(json_first(array), out);
	json_free(array);
	return err;
}

static int set_env(const char *name, const char *value, struct strbuf *out)
{
	int err;

	strbuf_adds(out, "os.environ[");
	err = literal(name, out);
	strbuf_adds(out, "] = ");
	if (!err)
		err = literal(value, out);
	strbuf_adds(out, "\n");
	return err;
}

/* A value that is no text stands as JSON does: 1, true. */
static int env_code(const struct source_extras *x, struct strbuf *out)
{
	AUTO_BUF struct strbuf parameters = STRBUF_INIT;
	int err = set_env("KEXEC_RUN", x->name, out);

	if (!err && json_count(x->parameters)) {
		err = json_print(x->parameters, &parameters, false);
		if (!err)
			err = set_env("KEXEC_PARAMETERS", parameters.buf, out);
	}
	for (const struct json *e = json_first(x->env); e && !err; e = json_next(e)) {
		AUTO_BUF struct strbuf value = STRBUF_INIT;

		if (!json_text(e))
			err = json_print(e, &value, false);
		if (!err)
			err = set_env(json_key(e), json_text(e) ? json_text(e) : value.buf, out);
	}
	return err;
}

static int call_files(const struct source_extras *x, struct strbuf *out)
{
	int err;

	strbuf_adds(out, files_code);
	strbuf_adds(out, "_kexec_files(");
	err = literal(x->dataset, out);
	strbuf_adds(out, ", ");
	if (!err)
		err = literal(x->probe, out);
	strbuf_adds(out, ")\ndel _kexec_files\n");
	return err;
}

int setup_code(const struct source_extras *x, struct strbuf *out)
{
	int err = 0;

	if (!json_count(x->parameters) && !json_count(x->env) && !x->dataset)
		return 0;
	strbuf_adds(out, "import os\n");
	err = env_code(x, out);
	if (!err && x->dataset)
		err = call_files(x, out);
	return err ? err : out->err;
}
