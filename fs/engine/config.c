#include "fs/engine/config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/secret.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/fields.h"
#include "fs/engine/options.h"

#define CONFIG_MAX_BYTES   ((size_t)1 << 20)
#define CONFIG_MODE_REFUSED 0037 /* what 0640 does not give: to the group more than reading, to others anything */
#define DISK_MIN_BYTES     ((double)(1 << 20))
#define SECRET_DEPTH       32

static const char *const built_in_backends[] = {"local", NULL};

static const char *const submit_words[] = {"settled", "explicit", NULL};
static const char *const submission_words[] = {"manual", "confirm", "automatic", NULL};
static const char *const provider_words[] = {"rules", "anthropic", "openai", NULL};

#define AT(member) offsetof(struct config, member)
#define NOWHERE    .offset = FIELD_NOWHERE
#define END        {.key = NULL}

/* ---- Objects inside the document ---- */

static const struct field settle_fields[] = {
	{"exited", FIELD_NUMBER, AT(settle_exited_s), 0, 3600},
	{"alive", FIELD_NUMBER, AT(settle_alive_s), 0, 3600},
	END,
};

static int read_gpus(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	const char *text = json_text(value);
	int64_t count = json_int(value, -1);

	if (text && strcmp(text, "all") == 0)
		return 0;
	if (count < 0 || count > 1024)
		fields_complain(sink, key, NULL, _("\"%s\" must be \"all\" or a number from 0 to 1024"), key);
	else
		*(int *)at = (int)count;
	return 0;
}

static const struct field jobs_fields[] = {
	{"max", FIELD_INT, AT(jobs_max), 1, 4096},
	{"memory_gb", FIELD_NUMBER, AT(jobs_memory_gb), 0.01, 1e6},
	{"gpus", FIELD_OWN, AT(jobs_gpus), .read = read_gpus},
	END,
};
static const struct field history_fields[] = {
	{"remote", FIELD_TEXT, NOWHERE, 1, 4096},
	END,
};
static const struct field budget_fields[] = {
	{"run_usd", FIELD_NUMBER, NOWHERE, 0, 1e9},
	{"day_usd", FIELD_NUMBER, NOWHERE, 0, 1e9},
	{"total_usd", FIELD_NUMBER, NOWHERE, 0, 1e9},
	END,
};
static const struct field llm_fields[] = {
	{"provider", FIELD_WORD, NOWHERE, .words = provider_words},
	{"url", FIELD_TEXT, NOWHERE, 1, 4096},
	{"model", FIELD_TEXT, NOWHERE, 1, 256},
	{"budget_usd", FIELD_NUMBER, NOWHERE, 0, 1e9},
	{"api_key", FIELD_TEXT, NOWHERE, 1, 4096},
	END,
};
static const struct field github_fields[] = {
	{"repository", FIELD_TEXT, NOWHERE, 1, 256},
	{"public", FIELD_BOOL, NOWHERE},
	{"token", FIELD_TEXT, NOWHERE, 1, 4096},
	END,
};
static const struct field alerts_fields[] = {
	{"desktop", FIELD_BOOL, AT(alerts_desktop)},
	{"webhook", FIELD_TEXT, NOWHERE, 1, 4096},
	END,
};

static int read_inside(const struct fields_sink *sink, const char *key, const struct field *fields,
	const struct json *value, void *target)
{
	AUTO_BUF struct strbuf prefix = STRBUF_INIT;

	if (json_type(value) != JSON_OBJECT) {
		fields_wrong_type(sink, key, value, _("an object"));
		return 0;
	}
	strbuf_addf(&prefix, "%s.", key);
	return prefix.err ? prefix.err : fields_read(sink, prefix.buf, fields, value, target, 0);
}

