/* URLs, dates and times between tries: nothing here needs a connection. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "fs/base/clock.h"
#include "fs/base/http.h"
#include "fs/base/http_parts.h"
#include "fs/base/i18n.h"
#include "fs/base/why.h"

#define DAY_S INT64_C(86400)

#define ALPHA   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"
#define HOSTISH ALPHA DIGITS "-._"

/* ---- URLs ---- */

static int not_a_url(struct why *why)
{
	return why_set(why, EINVAL, _("this is not a URL that can be used"));
}

static bool is_clean(const char *url)
{
	for (const char *c = url; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return false;
	return true;
}

/* *url is past "//" afterwards. */
static int take_scheme(const char **url, struct http_url *out, struct why *why)
{
	size_t n = strspn(*url, ALPHA DIGITS "+-.");

	if (n == 0 || (*url)[n] != ':')
		return not_a_url(why);
	out->tls = n == 5 && strncasecmp(*url, "https", n) == 0;
	if (!out->tls && !(n == 4 && strncasecmp(*url, "http", n) == 0))
		return why_set(why, EACCES, _("only https and http can be used"));
	*url += n + 1;
	if (strncmp(*url, "//", 2) != 0)
		return not_a_url(why);
	*url += 2;
	return 0;
}

static int keep_host(struct http_url *out, const char *host, size_t len)
{
	if (len == 0 || len >= sizeof(out->host))
		return -EINVAL;
	for (size_t i = 0; i < len; i++) /* ASCII only, whatever the locale */
		out->host[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] | 0x20 : host[i]);
	out->host[len] = '\0';
	return 0;
}

/* The bytes of a host; 0: none that is accepted. */
static size_t take_host(const char *at, struct http_url *out)
{
	struct in6_addr six;
	size_t len;

	if (*at != '[') {
		len = strspn(at, HOSTISH);
		return keep_host(out, at, len) == 0 ? len : 0;
	}
	len = strspn(at + 1, DIGITS "abcdefABCDEF:.");
	if (at[1 + len] != ']' || keep_host(out, at + 1, len) ||
		inet_pton(AF_INET6, out->host, &six) != 1)
		return 0;
	return len + 2;
}

static int take_port(const char *at, size_t len, struct http_url *out)
{
	unsigned port = 0;

	out->port = out->tls ? 443 : 80;
	if (len == 0)
		return 0;
	if (at[0] != ':' || len < 2 || len > 6)
		return -EINVAL;
	for (size_t i = 1; i < len; i++) {
		if (at[i] < '0' || at[i] > '9')
			return -EINVAL;
		port = port * 10 + (unsigned)(at[i] - '0');
	}
	out->port = port;
	return port > 0 && port <= 65535 ? 0 : -EINVAL;
}

