package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/canon"
)

// verdicts are those that the exit statuses of cellos verify stand for (docs/evidence-format.md).
var verdicts = map[int]string{0: "good", 3: "bad", 4: "incomplete", 5: "unknownKey", 6: "open", 8: "unreadable"}

// A tampering is a stream that somebody made of a recorded run. Code is the exit status of cellos verify; -1: any but 0, unless the stream reads
// the same.
type tampering struct {
	name, stream string
	code         int
}

// tamperings are what the lines of a run can be made into. other is another run with the same key, foreign the same run with another key.
func tamperings(t *testing.T, lines, other, foreign []string) (list []tampering) {
	add := func(code int, name string, lines ...string) {
		list = append(list, tampering{name, strings.Join(lines, ""), code})
	}
	edit := func(code int, name string, n int, old, new string) {
		l := slices.Clone(lines)
		if l[n] = strings.Replace(l[n], old, new, 1); l[n] == lines[n] {
			t.Fatalf("%s: line %d has no %q", name, n+1, old)
		}
		add(code, name, l...)
	}
	whole, last := strings.Join(lines, ""), len(lines)-1
	add(0, "untouched", lines...)
	for i := range lines {
		code := 4
		if i == last {
			code = 6
		}
		add(code, fmt.Sprintf("line %d removed", i+1), slices.Delete(slices.Clone(lines), i, i+1)...)
		add(4, fmt.Sprintf("line %d twice", i+1), slices.Insert(slices.Clone(lines), i, lines[i])...)
		add(6, fmt.Sprintf("cut off before line %d", i+1), lines[:i]...)
		code = 6
		if i > 0 {
			add(4, fmt.Sprintf("line %d of another run", i+1), slices.Replace(slices.Clone(lines), i, i+1, other[i])...)
		}
		add(code, fmt.Sprintf("cut off in line %d", i+1), append(slices.Clone(lines[:i]), lines[i][:len(lines[i])/2])...)
		for j := range i {
			if i-j == 1 || (i+7*j)%5 == 0 {
				l := slices.Clone(lines)
				l[i], l[j] = l[j], l[i]
				add(4, fmt.Sprintf("lines %d and %d swapped", j+1, i+1), l...)
			}
		}
		edit(3, fmt.Sprintf("signature of line %d stripped", i+1), i, `"dssematerial"`, `"dssematerix"`)
	}
	add(5, "signed by another key", foreign...)
	add(5, "one line signed by another key", slices.Replace(slices.Clone(lines), 5, 6, foreign[5])...)
	list[len(list)-1].code = 4 // it belongs to another run, which says more
	edit(3, "subject added", 3, `,"traceparent"`, `,"subject":"x","traceparent"`)
	edit(3, "attribute added", 3, `,"dssematerial"`, `,"extra":true,"dssematerial"`)
	edit(3, "source changed", 3, `"source":"`, `"source":"x`)
	edit(3, "sequence changed", 4, `"0000000005"`, `"0000000006"`)
	edit(3, "sequence stripped", 4, `,"sequence":"0000000005"`, ``)
	edit(3, "count stripped", last, fmt.Sprintf(`,"celloscount":%d`, len(lines)), ``)
	edit(3, "count changed", last, fmt.Sprintf(`"celloscount":%d`, len(lines)), fmt.Sprintf(`"celloscount":%d`, last))
	started := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "lifecycle.v1.started") })
	edit(3, "1 as 1.0", started, `"ttlSeconds":86400`, `"ttlSeconds":86400.0`)
	edit(3, "1 as 1e0", started, `"ttlSeconds":86400`, `"ttlSeconds":86400e0`)
	edit(8, "member twice", 3, `"specversion":"1.0",`, `"specversion":"1.0","specversion":"1.0",`)
	edit(8, "member of data twice", started, `"ttlSeconds":86400`, `"ttlSeconds":86400,"ttlSeconds":86400`)
	edit(8, "invalid UTF-8", 3, `"source":"`, "\"source\":\"\xff")
	edit(8, "lone surrogate", 3, `"source":"`, `"source":"\udc00`)
	edit(8, "an attribute that is an object", 3, `,"dssematerial"`, `,"extra":{},"dssematerial"`)
	add(8, "huge line", slices.Insert(slices.Clone(lines), 3, `{"a":"`+strings.Repeat("x", 1<<20)+"\"}\n")...)
	add(8, "deep line", slices.Insert(slices.Clone(lines), 3, strings.Repeat(`{"a":`, 100000)+"1"+strings.Repeat("}", 100000)+"\n")...)
	add(8, "NUL bytes", slices.Insert(slices.Clone(lines), 3, "\x00\x00\n")...)
	add(8, "empty line", slices.Insert(slices.Clone(lines), 3, "\n")...)
	add(8, "something behind the end", append(slices.Clone(lines), "x")...)
	add(4, "everything twice", whole, whole)
	add(0, "members in another order, and blanks", respelled(t, lines)...)
	for i := 5; i < len(whole); i += 149 {
		x := []byte{1, 0x20, 0x80}[i%3]
		b := []byte(whole)
		b[i] ^= x
		list = append(list, tampering{fmt.Sprintf("byte %d flipped with %#x", i, x), string(b), -1})
	}
	return list
}

