/* Where the state may be: the kinds of file systems, owners, rights, and the lock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/magic.h>
#include <sys/wait.h>

#include "fs/base/why.h"
#include "fs/state_dir.h"
#include "tests/unit/folder.h"

/* linux/magic.h does not know these. */
#define LUSTRE_MAGIC 0x0BD00BD0
#define SMB3_MAGIC   0xFE534D42
#define NTFS3_MAGIC  0x7366746e

static void kinds_of_file_systems(void **state)
{
	static const struct {
		uint32_t magic;
		const char *name;
	} table[] = {{NFS_SUPER_MAGIC, "NFS"}, {SMB_SUPER_MAGIC, "SMB"}, {CIFS_SUPER_MAGIC, "SMB"},
		{SMB3_MAGIC, "SMB"}, {V9FS_MAGIC, "9P"}, {CEPH_SUPER_MAGIC, "Ceph"},
		{LUSTRE_MAGIC, "Lustre"}, {FUSE_SUPER_MAGIC, "FUSE"}, {EXT4_SUPER_MAGIC, NULL},
		{XFS_SUPER_MAGIC, NULL}, {BTRFS_SUPER_MAGIC, NULL}, {F2FS_SUPER_MAGIC, NULL},
		{TMPFS_MAGIC, NULL}, {OVERLAYFS_SUPER_MAGIC, NULL}, {NTFS3_MAGIC, NULL}, {0, NULL}};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		/* f_type is a long: where it has 32 bits, magics above 2^31 are negative. */
		long types[] = {(long)table[i].magic, (long)(int32_t)table[i].magic};

		for (int k = 0; k < 2; k++) {
			const char *name = state_dir_network(types[k]);

			if (table[i].name)
				assert_string_equal(name, table[i].name);
			else
				assert_null(name);
		}
	}
}

static void made_with_its_parents_and_closed(void **state)
{
	struct folder f = folder_make();
	char path[300];
	struct stat st;
	bool exists = true;

	snprintf(path, sizeof(path), "%s/deep/er/state", f.path);
	assert_int_equal(state_dir_check(path, false, &exists, NULL), 0);
	assert_false(exists);
	assert_int_equal(faccessat(f.fd, "deep", F_OK, 0), -1);
	assert_int_equal(state_dir_prepare(path, false, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(chmod(path, 02775), 0);
	assert_int_equal(state_dir_prepare(path, false, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	folder_finish(&f);
}

static void what_is_no_folder_of_ours(void **state)
{
	struct folder f = folder_make();
	struct why why = {0};
	char path[300];
	bool exists;

	folder_write(&f, "file", "");
	snprintf(path, sizeof(path), "%s/file", f.path);
	assert_int_equal(state_dir_prepare(path, false, &why), -ENOTDIR);
	assert_non_null(strstr(why_text(&why), path));
	snprintf(path, sizeof(path), "%s/file/below", f.path);
	assert_int_equal(state_dir_prepare(path, false, NULL), -ENOTDIR);
	assert_int_equal(symlinkat("nowhere", f.fd, "link"), 0);
	snprintf(path, sizeof(path), "%s/link", f.path);
	assert_true(state_dir_prepare(path, false, &why) < 0);
	assert_int_equal(faccessat(f.fd, "nowhere", F_OK, 0), -1);
	if (geteuid() == 0) {
		assert_int_equal(mkdirat(f.fd, "theirs", 0777), 0);
		assert_int_equal(fchownat(f.fd, "theirs", 65534, 65534, 0), 0);
		snprintf(path, sizeof(path), "%s/theirs", f.path);
		assert_int_equal(state_dir_check(path, false, &exists, &why), -EPERM);
	}
	folder_finish(&f);
}

static void one_at_a_time(void **state)
{
	struct folder f = folder_make();
	struct why why = {0};
	int fd = state_dir_lock(f.path, NULL);

	assert_true(fd >= 0);
	assert_int_equal(state_dir_lock(f.path, &why), -EBUSY);
	assert_non_null(strstr(why_text(&why), f.path));
	close(fd);
	fd = state_dir_lock(f.path, NULL);
	assert_true(fd >= 0);
	close(fd);
	folder_finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(kinds_of_file_systems),
		cmocka_unit_test(made_with_its_parents_and_closed),
		cmocka_unit_test(what_is_no_folder_of_ours), cmocka_unit_test(one_at_a_time)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
