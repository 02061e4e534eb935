#!/bin/sh
# Start to end of /bin/true: cellos with everything, and what else people run commands in, as far as it is installed: bubblewrap,
# firejail without and with its default profile, and, as root, runc on an unpacked root (which takes python3 and busybox-static). One run
# of hyperfine.
set -eu
cd "$(dirname "$0")/.."
runs=${RUNS:-100}
dir=$(mktemp -d /var/tmp/bench-XXXXXX)
trap 'rm -rf "$dir"' EXIT
CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$dir/cellos" ./cmd/cellos
mkdir -p "$dir/work" "$dir/bundle/rootfs/bin"

set -- "$dir/cellos run -- /bin/true"
have() { command -v "$1" >/dev/null; }
have bwrap && set -- "$@" 'bwrap --unshare-all --ro-bind / / --proc /proc --dev /dev /bin/true'
have firejail && set -- "$@" 'firejail --quiet --noprofile --net=none --private /bin/true' 'firejail --quiet --net=none /bin/true'
if [ "$(id -u)" = 0 ] && have runc && [ -x /bin/busybox ]; then
	cp /bin/busybox "$dir/bundle/rootfs/bin/true"
	( cd "$dir/bundle" && runc spec && python3 -c '
import json
c = json.load(open("config.json"))
c["process"].update(args=["/bin/true"], terminal=False, rlimits=[])
json.dump(c, open("config.json", "w"))' )
	set -- "$@" "runc --root $dir/containers run --bundle $dir/bundle bench"
fi
cd "$dir/work"
CELLOS_STATE="$dir/state" hyperfine -N --warmup 5 --runs "$runs" "$@"
