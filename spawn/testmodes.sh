#!/bin/sh
# Runs the tests of this package in every mode that puts other code into Go functions, and the routine for arm64 under
# user-mode emulation. The child contains no Go code, so that nothing of it may make a difference.
set -eu
cd "$(dirname "$0")"

run() {
	echo "== $*"
	"$@"
}

run go test -count=1 .
run go test -count=1 -race .
run go test -count=1 -gcflags='all=-N -l' .
run go test -count=1 -cover -covermode=atomic .
run env GOMAXPROCS=1 go test -count=1 .

if command -v qemu-aarch64 >/dev/null && [ "$(go env GOARCH)" != arm64 ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	GOARCH=arm64 CGO_ENABLED=0 go test -c -o "$dir/spawn.test" .
	# User-mode emulation has no clone3: only the routine itself runs there, with clone.
	run qemu-aarch64 "$dir/spawn.test" -test.v -test.run 'TestRoutineWithClone|TestLayout'
else
	echo "== skipped: arm64 under emulation (qemu-aarch64 is not installed)"
fi
