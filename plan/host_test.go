package plan

import (
	"maps"
	"path"
	"strings"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/document"
)

// files are the files of a machine for tests. Real is the path itself unless given.
type files map[string]Entry

func folder(uid uint32) Entry { return Entry{Kind: Directory, Mode: 0o755, UID: uid, GID: uid} }
func regular() Entry          { return Entry{Kind: Regular, Mode: 0o644} }
func link(to, real string) Entry {
	return Entry{Kind: Symlink, Mode: 0o777, Target: to, Real: real}
}

// debian is a machine with a merged /usr.
var debian = files{
	"/usr": folder(0), "/bin": link("usr/bin", "/usr/bin"), "/sbin": link("usr/sbin", "/usr/sbin"), "/lib": link("usr/lib", "/usr/lib"),
	"/lib64": link("usr/lib64", "/usr/lib64"), "/usr/share": folder(0), "/usr/share/doc": folder(0), "/usr/local": folder(0), "/usr/bin/tool": regular(),
	"/dev/full": {Kind: Other, Mode: 0o666}, "/dev/null": {Kind: Other, Mode: 0o666}, "/dev/tty": {Kind: Other, Mode: 0o666},
	"/dev/urandom": {Kind: Other, Mode: 0o666}, "/dev/zero": {Kind: Other, Mode: 0o666}, "/dev/net/tun": {Kind: Other, Mode: 0o666},
	"/proc/sys": {Kind: Directory, Mode: 0o555}, "/proc/acpi": {Kind: Directory, Mode: 0o555}, "/proc/cmdline": {Kind: Regular, Mode: 0o444},
	"/proc/interrupts": {Kind: Regular, Mode: 0o444}, "/proc/kallsyms": {Kind: Regular, Mode: 0o444}, "/proc/kcore": {Kind: Regular, Mode: 0o400},
	"/proc/keys": {Kind: Regular, Mode: 0o444}, "/proc/modules": {Kind: Regular, Mode: 0o444}, "/proc/timer_list": {Kind: Regular, Mode: 0o400},
	"/etc": folder(0), "/etc/alternatives": folder(0), "/etc/ld.so.cache": regular(), "/etc/localtime": link("/usr/share/zoneinfo/Etc/UTC", "/usr/share/zoneinfo/Etc/UTC"),
	"/etc/ssl": folder(0), "/etc/ssl/certs": folder(0), "/etc/ssl/cert.pem": link("certs/ca.crt", "/etc/ssl/certs/ca.crt"), "/etc/passwd": regular(),
	"/src": folder(1000), "/src/out": folder(1000), "/src/notes": regular(), "/src/link": link("out", "/src/out"), "/tmp": {Kind: Directory, Mode: 0o1777}, "/tmp/job": folder(1000),
	"/data": folder(1000), "/data/in": folder(1000), "/data/in/deep": folder(1000), "/data/list": regular(), "/opt/tool": folder(0), "/opt/tool/lib": folder(0),
	"/home": folder(0), "/home/me": folder(1000), "/home/me/key": regular(), "/home/me/link": link("/data", "/data"), "/home/me/dangling": link("nowhere", ""),
	"/home/me/link/in": {Kind: Directory, Mode: 0o755, Real: "/data/in"}, "/home/me/socket": {Kind: Other}, "/home/me/closed": {Kind: Unknown, Err: "permission denied"},
	"/run": folder(0), "/run/user": folder(1000), "/boot": folder(0), "/var/cache": folder(1000), "/a b": folder(1000), "/\u00fc": folder(1000),
}

// split is the same with folders in place of the links to /usr.
func split() files {
	f := maps.Clone(debian)
	for _, d := range []string{"/bin", "/sbin", "/lib"} {
		f[d] = folder(0)
	}
	delete(f, "/lib64")
	return f
}

// machine is an ordinary user's.
func machine() Host {
	return Host{Arch: "amd64", Kernel: Version{6, 12}, UID: 1000, GID: 1000, LastCap: 40, Landlock: 6, Seccomp: true, OpenMax: 1 << 20, CoreMax: ^uint64(0)}
}

// rootful is root's.
func rootful() Host {
	h := machine()
	h.UID, h.GID, h.CellID = 0, 0, 0x70001234
	return h
}

// at puts the answers to Paths into a host, as package host does.
func (h Host) at(f files, a *authority.Authority) Host {
	h.Entries = map[string]Entry{}
	see := func(p string) Entry {
		e := f[p]
		if e.Real == "" && e.Kind != Missing && e.Kind != Unknown && e.Kind != Symlink {
			e.Real = p
		}
		return e
	}
	for _, p := range SystemPaths() {
		e := see(p)
		e.Real = "" // For needs it of none of these
		h.Entries[p] = e
	}
	for p := range f {
		if path.Dir(p) == "/etc" && EtcWanted(path.Base(p)) {
			h.Etc = append(h.Etc, path.Base(p))
			h.Entries[p] = see(p)
		}
	}
	sortNames(h.Etc)
	for _, p := range Paths(a) {
		h.Entries[p] = see(p)
	}
	return h
}

func sortNames(s []string) {
	for i := range s {
		for j := i; j > 0 && s[j] < s[j-1]; j-- {
			s[j], s[j-1] = s[j-1], s[j]
		}
	}
}

// read is the authority of a document with the given members of run and of authority, in /src.
func read(t testing.TB, run, grants string) *authority.Authority {
	t.Helper()
	return readAll(t, `"run":{"argv":["make","all"]`+comma(run)+`},"authority":{`+grants+`}`)
}

func comma(s string) string {
	if s == "" {
		return ""
	}
	return "," + s
}

func readAll(t testing.TB, members string) *authority.Authority {
	t.Helper()
	text := `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"it","lifetime":{"ttlSeconds":600},` + members + `}}`
	doc, err := document.Parse("it.json", []byte(text))
	if err != nil {
		t.Fatalf("%s\n%v", strings.ReplaceAll(text, "\n", " "), err)
	}
	a, err := authority.Of(doc, authority.Place{WorkingDirectory: "/src"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
