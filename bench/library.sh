#!/bin/sh
# A cell as a library, start to exit of /bin/true, against the least that makes the same namespaces. Prints medians in milliseconds.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d /var/tmp/bench-XXXXXX)
trap 'rm -rf "$dir"' EXIT
cc -O2 -o "$dir/minimal" bench/minimal.c
median() { sort -n | awk '{a[NR] = $1} END {printf "%.2f ms\n", a[int((NR + 1) / 2)] / 1e6}'; }
for round in 1 2 3; do
	printf 'minimal  '
	"$dir/minimal" 300 /bin/true | median
	printf 'cell     '
	go test -run xxx -bench Cell -benchtime 300x -count 3 ./backend/process | awk '/^BenchmarkCell/ {print $3}' | median
done
