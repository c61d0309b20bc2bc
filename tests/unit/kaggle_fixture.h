/* One attempt of one run on the Kaggle backend, with the service of kaggle_stub.h. */
#ifndef KEXEC_TESTS_UNIT_KAGGLE_FIXTURE_H
#define KEXEC_TESTS_UNIT_KAGGLE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/backend.h"
#include "backends/kaggle/record.h"
#include "fs/base/cleanup.h"
#include "tests/unit/folder.h"
#include "tests/unit/kaggle_stub.h"

#define REMOTE   "alice/demo-run/v1"
#define METADATA "{\"id\": \"alice/demo-run\", \"title\": \"Demo run\", \"code_file\": \"main.py\"," \
		 "\"kernel_type\": \"script\", \"language\": \"python\"}"

extern const struct backend kaggle_backend;

struct kaggle_fixture {
	struct folder folder;
	struct backend_conn *conn;
	char source[300], directory[300];
	struct job job;
	struct job_status status;
	struct strbuf remote;
	struct why why;
};

static inline void kf_open(struct kaggle_fixture *f)
{
	struct backend_setup setup = {.state_dirfd = f->folder.fd, .program = "", .state_path = f->folder.path,
		.mountpoint = "/nowhere"};

	assert_int_equal(kaggle_backend.open(&setup, &f->conn, &f->why), 0);
}

/* As after a restart of the server. */
static inline void kf_reopen(struct kaggle_fixture *f)
{
	kaggle_backend.close(f->conn);
	kf_open(f);
}

static inline void kf_init(struct kaggle_fixture *f)
{
	memset(f, 0, sizeof(*f));
	strbuf_init(&f->remote, 1000);
	f->folder = folder_make();
	mkdirat(f->folder.fd, "source", 0755);
	mkdirat(f->folder.fd, "attempt", 0755);
	snprintf(f->source, sizeof(f->source), "%s/source", f->folder.path);
	snprintf(f->directory, sizeof(f->directory), "%s/attempt", f->folder.path);
	folder_write(&f->folder, "source/main.py", "print(1)\n");
	folder_write(&f->folder, "source/kernel-metadata.json", METADATA);
	f->job = (struct job){.run = 1, .attempt = 1, .token = "inst-1-1", .name = "demo", .kind = "script",
		.main = "main.py", .source = f->source, .directory = f->directory, .internet = true};
	stub_reset();
	kf_open(f);
}

static inline void kf_finish(struct kaggle_fixture *f)
{
	kaggle_backend.close(f->conn);
	strbuf_release(&f->remote);
	folder_finish(&f->folder);
}

static inline int kf_submit(struct kaggle_fixture *f)
{
	strbuf_reset(&f->remote);
	memset(&f->why, 0, sizeof(f->why));
	return kaggle_backend.submit(f->conn, &f->job, clock_boot_ns() + 60 * NS_PER_S, &f->remote, &f->why);
}

static inline int kf_find(struct kaggle_fixture *f)
{
	strbuf_reset(&f->remote);
	memset(&f->why, 0, sizeof(f->why));
	return kaggle_backend.find(f->conn, &f->job, clock_boot_ns() + 60 * NS_PER_S, &f->remote, &f->status, &f->why);
}

static inline int kf_poll(struct kaggle_fixture *f, const char *remote)
{
	memset(&f->why, 0, sizeof(f->why));
	return kaggle_backend.poll(f->conn, remote, clock_boot_ns() + 60 * NS_PER_S, &f->status, &f->why);
}

static inline int kf_logs(struct kaggle_fixture *f, const char *remote)
{
	return kaggle_backend.logs(f->conn, &f->job, remote, clock_boot_ns() + 60 * NS_PER_S, &f->why);
}

static inline int kf_fetch(struct kaggle_fixture *f, const char *remote)
{
	memset(&f->why, 0, sizeof(f->why));
	return kaggle_backend.fetch(f->conn, &f->job, remote, clock_boot_ns() + 60 * NS_PER_S, &f->why);
}

static inline void kf_read(struct kaggle_fixture *f, struct kaggle_record *r)
{
	AUTO_FD int dirfd = io_open_dir(AT_FDCWD, f->directory);

	assert_int_equal(record_read(dirfd, r), 0);
}

/* As if so many seconds had passed since the push was announced. */
static inline void kf_age(struct kaggle_fixture *f, int64_t seconds)
{
	AUTO_FD int dirfd = io_open_dir(AT_FDCWD, f->directory);
	struct kaggle_record r;

	assert_int_equal(record_read(dirfd, &r), 0);
	r.pushed.boot_ns -= seconds * NS_PER_S;
	r.pushed.wall_ns -= seconds * NS_PER_S;
	assert_int_equal(record_write(dirfd, &r), 0);
	record_release(&r);
}

static inline void kf_session(const char *slug, int version, enum kaggle_session session, const char *failure)
{
	struct stub_version *v = &stub_find(slug, false)->v[version - 1];

	v->session = session;
	snprintf(v->failure, sizeof(v->failure), "%s", failure);
}

static inline void kf_file(const char *name, const char *text, int64_t announced)
{
	struct stub_file *file = &kg->files[kg->file_count++];

	snprintf(file->name, sizeof(file->name), "%s", name);
	snprintf(file->text, sizeof(file->text), "%s", text);
	file->announced = announced;
}

/* What a file of the attempt holds; "(none)" where it is not there. */
static inline const char *kf_text(struct kaggle_fixture *f, const char *name)
{
	static char text[70000];
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	char path[700];

	snprintf(path, sizeof(path), "attempt/%s", name);
	if (io_read(f->folder.fd, path, sizeof(text) - 1, &out))
		return "(none)";
	snprintf(text, sizeof(text), "%s", out.buf);
	return text;
}

#endif
