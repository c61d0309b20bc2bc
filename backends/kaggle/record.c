#include "backends/kaggle/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"

#define RECORD_MAX ((size_t)1 << 20)

void record_init(struct kaggle_record *r)
{
	memset(r, 0, sizeof(*r));
}

void record_release(struct kaggle_record *r)
{
	free(r->slug);
	free(r->token);
	free(r->accelerator);
	free(r->dataset);
	free(r->invalid);
	record_init(r);
}

/* ---- Writing ---- */

static int set_stamp(struct json *j, const char *key, const struct stamp *s)
{
	struct json *stamp;
	int err;

	if (!s->wall_ns)
		return 0;
	stamp = json_object();
	err = json_set_int(stamp, "wall_us", s->wall_ns / 1000);
	if (!err)
		err = json_set_int(stamp, "boot_us", s->boot_ns / 1000);
	if (!err)
		err = json_set_text(stamp, "boot_id", s->boot_id);
	if (!err)
		return json_set(j, key, stamp);
	json_free(stamp);
	return err;
}

static int set_texts(struct json *j, const struct kaggle_record *r)
{
	const struct {
		const char *key, *text;
	} texts[] = {{"slug", r->slug}, {"token", r->token}, {"accelerator", r->accelerator},
		{"dataset", r->dataset}, {"invalid", r->invalid}};
	int err = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && !err; i++) {
		if (texts[i].text)
			err = json_set_text(j, texts[i].key, texts[i].text);
	}
	return err;
}

static int set_numbers(struct json *j, const struct kaggle_record *r)
{
	const struct {
		const char *key;
		int64_t value;
	} numbers[] = {{"version_before", r->before}, {"answers", r->answers}, {"version", r->version},
		{"session_seconds", r->session_seconds}, {"log_bytes", r->log_bytes}};
	int err = json_set_bool(j, "fresh_slug", r->fresh);

	if (!err)
		err = json_set_bool(j, "intended", r->intended);
	if (!err)
		err = json_set_bool(j, "log_done", r->log_done);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && !err; i++)
		err = json_set_int(j, numbers[i].key, numbers[i].value);
	return err;
}

int record_write(int dirfd, const struct kaggle_record *r)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct json *j = json_object();
	int err = j ? set_texts(j, r) : -ENOMEM;

	if (!err)
		err = set_numbers(j, r);
	if (!err)
		err = set_stamp(j, "pushed", &r->pushed);
	if (!err)
		err = set_stamp(j, "started", &r->started);
	if (!err)
		err = set_stamp(j, "ended", &r->ended);
	if (!err)
		err = json_print(j, &text, true);
	json_free(j);
	if (!err)
		err = strbuf_addch(&text, '\n');
	return err ? err : io_write_durable(dirfd, RECORD_FILE, text.buf, text.len, 0600);
}

/* ---- Reading ---- */

static int get_text(const struct json *j, const char *key, char **out)
{
	const char *text = json_text(json_get(j, key));

	*out = text ? strdup(text) : NULL;
	return text && !*out ? -ENOMEM : 0;
}

static void get_stamp(const struct json *j, const char *key, struct stamp *out)
{
	const struct json *s = json_get(j, key);
	const char *boot = json_text(json_get(s, "boot_id"));

	out->wall_ns = json_int(json_get(s, "wall_us"), 0) * 1000;
	out->boot_ns = json_int(json_get(s, "boot_us"), 0) * 1000;
	if (boot && strlen(boot) < sizeof(out->boot_id))
		strcpy(out->boot_id, boot);
}

static int64_t get_int(const struct json *j, const char *key)
{
	int64_t value = json_int(json_get(j, key), 0);

	return value > 0 ? value : 0;
}

static int parse(const struct json *j, struct kaggle_record *r)
{
	int err = get_text(j, "slug", &r->slug);

	if (!err)
		err = get_text(j, "token", &r->token);
	if (!err)
		err = get_text(j, "accelerator", &r->accelerator);
	if (!err)
		err = get_text(j, "dataset", &r->dataset);
	if (!err)
		err = get_text(j, "invalid", &r->invalid);
	r->fresh = json_bool(json_get(j, "fresh_slug"), false);
	r->intended = json_bool(json_get(j, "intended"), false);
	r->log_done = json_bool(json_get(j, "log_done"), false);
	r->before = get_int(j, "version_before");
	r->answers = (int)get_int(j, "answers");
	r->version = get_int(j, "version");
	r->session_seconds = (int)get_int(j, "session_seconds");
	r->log_bytes = get_int(j, "log_bytes");
	get_stamp(j, "pushed", &r->pushed);
	get_stamp(j, "started", &r->started);
	get_stamp(j, "ended", &r->ended);
	return err ? err : r->slug && r->token ? 0 : -EBADMSG;
}

int record_read(int dirfd, struct kaggle_record *out)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int err = io_read(dirfd, RECORD_FILE, RECORD_MAX, &text);
	struct json *j;

	record_init(out);
	if (err)
		return err;
	j = json_parse(text.buf, text.len, RECORD_MAX, NULL);
	err = json_type(j) == JSON_OBJECT ? parse(j, out) : -EBADMSG;
	json_free(j);
	if (err)
		record_release(out);
	return err;
}

int64_t record_age_ns(const struct stamp *since)
{
	struct stamp now = stamp_now();

	if (strcmp(now.boot_id, since->boot_id) != 0)
		return now.boot_ns; /* the whole of this boot came after it */
	return now.boot_ns - since->boot_ns;
}
