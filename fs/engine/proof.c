#include "fs/engine/proof.h"

#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/strbuf.h"
#include "fs/engine/classify.h"
#include "fs/engine/traceback.h"

void proof_line(struct diagnosis *d, const char *text, size_t len)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;
	size_t i = 0;

	while (i < PROOF_LINES && d->proof[i][0])
		i++;
	escape_line(&line, text, len, PROOF_LINE - 1);
	if (i == PROOF_LINES || line.err || !line.len || line.buf[strspn(line.buf, " ")] == '\0')
		return;
	memcpy(d->proof[i], line.buf, line.len);
	d->proof[i][line.len] = '\0';
}

void proof_line_at(struct diagnosis *d, const char *text, size_t len, const char *at)
{
	size_t start = (size_t)(at - text), end = start;

	while (start && text[start - 1] != '\n')
		start--;
	while (end < len && text[end] != '\n')
		end++;
	proof_line(d, text + start, end - start);
}

static void add_frame(struct diagnosis *d, const struct tb_frame *f, bool source)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;
	bool titled = f->cell && f->file.len && memchr(f->file.at, '[', f->file.len);

	if (titled) /* a cell's title has its line and function */
		strbuf_add(&line, f->file.at, f->file.len);
	else
		strbuf_addf(&line, "File \"%.*s\"", (int)f->file.len, f->file.at);
	if (!titled && f->line)
		strbuf_addf(&line, ", line %ld", f->line);
	if (!titled && f->func.len)
		strbuf_addf(&line, ", in %.*s", (int)f->func.len, f->func.at);
	if (!line.err)
		proof_line(d, line.buf, line.len);
	if (source && f->source.len)
		proof_line(d, f->source.at, f->source.len);
}

static void add_exception(struct diagnosis *d, const struct tb_link *link)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;

	strbuf_addf(&line, link->first[0] ? "%s: %s" : "%s", link->type, link->first);
	if (!line.err)
		proof_line(d, line.buf, line.len);
}

void proof_chain(struct diagnosis *d, const struct traceback *tb, const struct tb_link *link,
	const struct tb_frame *at)
{
	const struct tb_frame *own = tb_own_frame(link);

	if (own)
		add_frame(d, own, true);
	if (at && at != own)
		add_frame(d, at, false);
	add_exception(d, link);
	if (link != &tb->links[tb->count - 1])
		add_exception(d, &tb->links[tb->count - 1]);
}
