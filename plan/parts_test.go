package plan

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

func TestCandidates(t *testing.T) {
	for _, c := range []struct {
		name, path string
		set        bool
		want       []string
	}{
		{"make", "/usr/bin:/bin", true, []string{"/usr/bin/make", "/bin/make"}},
		{"/bin/make", "/usr/bin", true, []string{"/bin/make"}},
		{"./make", "/usr/bin", true, []string{"./make"}},
		{"a/../make", "/usr/bin", true, []string{"a/../make"}},
		{"make", "", true, []string{"./make"}},
		{"make", "", false, []string{"./make"}},
		{"make", ":/bin:", true, []string{"./make", "/bin/make", "./make"}},
		{"make", "rel:../up:.", true, []string{"rel/make", "../up/make", "./make"}},
		{"make", "/bin/", true, []string{"/bin/make"}},
		{"-x", "/bin:", true, []string{"/bin/-x", "./-x"}},
		{"ma\u00e9\n", "/b", true, []string{"/b/ma\u00e9\n"}},
	} {
		got := candidates(c.name, func(name string) (string, bool) {
			if name != "PATH" {
				t.Errorf("asked for %s", name)
			}
			return c.path, c.set
		})
		if !slices.Equal(got, c.want) {
			t.Errorf("%q in %q: %q, want %q", c.name, c.path, got, c.want)
		}
	}
}

func TestEtcPatterns(t *testing.T) {
	for _, p := range etcFiles {
		if _, err := filepath.Match(p, "x"); err != nil || strings.Contains(p, "/") {
			t.Errorf("pattern %q: %v", p, err)
		}
	}
	for name, wanted := range map[string]bool{
		"ssl": true, "alternatives": true, "ld.so.cache": true, "ld-musl-x86_64.path": true, "java-17-openjdk": true, "java": true, "python3": true, "python3.11": true,
		"localtime": true, "os-release": true, "pki": true,
		"passwd": false, "shadow": false, "gshadow": false, "sudoers": false, "ssh": false, "hosts": false, "hostname": false, "resolv.conf": false, "machine-id": false,
		"fstab": false, "ssl.bak": false, "xpython": false, ".java": false, "krb5.keytab": false, "": false, "environment": false,
	} {
		if EtcWanted(name) != wanted {
			t.Errorf("EtcWanted(%q) is %v", name, !wanted)
		}
	}
}

func TestAccountsOfTheCell(t *testing.T) {
	for _, c := range []struct {
		uid, gid      uint32
		home          string
		passwd, group string
	}{
		{1000, 1000, "", "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\ncell:x:1000:1000:cell:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
			"root:x:0:\ncell:x:1000:\nnogroup:x:65534:\n"},
		{0, 5, "/home/me", "cell:x:0:5:cell:/home/me:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n", "root:x:0:\ncell:x:5:\nnogroup:x:65534:\n"},
		{65534, 65534, "relative", "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\ncell:x:65534:65534:cell:/tmp:/bin/sh\n", "root:x:0:\ncell:x:65534:\n"},
		{7, 0, "/x:y", "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\ncell:x:7:0:cell:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n", "cell:x:0:\nnogroup:x:65534:\n"},
		{7, 0, "/x\nroot::0:0", "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\ncell:x:7:0:cell:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n", "cell:x:0:\nnogroup:x:65534:\n"},
	} {
		a := &authority.Authority{Command: authority.Command{Hostname: "box"}}
		if c.home != "" {
			a.Command.Env = []authority.Variable{{Name: "HOME", Value: c.home}}
		}
		p := planner{a: a, p: &Plan{IDs: IDs{UID: c.uid, GID: c.gid}}}
		got := map[string]string{}
		for _, f := range p.etcTexts() {
			got[f.name] = f.text
		}
		if got["passwd"] != c.passwd || got["group"] != c.group {
			t.Errorf("%d:%d at %q:\n%s%s", c.uid, c.gid, c.home, got["passwd"], got["group"])
		}
		if got["hostname"] != "box\n" || !strings.Contains(got["hosts"], "127.0.0.1 localhost box\n") {
			t.Errorf("host names %q, %q", got["hostname"], got["hosts"])
		}
	}
}

