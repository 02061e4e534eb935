#!/bin/sh
# A connection out of a cell, against slirp4netns, pasta, and no sandbox, in the same run: how long connect and the first byte take, and
# how fast bytes go in both directions. Everything stays on this machine. Needs root, slirp4netns and passt.
# pasta does not start where the maps of a new user namespace cannot be written by nobody.
set -eu
cd "$(dirname "$0")/.."
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
for round in 1 2 3; do
	printf 'no sandbox   '
	python3 network.py 127.0.0.1 "$port"
	printf 'cellos       '
	./cellos run --quiet --workdir "$dir:read" --net "bench.test:$port" --private bench.test=127.0.0.1 --dns "127.0.0.1:$dns" -- python3 network.py bench.test "$port"
	if command -v slirp4netns >/dev/null; then
		printf 'slirp4netns  '
		unshare -n sh -c 'echo $$ >pid; while ! ip route | grep -q default; do sleep 0.05; done; exec python3 network.py 10.0.2.2 "$1"' sh "$port" &
		cell=$!
		while ! [ -s pid ]; do sleep 0.05; done
		slirp4netns --configure --mtu=65520 "$(cat pid)" tap0 >/dev/null 2>&1 &
		slirp=$!
		wait "$cell" || true
		kill "$slirp" 2>/dev/null || true
		rm -f pid
	fi
	if command -v pasta >/dev/null; then
		printf 'pasta        '
		pasta --quiet --runas 0 --config-net -4 -a 10.0.3.15 -n 24 -g 10.0.3.2 -I eth0 -- python3 network.py 10.0.3.2 "$port" || echo "does not start here"
	fi
done
