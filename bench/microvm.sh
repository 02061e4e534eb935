#!/bin/sh
# A command in a virtual machine, from start to end, against the same QEMU with the same kernel and an initial file system whose first
# process only restarts the machine; a start from a pool against one of the process backend; the phases of a start, and what images cost.
# Needs hyperfine, gcc, qemu-system-x86 and a kernel in /boot (linux-image-cloud-amd64). The processor is emulated unless KVM works.
set -eu
cd "$(dirname "$0")/.."
runs=${RUNS:-10}
dir=$(mktemp -d /var/tmp/bench-XXXXXX)
trap 'rm -rf "$dir"' EXIT
CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$dir/cellos" ./cmd/cellos
CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$dir/cellos-image" ./cmd/cellos-image
kernel=$(ls /boot/vmlinuz-*cloud* | tail -1)

# The least that a first process can do: reboot(2), as ours does at the end.
cat >"$dir/init.c" <<'EOF'
void _start(void) {
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "a"(169), "D"(0xfee1dead), "S"(672274793), "d"(0x1234567) : "rcx", "r11", "memory");
	for (;;) {}
}
EOF
gcc -O1 -static -nostdlib -fno-builtin -o "$dir/init" "$dir/init.c"
python3 - "$dir" <<'EOF'
import sys
d = sys.argv[1]
def entry(name, mode, data):
    head = "070701" + "".join("%08X" % n for n in (1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0))
    b = head.encode() + name.encode() + b"\0"
    b += b"\0" * (-len(b) % 4) + data
    return b + b"\0" * (-len(b) % 4)
open(d + "/initrd", "wb").write(entry("init", 0o100755, open(d + "/init", "rb").read()) + entry("TRAILER!!!", 0, b""))
EOF
bare="qemu-system-x86_64 -machine q35,usb=off,smbus=off,sata=off,vmport=off,i8042=off,hpet=off,graphics=off -accel tcg,thread=multi -cpu max -smp 1 -m 576M -nodefaults -no-user-config -display none -no-reboot -kernel $kernel -initrd $dir/initrd -serial file:/dev/null"
line="console=ttyS0 quiet panic=-1 reboot=t random.trust_cpu=on"

mkdir "$dir/state" "$dir/work"
cd "$dir/work"
export CELLOS_STATE="$dir/state" CELLOS_IMAGES="$dir/images" CELLOS_MICROVM_VMM=qemu
echo "first start: the kernel is looked at, and the images are made"
time "$dir/cellos" run --backend microvm -- /bin/echo first
hyperfine -N --warmup 1 --runs "$runs" -n "QEMU, and a first process that restarts the machine" "$bare -append '$line'" \
	-n "cellos run --backend microvm -- /bin/echo" "$dir/cellos run --backend microvm -- /bin/echo x"
echo "from a pool, beside the process backend: milliseconds to the first output, and of processor time of the machine to there"
"$dir/cellos" pool start --size 1 --quiet &
pool=$!
trap 'kill "$pool" 2>/dev/null || true; wait "$pool" 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 - "$dir/cellos" "$runs" <<'EOF2'
import glob, json, subprocess, sys, time
cellos, runs = sys.argv[1], int(sys.argv[2])
def used():  # by each emulator of these machines, in milliseconds
    total = {}
    for p in glob.glob("/proc/[0-9]*/"):
        try:
            argv = open(p + "cmdline").read().split("\0")
            if "qemu-system" in argv[0] and "-m" in argv and "driver=nbd,node-name=view" in "".join(argv):
                total[p] = sum(int(open(f).read().split()[0]) for f in glob.glob(p + "task/*/schedstat")) / 1e6
        except (OSError, IndexError):
            pass
    return total
def first(*args):
    before, start = used(), time.monotonic()
    p = subprocess.Popen([cellos, "run", *args, "--", "/bin/echo", "x"], stdout=subprocess.PIPE)
    p.stdout.read(1)
    took, after = 1000 * (time.monotonic() - start), used()
    p.stdout.read()
    if p.wait() != 0:
        sys.exit("it failed")
    return took, max([after[q] - before[q] for q in before if q in after], default=0)
def ready():
    while True:
        s = subprocess.run([cellos, "pool", "status", "--json"], capture_output=True)
        if s.returncode == 0 and json.loads(s.stdout)["ready"]:
            return
        time.sleep(0.2)
pooled, plain = [], []
for _ in range(runs):
    ready()
    time.sleep(1)
    pooled.append(first("--backend", "microvm", "--pool"))
    plain.append(first("--backend", "process"))
middle = lambda values: (lambda s: s[len(s) // 2])(sorted(values))
print("from the pool: least %.1f, median %.1f; processor time of the machine: least %.0f, median %.0f" %
      (min(pooled)[0], middle(x[0] for x in pooled), min(x[1] for x in pooled), middle(x[1] for x in pooled)))
print("process backend: least %.1f, median %.1f" % (min(plain)[0], middle(x[0] for x in plain)))
EOF2
cd - >/dev/null
echo "phases of one start"
go test -count=1 -v -run 'TestMachine$' ./backend/microvm | grep -E 'images|monitor|guest'
echo "images"
go test -short -run xxx -bench . ./image