#define READ_INSIDE(name)                                                                          \
	static int read_##name(const struct fields_sink *sink, const char *key,                    \
		const struct json *value, void *target)                                            \
	{                                                                                          \
		return read_inside(sink, key, name##_fields, value, target);                       \
	}

READ_INSIDE(settle)
READ_INSIDE(jobs)
READ_INSIDE(history)
READ_INSIDE(budget)
READ_INSIDE(llm)
READ_INSIDE(alerts)

static int read_github(const struct fields_sink *sink, const char *key, const struct json *value,
	void *target)
{
	if (json_type(value) == JSON_BOOL && !json_bool(value, true))
		return 0;
	return read_inside(sink, key, github_fields, value, target);
}

/* ---- Members with rules of their own ---- */

static int read_language(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	const char *text = json_text(value);
	char **language = at;
	char *copy;

	if (!text || (strcmp(text, "en") != 0 && strcmp(text, "ja") != 0)) {
		fields_complain(sink, key, NULL, _("\"%s\" must be one of: %s"), key, "en, ja");
		return 0;
	}
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*language);
	*language = copy;
	return 0;
}

/* "80%" or "80 %" of the file system; 0 when it is not that. */
static double percent(const char *text)
{
	char *end;
	double value;

	if (!text || !isdigit((unsigned char)*text))
		return 0;
	value = strtod(text, &end);
	end += *end == ' ';
	return strcmp(end, "%") == 0 && value >= 1 && value <= 100 ? value : 0;
}

static int read_disk(const struct fields_sink *sink, const char *key, const struct json *value, void *target)
{
	struct config *c = target;
	double bytes = json_number(value, 0), share = percent(json_text(value));

	if (share > 0) {
		c->disk_percent = share;
		c->disk_bytes = 0;
	} else if (bytes >= DISK_MIN_BYTES && bytes <= 9e18) {
		c->disk_bytes = (int64_t)bytes;
	} else {
		fields_complain(sink, key, _("write for example \"80%\" or 50000000000"),
			_("\"%s\" must be a share from \"1%%\" to \"100%%\" or a number of bytes, at least 1 MiB"),
			key);
	}
	return 0;
}

static int read_datasets(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	struct json **datasets = at;
	bool good = json_type(value) == JSON_OBJECT;

	if (!good)
		fields_wrong_type(sink, key, value, _("an object"));
	for (const struct json *m = good ? json_first(value) : NULL; m; m = json_next(m)) {
		struct why why = {0};

		if (options_dataset_check(json_key(m), json_text(m), &why) == 0)
			continue;
		good = false;
		fields_complain(sink, key, _("write \"owner/slug\": \"/whole/path\", without \"..\""), "%s", why.text);
	}
	if (!good)
		return 0;
	json_free(*datasets);
	*datasets = json_copy(value);
	return *datasets ? 0 : -ENOMEM;
}

/* What every backend knows; the rest of backends.<name> is the backend's own. */
static const struct field backend_fields[] = {
	{"enabled", FIELD_BOOL, NOWHERE},
	{"url", FIELD_TEXT, NOWHERE, 1, 4096},
	{"freshness_seconds", FIELD_NUMBER, NOWHERE, 0, 86400},
	{"quota_hours", FIELD_NUMBER, NOWHERE, 0, 1e6},
	{"parallel_versions", FIELD_INT, NOWHERE, 1, 1000},
	END,
};

static int read_backend(const struct fields_sink *sink, const struct json *backend)
{
	AUTO_BUF struct strbuf prefix = STRBUF_INIT;

	strbuf_addf(&prefix, "backends.%s", json_key(backend));
	if (prefix.err)
		return prefix.err;
	if (json_type(backend) != JSON_OBJECT) {
		fields_wrong_type(sink, prefix.buf, backend, _("an object"));
		return 0;
	}
	strbuf_addch(&prefix, '.');
	return fields_read(sink, prefix.buf, backend_fields, backend, NULL, FIELDS_UNKNOWN_OK);
}

