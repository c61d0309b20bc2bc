#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/log.h"
#include "fs/base/proc.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

/* strbuf */

static void strbuf_grows(void **state)
{
	AUTO_BUF struct strbuf sb = STRBUF_INIT;

	assert_string_equal(sb.buf, "");
	for (int i = 0; i < 1000; i++)
		assert_int_equal(strbuf_addf(&sb, "%d,", i), 0);
	assert_int_equal(sb.len, 3890);
	assert_int_equal(strlen(sb.buf), 3890);
	strbuf_truncate(&sb, 5000);
	assert_int_equal(sb.len, 3890);
	strbuf_truncate(&sb, 3);
	assert_string_equal(sb.buf, "0,1");
	assert_int_equal(strbuf_add(&sb, "\0x", 2), 0);
	assert_int_equal(sb.len, 5);
}

static void strbuf_keeps_its_maximum(void **state)
{
	struct strbuf sb;

	strbuf_init(&sb, 5);
	assert_int_equal(strbuf_adds(&sb, "hello"), 0);
	assert_int_equal(strbuf_addch(&sb, '!'), -E2BIG);
	assert_int_equal(strbuf_add(&sb, "", 0), -E2BIG); /* sticky */
	assert_int_equal(strbuf_reserve(&sb, 0), -E2BIG);
	assert_string_equal(sb.buf, "hello");
	assert_null(strbuf_detach(&sb, NULL));
	strbuf_reset(&sb);
	assert_int_equal(strbuf_addf(&sb, "%s", "123456"), -E2BIG);
	assert_string_equal(sb.buf, "");
	strbuf_reset(&sb);
	assert_int_equal(strbuf_reserve(&sb, SIZE_MAX), -E2BIG);
	strbuf_release(&sb);
	assert_int_equal(sb.err, 0);
	strbuf_init(&sb, 0);
	assert_int_equal(strbuf_adds(&sb, ""), 0);
	assert_int_equal(strbuf_adds(&sb, "x"), -E2BIG);
	strbuf_release(&sb);
	strbuf_init(&sb, SIZE_MAX);
	assert_int_equal(strbuf_adds(&sb, "x"), 0);
	assert_int_equal(strbuf_reserve(&sb, SIZE_MAX - 1), -E2BIG);
	strbuf_release(&sb);
}

static void strbuf_long_format(void **state)
{
	AUTO_BUF struct strbuf sb = STRBUF_INIT;

	assert_int_equal(strbuf_addf(&sb, "%*d|", 5000, 7), 0);
	assert_int_equal(sb.len, 5001);
	assert_string_equal(sb.buf + 4998, " 7|");
	assert_int_equal(strbuf_addf(&sb, "%*d", 65 << 20, 7), -E2BIG);
	assert_int_equal(sb.len, 5001);
}

static void strbuf_adds_to_itself(void **state)
{
	AUTO_BUF struct strbuf sb = STRBUF_INIT;

	strbuf_adds(&sb, "ab");
	for (int i = 0; i < 10; i++)
		assert_int_equal(strbuf_add(&sb, sb.buf, sb.len), 0);
	assert_int_equal(sb.len, 2048);
	assert_int_equal(strspn(sb.buf, "ab"), 2048);
}

static void strbuf_detaches(void **state)
{
	struct strbuf sb = STRBUF_INIT;
	size_t len = 9;
	char *s = strbuf_detach(&sb, &len);

	assert_string_equal(s, "");
	assert_int_equal(len, 0);
	free(s);
	strbuf_adds(&sb, "x");
	s = strbuf_detach(&sb, NULL);
	assert_string_equal(s, "x");
	assert_string_equal(sb.buf, "");
	free(s);
	strbuf_release(&sb);
	assert_string_equal(strbuf_empty, "");
}

/* why */

