#!/bin/sh
# Start to end of a command through the drop-in, with the mirror file and the documented signing on, against `cellos run` of the same command, in ten
# rounds of hyperfine, so that both meet the same moments of the machine. Prints least and median of the wall times, and the mean processor time
# of the least loaded round. Needs hyperfine.
set -eu
cd "$(dirname "$0")/.."
runs=${RUNS:-200}
dir=$(mktemp -d /var/tmp/bench-XXXXXX)
trap 'rm -rf "$dir"' EXIT
CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$dir/" ./cmd/cellos ./cmd/cellos-gate
ln -s cellos "$dir/cellos-supervisor"
mkdir "$dir/work"
cd "$dir/work"
cat >d.json <<'D'
{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"bench","authority":{},"lifetime":{"ttlSeconds":60},"run":{"argv":["/bin/true"]}}}
D
export CELLOS_STATE="$dir/state" CELL_OS_USE_NOOP_SINK=1 CELL_OS_JSONL_EVENTS="$dir/events.jsonl"
export CELLOS_EVENT_SIGNING=ed25519 CELLOS_EVENT_SIGNING_KID=bench CELLOS_EVENT_SIGNING_KEY_BASE64=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
"$dir/cellos" run --quiet -- /bin/true # the key is made
for round in 0 1 2 3 4 5 6 7 8 9; do
	hyperfine -N --warmup 3 --runs "$((runs / 10))" --export-json "$dir/result-$round.json" "$dir/cellos run -- /bin/true" "$dir/cellos-supervisor d.json" >&2
done
python3 - "$dir"/result-*.json <<'P'
import json, statistics, sys
rounds = [json.load(open(name))["results"] for name in sys.argv[1:]]
both = []
for i, name in enumerate(("cellos run", "drop-in")):
    times = [t for r in rounds for t in r[i]["times"]]
    both.append((min(times), statistics.median(times), min(r[i]["user"] + r[i]["system"] for r in rounds)))
    print("%-12s least %6.2f ms, median %6.2f ms, processor %6.2f ms" % (name, *(1e3 * x for x in both[i])))
print("difference   least %6.2f ms, median %6.2f ms, processor %6.2f ms" % tuple(1e3 * (b - a) for a, b in zip(*both)))
P