// respelled reads and writes each line, as a transport may.
func respelled(t *testing.T, lines []string) (list []string) {
	for _, l := range lines {
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(l), &members); err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(members, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, strings.ReplaceAll(string(text), "\n", " ")+"\n")
	}
	return list
}

// reading is what a reader makes of a stream, signatures aside.
func reading(stream string) string {
	var b strings.Builder
	for e, err := range evidence.ReadEvents(strings.NewReader(stream)) {
		if err != nil {
			return err.Error()
		}
		e.Data, _ = canon.Append(nil, e.Data)
		e.Material = ""
		b.Write(e.AppendJSON(nil))
	}
	return b.String()
}

// TestTampering: whatever is done to a recorded run, cellos verify says so by its exit status, and the Python verifier, written from
// docs/evidence-format.md, says the same.
func TestTampering(t *testing.T) {
	t.Parallel()
	b := newBench(t, users()[len(users())-1])
	record := func(b *bench) []string {
		b.sh("echo x > f; exit 3").fails(t, 3)
		return strings.SplitAfter(strings.TrimSuffix(b.cellos("show", "--events", "last").ok(t), "\n")+"\n", "\n")
	}
	cut := func(lines []string) []string { return lines[:len(lines)-1] } // SplitAfter's empty end
	lines, other := cut(record(b)), cut(record(b))
	foreign := cut(record(newBench(t, b.user)))
	if len(lines) < 12 || len(other) != len(lines) || len(foreign) != len(lines) {
		t.Fatalf("%d, %d and %d events", len(lines), len(other), len(foreign))
	}
	key := b.write("key.pem", b.cellos("keys", "show").ok(t), 0o644)
	list := tamperings(t, lines, other, foreign)
	original := reading(list[0].stream)
	var files []string
	codes := make([]int, len(list))
	same := 0
	for i, c := range list {
		files = append(files, b.write(fmt.Sprintf("stream%d", i), c.stream, 0o644))
		r := b.cellos("verify", "--key", key, files[i])
		codes[i] = r.code
		switch {
		case verdicts[r.code] == "" || strings.Contains(r.out+r.err, "goroutine "):
			t.Errorf("%s: exit status %d\n%s", c.name, r.code, r.err)
		case c.code >= 0 && r.code != c.code:
			t.Errorf("%s: exit status %d, want %d\n%s%s", c.name, r.code, c.code, r.out, r.err)
		case c.code < 0 && r.code == 0:
			if same++; reading(c.stream) != original {
				t.Errorf("%s: not noticed", c.name)
			}
		case r.code != 0 && !regexp.MustCompile(`line \d+|event \d+|sequence|no closing event|ends|open|nothing`).MatchString(r.out):
			t.Errorf("%s: no finding names what it is about:\n%s", c.name, r.out)
		}
	}
	if same > 15 {
		t.Errorf("%d flips change nothing: more than the places where that can be", same)
	}
	if exec.Command("python3", "-c", "import cryptography").Run() != nil {
		t.Skip("no second opinion: python3 with the module cryptography is missing")
	}
	id := strings.Fields(b.cellos("keys", "list").ok(t))[1]
	trusted, err := json.Marshal(map[string]string{id: string(read(t, key))})
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"../evidence/testdata/verify.py", b.write("keys.json", string(trusted), 0o644)}, files...)
	var problems bytes.Buffer
	cmd := exec.Command("python3", args...)
	cmd.Stderr = &problems
	out, _ := cmd.Output() // 1 is a verdict
	d := json.NewDecoder(bytes.NewReader(out))
	for i, c := range list {
		var r struct{ Verdict string }
		if err := d.Decode(&r); err != nil {
			t.Fatalf("verify.py: %v\n%s", err, &problems)
		}
		if r.Verdict != verdicts[codes[i]] {
			t.Errorf("%s: the Python verifier says %s, cellos verify %s", c.name, r.Verdict, verdicts[codes[i]])
		}
	}
}

