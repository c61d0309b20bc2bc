#include "fs/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_boot_ns(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

/* "" where /proc is not there: stamps then compare by wall time. */
void clock_boot_id(char out[40])
{
	AUTO_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	int n = fd < 0 ? 0 : io_read_all(fd, out, 39);

	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

struct stamp stamp_now(void)
{
	struct stamp s = {.wall_ns = clock_wall_ns(), .boot_ns = clock_boot_ns()};

	clock_boot_id(s.boot_id);
	return s;
}

int64_t stamp_since(const struct stamp *a, const struct stamp *b)
{
	bool one_boot = a->boot_id[0] && strncmp(a->boot_id, b->boot_id, sizeof(a->boot_id)) == 0;
	int64_t from = one_boot ? a->boot_ns : a->wall_ns;
	int64_t to = one_boot ? b->boot_ns : b->wall_ns;
	int64_t d;

	if (to <= from)
		return 0;
	return __builtin_sub_overflow(to, from, &d) ? INT64_MAX : d;
}

/* Division that rounds down, for moments before 1970. */
static int64_t split(int64_t wall_ns, int64_t *ns)
{
	int64_t s = wall_ns / NS_PER_S;

	*ns = wall_ns % NS_PER_S;
	if (*ns < 0) {
		*ns += NS_PER_S;
		s--;
	}
	return s;
}

static void local_time(int64_t wall_ns, struct tm *tm, int64_t *ns)
{
	time_t t = (time_t)split(wall_ns, ns);

	memset(tm, 0, sizeof(*tm));
	localtime_r(&t, tm);
}

static void add_date_time(struct strbuf *out, const struct tm *tm, char between)
{
	strbuf_addf(out, "%04d-%02d-%02d%c%02d:%02d:%02d", tm->tm_year + 1900, tm->tm_mon + 1,
		tm->tm_mday, between, tm->tm_hour, tm->tm_min, tm->tm_sec);
}

static void add_offset(struct strbuf *out, long seconds)
{
	long minutes = (seconds < 0 ? -seconds : seconds) / 60;

	strbuf_addf(out, "%c%02ld:%02ld", seconds < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

void clock_rfc3339(struct strbuf *out, int64_t wall_ns)
{
	struct tm tm;
	int64_t ns;

	local_time(wall_ns, &tm, &ns);
	add_date_time(out, &tm, 'T');
	add_offset(out, tm.tm_gmtoff);
}

void clock_rfc3339_micros(struct strbuf *out, int64_t wall_ns)
{
	struct tm tm;
	int64_t ns;

	local_time(wall_ns, &tm, &ns);
	add_date_time(out, &tm, 'T');
	strbuf_addf(out, ".%06d", (int)(ns / 1000));
	add_offset(out, tm.tm_gmtoff);
}

void clock_local(struct strbuf *out, int64_t wall_ns)
{
	struct tm tm;
	int64_t ns;

	local_time(wall_ns, &tm, &ns);
	add_date_time(out, &tm, ' ');
}

void clock_hms(struct strbuf *out, int64_t duration_ns)
{
	int64_t s = duration_ns > 0 ? duration_ns / NS_PER_S : 0;

	strbuf_addf(
		out, "%02lld:%02d:%02d", (long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
}

/* Exactly n digits at *p, which moves past them; -1 otherwise. */
static int take_digits(const char **p, int n)
{
	int v = 0;

	for (; n > 0; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return -1;
		v = v * 10 + (**p - '0');
	}
	return v;
}

static bool take(const char **p, const char *any_of)
{
	if (**p == '\0' || !strchr(any_of, **p))
		return false;
	(*p)++;
	return true;
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar (years counted from March). */
static int64_t days_from_date(int year, int month, int day)
{
	int y = month <= 2 ? year - 1 : year;
	int era = (y >= 0 ? y : y - 399) / 400;
	int year_of_era = y - era * 400;
	int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return (int64_t)era * 146097 + day_of_era - 719468;
}

static int days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

static int take_date(const char **p, int64_t *days)
{
	int year = take_digits(p, 4);
	int month = year >= 0 && take(p, "-") ? take_digits(p, 2) : -1;
	int day = month > 0 && take(p, "-") ? take_digits(p, 2) : -1;

	if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
		return -EINVAL;
	*days = days_from_date(year, month, day);
	return 0;
}

/* HH:MM:SS; a leap second (:60) counts as the second after it. */
static int take_time(const char **p, int64_t *seconds)
{
	int h = take_digits(p, 2);
	int m = h >= 0 && take(p, ":") ? take_digits(p, 2) : -1;
	int s = m >= 0 && take(p, ":") ? take_digits(p, 2) : -1;

	if (h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 60)
		return -EINVAL;
	*seconds = h * 3600 + m * 60 + s;
	return 0;
}

/* ".5" and so on; digits past the ninth are read and dropped. */
static int take_fraction(const char **p, int64_t *ns)
{
	int64_t unit = NS_PER_S;
	int d;

	*ns = 0;
	if (!take(p, "."))
		return 0;
	d = take_digits(p, 1);
	if (d < 0)
		return -EINVAL;
	for (; d >= 0; d = take_digits(p, 1)) {
		unit /= 10;
		*ns += d * unit;
	}
	return 0;
}

static int take_offset(const char **p, int64_t *seconds)
{
	bool west = **p == '-';
	int h, m;

	*seconds = 0;
	if (take(p, "Zz"))
		return 0;
	if (!take(p, "+-"))
		return -EINVAL;
	h = take_digits(p, 2);
	m = h >= 0 && take(p, ":") ? take_digits(p, 2) : -1;
	if (h < 0 || h > 23 || m < 0 || m > 59)
		return -EINVAL;
	*seconds = ((int64_t)h * 3600 + (int64_t)m * 60) * (west ? -1 : 1);
	return 0;
}

int clock_parse_rfc3339(const char *text, int64_t *wall_ns)
{
	const char *p = text;
	int64_t days, time, ns, offset, s, v;

	if (take_date(&p, &days) || !take(&p, "Tt ") || take_time(&p, &time) ||
		take_fraction(&p, &ns) || take_offset(&p, &offset) || *p != '\0')
		return -EINVAL;
	s = days * 86400 + time - offset;
	/* int64_t nanoseconds end in the years 1677 and 2262. */
	if (__builtin_mul_overflow(s, NS_PER_S, &v) || __builtin_add_overflow(v, ns, &v))
		return -EINVAL;
	*wall_ns = v;
	return 0;
}
