/*
 * The daemon's own log: JSON lines {"time","level","event",...,"message"} in DIR/log, rotated at
 * 8 MiB to log.1 … log.4. Thread-safe. Field names and events are never translated. Text is escaped
 * and every line bounded to 8 KiB. Secrets registered with log_secret() are replaced by "***".
 */
#ifndef KEXEC_BASE_LOG_H
#define KEXEC_BASE_LOG_H

struct log;
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

int log_open(int dirfd, const char *name, struct log **out); /* also copies warnings to stderr if a tty */
void log_close(struct log *log);                          /* accepts NULL */
void log_from(struct log *log, enum log_level least); /* lines below are dropped; before threads start */
void log_secret(struct log *log, const char *secret);
/* `fields` is NULL or JSON members without braces made with escape_json, e.g. "\"run\":\"a\"". A NULL
 * log is accepted and drops the line. */
void log_write(struct log *log, enum log_level level, const char *event, const char *fields,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