static bool is_loopback(const char *host)
{
	struct in6_addr six;
	struct in_addr four;

	if (strcmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

int http_url_parse(const char *url, struct http_url *out, struct why *why)
{
	const char *at = url;
	size_t whole, host;
	int r;

	*out = (struct http_url){0};
	if (strnlen(url, HTTP_URL_MAX) == HTTP_URL_MAX || !is_clean(url))
		return not_a_url(why);
	r = take_scheme(&at, out, why);
	if (r)
		return r;
	whole = strcspn(at, "/?#");
	if (memchr(at, '@', whole))
		return why_set(
			why, EACCES, _("a URL with a user name or a password in it is not used"));
	host = take_host(at, out);
	if (host == 0 || take_port(at + host, whole - host, out))
		return not_a_url(why);
	out->loopback = is_loopback(out->host);
	return 0;
}

bool http_same_origin(const struct http_url *a, const struct http_url *b)
{
	return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

static int check_parsed(const struct http_url *at, struct why *why)
{
	if (at->tls || at->loopback)
		return 0;
	return why_set(
		why, EACCES, _("%s is not this machine: only https may be used for it"), at->host);
}

int http_url_check(const char *url, struct why *why)
{
	struct http_url at;
	int r = http_url_parse(url, &at, why);

	return r ? r : check_parsed(&at, why);
}

int http_redirect_check(const struct http_url *from, const char *to, struct why *why)
{
	struct http_url at;
	int r = http_url_parse(to, &at, why);

	if (r == 0)
		r = check_parsed(&at, why);
	/* What the network says must not reach services that trust whoever is on this machine. */
	if (r == 0 && at.loopback && !from->loopback)
		r = why_set(why, EACCES, _("a server elsewhere may not lead to this machine"));
	if (r)
		why_prefix(why, _("%s sent a redirect that is not followed"), from->host);
	return r;
}

void http_escape(struct strbuf *out, const char *text)
{
	for (const char *c = text; *c; c++)
		if (strchr(HOSTISH "~", *c))
			strbuf_addch(out, *c);
		else
			strbuf_addf(out, "%%%02X", (unsigned char)*c);
}

/* ---- Times ---- */

static int64_t clip(int64_t ns, int64_t low, int64_t high)
{
	return ns < low ? low : ns > high ? high : ns;
}

int64_t http_backoff_ns(
	int n, int64_t base_ns, int64_t cap_ns, int64_t retry_after_ns, uint64_t random)
{
	int64_t wait = clip(base_ns, 0, cap_ns);

	for (; n > 1 && wait > 0 && wait < cap_ns; n--)
		wait = wait > cap_ns / 2 ? cap_ns : wait * 2;
	wait = wait < 0 ? 0 : wait; /* a cap below 0 */
	wait -= (int64_t)(random % ((uint64_t)wait / 2 + 1));
	return wait < retry_after_ns ? retry_after_ns : wait;
}

/* Digits only, exactly n of them. */
static int number(const char *text, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + text[i] - '0';
	}
	return value;
}

/* 0…, or -1: the place of three letters in a list of such. */
static int named(const char *text, const char *list)
{
	for (size_t i = 0; list[3 * i]; i++)
		if (strncmp(text, list + 3 * i, 3) == 0)
			return (int)i;
	return -1;
}

static bool in_range(const struct tm *tm)
{
	static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year = tm->tm_year + 1900, leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return year >= 1970 && tm->tm_mon >= 0 && tm->tm_mday >= 1 &&
	       tm->tm_mday <= days[tm->tm_mon] + (tm->tm_mon == 1 && leap) && tm->tm_hour >= 0 &&
	       tm->tm_hour < 24 && tm->tm_min >= 0 && tm->tm_min < 60 && tm->tm_sec >= 0 &&
	       tm->tm_sec <= 60;
}

/* By hand: strptime() goes by the locale, and accepts more than there should be. */
int64_t http_date(const char *text)
{
	static const char shape[] = "Www, 00 Mmm 0000 00:00:00 GMT";
	struct tm tm;

	if (strlen(text) != sizeof(shape) - 1 || named(text, "SunMonTueWedThuFriSat") < 0)
		return -1;
	for (size_t i = 0; shape[i]; i++) /* what is the same in every date */
		if (strchr(" ,:", shape[i]) && text[i] != shape[i])
			return -1;
	if (strcmp(text + 26, "GMT") != 0)
		return -1;
	tm = (struct tm){.tm_mday = number(text + 5, 2),
		.tm_mon = named(text + 8, "JanFebMarAprMayJunJulAugSepOctNovDec"),
		.tm_year = number(text + 12, 4) - 1900,
		.tm_hour = number(text + 17, 2),
		.tm_min = number(text + 20, 2),
		.tm_sec = number(text + 23, 2)};
	return in_range(&tm) ? (int64_t)timegm(&tm) : -1;
}

int64_t http_retry_after(const char *value, int64_t now_s)
{
	size_t digits = strspn(value, DIGITS);
	int64_t seconds = 0;

	if (digits > 0 && value[digits] == '\0') {
		for (size_t i = 0; i < digits && seconds <= DAY_S; i++)
			seconds = seconds * 10 + value[i] - '0';
	} else {
		seconds = http_date(value);
		if (seconds < 0)
			return -1;
		seconds = now_s < 0 ? seconds : seconds - now_s;
	}
	return clip(seconds, 0, DAY_S) * NS_PER_S;
}
