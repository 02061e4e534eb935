//go:build linux

package contract

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/overlay"
)

var files = []test{
	{"working directory: overlay", workOverlay},
	{"working directory: read", workRead},
	{"working directory: write", workWrite},
	{"working directory: empty", workEmpty},
	{"granted files", granted},
	{"nothing else of the host", nothingElse},
	{"scratch space is private and bounded", scratch},
	{"devices", devices},
	{"files behave", filesBehave},
	{"files behave where they are the host's", hostFilesBehave},
}

func workOverlay(t *testing.T, s Subject) {
	dir := workdir(t)
	must(t, os.WriteFile(dir+"/old", []byte("old\n"), 0o644), os.WriteFile(dir+"/gone", nil, 0o644), os.Mkdir(dir+"/sub", 0o755), os.WriteFile(dir+"/sub/f", []byte("f\n"), 0o644))
	_, p := s.planned(t, ask{argv: []string{"/bin/sh", "-c", "pwd; cat old; echo new >old; echo made >made; rm gone; mkdir d; echo x >d/x; mv sub/f sub/g; ln -s made link; cat old made"}, dir: dir})
	w, text := output(t)
	c := s.started(t, p, cell.Streams{Out: w, Err: w})
	if o := waited(t, c); o.Code != 0 {
		t.Errorf("%+v", o)
	}
	if got := text(); got != dir+"\nold\nnew\nmade\n" {
		t.Errorf("%q", got)
	}
	if c.Changes() == nil {
		t.Fatal("no folder of changes")
	}
	list, err := overlay.Changes(c.Changes(), dir, overlay.Limits{})
	must(t, err)
	var got []string
	for _, x := range list.Changes {
		got = append(got, string(x.What)+" "+x.Path)
	}
	if want := "created d,created d/x,deleted gone,created link,created made,modified old,deleted sub/f,created sub/g"; strings.Join(got, ",") != want {
		t.Errorf("changes %s, want %s", strings.Join(got, ","), want)
	}
	clean(t, c)
	if b, err := os.ReadFile(dir + "/old"); err != nil || string(b) != "old\n" {
		t.Errorf("the host was changed: %q, %v", b, err)
	}
	if names(t, dir) != "gone old sub" {
		t.Errorf("the host was changed: %s", names(t, dir))
	}
}

func names(t testing.TB, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	must(t, err)
	var s []string
	for _, e := range list {
		s = append(s, e.Name())
	}
	return strings.Join(s, " ")
}

const asRead, asWrite, asEmpty = `"filesystem":{"workingDirectory":"read"}`, `"filesystem":{"workingDirectory":"write"}`, `"filesystem":{"workingDirectory":"empty"}`

func workRead(t *testing.T, s Subject) {
	dir := workdir(t)
	must(t, os.WriteFile(dir+"/f", []byte("f\n"), 0o644))
	s.prints(t, ask{argv: []string{"/bin/sh", "-c", "cat f; (echo x >f) 2>/dev/null || echo no; (echo x >g) 2>/dev/null || echo no; rm -f f 2>/dev/null || echo no"}, grants: asRead, dir: dir}, "f\nno\nno\nno\n")
	if names(t, dir) != "f" {
		t.Errorf("the host was changed: %s", names(t, dir))
	}
}

func workWrite(t *testing.T, s Subject) {
	dir := workdir(t)
	must(t, os.WriteFile(dir+"/f", []byte("f\n"), 0o644))
	before, err := os.Stat(dir)
	must(t, err)
	s.prints(t, ask{argv: []string{"/bin/sh", "-c", "echo more >>f; echo new >g; mkdir d; mv g d/h; chmod 600 d/h; chmod 4755 d/h 2>/dev/null || echo no"}, grants: asWrite, dir: dir}, "no\n")
	b, err := os.ReadFile(dir + "/f")
	must(t, err)
	fi, err := os.Stat(dir + "/d/h")
	must(t, err)
	if string(b) != "f\nmore\n" || fi.Mode() != 0o600 || uid(fi) != uid(before) {
		t.Errorf("%q, %v of %s instead of %s", b, fi.Mode(), uid(fi), uid(before))
	}
}

func workEmpty(t *testing.T, s Subject) {
	dir := workdir(t)
	must(t, os.WriteFile(dir+"/f", nil, 0o644))
	s.prints(t, ask{argv: []string{"/bin/sh", "-c", "pwd; ls -A; echo x >f; cat f"}, grants: asEmpty, dir: dir}, dir+"\nx\n")
	if fi, err := os.Stat(dir + "/f"); err != nil || fi.Size() != 0 {
		t.Errorf("the host was changed: %v, %v", fi, err)
	}
}

