#!/bin/sh
# What a user's own script looks like: submit a folder, wait, read the result. No client, no library.
#
#	use-the-mount.sh FOLDER [MOUNT]
set -eu

folder=${1:?usage: use-the-mount.sh FOLDER [MOUNT]}
mount=${2:-${KEXEC_MOUNT:-$HOME/kexec}}
name=$(basename "$folder")

[ -e "$mount/README" ] || { echo "$mount is not mounted: kexecfs $mount" >&2; exit 1; }

# Staged under a dot-name and renamed: submitted at that moment. A plain cp -r into queue/ works too.
cp -r "$folder" "$mount/queue/.$name"
mv "$mount/queue/.$name" "$mount/queue/$name"

# latest/ follows the newest run of that name. Its own name is remembered, for the next copy moves the link.
run=$mount/runs/$(basename "$(readlink "$mount/latest/$name")")
echo "submitted as $run"

# wait blocks until the run has ended and gives the status line.
read -r state rest <"$run/wait"
echo "$state $rest"

case $state in
complete)
	echo "results:"
	ls -l "$run/results"
	;;
failed)
	echo "what happened:"
	cat "$run/report.md"
	exit 1
	;;
*)
	cat "$run/validation.txt" "$run/ctl" 2>/dev/null
	exit 1
	;;
esac

# Every run is one row of a table: here the newest three that have a metric.
echo "newest scores:"
python3 - "$mount/runs.csv" <<'PY'
import csv, sys
rows = [r for r in csv.DictReader(open(sys.argv[1])) if r["value"]]
for r in sorted(rows, key=lambda r: r["submitted"], reverse=True)[:3]:
    print(f'  {r["name"]:20} {r["metric"]} {r["value"]}')
PY
