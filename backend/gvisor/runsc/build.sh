#!/bin/sh
# Builds the pinned runsc: the one of gVisor's Go module at the version in go.mod, for this machine's architecture or for GOARCH.
#
#   sh backend/gvisor/runsc/build.sh             to libexec/cellos/runsc of this tree, where a cellos built in the tree finds it
#   sh backend/gvisor/runsc/build.sh DIR         to DIR/runsc
#   sh backend/gvisor/runsc/build.sh --check     builds it twice, once without any cache, and compares
#
# Static, without cgo and without this machine's paths: the same Go release makes the same bytes everywhere. What is current stays.
set -eu
cd "$(dirname "$0")"
version=$(go list -m -f '{{.Version}}' gvisor.dev/gvisor)
stamp=${version#v0.0.0-}
stamp=cellos-${stamp%%-*}-${stamp##*-} # cellos-DATE-COMMIT, which is what runsc --version tells

build() {
	CGO_ENABLED=0 GOFLAGS= go build -trimpath -buildvcs=false -o "$1" \
		-ldflags="-s -w -buildid= -X gvisor.dev/gvisor/runsc/version.version=$stamp" gvisor.dev/gvisor/runsc
}

if [ "${1:-}" = --check ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	build "$dir/one"
	GOCACHE=$dir/cache build "$dir/two"
	cmp "$dir/one" "$dir/two"
	echo "reproducible: $(sha256sum "$dir/one" | cut -d' ' -f1)"
	exit
fi

dir=${1:-../../../libexec/cellos}
mkdir -p "$dir"
made="$(go env GOVERSION GOARCH | tr '\n' ' ')$stamp $(cksum <build.sh)"
if [ -x "$dir/runsc" ] && [ "$(cat "$dir/.runsc.made" 2>/dev/null)" = "$made" ]; then
	exit 0
fi
echo "building runsc $stamp (minutes the first time)" >&2
build "$dir/runsc.new"
chmod 755 "$dir/runsc.new"
mv "$dir/runsc.new" "$dir/runsc"
echo "$made" >"$dir/.runsc.made"
