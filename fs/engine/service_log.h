/* Logs as a service stores them: a JSON array of {"stream_name", "time", "data"}. */
#ifndef KEXEC_ENGINE_SERVICE_LOG_H
#define KEXEC_ENGINE_SERVICE_LOG_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf;

/* Is `text` such an array, or what is left of one that was cut at either end? Then the text of its
 * events is appended to `out`, in their order. A log in which a program merely printed such a thing
 * is none: outside its events an array holds nothing but commas and brackets. */
bool service_log_text(const char *text, size_t len, struct strbuf *out);

#endif
