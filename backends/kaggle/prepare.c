/*
 * From a submitted folder to the request that pushes it. Asks nobody: what can be wrong is said before
 * anything is sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/kaggle/folder_files.h"
#include "backends/kaggle/kaggle.h"
#include "backends/kaggle/metadata.h"
#include "backends/kaggle/slug.h"
#include "backends/kaggle/source.h"
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/notebook/ipynb.h"

#define SESSION_SECONDS (12 * 3600) /* what Kaggle gives a session at most … */
#define TPU_SECONDS	(9 * 3600)  /* … and one with a TPU */
#define LARGE_SOURCE	((size_t)1 << 20)

struct push_parts {
	struct kernel_metadata m;
	char id[KAGGLE_NAME_MAX];
};

void push_init(struct push *p)
{
	memset(p, 0, sizeof(*p));
	strbuf_init(&p->text, STRBUF_DEFAULT_MAX);
	strbuf_init(&p->problems, STRBUF_DEFAULT_MAX);
	strbuf_init(&p->warnings, STRBUF_DEFAULT_MAX);
}

void push_release(struct push *p)
{
	if (p->parts)
		kernel_metadata_release(&p->parts->m);
	free(p->parts);
	record_release(&p->record);
	strbuf_release(&p->text);
	strbuf_release(&p->problems);
	strbuf_release(&p->warnings);
	push_init(p);
}

/* ---- The name ---- */

static bool owned_by(const char *id, const char *user)
{
	size_t n = strcspn(id, "/");

	return !user || (strlen(user) == n && strncasecmp(id, user, n) == 0);
}

static int fresh_id(const struct job *job, const char *user, struct push *p)
{
	char slug[KAGGLE_SLUG_MAX + 1];
	int err = kaggle_fresh_slug(job->name, job->token, slug);

	p->record.fresh = true;
	p->request.id = 0;
	if (!err)
		snprintf(p->parts->id, sizeof(p->parts->id), "%s/%s", user ? user : "-", slug);
	return err;
}

static int choose_id(const struct job *job, const char *user, struct push *p)
{
	const char *id = p->parts->m.id;

	if (user && !kaggle_owner_valid(user, strlen(user)))
		return -EPROTO;
	if (!id || job->fresh_slug)
		return fresh_id(job, user, p);
	if (!owned_by(id, user)) {
		strbuf_addf(&p->warnings,
			_("kernel-metadata.json: %s belongs to somebody else; it is pushed as a new kernel of yours\n"),
			id);
		return fresh_id(job, user, p);
	}
	snprintf(p->parts->id, sizeof(p->parts->id), "%s", id);
	p->request.id = p->parts->m.id_no;
	return 0;
}

/* ---- The machine ---- */

static bool begins(const char *text, const char *with)
{
	return text && strncasecmp(text, with, strlen(with)) == 0;
}

static bool is_gpu_shape(const char *shape)
{
	return begins(shape, "nvidia") || begins(shape, "gpu");
}

/* The machine for a type that a kexec.json names; NULL: there is none such. */
static const char *shape_of(const char *type)
{
	static const struct {
		const char *type, *shape;
	} shapes[] = {{"T4", "NvidiaTeslaT4"}, {"T4x2", "NvidiaTeslaT4"}, {"P100", "NvidiaTeslaP100"},
		{"L4", "NvidiaL4"}, {"L4x1", "NvidiaL4X1"}, {"A100", "NvidiaTeslaA100"},
		{"H100", "NvidiaH100"}, {"RTX6000", "NvidiaRtxPro6000"}};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (strcasecmp(type, shapes[i].type) == 0)
			return shapes[i].shape;
	}
	return is_gpu_shape(type) ? type : NULL;
}

/* The job says whether there is a GPU; the metadata may say which, and says everything about TPUs. */
static void choose_machine(const struct job *job, struct push *p)
{
	const struct kernel_metadata *m = &p->parts->m;
	struct kaggle_push *request = &p->request;
	const char *shape = m->machine_shape;
	AUTO_BUF struct strbuf shown = STRBUF_INIT;

	request->gpu = job->gpu != NULL;
	request->tpu = !request->gpu && (m->tpu == 1 || begins(shape, "tpu"));
	request->internet = job->internet;
	if (job->gpu && strcmp(job->gpu, "any") != 0) {
		request->machine_shape = shape_of(job->gpu);
		escape_line(&shown, job->gpu, strlen(job->gpu), 100);
		if (!request->machine_shape)
			strbuf_addf(&p->problems, _("Kaggle has no accelerator \"%s\"; T4, P100, L4 are usual\n"),
				shown.buf);
	} else if (request->gpu ? is_gpu_shape(shape) : shape && !is_gpu_shape(shape)) {
		request->machine_shape = shape;
	}
}