static void why_says(void **state)
{
	struct why why = {0};

	assert_string_equal(why_text(NULL), "");
	assert_string_equal(why_text(&why), "");
	why_prefix(&why, "nothing");
	assert_string_equal(why_text(&why), "");
	assert_int_equal(why_set(NULL, EIO, "%s", "x"), -EIO);
	why_prefix(NULL, "x");
	assert_int_equal(why_set(&why, ENOENT, "no file %s", "a"), -ENOENT);
	why_prefix(&why, "line %d", 3);
	assert_int_equal(why.err, ENOENT);
	assert_string_equal(why_text(&why), "line 3: no file a");
	why_set(&why, ENOSPC, "%s", "");
	assert_string_equal(why_text(&why), strerror(ENOSPC));
	why_prefix(&why, "copy");
	assert_string_equal(why.text + 6, strerror(ENOSPC));
	assert_int_equal(why_set(&why, -EINVAL, "x"), -EINVAL);
	assert_int_equal(why.err, EINVAL);
}

static void why_is_one_clean_line(void **state)
{
	struct why why = {0};
	char text[2000];

	why_set(&why, EINVAL, "%s", "a\nb\x1b[1m\xff\xc2\x9b");
	assert_string_equal(why.text, "a b [1m?  ");
	for (size_t i = 0; i < sizeof(text) - 3; i += 3)
		memcpy(text + i, "日", 4);
	for (size_t shift = 0; shift < 3; shift++) {
		why_set(&why, EINVAL, "%.*s%s", (int)shift, "ab", text);
		assert_true(utf8_valid(why.text, strlen(why.text)));
		assert_null(strchr(why.text, '?'));
		assert_true(strlen(why.text) > 590);
		why_prefix(&why, "%s", text);
		assert_true(utf8_valid(why.text, strlen(why.text)));
		assert_null(strchr(why.text, '?'));
	}
}

/* log */

static char folder[] = "/tmp/kexec-base-XXXXXX";
static int folder_fd;

static int make_folder(void **state)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	if (!mkdtemp(folder))
		return 1;
	folder_fd = io_open_dir(AT_FDCWD, folder);
	return folder_fd < 0;
}

static int drop_folder(void **state)
{
	close(folder_fd);
	return io_remove_tree(AT_FDCWD, folder);
}

/* Every line is JSON of at most 8 KiB; returns their number and the last one parsed. */
static size_t read_log(const char *name, struct json **last)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	size_t lines = 0;
	char *line, *end;

	*last = NULL;
	assert_int_equal(io_read(folder_fd, name, 64 << 20, &text), 0);
	for (line = text.buf; *line; line = end + 1, lines++) {
		struct why why = {0};

		end = strchr(line, '\n');
		assert_non_null(end);
		assert_true(end + 1 - line <= 8192);
		json_free(*last);
		*last = json_parse(line, (size_t)(end - line), 8192, &why);
		if (!*last)
			fail_msg("%s: %.*s", why.text, (int)(end - line), line);
	}
	return lines;
}

static void log_lines(void **state)
{
	struct log *log;
	struct json *last;

	assert_int_equal(log_open(folder_fd, "log", &log), 0);
	log_write(log, LOG_LEVEL_INFO, "start", NULL, "hello %d", 1);
	log_write(log, LOG_LEVEL_ERROR, "run", "\"run\":\"a\",\"n\":3", "bad\n\"x\" %s",
		"\x1b[0m\xff");
	assert_int_equal(read_log("log", &last), 2);
	assert_string_equal(json_text(json_get(last, "level")), "error");
	assert_string_equal(json_text(json_get(last, "event")), "run");
	assert_string_equal(json_text(json_get(last, "run")), "a");
	assert_int_equal(json_int(json_get(last, "n"), 0), 3);
	assert_string_equal(json_text(json_get(last, "message")), "bad\n\"x\" \x1b[0m\xef\xbf\xbd");
	assert_string_equal(json_key(json_first(last)), "time");
	json_free(last);
	log_close(log);
	assert_int_equal(log_open(folder_fd, "log", &log), 0); /* appends */
	log_write(log, LOG_LEVEL_DEBUG, "again", "", "x");
	log_close(log);
	assert_int_equal(read_log("log", &last), 3);
	json_free(last);
	log_write(NULL, LOG_LEVEL_INFO, "none", NULL, "dropped");
	log_close(NULL);
	assert_int_equal(log_open(folder_fd, "no/log", &log), -ENOENT);
	symlinkat("log", folder_fd, "link");
	assert_int_equal(log_open(folder_fd, "link", &log), -ELOOP);
}

