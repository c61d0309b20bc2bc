/* The dashboard index.html and runs.csv: renderings of many runs. Read-only, any thread. */
#ifndef KEXEC_PAGE_PAGE_H
#define KEXEC_PAGE_PAGE_H

struct engine;
struct strbuf;

/*
 * A self-contained page with the newest 1,000 runs: works from file://, reloads itself keeping scroll
 * and filter, Content-Security-Policy by hash, nothing external, no file of a run inlined; dark and
 * light, phone and desktop. Names, details and metrics of runs are hostile text.
 */
int page_dashboard(struct engine *e, struct strbuf *out);
/* RFC 4180; header: name,kind,backend,state,metric,value,cost_usd,progress,attempt,created,submitted,
 * started,ended,elapsed_s,error_class,folder,parent */
int page_runs_csv(struct engine *e, struct strbuf *out);

#endif
