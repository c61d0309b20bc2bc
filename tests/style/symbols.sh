#!/bin/bash
# No two files of the product define one global name: the linker takes either from the archives, without a word.
set -u
cd "$(dirname "$0")/../.." || exit 1
[ -f build/build.ninja ] || { echo "1..0 # SKIP nothing is built"; exit 77; }
objects=$(find build/fs build/backends -name '*.o' 2>/dev/null)
[ -n "$objects" ] || { echo "1..0 # SKIP nothing is built"; exit 77; }
# shellcheck disable=SC2086  # a list of files without spaces
twice=$(nm --defined-only -g $objects | awk '$2 ~ /^[TDBRC]$/ {print $3}' | sort | uniq -d)
echo 1..1
if [ -n "$twice" ]; then
	echo "# defined more than once: $twice"
	echo "not ok 1 - each global name is defined once"
	exit 1
fi
echo "ok 1 - each global name is defined once"
