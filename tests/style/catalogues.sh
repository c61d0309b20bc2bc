#!/bin/bash
# Every sentence for people is collected, and every catalogue has it.
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C.UTF-8
unset LANGUAGE
for tool in xgettext msgfmt msgmerge msgattrib; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP gettext is not installed: there is no $tool"; exit 77; }
done
work=$(mktemp -d "${TMPDIR:-/tmp}/kexec-catalogues.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
po=fs/base/po
bad=0
check() { # SENTENCE OUTPUT
	if [ -z "$2" ]; then echo "ok - $1"; else echo "not ok - $1"; sed 's/^/# /' <<<"$2"; bad=1; fi
}

# With the arguments that the build gives, whatever it says told only when it fails.
mapfile -t arguments < <(grep -oE "'--[^']+'" $po/meson.build | tr -d "'")
collect() { # OUTPUT WHAT…
	xgettext "${arguments[@]}" --force-po -o "$@" 2>"$work/said" || cat "$work/said"
}
# What a catalogue holds, without its header.
sentences() { msgattrib --no-wrap --no-obsolete "$@" | awk -v RS= '!/(^|\n)msgid ""\nmsgstr ""\n/' | grep -E '^(msgid|")'; }

strangers() {
	find fs backends -name '*.[ch]' | sort | grep -vxFf $po/POTFILES | xargs -r grep -lE '\<N?_\(' | while read -r f; do
		collect "$work/one.pot" "$f"
		[ -z "$(sentences "$work/one.pot")" ] || echo "$f has sentences and is not in POTFILES"
	done
}
# With the sentences of now, as a catalogue that knows none of the new ones.
missing() { # FILE
	msgmerge -q --no-fuzzy-matching -o "$work/now.po" "$1" "$work/kexec.pot" 2>&1 || return
	sentences --untranslated "$work/now.po" | sed 's/^/not translated: /'
	sentences --only-fuzzy "$work/now.po" | sed 's/^/fuzzy: /'
}

check "files with sentences are in POTFILES" "$(strangers)"
check "the sentences can be collected" "$(collect "$work/kexec.pot" -f $po/POTFILES)"
for language in $(grep -v '^#' $po/LINGUAS); do
	check "$language.po fits its sentences" "$(msgfmt -c --check-accelerators=_ -o /dev/null "$po/$language.po" 2>&1)"
	check "$language.po has every sentence" "$(missing "$po/$language.po")"
done
exit $bad