static void log_bounds_lines(void **state)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT, fields = STRBUF_INIT;
	struct log *log;
	struct json *last;

	assert_int_equal(log_open(folder_fd, "log", &log), 0);
	for (int i = 0; i < 20000; i++)
		strbuf_adds(&text, i % 3 ? "日" : "\x01");
	strbuf_addf(&fields, "\"f\":\"%.5000s\"", text.buf + 1);
	for (int shift = 0; shift < 8; shift++) {
		log_write(log, LOG_LEVEL_INFO, "e", NULL, "%s", text.buf + shift);
		log_write(log, LOG_LEVEL_INFO, text.buf, fields.buf, "%.*s%s", shift, "aaaaaaaa",
			text.buf);
	}
	log_write(log, LOG_LEVEL_INFO, "e", NULL, "%*d", 10 << 20, 1);
	assert_int_equal(read_log("log", &last), 17);
	assert_string_equal(json_text(json_get(last, "message")), "(message too long)");
	json_free(last);
	log_close(log);
}

static void log_hides_secrets(void **state)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT, fields = STRBUF_INIT;
	const char *hard = "p\"w\\<&>\nx";
	struct log *log;
	struct json *last, *member = json_object();

	assert_int_equal(log_open(folder_fd, "log", &log), 0);
	log_secret(log, "hunter2");
	log_secret(log, "hunter2-longer");
	log_secret(log, hard);
	log_secret(log, "1234");
	log_secret(log, "nabc"); /* also the end of the escape \n */
	log_secret(log, "");
	log_secret(log, "e"); /* too short: would be everywhere */
	log_secret(log, NULL);
	log_secret(NULL, "hunter2");
	strbuf_adds(&fields, "\"a\":\"");
	escape_json(&fields, hard, strlen(hard));
	strbuf_adds(&fields, "hunter2\",\"size\":1234,\"b\":\"\\nabc x1234x\",\"o\":");
	json_set_text(member, "k", hard);
	json_print(member, &fields, false);
	log_write(log, LOG_LEVEL_INFO, "event", fields.buf, "%s and hunter2-longer, hunter2", hard);
	assert_int_equal(read_log("log", &last), 1);
	assert_string_equal(json_text(json_get(last, "message")), "*** and ***, ***");
	assert_string_equal(json_text(json_get(last, "a")), "******");
	assert_string_equal(json_text(json_get(json_get(last, "o"), "k")), "***");
	assert_int_equal(json_int(json_get(last, "size"), 0), 1234);
	assert_string_equal(json_text(json_get(last, "b")), "\nabc x***x");
	json_free(last);
	assert_int_equal(io_read(folder_fd, "log", 1 << 20, &text), 0);
	assert_null(strstr(text.buf, "hunter2"));
	assert_null(strstr(text.buf, "p\\\"w"));
	json_free(member);
	log_close(log);
}

static void *log_often(void *arg)
{
	for (int i = 0; i < 2000; i++)
		log_write(arg, LOG_LEVEL_INFO, "thread", "\"i\":1", "%0*d", 1000, i);
	return NULL;
}

static void log_rotates_under_threads(void **state)
{
	struct log *log;
	struct json *last;
	pthread_t t[8];
	size_t lines = 0;

	assert_int_equal(log_open(folder_fd, "log", &log), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, log_often, log), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"log", "log.1", "log.2"};
		struct stat st;

		assert_int_equal(fstatat(folder_fd, names[i], &st, 0), 0);
		assert_true(st.st_size <= 8 << 20 && (st.st_mode & 0777) == 0600);
		lines += read_log(names[i], &last);
		json_free(last);
	}
	assert_int_equal(lines, 16000);
	assert_int_equal(faccessat(folder_fd, "log.3", F_OK, 0), -1);
	for (int i = 0; i < 4; i++)
		log_often(log);
	for (int i = 0; i < 16; i++)
		log_often(log);
	assert_int_equal(faccessat(folder_fd, "log.4", F_OK, 0), 0);
	assert_int_equal(faccessat(folder_fd, "log.5", F_OK, 0), -1);
	log_close(log);
}

