package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLimitsOfVersion2 lives in a virtual machine, where control groups of version 2 have every controller: as root, and as an ordinary
// user to whom a group was delegated.
func TestLimitsOfVersion2(t *testing.T) {
	kernels, _ := filepath.Glob("/boot/vmlinuz-*")
	kernels = slices.DeleteFunc(kernels, func(k string) bool { f, err := os.Open(k); f.Close(); return err != nil })
	qemu, err := exec.LookPath("qemu-system-x86_64")
	switch {
	case testing.Short():
		t.Skip("a virtual machine takes its time (-short)")
	case runtime.GOARCH != "amd64" || err != nil || len(kernels) == 0:
		t.Skip("needs qemu-system-x86 and a kernel in /boot that this user can read (linux-image-cloud-amd64)")
	}
	dir := t.TempDir()
	guest := filepath.Join(dir, "guest")
	cmd := exec.Command("go", "build", "-o", guest, "cellos.io/cellos/e2e/internal/cmd/guest")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the guest: %v\n%s", err, out)
	}
	initrd := filepath.Join(dir, "initrd")
	if err := os.WriteFile(initrd, archive(t, [][2]string{{"init", guest}, {"usr/bin/guest", guest}, {"usr/bin/cellos", binary}}), 0o600); err != nil {
		t.Fatal(err)
	}
	// Software emulation, on a machine that others use too.
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, qemu, "-accel", "tcg", "-m", "512", "-nographic", "-no-reboot", "-nic", "none", "-kernel", kernels[len(kernels)-1], "-initrd", initrd,
		"-append", "console=ttyS0 quiet panic=-1 lsm=landlock").CombinedOutput()
	text := string(out)
	if err != nil || !strings.Contains(text, "GUEST BEGIN") || !strings.Contains(text, "GUEST END") {
		t.Fatalf("the machine: %v\n%s", err, text)
	}
	if n := strings.Count(text, "LEFT 0"); n != 8 {
		t.Errorf("groups are left after %d of 8 runs", 8-n)
	}
	commands := casesOf(t, text)
	for _, uid := range []string{"0", "1000"} {
		for name, code := range map[string]int{"hog": 137, "many": 137, "busy": 0, "nothing": 0} {
			e, ok := commands[fmt.Sprintf("%s %s %d", uid, name, code)]
			if !ok {
				t.Errorf("user %s, %s: not ended with %d:\n%s", uid, name, code, text)
				continue
			}
			if m := e.Details.Memory; code == 137 && (e.Outcome != "outOfMemory" || m.LimitBytes != 32<<20 || m.PeakBytes > m.LimitBytes+1<<20 || m.OOMKills == 0) {
				t.Errorf("user %s, %s: %+v", uid, name, e)
			}
			if used, given := e.UserNanos+e.SystemNanos, e.DurationNanos/5; name == "busy" && (used > given+given/5+60e6 || e.Details.CPU.ThrottledPeriods == 0) {
				t.Errorf("user %s, %s: used %d ns of %d ns: %+v", uid, name, used, given, e)
			}
		}
	}
}

// casesOf reads the event of each case: the first that follows its line.
func casesOf(t *testing.T, text string) map[string]ended {
	t.Helper()
	all, name := map[string]ended{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if c, ok := strings.CutPrefix(line, "CASE "); ok {
			name = c
		}
		ev, ok := strings.CutPrefix(line, "EVENT ")
		if !ok {
			continue
		}
		var e struct {
			Type string
			Data json.RawMessage
		}
		if err := json.Unmarshal([]byte(ev), &e); err != nil {
			t.Fatalf("%v: %s", err, ev)
		}
		if !strings.HasSuffix(e.Type, ".command") {
			if d := string(e.Data); !strings.Contains(d, `"name":"control group"`) || !strings.Contains(d, "version 2") || strings.Contains(d, `"holds":false`) {
				t.Errorf("the boundary is %s", d)
			}
			continue
		}
		var x ended
		if err := json.Unmarshal(e.Data, &x); err != nil {
			t.Fatal(err)
		}
		all[name] = x
	}
	return all
}

// archive makes an archive of files in the format that the kernel takes: cpio, "newc" (Documentation/driver-api/early-userspace/buffer-format.rst).
func archive(t *testing.T, files [][2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	inode := 0
	add := func(name string, mode int, content []byte) {
		inode++
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
		b.WriteString(name + "\x00")
		b.Write(make([]byte, -b.Len()&3))
		b.Write(content)
		b.Write(make([]byte, -b.Len()&3))
	}
	for _, d := range []string{"usr", "usr/bin", "dev", "new"} {
		add(d, 0o040755, nil)
	}
	for _, f := range files {
		content, err := os.ReadFile(f[1])
		if err != nil {
			t.Fatal(err)
		}
		add(f[0], 0o100755, content)
	}
	add("TRAILER!!!", 0, nil)
	return b.Bytes()
}
