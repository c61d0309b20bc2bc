#!/bin/bash
# Includes go one way (base, notebook, engine, page, mount, then tree.c and main.c) and each third-party library is
# included in one place only.
cd "$(dirname "$0")/../.." || exit 1
bad=0

# forbid WHAT FILES-REGEX INCLUDE-REGEX: no file of that kind may include that.
forbid() {
	local hits
	hits=$(find fs backends gpu -name '*.[ch]' 2>/dev/null | grep -E "$2" |
		xargs -r grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]+[\"<]($3)" /dev/null)
	if [ -z "$hits" ]; then
		echo "ok - $1"
	else
		echo "not ok - $1"
		sed 's/^/# /' <<<"$hits"
		bad=1
	fi
}

forbid "base includes nothing above it" '^fs/base/' 'fs/(notebook|engine|page|mount|tree|keeper|server)|backends/'
forbid "notebook includes only base" '^fs/notebook/' 'fs/(engine|page|mount|tree|keeper|server)|backends/'
forbid "engine includes neither page nor mount" '^fs/engine/' 'fs/(page|mount|tree|keeper|server)'
forbid "page does not include mount" '^fs/page/' 'fs/(mount|tree|keeper|server)'
forbid "fs knows Kaggle only through backend.h" '^fs/' 'backends/kaggle/'
forbid "backends see base, backend.h, the configuration and the notebook reader" '^backends/' \
	'fs/(page|mount|tree|keeper|server|engine/([abd-z]|c[a-np-z]|co[a-mo-z]))'
# only HEADER-REGEX WHERE-REGEX COUNT: the files that include it are at most that many, all there.
only() {
	local files strangers
	files=$(find fs backends gpu -name '*.[ch]*' -exec grep -lE "^[[:space:]]*#[[:space:]]*include[[:space:]]+[\"<]$1[\">]" {} + 2>/dev/null)
	strangers=$(grep -vE "$2" <<<"$files")
	if [ -z "$strangers" ] && [ "$(grep -c . <<<"$files")" -le "$3" ]; then
		echo "ok - $1 is included only where it belongs"
	else
		echo "not ok - $1 is included only where it belongs"
		sed 's/^/# /' <<<"$files"
		bad=1
	fi
}
only '(cjson/)?cJSON\.h' '^fs/base/json\.c$' 1
only 'archive(_entry)?\.h' '^fs/base/archive\.c$' 1
only 'curl/[a-z]+\.h' '^fs/base/http_curl\.h$' 1
only 'sqlite3\.h' '^fs/engine/' 1
only '(fuse3?/)?fuse[a-z_]*\.h' '^fs/mount/' 99

# Functions that C programs get wrong.
hits=$(find fs backends gpu -name '*.c' 2>/dev/null |
	xargs -r grep -nE '(^|[^A-Za-z_>.])(sprintf|vsprintf|strcat|strtok|gets|tmpnam|mktemp|system|popen)\(' /dev/null |
	grep -vE ':[[:space:]]*(/?\*|//)')
if [ -z "$hits" ]; then echo "ok - no banned function"; else echo "not ok - no banned function"; sed 's/^/# /' <<<"$hits"; bad=1; fi

# Sizes: no source file over 900 lines.
hits=$(find fs backends gpu -name '*.[ch]' -exec wc -l {} + 2>/dev/null | awk '$2 != "total" && $1 > 900')
if [ -z "$hits" ]; then echo "ok - no file over 900 lines"; else echo "not ok - no file over 900 lines"; sed 's/^/# /' <<<"$hits"; bad=1; fi
exit $bad
