/* One line of a job's output, and the same bytes as metrics.csv. */
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/escape.h"
#include "fs/base/strbuf.h"
#include "fs/engine/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = size ? (const char *)data : "";
	struct metric_summary list[METRICS_SERIES];
	struct strbuf svg = STRBUF_INIT;
	struct metric_line m;
	char name[64];
	double v = 0;
	size_t count;

	if (metric_parse(text, size, &m) && (!m.name[0] || m.step < -1))
		abort();
	count = metrics_summary(text, size, list);
	if (count > METRICS_SERIES)
		abort();
	if (metrics_best(text, size, NULL, true, name, &v) == 0 && (!isfinite(v) || !count || v > list[0].max))
		abort();
	if (count && metrics_best(text, size, list[0].name, true, name, &v) == 0 && v != list[0].max)
		abort();
	if (metrics_svg(text, size, "title", &svg) || !utf8_valid(svg.buf, svg.len) ||
		strstr(svg.buf, "<script"))
		abort();
	strbuf_release(&svg);
	return 0;
}
