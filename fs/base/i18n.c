#include "fs/base/i18n.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#ifndef KEXEC_LOCALEDIR
#define KEXEC_LOCALEDIR "/usr/share/locale"
#endif

static int set_both(const char *locale)
{
	return setlocale(LC_CTYPE, locale) && setlocale(LC_MESSAGES, locale);
}

/*
 * The locale of the language may not be generated on this machine. LANGUAGE chooses a catalogue
 * without it, as long as the locale is any but plain "C".
 */
static void set_japanese(void)
{
	if (set_both("ja_JP.UTF-8") || set_both("ja_JP.utf8")) {
		setenv("LANGUAGE", "ja", 1);
		return;
	}
	setenv("LANGUAGE", "ja", 1);
	if (!set_both("C.UTF-8"))
		set_both("");
}

static void set_english(void)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "");
	setlocale(LC_MESSAGES, "C"); /* the sources are English; LANGUAGE is not read for "C" */
}

/* LC_NUMERIC, LC_TIME and the others stay "C": numbers in files have points. */
void i18n_init(const char *language)
{
	const char *folder = secure_getenv("KEXEC_LOCALEDIR");

	if (language && strcmp(language, "ja") == 0)
		set_japanese();
	else if (language)
		set_english();
	else if (!set_both(""))
		set_both("C.UTF-8");
	bindtextdomain("kexec", folder && *folder ? folder : KEXEC_LOCALEDIR);
	bind_textdomain_codeset("kexec", "UTF-8");
	textdomain("kexec");
}