// TestEveryReasonAtOnce: what is refused in the table and what is refused before it come together.
func TestEveryReasonAtOnce(t *testing.T) {
	a := read(t, `"workingDirectory":"/proc","secretDelivery":"env","limits":{"openFiles":5000,"memoryMaxBytes":4096}`, `"secretRefs":["LD_PRELOAD"],"filesystem":{"read":["/nowhere","/bin/sh",{"path":"/data","at":"/etc/ssl/inner"},{"path":"/data","at":"/.landlock"}]}`)
	h := machine().at(debian, a)
	h.OpenMax, h.Landlock, h.Seccomp = 4096, 0, false
	_, err := For(a, h)
	var got []string
	for _, r := range err.(Refused) {
		got = append(got, r.Error())
	}
	want := []string{
		"spec.authority.secretRefs[0]: a variable LD_PRELOAD would change how programs start",
		"spec.run.limits.memoryMaxBytes: 4096 bytes are less than a cell needs to come to stand, which is 1 MiB",
		"spec.run.limits.openFiles: 5000 is more than this host allows cellos, which is 4096",
		"the kernel has no Landlock, or it is off",
		"the kernel has no seccomp filters",
		"spec.run.workingDirectory: the working directory /proc is not the cell's to have",
		"spec.authority.filesystem.read[3]: /.landlock is the cell's own",
		"spec.authority.filesystem.read[1]: /bin/sh lies behind /bin, which is a symbolic link to usr/bin",
		"spec.authority.filesystem.read[2]: /etc/ssl/inner lies in /etc/ssl, which is the host's and is shown already",
		"spec.authority.filesystem.read[0]: /nowhere does not exist",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(err.(Refused).Unwrap()) != len(want) || err.Error() != strings.Join(want, "\n") {
		t.Errorf("the error is %q", err)
	}
}

// TestStrangeNames: a folder may have any name, and the person may stand in it. No name breaks a line, acts on a terminal, or is
// mistaken for another.
func TestStrangeNames(t *testing.T) {
	for _, host := range []Host{machine(), rootful()} {
		for _, name := range []string{"/a\nb", "/\x1b[2J", "/\u2028x", "/\xff\xfe", `/a\nb`, `/q"uote`, "/\u00a0x", "/" + strings.Repeat("long", 60), "/%s%n", "/x <y>"} {
			f := files{"/usr": folder(0), name: folder(1000), "/src": folder(1000)}
			for _, mode := range []authority.Mode{authority.Overlay, authority.Write, authority.Empty} {
				a := read(t, "", "")
				a.Work = authority.Work{Path: name, Mode: mode}
				a.Files = authority.Grants{{Host: "/src", At: "/src", Access: authority.CanRead}}
				p, err := For(a, host.at(f, a))
				if err != nil {
					t.Fatalf("%q: %v", name, err)
				}
				if err := p.Table.Validate(table.Shared); err != nil {
					t.Errorf("%q: %v", name, err)
				}
				text := string(p.Text())
				if strings.ContainsAny(text, "\x1b\u2028\u00a0") || strings.Contains(text, "\xff") {
					t.Errorf("%q is printed as it is", name)
				}
				base := read(t, "", "")
				base.Work, base.Files = authority.Work{Path: "/plain", Mode: mode}, a.Files
				q, err := For(base, host.at(files{"/usr": folder(0), "/plain": folder(1000), "/src": folder(1000)}, base))
				if err != nil {
					t.Fatal(err)
				}
				if n, m := strings.Count(text, "\n"), strings.Count(string(q.Text()), "\n"); n != m {
					t.Errorf("%q: %d lines, and %d with a plain name", name, n, m)
				}
			}
			missing := read(t, "", "")
			missing.Work.Path = "/no\x1b" + name
			_, err := For(missing, host.at(f, missing))
			if err == nil || strings.ContainsAny(err.Error(), "\x1b\n\u2028") {
				t.Errorf("refusing %q: %q", missing.Work.Path, err)
			}
		}
	}
	if oneLine("/a\nb") == oneLine(`/a\nb`) {
		t.Error("two names are printed the same")
	}
}

// TestManyGrants: what does not fit in a table is refused when it is planned.
func TestManyGrants(t *testing.T) {
	for _, host := range []Host{machine(), rootful()} {
		refused := false
		for n := 20; n < 400; n += 60 {
			a := read(t, "", `"filesystem":{"workingDirectory":"empty"}`)
			f := files{"/usr": folder(0)}
			for i := range n {
				at := "/g/" + string(rune('a'+i/26)) + string(rune('a'+i%26))
				f[at] = folder(1000)
				a.Files = append(a.Files, authority.Grant{Host: at, At: at, Access: authority.CanRead, From: "x"})
			}
			slices.SortFunc(a.Files, func(a, b authority.Grant) int { return strings.Compare(a.At, b.At) })
			p, err := For(a, host.at(f, a))
			if err == nil {
				if refused {
					t.Errorf("%d grants fit, fewer do not", n)
				}
				if err := p.Table.Validate(table.Shared); err != nil {
					t.Errorf("%d grants: %v", n, err)
				}
			} else if r := err.(Refused); len(r) != 1 || r[0].Remedy != "grant folders that contain them" {
				t.Errorf("%d grants: %v", n, err)
			} else {
				refused = true
			}
		}
		if !refused {
			t.Error("nothing was ever refused")
		}
	}
}

func TestNamespacesAndAttributes(t *testing.T) {
	for n, want := range map[Namespaces]string{0: "none", sysabi.CLONE_NEWUSER | sysabi.CLONE_NEWTIME: "user,time", sysabi.CLONE_NEWNET | 1<<40: "net,0x10000000000", 1: "0x1"} {
		if n.String() != want {
			t.Errorf("%d is %q, want %q", uint64(n), n.String(), want)
		}
	}
	for name, want := range map[string]string{"mnt": LayerMount, "user": LayerUser, "other": "other namespace"} {
		if NamespaceLayer(name) != want {
			t.Errorf("layer of %s: %s", name, NamespaceLayer(name))
		}
	}
	for a, want := range map[Attr]string{0: "rw", ReadOnly: "ro", NoExec | NoSUID: "rw,nosuid,noexec", ReadOnly | NoSUID | NoDev | NoExec: "ro,nosuid,nodev,noexec"} {
		if a.Options() != want {
			t.Errorf("%d is %q, want %q", a, a.Options(), want)
		}
	}
	for v, at := range map[Version]bool{{5, 13}: false, {5, 14}: true, {4, 20}: false, {6, 0}: true, {5, 100}: true} {
		if v.AtLeast(5, 14) != at {
			t.Errorf("%v at least 5.14: %v", v, !at)
		}
	}
	for n, want := range map[uint64]string{0: "0 bytes", 1: "1 bytes", 1023: "1023 bytes", 1024: "1 KiB", 1536: "1536 bytes", 1 << 20: "1 MiB", 3 << 30: "3 GiB", 1 << 50: "1024 TiB", 1<<63 - 1: "9223372036854775807 bytes"} {
		if size(n) != want {
			t.Errorf("size(%d) is %q, want %q", n, size(n), want)
		}
	}
}

// TestReport: the JSON form says what the text says.
func TestReport(t *testing.T) {
	a := read(t, "", `"filesystem":{"read":["/data"]}`)
	p, err := For(a, rootful().at(debian, a))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(p.Report())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Backend, Arch string
		Namespaces    []string
		User          struct{ UID, GID, HostUID, HostGID uint32 }
		Can, Cannot   []struct {
			Text   string
			Layers []string
		}
		Measured []struct{ Layer, What string }
		Probes   []struct{ Layer, Name, Call, Expected string }
		Mounts   []struct{ At, Type, Options string }
		Steps    []struct {
			Name, Layer, Call string
			Args              []string
		}
		SeccompProfile string
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Backend != "process" || got.Arch != "amd64" || got.SeccompProfile != "hardened" || got.User.UID != 1000 || got.User.HostUID != 0x70001234 || len(got.Namespaces) != 7 {
		t.Errorf("%+v", got)
	}
	if len(got.Can)+len(got.Cannot) != len(p.Says) || len(got.Measured) != len(p.Promises) || len(got.Probes) != len(p.Boot.Probes) || len(got.Mounts) != len(p.Mounts) || len(got.Steps) != len(p.Table) {
		t.Error("something is left out")
	}
	for _, s := range append(got.Can, got.Cannot...) {
		if !strings.Contains(string(p.Text()), s.Text) || len(s.Layers) == 0 {
			t.Errorf("%+v", s)
		}
	}
	for i, s := range got.Steps {
		if want := p.Table[i].String(); !strings.HasPrefix(want, s.Call+"("+strings.Join(s.Args, ", ")+")") {
			t.Errorf("step %+v, want %s", s, want)
		}
	}
}

func TestNoRun(t *testing.T) {
	a := readAll(t, `"authority":{}`)
	p, err := For(a, machine().at(debian, a))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Table.Validate(table.Shared); err != nil || len(p.Boot.Candidates) == 0 {
		t.Errorf("%v; candidates %v", err, p.Boot.Candidates)
	}
}
