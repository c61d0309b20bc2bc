#include "fs/base/secret.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/why.h"

#define MODE_REFUSED 0077

struct entry {
	const char *name, *value; /* in text */
};

struct secrets {
	struct entry list[SECRETS_MAX];
	size_t count, len;
	char text[]; /* len bytes and a NUL: the file, cut into names and values in place */
};

/* ---- Lines ---- */

static char *skip_blanks(char *p)
{
	return p + strspn(p, " \t");
}

static char *take_name(char **p)
{
	char *name = *p, *end = name;

	if (isdigit((unsigned char)*end))
		return NULL;
	while (isalnum((unsigned char)*end) || *end == '_')
		end++;
	if (end == name || end - name > SECRET_NAME_MAX)
		return NULL;
	*p = skip_blanks(end);
	if (**p != '=')
		return NULL;
	*p = skip_blanks(*p + 1); /* before the name is ended, which may be where '=' was */
	*end = '\0';
	return name;
}

/* Blanks and a remark may follow a value in quotes. */
static bool nothing_after(char *p)
{
	p = skip_blanks(p);
	return *p == '\0' || *p == '#';
}

static char *take_literal(char *p)
{
	char *end = strchr(p, '\'');

	if (!end || !nothing_after(end + 1))
		return NULL;
	*end = '\0';
	return p;
}

static char escaped(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case '"':
	case '\\':
	case '$':
	case '`':
		return c;
	default:
		return '\0';
	}
}

/* The value gets shorter, never longer. */
static char *take_quoted(char *p)
{
	char *value = p, *to = p;

	for (; *p != '"'; p++) {
		if (*p == '\0')
			return NULL;
		if (*p == '\\') {
			*to = escaped(*++p);
			if (*to++ == '\0')
				return NULL;
		} else {
			*to++ = *p;
		}
	}
	if (!nothing_after(p + 1))
		return NULL;
	*to = '\0';
	return value;
}

static char *take_bare(char *p)
{
	char *end = p;

	for (; *end; end++) {
		if (*end == '#' && (end == p || end[-1] == ' ' || end[-1] == '\t'))
			break;
		if (*end == '"' || *end == '\'') /* a quote that was not closed, or never opened */
			return NULL;
	}
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	return p;
}

static char *take_value(char *p)
{
	if (*p == '\'')
		return take_literal(p + 1);
	return *p == '"' ? take_quoted(p + 1) : take_bare(p);
}

/* A control character has no business in a line: terminals and headers would take it for theirs. */
static bool clean(const char *line)
{
	for (; *line; line++) {
		if (iscntrl((unsigned char)*line) && *line != '\t')
			return false;
	}
	return true;
}

static int take_line(struct secrets *s, char *line)
{
	struct entry e;

	if (!clean(line))
		return -EINVAL;
	line = skip_blanks(line);
	if (*line == '\0' || *line == '#')
		return 0;
	if (strncmp(line, "export", 6) == 0 && (line[6] == ' ' || line[6] == '\t'))
		line = skip_blanks(line + 6);
	e.name = take_name(&line);
	e.value = e.name ? take_value(line) : NULL;
	if (!e.value)
		return -EINVAL;
	if (s->count == SECRETS_MAX)
		return -E2BIG;
	s->list[s->count++] = e;
	return 0;
}

static int take_lines(struct secrets *s, const char *path, struct why *why)
{
	char *line = strncmp(s->text, "\xEF\xBB\xBF", 3) == 0 ? s->text + 3 : s->text;
	int rc;

	if (strlen(s->text) != s->len)
		return why_set(why, EINVAL, _("%s holds a NUL byte"), path);
	for (int number = 1; line; number++) {
		char *end = strchr(line, '\n');

		if (end)
			*end = '\0';
		if (end && end > line && end[-1] == '\r')
			end[-1] = '\0';
		rc = take_line(s, line);
		if (rc == -E2BIG)
			return why_set(why, E2BIG, _("%s has more than %d variables"), path, SECRETS_MAX);
		if (rc)
			return why_set(why, EINVAL, _("%s, line %d: must be NAME=VALUE"), path, number);
		line = end ? end + 1 : NULL;
	}
	return 0;
}

/* ---- The file ---- */

static int check_file(int fd, const char *path, size_t *size, struct why *why)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return why_set(why, errno, _("%s cannot be read: %s"), path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return why_set(why, EINVAL, _("%s is not a regular file"), path);
	if (st.st_uid != geteuid() && st.st_uid != 0 && geteuid() != 0)
		return why_set(why, EACCES, _("%s belongs to another user; run: sudo chown %u %s"), path,
			(unsigned)geteuid(), path);
	if (st.st_mode & MODE_REFUSED)
		return why_set(why, EACCES,
			_("%s can be read or changed by others (mode %04o) and may hold credentials; run: chmod 600 %s"),
			path, (unsigned)(st.st_mode & 07777), path);
	if (st.st_size > SECRET_FILE_MAX)
		return why_set(why, EFBIG, _("%s is larger than %d KiB"), path, SECRET_FILE_MAX >> 10);
	*size = (size_t)st.st_size;
	return 0;
}

static int read_secrets(int fd, const char *path, struct secrets **out, struct why *why)
{
	size_t size = 0;
	int rc = check_file(fd, path, &size, why);
	struct secrets *s = rc ? NULL : calloc(1, sizeof(*s) + size + 1);

	if (!s)
		return rc ? rc : why_set(why, ENOMEM, "%s", strerror(ENOMEM));
	s->len = size; /* what secrets_close() wipes, also after a read that failed in the middle */
	rc = io_read_all(fd, s->text, size);
	if (rc < 0) {
		why_set(why, -rc, _("%s cannot be read: %s"), path, strerror(-rc));
	} else {
		s->len = (size_t)rc;
		rc = take_lines(s, path, why);
	}
	if (rc)
		secrets_close(s);
	else
		*out = s;
	return rc;
}

int secrets_open(const char *folder, struct secrets **out, struct why *why)
{
	AUTO_FREE char *path = NULL;
	AUTO_FD int fd = -1;

	*out = NULL;
	if (!folder)
		return 0;
	if (asprintf(&path, "%s/.env", folder) < 0) {
		path = NULL;
		return why_set(why, ENOMEM, "%s", strerror(ENOMEM));
	}
	/* A link is the user's own, as for the configuration; a FIFO would wait for ever. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return why_set(why, errno, _("%s cannot be read: %s"), path, strerror(errno));
	return read_secrets(fd, path, out, why);
}

const char *secrets_get(const struct secrets *s, const char *name)
{
	const char *value = getenv(name);

	if (value && *value)
		return value;
	for (size_t i = s ? s->count : 0; i > 0; i--) {
		if (strcmp(s->list[i - 1].name, name) == 0)
			return *s->list[i - 1].value ? s->list[i - 1].value : NULL;
	}
	return NULL;
}

void secrets_close(struct secrets *s)
{
	if (!s)
		return;
	explicit_bzero(s, sizeof(*s) + s->len);
	free(s);
}
