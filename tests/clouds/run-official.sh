#!/bin/bash
# The fake Kaggle service against the official client: every command a user has, what it printed and what it wrote.
#
# The client comes from PyPI into a virtual environment that is kept. Exit 77: it cannot be had here.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
top=$(cd "$here/../.." && pwd) || exit 1
version=2.2.3 # the one whose traffic the protocol was written down from

skip() {
	echo "1..0 # SKIP $1"
	exit 77
}

# build/ is what a person deletes to start afresh; a tree that cannot be written to uses the cache of the user.
place=$top/build
[ -w "$place" ] || place=${XDG_CACHE_HOME:-$HOME/.cache}/kexec
venv=$place/kaggle-client
kaggle=$venv/bin/kaggle

# six: this version imports it and does not ask for it.
install() { "$venv/bin/pip" --disable-pip-version-check --no-input --quiet --retries 1 --timeout 20 install "$1" six; }
make_venv() {
	rm -rf "$venv"
	/usr/bin/python3 -m venv "$venv" || return 1
	install "kaggle==$version" && return 0
	echo "# kaggle $version cannot be had, trying the newest"
	install kaggle
}

mkdir -p "$place" && exec 9>"$venv.lock" && flock 9 || skip "no place for a virtual environment"
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
if ! [ -x "$kaggle" ] || ! "$venv/bin/python" -c 'import kagglesdk, six' 2>/dev/null; then
	if ! make_venv >"$log" 2>&1; then
		sed 's/^/# /' "$log" | tail -n 5
		rm -rf "$venv"
		skip "the official client could not be installed from PyPI: $(tail -n 1 "$log")"
	fi
fi
"$venv/bin/pip" --disable-pip-version-check list 2>/dev/null | sed -n 's/^kaggle\(sdk\)\{0,1\} .*/# &/p'
/usr/bin/python3 "$here/kaggle/official.py" "$kaggle"
