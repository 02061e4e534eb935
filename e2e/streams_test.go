package e2e

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// 64 MiB are many times what pipes, sockets and copy buffers hold.
const manyBytes = 64 << 20

func TestManyBytesThroughACell(t *testing.T) {
	if testing.Short() {
		t.Skip("passes 64 MiB four times; not in short mode")
	}
	each(t, func(t *testing.T, u user) {
		for _, flags := range [][]string{nil, {"--output", "65MiB"}} {
			b := newBench(t, u)
			c := b.command(append(append([]string{"run"}, flags...), "--", "cat")...)
			var seed [32]byte
			in, out := sha256.New(), sha256.New()
			c.Stdin = io.TeeReader(io.LimitReader(rand.NewChaCha8(seed), manyBytes), in)
			n := new(counter)
			c.Stdout = io.MultiWriter(out, n)
			if r := b.run(c); r.code != 0 {
				t.Fatalf("%v: exit status %d, %s", flags, r.code, r.err)
			}
			if *n != manyBytes || string(in.Sum(nil)) != string(out.Sum(nil)) {
				t.Errorf("%v: %d bytes came back, or others", flags, *n)
			}
		}
	})
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

func TestOutputLimitCountsBothStreams(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		r := b.sh("printf 1234567890; sleep 0.2; printf 1234567890 >&2; sleep 100", "--quiet", "--output", "15")
		if r.out != "1234567890" || !strings.HasPrefix(r.err, "12345cellos: error: ") && !strings.HasPrefix(r.err, "12345\ncellos: error: ") {
			t.Errorf("output %q, errors %q", r.out, r.err)
		}
		if r.code == 0 || r.code == 124 {
			t.Errorf("exit status %d", r.code)
		}
		if r := b.sh("printf 1234567890; printf 12345 >&2", "--quiet", "--output", "15"); r.code != 0 || r.out != "1234567890" || r.err != "12345" {
			t.Errorf("as much as is allowed: exit status %d, output %q, errors %q", r.code, r.out, r.err)
		}
	})
}

// A file as output is the caller's file: bytes are appended where the caller's offset is, and order between the streams is kept.
func TestFilesAsStreams(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		r := b.run(b.after(`{ echo before; "$@"; echo after; } > all 2>&1 < in`, "run", "--quiet", "--", "sh", "-c", "echo one; echo two >&2; echo three; cat"))
		if r.code == 0 {
			t.Fatal("a missing input file was no error of the shell")
		}
		b.write("in", "input\n", 0o644)
		b.run(b.after(`{ echo before; "$@"; echo after; } > all 2>&1 < in`, "run", "--quiet", "--", "sh", "-c", "echo one; echo two >&2; echo three; cat")).ok(t)
		got, err := os.ReadFile(filepath.Join(b.dir, "all"))
		if want := "before\none\ntwo\nthree\ninput\nafter\n"; err != nil || string(got) != want {
			t.Errorf("the file has %q, %v; want %q", got, err, want)
		}
	})
}
