#!/bin/sh
# Whether a gate's memory stays what it is: a cell makes short connections one after the other, just below the bound on new ones a second, and
# the resident memory of its gate and of cellos is printed once a minute. $1 is for how many seconds, 3600 if it is not given: an hour of
# the busiest cell there can be. Everything stays on this machine.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-3600}
dir=$(mktemp -d /var/tmp/bench-XXXXXX)
server=0
trap '[ "$server" = 0 ] || kill "$server"; rm -rf "$dir"' EXIT
CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$dir/" ./cmd/cellos ./cmd/cellos-gate
cp bench/network.py "$dir"
cd "$dir"
export CELLOS_STATE="$dir/state"
python3 network.py >port &
server=$!
while ! [ -s port ]; do sleep 0.1; done
read -r port dns <port
./cellos run --quiet --workdir "$dir:read" --net "bench.test:$port" --private bench.test=127.0.0.1 --dns "127.0.0.1:$dns" -- python3 network.py short bench.test "$port" "$seconds" &
cell=$!
while ! gate=$(pgrep -P "$cell" -x cellos-gate); do sleep 0.01; done
resident() { awk '/^VmRSS|^RssAnon/ {printf "%s %.1f MiB  ", $1, $2/1024}' "/proc/$1/status"; }
began=$(date +%s)
while kill -0 "$cell" 2>/dev/null && line="gate $(resident "$gate") cellos $(resident "$cell")" 2>/dev/null; do
	echo "$(($(date +%s) - began)) s: $line"
	sleep 60
done
wait "$cell"
