/* Sentences for people. States, verbs, keys, file names and log fields never pass through here. */
#ifndef KEXEC_BASE_I18N_H
#define KEXEC_BASE_I18N_H

#include <libintl.h>

#define _(text)  gettext(text)
#define N_(text) text /* marks a constant that is translated where it is used */

/* language: "en", "ja" or NULL for LANG. Called once before threads start. */
void i18n_init(const char *language);

#endif
