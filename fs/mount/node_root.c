/* The top of the mount: README, dashboard, runs.csv, the daemon's own words, log and alerts. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/engine.h"
#include "fs/mount/mount.h"
#include "fs/mount/node_rows.h"
#include "fs/page/page.h"

static void readme_rows(struct strbuf *out, unsigned parent, int depth, int most)
{
	for (unsigned row = 1; row < NODE_COUNT; row++) {
		const struct node *n = &tree[row];

		if (n->parent != parent || !n->help)
			continue;
		const char *name = n->name ? n->name : parent == N_ATTEMPT || parent == N_RUN_ATTEMPTS ? "<n>" : "<name>";

		char label[64];

		snprintf(label, sizeof(label), "%*s%s%s", depth * 2, "", name, S_ISDIR(n->mode) ? "/" : "");
		strbuf_addf(out, "%-27s %s\n", label, _(n->help));
		if (S_ISDIR(n->mode) && depth < most)
			readme_rows(out, row, depth + 1, most);
	}
}

void tree_print(struct strbuf *out)
{
	readme_rows(out, N_ROOT, 0, NODE_COUNT);
}

int readme_render(const struct call *c, struct ref r, struct strbuf *out)
{
	(void)c;
	(void)r;
	strbuf_adds(out, _("kexec: copy a folder into queue/, and it runs.\n"
			   "\n"
			   "  cp -r notebook queue/          submit (a folder with a notebook or a script)\n"
			   "  cat latest/notebook/status     how it is doing\n"
			   "  cat latest/notebook/wait       wait until it has ended\n"
			   "  ls latest/notebook/results/    what it wrote\n"
			   "  cat latest/notebook/ctl        what can be done to it now; write the word to do it\n"
			   "\n"));
	readme_rows(out, N_ROOT, 0, 2); /* a screen; kexecfs --tree has the rest */
	return out->err;
}

int index_render(const struct call *c, struct ref r, struct strbuf *out)
{
	(void)r;
	return page_dashboard(c->mount->engine, out);
}

int runs_csv_render(const struct call *c, struct ref r, struct strbuf *out)
{
	(void)r;
	return page_runs_csv(c->mount->engine, out);
}

int daemon_ctl_render(const struct call *c, struct ref r, struct strbuf *out)
{
	struct mount *m = c->mount;

	(void)r;
	pthread_mutex_lock(&m->ctl_lock);
	if (m->ctl_refusal[0])
		strbuf_addf(out, "%s\n", m->ctl_refusal);
	pthread_mutex_unlock(&m->ctl_lock);
	strbuf_addf(out, "cancel-all          %s\n", _("cancel every run that has not ended"));
	return out->err;
}

struct cancelling {
	const struct call *c;
	uint64_t n;
};

static int cancel_one(void *arg, const struct engine_entry *e)
{
	struct cancelling *all = arg;
	char word[] = "cancel";
	char *argv[] = {word, NULL};

	/* Keys of their own, far above those of lines (walk_command). */
	if (e->state != RUN_DRAFT && !run_state_final(e->state))
		engine_command(all->c->mount->engine, all->c->key | ++all->n << 40, e->id, 1, argv, NULL);
	return 0;
}

int daemon_ctl_command(const struct call *c, struct ref r, int argc, char *const argv[], struct why *why)
{
	struct cancelling all = {c, 0};

	(void)r;
	if (argc == 1 && strcmp(argv[0], "cancel-all") == 0)
		return engine_list(c->mount->engine, LIST_RUNS, 0, cancel_one, &all);
	return why_set(why, EINVAL, _("`%s` is not a word of this file"), argv[0]);
}

void daemon_ctl_refused(const struct call *c, struct ref r, const char *sentence)
{
	struct mount *m = c->mount;

	(void)r;
	pthread_mutex_lock(&m->ctl_lock);
	snprintf(m->ctl_refusal, sizeof(m->ctl_refusal), "%s", sentence);
	pthread_mutex_unlock(&m->ctl_lock);
}

int log_backing(const struct call *c, struct ref r, char *path, size_t size)
{
	(void)c;
	(void)r;
	snprintf(path, size, "log");
	return 0;
}

int alerts_render(const struct call *c, struct ref r, struct strbuf *out)
{
	(void)r;
	return engine_alerts(c->mount->engine, out);
}

int knowledge_backing(const struct call *c, struct ref r, char *path, size_t size)
{
	(void)c;
	(void)r;
	snprintf(path, size, "knowledge");
	return 0;
}