/* proc */

static void proc_of_self(void **state)
{
	struct proc_info p;

	assert_int_equal(proc_read(getpid(), &p), 0);
	assert_int_equal(p.pid, getpid());
	assert_int_equal(p.ppid, getppid());
	assert_int_equal(p.state, 'R');
	assert_true(p.start > 0 && p.rss_bytes > 65536);
	assert_true(proc_alive(getpid(), p.start));
	assert_false(proc_alive(getpid(), p.start + 1));
	assert_int_equal(proc_read(0, &p), -ESRCH);
	assert_int_equal(proc_read(-1, &p), -ESRCH);
	assert_int_equal(proc_read(INT32_MAX, &p), -ESRCH);
	assert_false(proc_alive(0, 0));
}

struct thread_ids {
	pid_t tid;
	struct proc_info seen;
	int result;
};

static void *read_own(void *arg)
{
	struct thread_ids *ids = arg;

	prctl(PR_SET_NAME, "a ) Z 1 (");
	ids->tid = (pid_t)syscall(SYS_gettid);
	ids->result = proc_read(ids->tid, &ids->seen);
	return NULL;
}

static void proc_of_a_thread(void **state)
{
	struct thread_ids ids;
	struct proc_info self;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, read_own, &ids), 0);
	pthread_join(t, NULL);
	assert_int_equal(proc_read(getpid(), &self), 0);
	assert_int_equal(ids.result, 0);
	assert_int_not_equal(ids.tid, getpid());
	assert_int_equal(ids.seen.pid, getpid());
	assert_int_equal(ids.seen.start, self.start);
	assert_int_equal(ids.seen.state, 'R');
	assert_false(proc_alive(ids.tid, self.start));
}

/* A child that waits on a pipe under a hostile name, then ends. */
static void proc_of_a_child(void **state)
{
	struct proc_info p, self;
	int up[2], down[2], status;
	char c;
	pid_t pid;

	assert_int_equal(pipe2(up, O_CLOEXEC) | pipe2(down, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NAME, "x) Z 1 2 (y");
		if (write(up[1], "x", 1) != 1 || read(down[0], &c, 1) != 1)
			_exit(1);
		_exit(7);
	}
	assert_int_equal(read(up[0], &c, 1), 1);
	assert_int_equal(proc_read(pid, &p), 0);
	assert_string_equal(p.comm, "x) Z 1 2 (y");
	assert_int_equal(p.ppid, getpid());
	assert_true(p.state == 'S' || p.state == 'R');
	assert_int_equal(proc_read(getpid(), &self), 0);
	assert_true(proc_alive(pid, p.start));
	assert_true(proc_descends(pid, getpid(), self.start));
	assert_true(proc_descends(pid, pid, p.start));
	assert_false(proc_descends(pid, getpid(), self.start + 1));
	assert_false(proc_descends(getpid(), pid, p.start));
	assert_int_equal(write(down[1], "x", 1), 1);
	assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	assert_int_equal(proc_read(pid, &p), 0);
	assert_int_equal(p.state, 'Z');
	assert_int_equal(p.exit_code, 7 << 8);
	assert_false(proc_alive(pid, p.start));
	waitpid(pid, &status, 0);
	assert_int_equal(proc_read(pid, &p), -ESRCH);
	assert_false(proc_descends(pid, getpid(), self.start));
	for (int i = 0; i < 2; i++) {
		close(up[i]);
		close(down[i]);
	}
}

static void *outlive_leader(void *arg)
{
	char c;

	if (write(((int *)arg)[0], "x", 1) != 1)
		_exit(1);
	_exit(read(((int *)arg)[1], &c, 1) != 1);
}