static int read_backends(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	struct json **backends = at;
	int err = 0;

	if (json_type(value) != JSON_OBJECT) {
		fields_wrong_type(sink, key, value, _("an object"));
		return 0;
	}
	for (const struct json *m = json_first(value); m && !err; m = json_next(m))
		err = read_backend(sink, m);
	if (err)
		return err;
	json_free(*backends);
	*backends = json_copy(value);
	return *backends ? 0 : -ENOMEM;
}

static const struct field config_fields[] = {
	{"default_backend", FIELD_TEXT, AT(default_backend), 1, 31},
	{"submit", FIELD_WORD, AT(submit), .words = submit_words},
	{"settle_seconds", FIELD_OWN, NOWHERE, .read = read_settle},
	{"user", FIELD_TEXT, AT(user), 1, 255},
	{"language", FIELD_OWN, AT(language), .read = read_language},
	{"disk", FIELD_OWN, NOWHERE, .read = read_disk},
	{"jobs", FIELD_OWN, NOWHERE, .read = read_jobs},
	{"python", FIELD_TEXT, AT(python), 1, 4096},
	{"poll_seconds", FIELD_INT, AT(poll_seconds), 1, 86400},
	{"monitor_hours", FIELD_NUMBER, AT(monitor_hours), 0.001, 8760},
	{"health_seconds", FIELD_INT, AT(health_seconds), 1, 86400},
	{"paid_health_seconds", FIELD_INT, NOWHERE, 300, 86400},
	{"history", FIELD_OWN, NOWHERE, .read = read_history},
	{"datasets", FIELD_OWN, AT(datasets), .read = read_datasets},
	{"budget", FIELD_OWN, NOWHERE, .read = read_budget},
	{"submission", FIELD_WORD, NOWHERE, .words = submission_words},
	{"llm", FIELD_OWN, NOWHERE, .read = read_llm},
	{"github", FIELD_OWN, NOWHERE, .read = read_github},
	{"alerts", FIELD_OWN, NOWHERE, .read = read_alerts},
	{"state_on_fuse", FIELD_BOOL, AT(state_on_fuse)},
	{"backends", FIELD_OWN, AT(backends), .read = read_backends},
	END,
};

/* ---- Defaults of this machine ---- */

static int count_gpus(void)
{
	DIR *dev = opendir("/dev");
	struct dirent *entry;
	int count = 0;

	while (dev && (entry = readdir(dev))) {
		const char *name = entry->d_name;

		if (strncmp(name, "nvidia", 6) == 0 && isdigit((unsigned char)name[6]))
			count += name[6 + strspn(name + 6, "0123456789")] == '\0';
	}
	if (dev)
		closedir(dev);
	return count;
}

static double ram_gb(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (double)pages * (double)size / (double)(1 << 30) : 1;
}

static int set_defaults(struct config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	*c = (struct config){
		.known_backends = built_in_backends,
		.settle_exited_s = 1,
		.settle_alive_s = 5,
		.disk_percent = 80,
		.jobs_max = cores > 0 && cores < 4096 ? (int)cores : 1,
		.jobs_memory_gb = 0.8 * ram_gb(),
		.jobs_gpus = count_gpus(),
		.poll_seconds = 60,
		.monitor_hours = 3,
		.health_seconds = 300,
		.alerts_desktop = true,
	};
	c->default_backend = strdup("local");
	return c->default_backend ? 0 : -ENOMEM;
}

/* ---- The file ---- */

static const char *home_folder(void)
{
	const char *home = getenv("HOME");
	struct passwd *user;

	if (home && home[0] == '/')
		return home;
	user = getpwuid(geteuid()); /* before threads start */
	return user && user->pw_dir ? user->pw_dir : "/";
}