// TestVerifyInBoundedMemory: neither a line without an end nor a long stream takes more memory than a short one.
func TestVerifyInBoundedMemory(t *testing.T) {
	t.Parallel()
	b := newBench(t, users()[len(users())-1])
	b.cell(nil, "true").ok(t)
	for name, in := range map[string]io.Reader{"one line": io.LimitReader(zeros{}, 512<<20), "many findings": io.LimitReader(lineFeeds{}, 64<<20)} {
		cmd := b.command("verify", "-")
		cmd.Stdin = in
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		peak := watched(cmd)
		if code := cmd.ProcessState.ExitCode(); code != 8 || out.Len() > 1<<20 {
			t.Errorf("%s: exit status %d, %d bytes of findings", name, code, out.Len())
		}
		if peak == 0 || peak > 64<<10 {
			t.Errorf("%s: %d KiB of memory", name, peak)
		}
	}
}

// watched waits for a program, and returns the most memory that it was seen to have, in KiB. What wait4(2) says is at least what the process
// had that started it.
func watched(cmd *exec.Cmd) (peak int) {
	done := make(chan struct{})
	go func() {
		cmd.Wait()
		close(done)
	}()
	for tick := time.NewTicker(time.Millisecond); ; {
		select {
		case <-done:
			return peak
		case <-tick.C:
		}
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if _, rest, ok := strings.Cut(string(text), "VmHWM:"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			peak = max(peak, n)
		}
	}
}

type lineFeeds struct{}

func (lineFeeds) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '\n'
	}
	return len(p), nil
}

// TestBadKeyFiles: a key that others may read, none, an encrypted one and one of another kind do not sign, and a file that has no public key verifies
// nothing.
func TestBadKeyFiles(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.cell(nil, "true").ok(t)
		private, _ := filepath.Glob(filepath.Join(filepath.Dir(b.dir), ".config", "cellos", "keys", "*.key"))
		if len(private) != 1 {
			t.Fatalf("keys %v", private)
		}
		good := read(t, private[0])
		for _, c := range []struct {
			name, text string
			mode       os.FileMode
			says       string
		}{
			{"readable by others", string(good), 0o644, "mode 0644 lets others read it"},
			{"empty", "", 0o600, "the key file is empty"},
			{"encrypted", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", 0o600, "the key is encrypted"},
			{"public", b.cellos("keys", "show").ok(t), 0o600, "a public key where the private one is wanted"},
			{"text", "hello", 0o600, "not a PEM file"},
		} {
			if err := os.WriteFile(private[0], []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(private[0], c.mode); err != nil {
				t.Fatal(err)
			}
			r := b.cell(nil, "echo", "ran")
			r.fails(t, 125, c.says, private[0])
			if oneError(t, r); r.out != "" {
				t.Errorf("%s: it ran", c.name)
			}
			b.write("given.pem", c.text, 0o644)
			if c.name != "public" {
				b.cellos("verify", "--key", "given.pem", "last").fails(t, 8, "given.pem")
			}
		}
	})
}
