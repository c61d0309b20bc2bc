/* The word that a misspelt one was probably meant to be. */
#include <ctype.h>
#include <string.h>

#include "fs/engine/config.h"

#define LONGEST 63

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int lower(char c)
{
	return tolower((unsigned char)c);
}

/*
 * Edits (insert, delete, replace, swap of neighbours) that make b of a; both at most LONGEST long.
 * Only three rows of the table are kept: this one, the one before, and the one before that for swaps.
 */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][LONGEST + 1], width = strlen(b);

	for (size_t j = 0; j <= width; j++)
		rows[0][j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= width; j++) {
			size_t replaced = above[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));

			row[j] = smaller(replaced, smaller(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
				lower(a[i - 2]) == lower(b[j - 1]))
				row[j] = smaller(row[j], above2[j - 2] + 1);
		}
	}
	return rows[strlen(a) % 3][width];
}

const char *nearest_word(const char *word, const char *const *words)
{
	size_t len = strlen(word), limit = len / 3 > 2 ? len / 3 : 2, best = limit + 1;
	const char *nearest = NULL;

	if (len == 0 || len > LONGEST)
		return NULL;
	for (; *words; words++) {
		size_t edits = strlen(*words) <= LONGEST ? distance(word, *words) : best;

		/* As many edits as the word is long would make anything of it. */
		if (edits < best && edits < len) {
			best = edits;
			nearest = *words;
		}
	}
	return nearest;
}