static int default_path(struct strbuf *out)
{
	const char *xdg = getenv("XDG_CONFIG_HOME");

	if (xdg && xdg[0] == '/')
		return strbuf_addf(out, "%s/kexec/config.json", xdg);
	return strbuf_addf(out, "%s/.config/kexec/config.json", home_folder());
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* It may hold credentials: nobody else may have been able to read or to change it. */
static int check_mode(int fd, const char *path, off_t *size, struct why *why)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return why_set(why, errno, _("%s cannot be read: %s"), path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return why_set(why, EINVAL, _("%s is not a regular file"), path);
	if (st.st_uid != geteuid() && st.st_uid != 0 && geteuid() != 0)
		return why_set(why, EACCES, _("%s belongs to another user; run: sudo chown %u %s"), path,
			(unsigned)geteuid(), path);
	if (st.st_mode & CONFIG_MODE_REFUSED)
		return why_set(why, EACCES,
			_("%s can be read or changed by others (mode %04o) and may hold credentials; run: chmod 600 %s"),
			path, (unsigned)(st.st_mode & 07777), path);
	if (st.st_size > (off_t)CONFIG_MAX_BYTES)
		return why_set(why, EFBIG, _("%s is larger than 1 MiB"), path);
	*size = st.st_size;
	return 0;
}

/* 0 with nothing in text when there is no such file. The file itself may be a link: it is the user's
 * own, and people keep such files in a repository. */
static int read_file(const char *path, struct strbuf *text, struct why *why)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	off_t size = 0;
	int got;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return why_set(why, errno, _("%s cannot be read: %s"), path, strerror(errno));
	got = check_mode(fd, path, &size, why);
	if (got)
		return got;
	got = strbuf_reserve(text, (size_t)size + 1);
	if (got)
		return why_set(why, -got, _("%s cannot be read: %s"), path, strerror(-got));
	got = io_read_all(fd, text->buf, (size_t)size);
	if (got < 0)
		return why_set(why, -got, _("%s cannot be read: %s"), path, strerror(-got));
	text->len = (size_t)got;
	text->buf[got] = '\0';
	return 0;
}

struct first_problem {
	struct why *why;
	const char *path;
	bool found;
};

static void keep_first(void *arg, const char *key, const char *what, const char *fix)
{
	struct first_problem *first = arg;

	if (!first->found)
		why_set(first->why, EINVAL, "%s: %s%s%s%s", first->path, what, fix[0] ? " (" : "", fix,
			fix[0] ? ")" : "");
	first->found = true;
}

static int read_document(const char *path, const struct strbuf *text, struct config *c, struct why *why)
{
	struct first_problem first = {.why = why, .path = path};
	const struct fields_sink sink = {keep_first, &first};
	int err;

	c->rest = json_parse(text->buf, text->len, CONFIG_MAX_BYTES, why);
	if (!c->rest) {
		why_prefix(why, "%s: ", path);
		return -EINVAL;
	}
	if (json_type(c->rest) != JSON_OBJECT)
		return why_set(why, EINVAL, _("%s: must be one JSON object"), path);
	err = fields_read(&sink, "", config_fields, c->rest, c, 0);
	if (err)
		return why_set(why, -err, _("%s cannot be read: %s"), path, strerror(-err));
	if (first.found)
		return -EINVAL;
	if (c->settle_alive_s < c->settle_exited_s)
		return why_set(why, EINVAL,
			_("%s: settle_seconds.alive must not be shorter than settle_seconds.exited"), path);
	return 0;
}

int config_load(const char *path, struct config *out, struct why *why)
{
	AUTO_BUF struct strbuf found = STRBUF_INIT, text = STRBUF_INIT;
	int err = set_defaults(out);

	if (!err)
		err = path ? strbuf_adds(&found, path) : default_path(&found);
	if (!err) {
		out->folder = folder_of(found.buf);
		err = out->folder ? 0 : -ENOMEM;
	}
	if (err) {
		config_release(out);
		return why_set(why, -err, "%s", strerror(-err));
	}
	err = read_file(found.buf, &text, why);
	if (!err && text.len)
		err = read_document(found.buf, &text, out, why);
	if (text.buf && text.len)
		explicit_bzero(text.buf, text.len); /* it may hold credentials */
	if (!err)
		err = secrets_open(out->folder, &out->secrets, why);
	if (err)
		config_release(out);
	return err;
}

