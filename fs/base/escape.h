/*
 * Untrusted text made safe for the place it goes to. Every function reads `len` bytes that need not
 * be valid UTF-8 (invalid bytes become U+FFFD) and appends to `out`.
 */
#ifndef KEXEC_BASE_ESCAPE_H
#define KEXEC_BASE_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;

/* HTML and SVG/XML text and attribute values (both quote kinds); XML-invalid controls are dropped. */
void escape_html(struct strbuf *out, const char *text, size_t len);
/* The inside of a JSON string, without the quotes; `<`, `>`, `&` and U+2028/9 as \uXXXX, so that the
 * result may also stand inside an HTML <script type="application/json">. NUL becomes U+FFFD, because
 * json_parse() refuses it. */
void escape_json(struct strbuf *out, const char *text, size_t len);
/* One RFC 4180 field: quoted only when it must be; bytes unchanged otherwise. */
void escape_csv(struct strbuf *out, const char *text, size_t len);
/* Markdown prose: punctuation that Markdown reads is backslash-escaped, newlines become spaces. */
void escape_markdown(struct strbuf *out, const char *text, size_t len);
/* One line for a terminal: control characters and ANSI sequences removed, newlines as spaces; at
 * most `max` bytes are appended, cut at a character. */
void escape_line(struct strbuf *out, const char *text, size_t len, size_t max);
/* ANSI escape sequences and controls other than \n and \t removed; many lines. */
void escape_plain(struct strbuf *out, const char *text, size_t len);

/* Bytes of the first character of text, its code point in *code; 0 where text is empty or does not
 * begin with a valid character. */
size_t utf8_decode(const char *text, size_t len, uint32_t *code);
/* Is it valid UTF-8 (no surrogates, no overlong forms)? */
bool utf8_valid(const char *text, size_t len);
/* The largest n <= max such that text[0..n) does not end inside a character. */
size_t utf8_cut(const char *text, size_t len, size_t max);

#endif
