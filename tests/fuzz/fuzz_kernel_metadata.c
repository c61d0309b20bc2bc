/* Any bytes as kernel-metadata.json: what is kept is sound enough for a request and a file name, and what is
 * said about the rest can stand in a terminal. The same bytes as a pushed source, and as an output's name. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kaggle/metadata.h"
#include "backends/kaggle/name.h"
#include "backends/kaggle/slug.h"
#include "backends/kaggle/source.h"
#include "fs/base/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(char **list)
{
	for (; list && *list; list++)
		if (!**list || strpbrk(*list, " \n\r\t") || **list == '/' || strstr(*list, "//"))
			abort();
}

static void check_sentences(const struct strbuf *text)
{
	for (const char *p = text->buf; *p; p++)
		if ((unsigned char)*p < ' ' && *p != '\n')
			abort();
}

static void metadata(const char *text, size_t size)
{
	struct strbuf problems = STRBUF_INIT, warnings = STRBUF_INIT;
	struct kernel_metadata m;

	if (kernel_metadata_parse(text, size, &m, &problems, &warnings))
		abort();
	if ((m.id && !kaggle_id_valid(m.id)) || m.id_no < 0 || m.gpu > 1 || m.is_private < -1)
		abort();
	check_list(m.sources.datasets);
	check_list(m.sources.competitions);
	check_list(m.sources.kernels);
	check_list(m.sources.models);
	check_sentences(&problems);
	check_sentences(&warnings);
	kernel_metadata_release(&m);
	strbuf_release(&problems);
	strbuf_release(&warnings);
}

static void source(const char *text, size_t size)
{
	const struct source_extras x = {.token = "inst-1-1", .name = text};
	struct strbuf out = STRBUF_INIT;
	char token[TOKEN_MAX];

	if (source_script_place(text, size) > size)
		abort();
	if (source_script(text, size, &x, &out, NULL) == 0 && strlen(text) == size && size && *text != '{' &&
		(source_token(out.buf, token) || strcmp(token, "inst-1-1") != 0))
		abort();
	strbuf_reset(&out);
	if (source_notebook(text, size, &x, &out, NULL) == 0 &&
		(source_token(out.buf, token) || strcmp(token, "inst-1-1") != 0))
		abort();
	strbuf_release(&out);
}

static void names(const char *text)
{
	char slug[KAGGLE_SLUG_MAX + 1];
	struct kaggle_remote remote;

	if (output_name_problem(text) == NULL && (*text == '/' || strstr(text, "/../")))
		abort();
	if (kaggle_fresh_slug(text, text, slug) || !kaggle_slug_valid(slug))
		abort();
	if (kaggle_remote_parse(text, &remote) == 0 && (strchr(remote.slug, ',') || remote.version < 1))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	metadata(text, size);
	source(text, size);
	names(text);
	free(text);
	return 0;
}