void config_release(struct config *c)
{
	free(c->default_backend);
	free(c->user);
	free(c->language);
	free(c->python);
	free(c->folder);
	json_free(c->datasets);
	json_free(c->backends);
	json_free(c->rest);
	secrets_close(c->secrets);
	memset(c, 0, sizeof(*c));
}

bool config_backend_enabled(const struct config *c, const char *backend)
{
	return json_bool(json_get(json_get(c->backends, backend), "enabled"), true);
}

/* ---- What may be shown ---- */

static bool is_secret(const char *key)
{
	static const char *const parts[] = {"key", "token", "secret", "password", "passwd", "credential",
		"authorization", "cookie"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcasestr(key, parts[i]))
			return true;
	}
	return false;
}

/* A URL may carry user:password@ and a query with a key in it. */
static int set_shown_text(struct json *object, const char *key, const char *text)
{
	AUTO_BUF struct strbuf shown = STRBUF_INIT;
	const char *host = strstr(text, "://"), *query = strchr(text, '?');
	const char *at = host ? strrchr(host, '@') : NULL;

	if (!host)
		return json_set_text(object, key, text);
	host += 3;
	strbuf_add(&shown, text, (size_t)(host - text));
	if (at)
		strbuf_adds(&shown, "***");
	else
		at = host;
	if (query && query > at)
		strbuf_addf(&shown, "%.*s?***", (int)(query - at), at);
	else
		strbuf_adds(&shown, at);
	return shown.err ? shown.err : json_set_text(object, key, shown.buf);
}

static int mask_members(const struct json *from, struct json *to, int depth);

static int mask_member(const struct json *m, struct json *to, int depth)
{
	const char *key = json_key(m);
	struct json *copy;

	if (is_secret(key))
		return json_set_text(to, key, "***");
	if (json_text(m))
		return set_shown_text(to, key, json_text(m));
	if (json_type(m) == JSON_OBJECT) {
		copy = json_object();
		if (!copy || mask_members(m, copy, depth + 1)) {
			json_free(copy);
			return -ENOMEM;
		}
		return json_set(to, key, copy);
	}
	/* A list could hold objects with secrets in them: only its length is nobody's business. */
	if (json_type(m) == JSON_ARRAY)
		return json_set_text(to, key, "***");
	copy = json_copy(m);
	return copy ? json_set(to, key, copy) : -ENOMEM;
}

static int mask_members(const struct json *from, struct json *to, int depth)
{
	int err = depth > SECRET_DEPTH ? -E2BIG : 0;

	for (const struct json *m = json_first(from); m && !err; m = json_next(m))
		err = mask_member(m, to, depth);
	return err;
}

static int add_local(const struct config *c, struct json *out)
{
	struct json *jobs = json_object();

	if (!jobs || json_set_int(jobs, "max", c->jobs_max) ||
		json_set_number(jobs, "memory_gb", c->jobs_memory_gb) ||
		json_set_int(jobs, "gpus", c->jobs_gpus)) {
		json_free(jobs);
		return -ENOMEM;
	}
	if (json_set(out, "jobs", jobs) || json_set_text(out, "python", c->python))
		return -ENOMEM;
	if (!c->datasets)
		return 0;
	return json_set(out, "datasets", json_copy(c->datasets));
}

int config_print_backend(const struct config *c, const char *backend, struct strbuf *out)
{
	const struct json *own = json_get(c->backends, backend);
	struct json *shown = json_object();
	int err = shown ? 0 : -ENOMEM;

	if (!err)
		err = json_set_bool(shown, "enabled", true);
	if (!err && strcmp(backend, "local") == 0)
		err = add_local(c, shown);
	else if (!err)
		err = json_set_int(shown, "freshness_seconds", 15);
	if (!err)
		err = mask_members(own, shown, 0);
	if (!err)
		err = json_print(shown, out, true);
	if (!err)
		err = strbuf_addch(out, '\n');
	json_free(shown);
	return err;
}
