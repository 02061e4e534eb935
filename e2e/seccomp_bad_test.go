package e2e

import (
	le "encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// TestBadFilters: what is wrong with a filter is said before anything starts.
func TestBadFilters(t *testing.T) {
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	foreign, _ := sysabi.ArchByName(other)
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		big := make([]byte, 0, 32)
		for _, i := range []struct {
			code   uint16
			jt, jf uint8
			k      uint32
		}{{0x20, 0, 0, 4}, {0x06, 0, 0, uint32(seccomp.Allow)}} {
			big = le.BigEndian.AppendUint16(big, i.code)
			big = le.BigEndian.AppendUint32(append(big, i.jt, i.jf), i.k)
		}
		if err := syscall.Mkfifo(filepath.Join(b.dir, "fifo"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.own(filepath.Join(b.dir, "fifo"))
		if err := os.Symlink("good.bpf", filepath.Join(b.dir, "link")); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(b.dir, "folder"), 0o700); err != nil {
			t.Fatal(err)
		}
		b.own(filepath.Join(b.dir, "folder"))
		good := denies(t, "uname")
		for name, content := range map[string]string{
			"good.bpf": string(good), "empty.bpf": "", "seven.bpf": "\x06\x00\x00\x00\x00\x00\x00", "one.bpf": "\x00", "zero.bpf": strings.Repeat("\x00", 8),
			"long.bpf": strings.Repeat("\x00", 32769), "long8.bpf": strings.Repeat("\x00", 32776), "big.bpf": string(big), "foreign.bpf": string(compiled(t, "hardened", foreign)),
			"noexec.bpf": string(denies(t, "execve")), "kill.bpf": string(seccomp.Program{{Code: 6, K: uint32(seccomp.KillProcess)}}.Bytes()),
			"nowrite.bpf":     string(denies(t, "write")),
			"unknown.yaml":    "default: allow\nrules:\n  - calls: [frobnicate]\n    action: errno EPERM\n",
			"six.yaml":        "default: allow\nrules:\n  - calls: [socket]\n    when:\n      - if: [{arg: 6, width: 32, is: 1}]\n        action: allow\n    action: errno EPERM\n",
			"upside.yaml":     "default: allow\nrules:\n  - calls: [socket]\n    when:\n      - if: [{arg: 0, width: 32, from: 9, to: 1}]\n        action: allow\n    action: errno EPERM\n",
			"contradict.yaml": "default: allow\nrules:\n  - calls: [uname]\n    action: allow\n  - calls: [uname]\n    action: errno EPERM\n",
			"many.yaml":       "default: allow\nrules:\n  - calls: [frobnicate]\n    action: maybe\n",
			"noexec.yaml":     "extends: hardened\nrules:\n  - calls: [execve]\n    action: errno EPERM\n",
			"many.json":       `{"defaultAction": "SCMP_ACT_MAYBE"}`,
		} {
			b.write(name, content, 0o600)
		}
		b.write("writable.bpf", string(good), 0o666)
		for _, c := range []struct {
			file  string
			code  int      // with the flag; with the variable it is always 125
			says  []string // with the flag
			texts []string // of the reference, or ours, with the variable; nil: not tried
		}{
			{"fifo", 2, []string{"it is a FIFO, not a regular file"}, []string{"fifo: it is a FIFO"}},
			{"/dev/zero", 2, []string{"/dev/zero: it is a device"}, []string{"CELLOS_SECCOMP_BPF_PATH /dev/zero: it is a device"}},
			{"/dev/null", 2, []string{"/dev/null: it is a device"}, []string{"seccomp BPF program is empty"}},
			{"folder", 2, []string{"is a directory"}, []string{"folder: Is a directory (os error 21)"}},
			{"link", 2, []string{"it is a symbolic link; name the file itself"}, []string{"symbolic link"}},
			{"writable.bpf", 2, []string{"its mode is 0666; nobody but its owner may write to it"}, []string{"0666"}},
			{"missing.bpf", 2, nil, []string{"CELLOS_SECCOMP_BPF_PATH missing.bpf: No such file or directory (os error 2)"}},
			{"./missing.bpf", 2, []string{"missing.bpf: no such file"}, nil},
			{"empty.bpf", 2, []string{"seccomp BPF program is empty"}, []string{"error: seccomp BPF program is empty"}},
			{"one.bpf", 2, []string{"length 1 is not a multiple of 8"}, []string{"seccomp BPF length 1 is not a multiple of 8 (sock_filter size)"}},
			{"seven.bpf", 2, []string{"length 7 is not a multiple of 8"}, []string{"seccomp BPF length 7 is not a multiple of 8"}},
			{"long.bpf", 2, []string{"length 32769 is not a multiple of 8"}, []string{"length 32769"}},
			{"long8.bpf", 2, []string{"seccomp BPF program too large (max 32768 bytes)"}, []string{"error: seccomp BPF program too large (max 32768 bytes)"}},
			{"zero.bpf", 125, []string{"zero.bpf: the kernel would not take it: instruction 0 (ld #0)"}, []string{"instruction 0 (ld #0)"}},
			{"big.bpf", 125, []string{"instruction 0", "big-endian"}, []string{"instruction 0"}},
			{"foreign.bpf", 125, []string{"built for another machine than " + runtime.GOARCH}, []string{"another machine"}},
			{"noexec.bpf", 125, []string{"the command could not be started"}, []string{"could not be started"}},
			{"kill.bpf", 125, []string{"no call is allowed"}, []string{"no call is allowed"}},
			{"nowrite.bpf", 125, []string{"waiting for the release under the command's filters, which must allow read and write"}, []string{"must allow read and write"}},
			{"unknown.yaml", 2, []string{`unknown.yaml: rules[0]: no system call is called "frobnicate"`}, nil},
			{"six.yaml", 2, []string{"there is no argument 6"}, nil},
			{"upside.yaml", 2, []string{"the range from 9 to 1 is upside down"}, nil},
			{"contradict.yaml", 2, []string{"rules[1]: contradicts rules[0]"}, nil},
			{"many.yaml", 2, []string{`"frobnicate"`, "rules[0].action"}, nil},
			{"noexec.yaml", 125, []string{"could not be started", "exec: once"}, nil},
			{"many.json", 2, []string{`"SCMP_ACT_MAYBE" is no action`}, nil},
			{"hardend", 2, []string{"neither a profile nor a file: profiles are baseline, hardened, strict"}, nil},
		} {
			r := b.cell([]string{"--seccomp", c.file}, "sh", "-c", "echo ran > /proc/self/fd/1")
			r.fails(t, c.code, c.says...)
			if r.out != "" || !strings.Contains(r.err, "cellos: error: ") {
				t.Errorf("%s: output %q, error %q", c.file, r.out, r.err)
			}
			if c.texts == nil {
				continue
			}
			cmd := b.command("run", "--", "echo", "ran")
			cmd.Env = append(cmd.Env, "CELLOS_SECCOMP_BPF_PATH="+c.file)
			r = b.run(cmd)
			r.fails(t, 125, c.texts...)
			if r.out != "" {
				t.Errorf("%s by the variable: output %q", c.file, r.out)
			}
		}
		b.cellos("run", "--seccomp", "good.bpf", "--seccomp", "good.bpf", "--", "true").fails(t, 2, "a second one")
		b.cellos("run", "--seccomp", "strict", "--seccomp", "hardened", "--", "true").fails(t, 2, "a second one")
		b.write("digest.yaml", `
apiVersion: cellos.io/v1
kind: ExecutionCell
spec:
  id: digest
  lifetime: {ttlSeconds: 60}
  authority: {}
  run:
    argv: ["true"]
    secretDelivery: env
    seccomp: {file: `+b.dir+`/good.bpf, fileDigest: "sha256:0000000000000000000000000000000000000000000000000000000000000000"}
`, 0o644)
		b.cellos("run", "digest.yaml").fails(t, 2, "spec.run.seccomp.file", "its digest is sha256:", "not sha256:0000")
	})
}
