/*
 * THE MAP: everything that users see in the mount, one row a path. The operations (mount/walk.c) go by
 * this table and name no node; a new leaf is one row and one function (mount/node_*.c).
 */
#include <stddef.h>
#include <sys/stat.h>

#include "fs/base/i18n.h"
#include "fs/mount/node_rows.h"

#define DIR  S_IFDIR
#define REG  S_IFREG
#define LINK S_IFLNK

const struct node tree[NODE_COUNT] = {
	[N_ROOT] = {N_ROOT, NULL, DIR | 0555, NODE_STABLE},

	[N_README] = {N_ROOT, "README", REG | 0444, NODE_STABLE, N_("how to use this mount"), .render = readme_render},
	[N_INDEX] = {N_ROOT, "index.html", REG | 0444, NODE_PAGE, N_("the dashboard: open it in a browser"),
		.render = index_render},
	[N_RUNS_CSV] = {N_ROOT, "runs.csv", REG | 0444, NODE_PAGE, N_("one row a run"), .render = runs_csv_render},
	[N_CTL] = {N_ROOT, "ctl", REG | 0644, 0, N_("words for the daemon; read it for the list"),
		.render = daemon_ctl_render, .command = daemon_ctl_command, .refused = daemon_ctl_refused},
	[N_LOG] = {N_ROOT, "log", REG | 0444, 0, N_("the daemon's log, JSON lines"), .backing = log_backing},
	[N_ALERTS] = {N_ROOT, "alerts", REG | 0444, 0, N_("what needs a person, JSON lines"), .render = alerts_render},

	/* The door */
	[N_QUEUE] = {N_ROOT, "queue", DIR | 0755, 0, N_("copy a folder in here to run it"),
		.find = queue_find, .list = queue_list, .make = queue_make},
	[N_DRAFT] = {N_QUEUE, NULL, DIR | 0755, NODE_TREE | NODE_WRITABLE, N_("a folder being written"),
		.backing = draft_backing, .drop = draft_drop, .move = draft_move},

	[N_LATEST] = {N_ROOT, "latest", DIR | 0555, 0, N_("links to the newest run of each folder name"),
		.find = latest_find, .list = latest_list},
	[N_LATEST_LINK] = {N_LATEST, NULL, LINK | 0777, 0, NULL, .target = latest_target},

	[N_STATUS] = {N_ROOT, "status", DIR | 0555, 0, N_("the status line of every run: cat status/*"),
		.find = status_find, .list = status_list},

	/* A run */
	[N_RUNS] = {N_ROOT, "runs", DIR | 0755, 0, N_("every run; rmdir one to remove it"),
		.find = runs_find, .list = runs_list},
	[N_RUN] = {N_RUNS, NULL, DIR | 0755, NODE_STABLE, N_("one run"),
		.unsettled = run_unsettled, .drop = run_drop, .move = run_move_name},
	[N_RUN_STATUS] = {N_RUN, "status", REG | 0444, NODE_POLLS | NODE_SNAPSHOT | NODE_REFRESHES, N_("one line: state, progress, backend, elapsed"),
		.render = run_status_render},
	[N_RUN_STATE] = {N_RUN, "state.json", REG | 0444, NODE_POLLS | NODE_SNAPSHOT, N_("everything about it, for programs"),
		.render = run_state_render},
	[N_RUN_CTL] = {N_RUN, "ctl", REG | 0644, 0, N_("words: cancel, retry, confirm; read it for the list"),
		.render = run_ctl_render, .command = run_ctl_command, .refused = run_ctl_refused},
	[N_RUN_WAIT] = {N_RUN, "wait", REG | 0444, NODE_HIDDEN | NODE_WAITS,
		N_("a read returns when the run has ended (not listed)"), .render = run_wait_render},
	[N_RUN_LOG] = {N_RUN, "log", REG | 0444, NODE_POLLS, N_("its output so far; tail -f follows"),
		.shown = run_shown_submitted, .backing = run_log_backing},
	[N_RUN_EVENTS] = {N_RUN, "events", REG | 0444, NODE_POLLS, N_("state changes, JSON lines"),
		.shown = run_shown_submitted, .render = run_events_render},
	[N_RUN_CHANGES] = {N_RUN, "changes", REG | 0444, 0, N_("what differs from the previous run of that name"),
		.shown = run_shown_submitted, .backing = run_written_backing},
	[N_RUN_METRICS] = {N_RUN, "metrics.csv", REG | 0444, NODE_POLLS, N_("step,name,value as reported"),
		.shown = run_shown_submitted, .backing = run_metrics_backing},
	[N_RUN_CURVE] = {N_RUN, "curve.svg", REG | 0444, 0, N_("the metrics, drawn"),
		.shown = run_shown_submitted, .render = run_curve_render},
	[N_RUN_VALIDATION] = {N_RUN, "validation.txt", REG | 0444, 0, N_("what the checks before submission said"),
		.shown = run_shown_submitted, .backing = run_written_backing},
	[N_RUN_VALIDATION_JSON] = {N_RUN, "validation.json", REG | 0444, 0, N_("the same for programs"),
		.shown = run_shown_submitted, .backing = run_written_backing},
	[N_RUN_REPORT] = {N_RUN, "report.md", REG | 0444, 0, N_("summary, times, errors, lessons"),
		.shown = run_shown_ended, .backing = run_written_backing},
	[N_RUN_SOURCE] = {N_RUN, "source", DIR | 0755, NODE_TREE, N_("exactly what was submitted"),
		.shown = run_shown_submitted, .backing = run_source_backing},
	[N_RUN_ATTEMPTS] = {N_RUN, "attempts", DIR | 0755, 0, N_("each try"), .shown = run_shown_submitted,
		.find = attempts_find, .list = attempts_list},
	[N_RUN_RESULTS] = {N_RUN, "results", DIR | 0755, NODE_TREE, N_("appears, complete, with `complete`"),
		.shown = run_shown_complete, .backing = run_results_backing},

	[N_ATTEMPT] = {N_RUN_ATTEMPTS, NULL, DIR | 0755, 0, N_("one try")},
	[N_ATT_BACKEND] = {N_ATTEMPT, "backend", REG | 0444, 0, N_("where"), .render = attempt_render},
	[N_ATT_ID] = {N_ATTEMPT, "external_id", REG | 0444, 0, N_("its id there"), .render = attempt_render},
	[N_ATT_STATUS] = {N_ATTEMPT, "status", REG | 0444, 0, N_("how it ended"), .render = attempt_render},
	[N_ATT_LOG] = {N_ATTEMPT, "log", REG | 0444, 0, N_("its output"), .backing = attempt_log_backing},
	[N_ATT_COST] = {N_ATTEMPT, "cost", REG | 0444, 0, N_("US dollars"), .render = attempt_render},
	[N_ATT_SOURCE] = {N_ATTEMPT, "source", DIR | 0755, NODE_TREE, N_("the source as sent"),
		.shown = attempt_shown_tree, .backing = attempt_source_backing},
	[N_ATT_OUTPUT] = {N_ATTEMPT, "output", DIR | 0755, NODE_TREE, N_("what it left, failed or not"),
		.shown = attempt_shown_tree, .backing = attempt_output_backing},

	/* Backends */
	[N_BACKENDS] = {N_ROOT, "backends", DIR | 0555, NODE_STABLE, N_("where runs can run"),
		.find = backends_find, .list = backends_list},
	[N_BACKEND] = {N_BACKENDS, NULL, DIR | 0555, NODE_STABLE, N_("one of them")},
	[N_BACK_STATUS] = {N_BACKEND, "status", REG | 0444, 0, N_("is it usable"), .render = backend_render},
	[N_BACK_QUOTA] = {N_BACKEND, "quota", REG | 0444, 0, N_("what is left"), .render = backend_render},
	[N_BACK_CONFIG] = {N_BACKEND, "config.json", REG | 0444, 0, N_("its settings, without secrets"),
		.render = backend_render},
	[N_BACK_CTL] = {N_BACKEND, "ctl", REG | 0644, 0, N_("words for it"), .render = backend_render,
		.command = backend_ctl_command},
	[N_BACK_RUNS] = {N_BACKEND, "runs", DIR | 0555, 0, N_("links to its runs"),
		.find = backend_runs_find, .list = backend_runs_list},
	[N_BACK_RUN_LINK] = {N_BACK_RUNS, NULL, LINK | 0777, 0, NULL, .target = backend_run_target},

	[N_KERNELS] = {N_BACKEND, "kernels", DIR | 0555, 0, N_("kernels/<owner>/<slug>/: any kernel, by its name (not listed)"),
		.shown = objects_shown, .find = owners_find},
	[N_OWNER] = {N_KERNELS, NULL, DIR | 0555, 0, NULL, .find = kernels_find},
	[N_KERNEL] = {N_OWNER, NULL, DIR | 0555, 0, N_("one kernel, as the service shows its newest version")},
	[N_KERNEL_STATUS] = {N_KERNEL, "status", REG | 0444, NODE_ASKS | NODE_SNAPSHOT, N_("one line: how it is"),
		.render = object_render},
	[N_KERNEL_LOG] = {N_KERNEL, "log", REG | 0444, NODE_ASKS, N_("what it said so far"), .backing = object_backing},
	[N_KERNEL_SOURCE] = {N_KERNEL, "source", DIR | 0755, NODE_TREE | NODE_ASKS,
		N_("its code and metadata: cp -r it into queue/ for a fork"), .backing = object_backing},
	[N_KERNEL_OUTPUT] = {N_KERNEL, "output", DIR | 0755, NODE_TREE | NODE_ASKS, N_("what it left"),
		.backing = object_backing},
	[N_KERNEL_CTL] = {N_KERNEL, "ctl", REG | 0644, 0, N_("words: adopt makes a run of it"),
		.render = object_render, .command = object_ctl_command, .refused = object_ctl_refused},
	[N_DATASETS] = {N_BACKEND, "datasets", DIR | 0755, 0, N_("copy a folder in here, then: echo upload > <folder>.ctl"),
		.shown = objects_shown, .find = datasets_find, .list = datasets_list, .make = datasets_make},
	[N_DATASET] = {N_DATASETS, NULL, DIR | 0755, NODE_TREE | NODE_WRITABLE, N_("a data set: what is sent"),
		.backing = dataset_backing, .drop = dataset_drop},
	[N_DATASET_STATUS] = {N_DATASETS, NULL, REG | 0444, NODE_ASKS | NODE_SNAPSHOT, NULL, .render = object_render},
	[N_DATASET_CTL] = {N_DATASETS, NULL, REG | 0644, 0, NULL, .render = object_render,
		.command = object_ctl_command, .refused = object_ctl_refused},

	[N_KNOWLEDGE] = {N_ROOT, "knowledge", DIR | 0755, NODE_TREE | NODE_WRITABLE,
		N_("notes in Markdown, one question and answer a file"), .backing = knowledge_backing},
	[N_REMOVED] = {N_ROOT, "removed", DIR | 0755, 0, N_("runs removed in the last 7 days; mv one back to runs/"),
		.find = runs_find, .list = runs_list},
};
