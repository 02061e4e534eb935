package seccomp

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/sysabi"
)

func TestReadFileRefuses(t *testing.T) {
	dir := t.TempDir()
	good := Program{{Code: opRet, K: uint32(Allow)}}.Bytes()
	write := func(name string, b []byte, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	regular := write("good", good, 0o644)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(regular, link); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{regular, ""},
		{write("read-only", good, 0o400), ""},
		{write("group", good, 0o664), "nobody but its owner may write"},
		{write("world", good, 0o646), "nobody but its owner may write"},
		{link, "symbolic link"},
		{fifo, "FIFO"},
		{"/dev/zero", "device"},
		{"/dev/null", "program is empty"},
		{dir, "is a directory"},
		{filepath.Join(dir, "missing"), "no such file"},
		{write("empty", nil, 0o600), "program is empty"},
		{write("one", good[:1], 0o600), "length 1 is not a multiple of 8"},
		{write("seven", good[:7], 0o600), "length 7 is not a multiple of 8"},
		{write("most", make([]byte, 32768), 0o600), ""},
		{write("odd", make([]byte, 32769), 0o600), "length 32769 is not a multiple of 8"},
		{write("large", make([]byte, 32776), 0o600), "too large (max 32768 bytes)"},
	} {
		type result struct {
			b   []byte
			err error
		}
		done := make(chan result, 1)
		go func() { b, err := ReadFile(c.path); done <- result{b, err} }()
		select {
		case r := <-done:
			if c.want == "" {
				if r.err != nil || len(r.b) == 0 {
					t.Errorf("%s: %d bytes, %v", c.path, len(r.b), r.err)
				}
			} else if r.err == nil || !strings.Contains(r.err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", c.path, r.err, c.want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: reading it hangs", c.path)
		}
	}
}

func TestOwnerMustBeRootOrCaller(t *testing.T) {
	for _, c := range []struct {
		owner, user uint32
		ok          bool
	}{{0, 1000, true}, {1000, 1000, true}, {1001, 1000, false}, {1001, 0, false}} {
		err := trusted(sysabi.FileStatus{Kind: sysabi.KindRegular, Mode: 0o644, Owner: c.owner}, c.user)
		if (err == nil) != c.ok {
			t.Errorf("owner %d read by %d: %v", c.owner, c.user, err)
		}
	}
}

func TestBigEndianFileIsRecognised(t *testing.T) {
	p, err := Profile("hardened")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := sysabi.ArchByName("amd64")
	prog, err := Compile(p, a)
	if err != nil {
		t.Fatal(err)
	}
	var big []byte
	for _, i := range prog {
		big = binary.BigEndian.AppendUint16(big, i.Code)
		big = append(big, i.JT, i.JF)
		big = binary.BigEndian.AppendUint32(big, i.K)
	}
	if bytes.Equal(big, prog.Bytes()) {
		t.Fatal("not big-endian")
	}
	parsed, err := ParseProgram(big)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Check(); err == nil || !strings.Contains(err.Error(), "big-endian") {
		t.Errorf("%v", err)
	}
}
