#include "backends/local/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/local/attempt.h"
#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"

static int set_command(struct json *j, const struct argv *command)
{
	struct json *list = json_array();
	int err = list ? 0 : -ENOMEM;

	for (size_t i = 0; i < command->n && !err; i++)
		err = json_append_text(list, command->v[i]);
	if (err) {
		json_free(list);
		return err;
	}
	return json_set(j, "command", list);
}

static int fill(struct json *j, const struct order *o)
{
	int err = json_set_text(j, "id", o->id);

	if (!err)
		err = json_set_text(j, "token", o->token);
	if (!err)
		err = json_set_text(j, "main", o->main);
	if (!err)
		err = json_set_bool(j, "namespaces", o->namespaces);
	if (!err)
		err = json_set_bool(j, "notebook", o->notebook);
	if (!err)
		err = json_set_int(j, "limit_us", o->limit_ns / 1000);
	if (!err)
		err = json_set_int(j, "memory_bytes", o->memory_bytes);
	if (!err)
		err = json_set_text(j, "setup_error", o->setup_error);
	return err ? err : set_command(j, &o->command);
}

int order_write(int dirfd, const struct order *o)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct json *j = json_object();
	int err = j ? fill(j, o) : -ENOMEM;

	if (!err)
		err = json_print(j, &text, true);
	json_free(j);
	return err ? err : io_write_durable(dirfd, ATTEMPT_JOB, text.buf, text.len, 0600);
}

static char *copy_text(const struct json *j, const char *key)
{
	const char *text = json_text(json_get(j, key));

	return text ? strdup(text) : NULL;
}

static int parse(const struct json *j, struct order *out)
{
	out->id = copy_text(j, "id");
	out->token = copy_text(j, "token");
	out->main = copy_text(j, "main");
	out->setup_error = copy_text(j, "setup_error");
	out->namespaces = json_bool(json_get(j, "namespaces"), false);
	out->notebook = json_bool(json_get(j, "notebook"), false);
	out->limit_ns = json_int(json_get(j, "limit_us"), 0) * 1000;
	out->memory_bytes = json_int(json_get(j, "memory_bytes"), 0);
	for (const struct json *a = json_first(json_get(j, "command")); a; a = json_next(a))
		argv_add(&out->command, json_text(a) ? json_text(a) : "");
	if (out->command.err)
		return out->command.err;
	if (!out->id || !out->token || !out->main || (!out->setup_error && !out->command.n))
		return -EBADMSG;
	return 0;
}

int order_read(int dirfd, struct order *out)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct json *j;
	int err = io_read(dirfd, ATTEMPT_JOB, ATTEMPT_JSON_MAX, &text);

	memset(out, 0, sizeof(*out));
	if (err)
		return err;
	j = json_parse(text.buf, text.len, ATTEMPT_JSON_MAX, NULL);
	err = j ? parse(j, out) : -EBADMSG;
	json_free(j);
	if (err)
		order_release(out);
	return err;
}

void order_release(struct order *o)
{
	free(o->id);
	free(o->token);
	free(o->main);
	free(o->setup_error);
	argv_release(&o->command);
	memset(o, 0, sizeof(*o));
}
