#!/bin/sh
# Work inside a cell against the same work outside: a loop of system calls, a walk over files, a compile. And the memory of a supervisor
# whose cell sleeps.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d /var/tmp/bench-XXXXXX)
trap 'rm -rf "$dir"' EXIT
CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$dir/cellos" ./cmd/cellos
cat >"$dir/loop.c" <<'C'
#include <sys/syscall.h>
#include <unistd.h>
int main(void) { for (long i = 0; i < 5000000; i++) syscall(SYS_getppid); }
C
cc -O2 -o "$dir/loop" "$dir/loop.c"
cd "$dir"
export CELLOS_STATE="$dir/state"
for work in './loop' 'find /usr/include -name zzz' 'cc -O2 -o /tmp/out loop.c'; do
	hyperfine -N --warmup 1 --runs 5 "$work" "$dir/cellos run -- $work"
done
"$dir/cellos" run -- sleep 3 &
pid=$!
sleep 1
grep -E 'VmRSS|VmHWM' "/proc/$pid/status"
wait "$pid"
