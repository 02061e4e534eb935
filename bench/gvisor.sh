#!/bin/sh
# A cell on gVisor against `runsc do` of the same binary, as root and as uid 65534:
#
#   start   start to end of /bin/true, in one run of hyperfine; also with a granted tree of SIZE MiB (default 64) in small files
#   work    processor time of all processes of a start, least and median of RUNS, if perf is there: what a machine with other work can tell
#   memory  Pss of all processes of an idle cell, least of 5
#
# Needs hyperfine and libexec/cellos/runsc (backend/gvisor/runsc/build.sh). RUNS is the number of starts (default 40).
set -eu
cd "$(dirname "$0")/.."
runs=${RUNS:-40} size=${SIZE:-64}
dir=$(mktemp -d /var/tmp/bench-XXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$dir/cellos" ./cmd/cellos
cp libexec/cellos/runsc "$dir/runsc"
mkdir "$dir/tree"
i=0
while [ $i -lt $((size * 16)) ]; do # files of 64 KiB
	[ $((i % 256)) = 0 ] && mkdir "$dir/tree/$i" && at="$dir/tree/$i"
	head -c 65536 /dev/urandom >"$at/$i"
	i=$((i + 1))
done
chmod -R a+rX "$dir/tree"

cat >"$dir/measure" <<'END'
#!/bin/sh
# measure DIR RUNS SIZE: all figures of one user
set -eu
dir=$1 runs=$2 size=$3
home=$(mktemp -d "$dir/home-XXXXXX")
cd "$home"
mkdir work state
cd work
export CELLOS_STATE="$home/state" HOME="$home" TMPDIR="$home"
peer="$dir/runsc --rootless --ignore-cgroups --network=none --platform=systrap --root=$home/runsc do"
ours="$dir/cellos run --quiet --backend gvisor"
hyperfine -N --warmup 3 --runs "$runs" -n 'runsc do true' "$peer /bin/true" -n 'cellos run true' "$ours -- /bin/true" \
	-n "cellos run true, with a tree of $size MiB" "$ours --read $dir/tree:/tree -- /bin/true"

# work NAME COMMAND…: processor time in ms
work() {
	name=$1
	shift
	for try in $(seq "$runs"); do
		perf stat -x, -e task-clock -o "$home/stat" "$@" >/dev/null 2>&1
		awk -F, '/task-clock/ {print int($1)}' "$home/stat"
	done | sort -n | awk -v name="$name" '{v[NR] = $1} END {print name ": " v[1] " ms, " v[int((NR + 1) / 2)] " ms"}'
}
if command -v perf >/dev/null; then
	echo "processor time of a start, least and median"
	work 'runsc do true' $peer /bin/true
	work 'cellos run true' $ours -- /bin/true
fi

# pss PID: KiB of a process and all that descend from it
pss() {
	total=0 list=$1
	while [ -n "$list" ]; do
		next=
		for p in $list; do
			n=$(awk '/^Pss:/ {print $2}' "/proc/$p/smaps_rollup" 2>/dev/null || true)
			total=$((total + ${n:-0}))
			next="$next $(cat /proc/$p/task/*/children 2>/dev/null || true)"
		done
		list=$(echo $next)
	done
	echo $total
}
idle() { # NAME COMMAND…: least of 5
	name=$1 least=
	shift
	for try in 1 2 3 4 5; do
		"$@" sh -c 'echo up; exec sleep 1000' >"$home/up" 2>/dev/null &
		pid=$!
		until grep -q up "$home/up"; do sleep 0.1; done
		sleep 1 # what a start needs once is given back
		n=$(pss $pid)
		[ -z "$least" ] || [ "$n" -lt "$least" ] && least=$n
		kill -KILL $pid
		wait $pid 2>/dev/null || true
		: >"$home/up"
	done
	echo "$name: $least KiB"
}
echo "memory of an idle cell (Pss of all its processes)"
own=                                 # root's runsc do leaves a mount where it is killed
[ "$(id -u)" != 0 ] || own='unshare -m' # then in a mount namespace that goes with it
idle 'runsc do' $own $peer
idle 'cellos run' $ours --
END
chmod 755 "$dir/measure"

echo "as $(id -un)"
"$dir/measure" "$dir" "$runs" "$size"
if [ "$(id -u)" = 0 ]; then
	echo "as uid 65534"
	chmod 1777 "$dir"
	setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/measure" "$dir" "$runs" "$size"
fi
