#!/bin/sh
# Start to end of a command through the drop-in, with the mirror file and the documented signing on, against `cellos run` of the same command, in one
# run of hyperfine. Prints seconds: wall time as least and median of many, processor time of the caller's children as mean. Needs hyperfine.
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
hyperfine -N --warmup 20 --runs "$runs" --export-json "$dir/result.json" "$dir/cellos run -- /bin/true" "$dir/cellos-supervisor d.json" >&2
python3 - "$dir/result.json" <<'P'
import json, sys
rows = json.load(open(sys.argv[1]))["results"]
for name, r in zip(("cellos run", "drop-in"), rows):
    print(f"{name:12} least {r['min'] * 1e3:6.2f} ms, median {r['median'] * 1e3:6.2f} ms, processor {1e3 * (r['user'] + r['system']):6.2f} ms")
a, b = rows
print(f"difference   least {1e3 * (b['min'] - a['min']):6.2f} ms, median {1e3 * (b['median'] - a['median']):6.2f} ms, processor {1e3 * (b['user'] + b['system'] - a['user'] - a['system']):6.2f} ms")
P
