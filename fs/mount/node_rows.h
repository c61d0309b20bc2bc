/* The functions that rows of tree.c name, one file a subtree (node_*.c). Signatures as in node.h. */
#ifndef KEXEC_MOUNT_NODE_ROWS_H
#define KEXEC_MOUNT_NODE_ROWS_H

#include "fs/mount/node.h"


/* node_root.c */
void tree_print(struct strbuf *out);
int readme_render(const struct call *c, struct ref r, struct strbuf *out);
int index_render(const struct call *c, struct ref r, struct strbuf *out);
int runs_csv_render(const struct call *c, struct ref r, struct strbuf *out);
int daemon_ctl_render(const struct call *c, struct ref r, struct strbuf *out);
int daemon_ctl_command(const struct call *c, struct ref r, int argc, char *const argv[], struct why *why);
void daemon_ctl_refused(const struct call *c, struct ref r, const char *sentence);
int log_backing(const struct call *c, struct ref r, char *path, size_t size);
int alerts_render(const struct call *c, struct ref r, struct strbuf *out);
int knowledge_backing(const struct call *c, struct ref r, char *path, size_t size);

/* node_queue.c */
int queue_find(const struct call *c, struct ref dir, const char *name, struct ref *out);
int queue_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg);
int queue_make(const struct call *c, struct ref dir, const char *name, struct ref *out);
int draft_backing(const struct call *c, struct ref r, char *path, size_t size);
int draft_throw_away(const struct call *c, int64_t run, bool full);
int draft_drop(const struct call *c, struct ref dir, struct ref r);
int draft_move(const struct call *c, struct ref r, struct ref from, struct ref to, const char *to_name);

/* node_run.c */
bool run_unsettled(const struct call *c, struct ref r);
int runs_find(const struct call *c, struct ref dir, const char *name, struct ref *out);
int runs_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg);
int status_find(const struct call *c, struct ref dir, const char *name, struct ref *out);
int status_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg);
int latest_find(const struct call *c, struct ref dir, const char *name, struct ref *out);
int latest_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg);
int latest_target(const struct call *c, struct ref r, struct strbuf *out);
int run_drop(const struct call *c, struct ref dir, struct ref r);
int run_move_name(const struct call *c, struct ref r, struct ref from, struct ref to, const char *to_name);
int run_status_render(const struct call *c, struct ref r, struct strbuf *out);
int run_state_render(const struct call *c, struct ref r, struct strbuf *out);
int run_ctl_render(const struct call *c, struct ref r, struct strbuf *out);
int run_ctl_command(const struct call *c, struct ref r, int argc, char *const argv[], struct why *why);
void run_ctl_refused(const struct call *c, struct ref r, const char *sentence);
int run_wait_render(const struct call *c, struct ref r, struct strbuf *out);
int run_events_render(const struct call *c, struct ref r, struct strbuf *out);
int run_log_backing(const struct call *c, struct ref r, char *path, size_t size);
int run_metrics_backing(const struct call *c, struct ref r, char *path, size_t size);
int run_results_backing(const struct call *c, struct ref r, char *path, size_t size);
int run_curve_render(const struct call *c, struct ref r, struct strbuf *out);
int run_written_backing(const struct call *c, struct ref r, char *path, size_t size);
int run_source_backing(const struct call *c, struct ref r, char *path, size_t size);
bool run_shown_submitted(const struct call *c, struct ref r, const struct run *run);
bool run_shown_ended(const struct call *c, struct ref r, const struct run *run);
bool run_shown_complete(const struct call *c, struct ref r, const struct run *run);
bool run_shown_attempted(const struct call *c, struct ref r, const struct run *run);
int attempts_find(const struct call *c, struct ref dir, const char *name, struct ref *out);
int attempts_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg);
int attempt_render(const struct call *c, struct ref r, struct strbuf *out);
int attempt_log_backing(const struct call *c, struct ref r, char *path, size_t size);
int attempt_source_backing(const struct call *c, struct ref r, char *path, size_t size);
int attempt_output_backing(const struct call *c, struct ref r, char *path, size_t size);
bool attempt_shown_tree(const struct call *c, struct ref r, const struct run *run);

/* node_backend.c */
int backends_find(const struct call *c, struct ref dir, const char *name, struct ref *out);
int backends_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg);
int backend_render(const struct call *c, struct ref r, struct strbuf *out);
int backend_ctl_command(const struct call *c, struct ref r, int argc, char *const argv[], struct why *why);
int backend_runs_find(const struct call *c, struct ref dir, const char *name, struct ref *out);
int backend_runs_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg);
int backend_run_target(const struct call *c, struct ref r, struct strbuf *out);
const char *backend_name(const struct call *c, struct ref r);

/* node_object.c */
bool objects_shown(const struct call *c, struct ref r, const struct run *run);
int owners_find(const struct call *c, struct ref dir, const char *name, struct ref *out);
int kernels_find(const struct call *c, struct ref dir, const char *name, struct ref *out);
int datasets_find(const struct call *c, struct ref dir, const char *name, struct ref *out);
int datasets_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg);
int datasets_make(const struct call *c, struct ref dir, const char *name, struct ref *out);
int dataset_drop(const struct call *c, struct ref dir, struct ref r);
int dataset_backing(const struct call *c, struct ref r, char *path, size_t size);
int object_backing(const struct call *c, struct ref r, char *path, size_t size);
int object_render(const struct call *c, struct ref r, struct strbuf *out);
int object_ctl_command(const struct call *c, struct ref r, int argc, char *const argv[], struct why *why);
void object_ctl_refused(const struct call *c, struct ref r, const char *sentence);
/* The part that a row with NODE_ASKS shows; the one that what is written to a ctl must have first, or NULL. */
const char *object_part(unsigned row);
const char *object_part_for(struct ref r, const char *text, size_t len);

#endif
