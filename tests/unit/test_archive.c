/* What archive.h promises: the same files give the same zip, and a hostile zip gives an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <time.h>

#include "fs/base/archive.h"
#include "fs/base/cleanup.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "tests/unit/folder.h"

static const char *const names[] = {"data/x.csv", "helper.py", "\xe6\x97\xa5\xe6\x9c\xac.py"};

static struct folder make_files(void)
{
	struct folder f = folder_make();

	mkdirat(f.fd, "data", 0755);
	folder_write(&f, "data/x.csv", "a,b\n1,2\n");
	folder_write(&f, "helper.py", "X = 1\n");
	folder_write(&f, names[2], "Y = 2\n");
	return f;
}

static int zip_to(const struct folder *f, const char *const *paths, size_t count, struct strbuf *out)
{
	struct why why = {0};
	AUTO_FD int fd = openat(f->fd, ".zip", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int err = archive_zip(f->fd, paths, count, fd, INT64_MAX, &why);

	if (err)
		assert_true(why.text[0]);
	assert_int_equal(io_read(f->fd, ".zip", 1 << 20, out), 0);
	return err;
}

static void same_bytes_whenever_and_wherever(void **state)
{
	AUTO_BUF struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;
	struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	struct folder f = make_files();

	assert_int_equal(zip_to(&f, names, 3, &first), 0);
	utimensat(f.fd, "helper.py", times, 0);
	fchmodat(f.fd, "helper.py", 0755, 0);
	setenv("TZ", "Asia/Tokyo", 1);
	tzset();
	assert_int_equal(zip_to(&f, names, 3, &second), 0);
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.buf, second.buf, first.len);
	folder_finish(&f);
}

static void comes_out_again(void **state)
{
	AUTO_BUF struct strbuf zip = STRBUF_INIT, out = STRBUF_INIT;
	struct folder f = make_files();

	assert_int_equal(zip_to(&f, names, 3, &zip), 0);
	assert_int_equal(archive_unzip(zip.buf, zip.len, ".csv", 100, &out, NULL), 0);
	assert_string_equal(out.buf, "a,b\n1,2\n");
	strbuf_reset(&out);
	assert_int_equal(archive_unzip(zip.buf, zip.len, "\xac.py", 100, &out, NULL), 0);
	assert_string_equal(out.buf, "Y = 2\n");
	folder_finish(&f);
}

static void names_are_marked_as_utf8(void **state)
{
	AUTO_BUF struct strbuf zip = STRBUF_INIT;
	struct folder f = make_files();

	assert_int_equal(zip_to(&f, names + 2, 1, &zip), 0);
	assert_true(zip.len > 30);
	assert_true((unsigned char)zip.buf[7] & 0x08); /* bit 11 of the flags */
	folder_finish(&f);
}

static void bounds_are_kept(void **state)
{
	AUTO_BUF struct strbuf zip = STRBUF_INIT, out = STRBUF_INIT;
	struct folder f = make_files();
	struct why why = {0};

	assert_int_equal(zip_to(&f, names, 3, &zip), 0);
	assert_int_equal(archive_unzip(zip.buf, zip.len, ".csv", 7, &out, &why), -EFBIG);
	assert_true(why.text[0]);
	assert_int_equal(archive_unzip(zip.buf, zip.len, ".json", 100, &out, &why), -ENOENT);
	folder_finish(&f);
}

static void damaged_ones_are_refused(void **state)
{
	AUTO_BUF struct strbuf zip = STRBUF_INIT;
	struct folder f = make_files();
	struct why why = {0};

	assert_int_equal(zip_to(&f, names, 3, &zip), 0);
	for (size_t len = 0; len < zip.len; len++) {
		AUTO_BUF struct strbuf out = STRBUF_INIT;
		int err = archive_unzip(zip.buf, len, ".csv", 100, &out, &why);

		assert_true(err == 0 || err == -EPROTO || err == -ENOENT);
	}
	for (size_t i = 0; i < zip.len; i++) {
		AUTO_BUF struct strbuf out = STRBUF_INIT;

		zip.buf[i] = (char)~zip.buf[i];
		assert_true(archive_unzip(zip.buf, zip.len, NULL, 100, &out, &why) <= 0);
		assert_true(out.len <= 100);
		zip.buf[i] = (char)~zip.buf[i];
	}
	assert_int_equal(archive_unzip("<html>", 6, NULL, 100, &zip, &why), -EPROTO);
	folder_finish(&f);
}

static void nothing_from_outside_goes_in(void **state)
{
	AUTO_BUF struct strbuf zip = STRBUF_INIT;
	static const char *const link[] = {"out"}, *const dir[] = {"data"}, *const up[] = {"../x"},
		*const inside[] = {"in"};
	struct folder f = make_files();

	assert_int_equal(symlinkat("/etc/passwd", f.fd, "out"), 0);
	assert_int_equal(symlinkat("helper.py", f.fd, "in"), 0);
	assert_true(zip_to(&f, link, 1, &zip) < 0);
	assert_true(zip_to(&f, up, 1, &zip) < 0);
	assert_int_equal(zip_to(&f, dir, 1, &zip), -EINVAL);
	strbuf_reset(&zip);
	assert_int_equal(zip_to(&f, inside, 1, &zip), 0);
	folder_finish(&f);
}

static void a_deadline_ends_it(void **state)
{
	struct folder f = make_files();
	AUTO_FD int fd = openat(f.fd, ".zip", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(archive_zip(f.fd, names, 3, fd, 1, NULL), -ETIMEDOUT);
	folder_finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_bytes_whenever_and_wherever), cmocka_unit_test(comes_out_again),
		cmocka_unit_test(names_are_marked_as_utf8), cmocka_unit_test(bounds_are_kept),
		cmocka_unit_test(damaged_ones_are_refused), cmocka_unit_test(nothing_from_outside_goes_in),
		cmocka_unit_test(a_deadline_ends_it)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
