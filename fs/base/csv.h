/* RFC 4180, one record at a time from memory. Fields point into a buffer of the reader. */
#ifndef KEXEC_BASE_CSV_H
#define KEXEC_BASE_CSV_H

#include <stddef.h>
#include "fs/base/strbuf.h"

struct csv_reader {
	const char *text;
	size_t len, at;
	size_t line;           /* 1-based line where the record read last begins */
	size_t next_line;      /* line at `at` */
	struct strbuf fields;  /* unquoted fields, each NUL-terminated */
	size_t *starts;        /* offsets into fields.buf */
	size_t count, cap;
};

void csv_init(struct csv_reader *r, const char *text, size_t len); /* text is borrowed */
int csv_next(struct csv_reader *r);  /* 1 = a record, 0 = end, -EINVAL bad quoting or a NUL, -ENOMEM */
const char *csv_field(const struct csv_reader *r, size_t i); /* NULL past the end */
void csv_finish(struct csv_reader *r);

#endif
