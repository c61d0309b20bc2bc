/* The lines that proved a diagnosis: few, short, each one line that is safe to show. */
#ifndef KEXEC_ENGINE_PROOF_H
#define KEXEC_ENGINE_PROOF_H

#include <stddef.h>

struct diagnosis;
struct tb_frame;
struct tb_link;
struct traceback;

/* One more line, where there is room; one without words is left out. */
void proof_line(struct diagnosis *d, const char *text, size_t len);
/* The whole line of `text` in which `at` stands. */
void proof_line_at(struct diagnosis *d, const char *text, size_t len, const char *at);
/* The program's own frame with its source, the frame `at` that a rule names (may be NULL), the
 * exception, and where the chain went on after it, the exception that ended the program. */
void proof_chain(struct diagnosis *d, const struct traceback *tb, const struct tb_link *link,
	const struct tb_frame *at);

#endif