/* Its main thread has ended, another one works: the state says Z, but it is alive. */
static void proc_without_leader(void **state)
{
	struct proc_info p;
	int up[2], down[2], status;
	char c;
	pid_t pid;

	assert_int_equal(pipe2(up, O_CLOEXEC) | pipe2(down, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int ends[2] = {up[1], down[0]};
		pthread_t t;

		pthread_create(&t, NULL, outlive_leader, ends);
		syscall(SYS_exit, 0); /* this thread only; ends stays on its stack */
	}
	assert_int_equal(read(up[0], &c, 1), 1);
	do
		assert_int_equal(proc_read(pid, &p), 0);
	while (p.state != 'Z');
	assert_true(proc_alive(pid, p.start));
	assert_int_equal(write(down[1], "x", 1), 1);
	waitpid(pid, &status, 0);
	assert_false(proc_alive(pid, p.start));
	for (int i = 0; i < 2; i++) {
		close(up[i]);
		close(down[i]);
	}
}

/* i18n */

/* A catalogue with one message: "Hello" → "Konnichiwa" (the .mo format is in gettext's manual). */
static void write_catalogue(const char *language)
{
	static const char strings[] =
		"\0Hello\0Content-Type: text/plain; charset=UTF-8\n\0こんにちは";
	const uint32_t head = 28, text = head + 32;
	const uint32_t words[] = {0x950412de, 0, 2, head, head + 16, 0, text, 0, text, 5, text + 1,
		40, text + 7, 15, text + 48};
	AUTO_BUF struct strbuf mo = STRBUF_INIT, path = STRBUF_INIT;

	strbuf_add(&mo, words, sizeof(words));
	strbuf_add(&mo, strings, sizeof(strings));
	strbuf_addf(&path, "%s/%s/LC_MESSAGES", folder, language);
	assert_int_equal(io_mkdir_path(path.buf, 0700), 0);
	strbuf_adds(&path, "/kexec.mo");
	assert_int_equal(io_write_atomic(AT_FDCWD, path.buf, mo.buf, mo.len, 0600), 0);
}

static void check_language(const char *language, const char *want)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		char half[8];

		i18n_init(language);
		snprintf(half, sizeof(half), "%.1f", 0.5);
		if (strcmp(_("Hello"), want) != 0)
			fprintf(stderr, "%s gave %s\n", language ? language : "LANG", _("Hello"));
		_exit(strcmp(_("Hello"), want) != 0 ? 1 : strcmp(half, "0.5") != 0 ? 2 : 0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void languages(void **state)
{
	write_catalogue("ja");
	setenv("KEXEC_LOCALEDIR", folder, 1);
	unsetenv("LC_ALL");
	unsetenv("LANGUAGE");
	setenv("LANG", "C", 1);
	check_language("ja", "こんにちは");
	check_language("en", "Hello");
	check_language(NULL, "Hello");
	setenv("LANGUAGE", "ja", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	check_language("en", "Hello");
	check_language("ja", "こんにちは");
	unsetenv("LANGUAGE");
	unsetenv("LC_ALL");
	setenv("LANG", "no_SUCH.UTF-8", 1);
	check_language(NULL, "Hello");
}

static void moved_pointers(void **state)
{
	AUTO_FREE char *a = strdup("x");
	AUTO_FREE char *b = move_ptr(a);

	assert_null(a);
	assert_string_equal(b, "x");
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, drop_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strbuf_grows),
		cmocka_unit_test(strbuf_keeps_its_maximum),
		cmocka_unit_test(strbuf_long_format),
		cmocka_unit_test(strbuf_adds_to_itself),
		cmocka_unit_test(strbuf_detaches),
		cmocka_unit_test(why_says),
		cmocka_unit_test(why_is_one_clean_line),
		IN_FOLDER(log_lines),
		IN_FOLDER(log_bounds_lines),
		IN_FOLDER(log_hides_secrets),
		IN_FOLDER(log_rotates_under_threads),
		cmocka_unit_test(proc_of_self),
		cmocka_unit_test(proc_of_a_thread),
		cmocka_unit_test(proc_of_a_child),
		cmocka_unit_test(proc_without_leader),
		IN_FOLDER(languages),
		cmocka_unit_test(moved_pointers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
