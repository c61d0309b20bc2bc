#!/bin/bash
# cppcheck over every source. What it does not understand stands in cppcheck.txt with the reason.
cd "$(dirname "$0")/../.." || exit 1
command -v cppcheck >/dev/null || { echo "1..0 # SKIP cppcheck is not installed"; exit 77; }
out=$(cppcheck -q -j "$(nproc)" --std=c11 --enable=warning,portability,performance --inline-suppr \
	--suppressions-list=tests/lint/cppcheck.txt --error-exitcode=1 -D_GNU_SOURCE '-DKEXEC_VERSION=""' \
	-I . fs backends tests 2>&1) && { echo "ok - cppcheck finds nothing"; exit 0; }
echo "not ok - cppcheck finds nothing"
head -n 60 <<<"$out" | sed 's/^/# /'
exit 1