func granted(t *testing.T, s Subject) {
	dir := workdir(t)
	for _, d := range []string{"r", "w", "x", "r/sub"} {
		must(t, os.Mkdir(dir+"/"+d, 0o755), os.WriteFile(dir+"/"+d+"/f", []byte(d+"\n"), 0o644))
	}
	must(t, os.WriteFile(dir+"/x/prog", []byte("#!/bin/sh\necho ran\n"), 0o755), os.WriteFile(dir+"/r/prog", []byte("#!/bin/sh\necho ran\n"), 0o755), os.WriteFile(dir+"/one", []byte("one\n"), 0o644))
	grants := `"filesystem":{"workingDirectory":"empty","read":["` + dir + `/r",{"path":"` + dir + `/one","at":"/data/one"}],"write":[{"path":"` + dir + `/w","at":"/out"}],"exec":["` + dir + `/x"]}`
	script := `cd /; d=` + dir + `
cat $d/r/f $d/r/sub/f /data/one /out/f; (echo x >$d/r/f) 2>/dev/null || echo no; (echo x >/data/one) 2>/dev/null || echo no
echo written >/out/g; $d/x/prog; $d/r/prog 2>/dev/null || echo no; ls $d`
	s.prints(t, ask{argv: []string{"/bin/sh", "-c", script}, grants: grants}, "r\nr/sub\none\nw\nno\nno\nran\nno\nr\nx\n")
	if b, err := os.ReadFile(dir + "/w/g"); err != nil || string(b) != "written\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func nothingElse(t *testing.T, s Subject) {
	secret := workdir(t)
	must(t, os.WriteFile(secret+"/key", []byte("key\n"), 0o644))
	script := `for f in ` + secret + `/key /root /home /var /etc/shadow /sys/kernel /boot /dev/mem /dev/sda; do [ -e $f ] && echo $f; done
for f in /x /usr/x /etc/x /bin/x /dev/x; do (: >$f) 2>/dev/null && echo wrote $f; done; cat /etc/passwd | grep -c cell; echo end`
	o, got := s.out(t, ask{argv: []string{"/bin/sh", "-c", script}, grants: asEmpty, dir: "/work"})
	if o.Code != 0 || got != "1\nend\n" {
		t.Errorf("%+v, %q", o, got)
	}
}

func scratch(t *testing.T, s Subject) {
	mark := filepath.Join(os.TempDir(), "cellos-contract-mark")
	must(t, os.WriteFile(mark, nil, 0o600))
	defer os.Remove(mark)
	s.prints(t, ask{argv: []string{"/bin/sh", "-c", "ls -A /tmp /dev/shm; echo x >/tmp/x; echo y >/dev/shm/y; cat /tmp/x /dev/shm/y; cp /bin/true /tmp/true; /tmp/true && echo ran; " +
		"{ head -c 3000000 /dev/zero >/tmp/big && head -c 3000000 /dev/zero >/dev/shm/big && echo too much; } 2>/dev/null; rm /tmp/big; head -c 100000 /dev/zero >/tmp/small && echo fits"},
		run: `"limits":{"scratchBytes":4194304}`, grants: asEmpty, dir: "/work"}, "/dev/shm:\n\n/tmp:\nx\ny\nran\nfits\n", func(a *authority.Authority) {})
}

func devices(t *testing.T, s Subject) {
	s.prints(t, sh("echo x >/dev/null; head -c 3 /dev/zero | od -An -tx1; (echo >/dev/full) 2>/dev/null || echo full; [ $(head -c 16 /dev/urandom | wc -c) = 16 ] && echo random; "+
		"echo piped | cat /dev/stdin; ls -d /dev/fd/0"), " 00 00 00\nfull\nrandom\npiped\n/dev/fd/0\n")
}

// filesBehave: locks, links, renames, sparse files, times, memory maps and FIFOs, in every place that can be written.
func filesBehave(t *testing.T, s Subject) { s.behave(t, "", asEmpty) }

func hostFilesBehave(t *testing.T, s Subject) { s.behave(t, asWrite) }

func (s Subject) behave(t *testing.T, folders ...string) {
	script := `set -e
try() {
	cd $1
	echo a >a; ln a b; [ $(stat -c %h a) = 2 ]; ln -s a l; [ $(readlink l) = a ]; mv b c; [ -f c ]
	truncate -s 1000000 sparse; [ $(stat -c %s sparse) = 1000000 ]
	touch -d @1000000000 a; [ $(stat -c %Y a) = 1000000000 ]
	mkfifo p; (echo through >p &); [ $(cat p) = through ]
	flock a true
	mkdir -p x/y/z; rmdir x/y/z; ! rmdir x 2>/dev/null; rm -r x
	dd if=/dev/zero of=big bs=4096 count=300 2>/dev/null; [ $(cksum <big | cut -d' ' -f2) = 1228800 ]
	chmod 000 a; [ $(stat -c %a a) = 0 ]; rm -f a c l p big sparse
}
try $PWD; try /tmp; try /dev/shm; echo good`
	for _, grants := range folders {
		s.prints(t, ask{argv: []string{"/bin/sh", "-c", script}, grants: grants}, "good\n")
	}
}

func uid(fi os.FileInfo) string {
	return strconv.FormatUint(uint64(ownerOf(fi)), 10)
}
