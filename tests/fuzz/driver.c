/*
 * Runs a fuzz target over files and folders of saved inputs, as a plain test:
 *	fuzz_json tests/fuzz/corpus/json
 * and over MUTATIONS changed copies of each, always the same ones. The input that crashed it is
 *left in fuzz-crash.bin. Real fuzzing: see meson.build here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/io.h"
#include "fs/base/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUTATIONS  150
#define INPUT_MAX  ((size_t)16 << 20)
#define MUTATE_MAX ((size_t)64 << 10) /* larger inputs run as they are */

/* What runs now, for the handler of a crash. */
static const void *current;
static size_t current_len;

static void crashed(int sig)
{
	static const char note[] = "the input is in fuzz-crash.bin\n";
	int fd = open("fuzz-crash.bin", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd >= 0 && write(fd, current, current_len) >= 0 &&
		write(STDERR_FILENO, note, sizeof note - 1) >= 0)
		close(fd);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* A copy of exactly that size, so that a sanitizer sees the first byte read past it. */
static int run_bytes(const void *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, len);
	current = copy;
	current_len = len;
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
	return 0;
}

static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static const char interesting[] = "\0\n\r\",:{}[]\\<>|`'%/-.\x1b\xff\x80 0";

/* One to four changes: a byte, a special byte, a piece removed, a piece doubled, the end cut off.
 */
static size_t mutate(uint8_t *data, size_t len, size_t room, uint32_t *seed)
{
	for (uint32_t n = next_random(seed) % 4 + 1; n && len; n--) {
		size_t at = next_random(seed) % len, piece = next_random(seed) % (len - at) + 1;

		switch (next_random(seed) % 5) {
		case 0:
			data[at] = (uint8_t)next_random(seed);
			break;
		case 1:
			data[at] = (uint8_t)interesting[next_random(seed) % sizeof interesting];
			break;
		case 2:
			memmove(data + at, data + at + piece, len - at - piece);
			len -= piece;
			break;
		case 3:
			if (piece > room - len)
				break;
			memmove(data + at + piece, data + at, len - at);
			len += piece;
			break;
		default:
			len = at;
		}
	}
	return len;
}

static int run_mutations(const struct strbuf *input)
{
	size_t room = 2 * input->len + 64;
	uint8_t *copy = malloc(room);
	uint32_t seed = 2463534242u;
	int r = copy ? 0 : -ENOMEM;

	for (int i = 0; i < MUTATIONS && r == 0 && input->len <= MUTATE_MAX; i++) {
		memcpy(copy, input->buf, input->len);
		r = run_bytes(copy, mutate(copy, input->len, room, &seed));
	}
	free(copy);
	return r;
}

static int run_file(int dirfd, const char *name)
{
	struct strbuf input = STRBUF_INIT;
	int r = io_read(dirfd, name, INPUT_MAX, &input);

	if (r == 0)
		r = run_bytes(input.buf, input.len);
	if (r == 0)
		r = run_mutations(&input);
	if (r)
		fprintf(stderr, "%s: %s\n", name, strerror(-r));
	strbuf_release(&input);
	return r;
}

static int run_folder(const char *path, int *count)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	int r = 0;

	if (!dir)
		return -errno;
	while (r == 0 && (e = readdir(dir)))
		if (e->d_name[0] != '.') {
			r = run_file(dirfd(dir), e->d_name);
			(*count)++;
		}
	closedir(dir);
	return r;
}

int main(int argc, char **argv)
{
	int count = 0, r = 0;

	signal(SIGABRT, crashed);
	signal(SIGSEGV, crashed);
	for (int i = 1; i < argc && r == 0; i++) {
		r = run_folder(argv[i], &count);
		if (r == -ENOTDIR) {
			r = run_file(AT_FDCWD, argv[i]);
			count++;
		}
	}
	printf("%d inputs\n", count);
	return r != 0 || count == 0;
}
