#!/bin/sh
# Start to end of /bin/true: cellos with everything, and bubblewrap with all namespaces and a read-only root, in one run of hyperfine.
# As root also as uid 65534. Needs hyperfine and bubblewrap.
set -eu
cd "$(dirname "$0")/.."
runs=${RUNS:-200}
dir=$(mktemp -d /var/tmp/bench-XXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$dir/cellos" ./cmd/cellos
mkdir -m 1777 "$dir/state" "$dir/work"

compare() {
	mkdir -p "$dir/work/$1"
	cd "$dir/work/$1"
	CELLOS_STATE="$dir/state/$1" hyperfine -N --warmup 20 --runs "$runs" \
		'bwrap --unshare-all --ro-bind / / --proc /proc --dev /dev /bin/true' "$dir/cellos run -- /bin/true"
}

echo "as $(id -un)"
( compare me )
if [ "$(id -u)" = 0 ]; then
	echo "as uid 65534"
	export dir runs
	mkdir -p "$dir/work/nobody" && chown 65534:65534 "$dir/work/nobody"
	cd "$dir/work/nobody"
	CELLOS_STATE="$dir/state/nobody" setpriv --reuid 65534 --regid 65534 --clear-groups hyperfine -N --warmup 20 --runs "$runs" \
		'bwrap --unshare-all --ro-bind / / --proc /proc --dev /dev /bin/true' "$dir/cellos run -- /bin/true"
fi
