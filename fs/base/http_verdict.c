/* What an exchange came to: which errno, and its sentence. */
#include <errno.h>
#include <string.h>

#include "fs/base/http_parts.h"
#include "fs/base/i18n.h"
#include "fs/base/why.h"

static int lost(const struct http_story *s, const char *reason, struct why *why)
{
	if (s->head || s->acted)
		return why_set(
			why, EPIPE, _("the answer of %s was cut short: %s"), s->host, reason);
	return why_set(why, EUCLEAN,
		_("%s did not answer, and the request may have taken effect: %s"), s->host, reason);
}

static const char *reason_of(const struct http_story *s)
{
	switch (s->end) {
	case HTTP_NO_NAME:
		return _("its address cannot be found");
	case HTTP_NO_PROXY_NAME:
		return _("the address of the proxy cannot be found");
	case HTTP_NO_TLS:
		return _("no secure connection can be agreed");
	default:
		if (s->sent)
			return _("the connection ended");
		return s->os_err ? strerror(s->os_err) : _("the connection was not made");
	}
}

static int late(const struct http_story *s, struct why *why)
{
	if (s->sent || s->acted)
		return lost(s, _("it took too long"), why);
	return why_set(why, ETIMEDOUT, _("%s was not reached in time"), s->host);
}

static int unreached(const struct http_story *s, struct why *why)
{
	if (s->refused)
		return why_set(why, EACCES,
			_("plain http to %s would leave this machine; if a proxy is set, add %s to "
			  "no_proxy"),
			s->host, s->host);
	if (s->end == HTTP_UNTRUSTED)
		return why_set(
			why, EACCES, _("the certificate of %s could not be verified"), s->host);
	if (s->end == HTTP_BAD_URL)
		return why_set(why, EINVAL, _("this is not a URL that can be used"));
	if (s->acted)
		return lost(s, reason_of(s), why);
	return why_set(why, EAGAIN, _("%s cannot be reached: %s"), s->host, reason_of(s));
}

int http_verdict(const struct http_story *s, struct why *why)
{
	switch (s->end) {
	case HTTP_ENOUGH:
		return 0;
	case HTTP_LATE:
		return late(s, why);
	case HTTP_CANCELLED:
		return why_set(why, ECANCELED, _("the request to %s was given up"), s->host);
	case HTTP_TOO_LONG:
		return why_set(why, EFBIG, _("the answer of %s is longer than %zu bytes"), s->host,
			s->max);
	case HTTP_NO_MEMORY:
		return why_set(why, ENOMEM, _("out of memory"));
	case HTTP_FOREIGN:
		return why_set(why, -s->foreign, _("the exchange with %s was ended: %s"), s->host,
			strerror(-s->foreign));
	default:
		break;
	}
	if (!s->sent)
		return unreached(s, why);
	if (s->end == HTTP_GARBLED)
		return why_set(why, EPROTO, _("what %s answers is not proper HTTP"), s->host);
	return s->end == HTTP_WHOLE && s->head ? 0 : lost(s, reason_of(s), why);
}