/* A session without an end would use up the week's allowance. */
static void choose_limit(const struct job *job, struct push *p)
{
	int most = p->request.tpu ? TPU_SECONDS : SESSION_SECONDS;
	int64_t wanted = job->limit_ns > 0 ? (job->limit_ns + NS_PER_S - 1) / NS_PER_S : most;

	if (wanted > most)
		strbuf_addf(&p->warnings, _("Kaggle ends a session after %d hours; \"hours\" asks for more\n"),
			most / 3600);
	p->request.session_seconds = wanted < most ? (int)wanted : most;
	p->record.session_seconds = p->request.session_seconds;
}

/* ---- All but the text ---- */

static int read_metadata(const struct job *job, struct push *p, struct why *why)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int err = folder_files_read(job->source, METADATA_FILE, METADATA_BYTES, &text);

	if (err == -ENOENT)
		return 0;
	if (err)
		return why_set(why, -err, _("%s cannot be read: %s"), METADATA_FILE, strerror(-err));
	return kernel_metadata_parse(text.buf, text.len, &p->parts->m, &p->problems, &p->warnings);
}

static void fill_request(const struct job *job, struct push *p)
{
	const struct kernel_metadata *m = &p->parts->m;
	struct kaggle_push *request = &p->request;

	request->slug = p->parts->id;
	request->title = kaggle_title(strchr(p->parts->id, '/') + 1, p->record.fresh ? job->name : m->title);
	request->language = m->language ? m->language : "python";
	request->kernel_type = job->kind;
	request->is_private = m->is_private != 0;
	request->docker_image = m->docker_image;
	request->docker_pinning = m->docker_pinning;
}

static int fill_record(const struct job *job, struct push *p)
{
	const char *accelerator = p->request.gpu ? "gpu" : p->request.tpu ? "tpu" : NULL;

	p->record.slug = strdup(p->parts->id);
	p->record.token = strdup(job->token);
	p->record.accelerator = accelerator ? strdup(accelerator) : NULL;
	return p->record.slug && p->record.token && (!accelerator || p->record.accelerator) ? 0 : -ENOMEM;
}

static int first_problem(const struct push *p, struct why *why)
{
	return p->problems.len ? why_set(why, EINVAL, "%.*s", (int)strcspn(p->problems.buf, "\n"),
					 p->problems.buf)
			       : 0;
}

static bool usable_token(const char *token)
{
	size_t n = strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

	return n < TOKEN_MAX && token[n] == '\0';
}

int push_prepare(const struct job *job, const char *user, struct push *p, struct why *why)
{
	int err;

	if (strcmp(job->kind, "notebook") && strcmp(job->kind, "script"))
		return why_set(why, EINVAL, _("Kaggle runs notebooks and scripts, not %s."), job->kind);
	if (!usable_token(job->token))
		return -EINVAL;
	p->parts = calloc(1, sizeof(*p->parts));
	if (!p->parts)
		return -ENOMEM;
	kernel_metadata_init(&p->parts->m);
	err = read_metadata(job, p, why);
	if (!err)
		err = choose_id(job, user, p);
	if (err)
		return err;
	fill_request(job, p);
	choose_machine(job, p);
	choose_limit(job, p);
	err = fill_record(job, p);
	return err ? err : first_problem(p, why);
}

/* ---- The text ---- */

static const char *const *borrow(char **list)
{
	return (const char *const *)list;
}

static int attach(const char *dataset, struct push *p)
{
	struct metadata_lists *s = &p->parts->m.sources;
	int err = dataset ? kernel_metadata_add(&s->datasets, dataset) : 0;

	if (!err && dataset && !(p->record.dataset = strdup(dataset)))
		err = -ENOMEM;
	p->request.datasets = borrow(s->datasets);
	p->request.competitions = borrow(s->competitions);
	p->request.kernels = borrow(s->kernels);
	p->request.models = borrow(s->models);
	p->request.keywords = borrow(s->keywords);
	return err;
}

static int make_text(const struct job *job, const struct source_extras *x, struct push *p, struct why *why)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int err = folder_files_read(job->source, job->main, IPYNB_MAX_BYTES, &text);

	if (err)
		return why_set(why, EINVAL, _("%s cannot be read: %s"), job->main, strerror(-err));
	if (!utf8_valid(text.buf, text.len) || strlen(text.buf) != text.len)
		return why_set(why, EINVAL, _("%s is no text in UTF-8, which is all that Kaggle takes."), job->main);
	return strcmp(job->kind, "notebook") ? source_script(text.buf, text.len, x, &p->text, why)
					     : source_notebook(text.buf, text.len, x, &p->text, why);
}

int push_finish(const struct job *job, const char *dataset, const char *probe, struct push *p, struct why *why)
{
	const struct source_extras x = {.token = job->token, .name = job->name, .parameters = job->parameters,
		.env = job->env, .dataset = dataset, .probe = probe};
	int err = make_text(job, &x, p, why);

	if (!err)
		err = attach(dataset, p);
	if (!err && p->text.len > LARGE_SOURCE)
		strbuf_addf(&p->warnings, _("%s is over 1 MB without its outputs; Kaggle may refuse it\n"),
			job->main);
	p->request.text = p->text.buf;
	return err ? err : p->warnings.err;
}
