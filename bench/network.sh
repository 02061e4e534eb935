#!/bin/sh
# A connection out of a cell, against slirp4netns, pasta, and no sandbox, in the same run: how long connect and the first byte take, how
# fast bytes go in both directions, requests on one connection, many connections at once, and what the process on the way uses for it; then
# what a rule costs the start. Everything stays on this machine. Needs root, slirp4netns and passt.
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
granted="--net bench.test:$port --private bench.test=127.0.0.1 --dns 127.0.0.1:$dns"
for round in 1 2 3; do
	printf 'no sandbox   '
	python3 network.py 127.0.0.1 "$port"
	printf 'cellos       '
	# shellcheck disable=SC2086
	./cellos run --quiet --workdir "$dir:read" $granted -- python3 network.py bench.test "$port" &
	cell=$!
	while ! gate=$(pgrep -P "$cell" -x cellos-gate); do sleep 0.01; done
	python3 network.py watch "$gate"
	wait "$cell"
	if command -v slirp4netns >/dev/null; then
		printf 'slirp4netns  '
		unshare -n sh -c 'echo $$ >pid; while ! ip route | grep -q default; do sleep 0.05; done; exec python3 network.py 10.0.2.2 "$1"' sh "$port" &
		cell=$!
		while ! [ -s pid ]; do sleep 0.05; done
		slirp4netns --configure --mtu=65520 "$(cat pid)" tap0 >/dev/null 2>&1 &
		slirp=$!
		python3 network.py watch "$slirp" &
		watching=$!
		wait "$cell" || true
		kill "$slirp" 2>/dev/null || true
		wait "$watching"
		rm -f pid
	fi
	if command -v pasta >/dev/null; then
		printf 'pasta        '
		pasta --quiet --runas 0 --config-net -4 -a 10.0.3.15 -n 24 -g 10.0.3.2 -I eth0 -- python3 network.py 10.0.3.2 "$port" 2>/dev/null &
		pasta=$!
		python3 network.py watch "$pasta"
		wait "$pasta" || echo "             it does not start here"
	fi
done
# shellcheck disable=SC2086
python3 network.py start ./cellos run --quiet -- /bin/true + ./cellos run --quiet $granted -- /bin/true
