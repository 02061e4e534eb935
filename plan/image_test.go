package plan

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/authority"
)

// imageRoot is a small image: a folder of its own, and places where things are in the way.
func imageRoot() *Root {
	link := func(to string) Entry { return Entry{Kind: Symlink, Target: to} }
	return &Root{Ref: "oci:/i@sha256:12", Image: "sha256:34", Passwd: "root:x:0:0::/root:/bin/sh\nme:x:7:7::/:/bin/sh", Entries: map[string]Entry{
		"/usr": {Kind: Directory}, "/bin": link("usr/bin"), "/app": {Kind: Directory}, "/data": link("app"), "/etc": {Kind: Directory}, "/home": {Kind: Directory},
		"/tmp": {Kind: Directory}, "/run": {Kind: Directory}, "/proc": {Kind: Directory}, "/boot": {Kind: Directory}, "/.dockerenv": {Kind: Regular}, "/usr/file": {Kind: Regular},
	}}
}

func imagePlan(t *testing.T, root *Root, work authority.Work, files ...authority.Grant) (*Plan, error) {
	t.Helper()
	a := &authority.Authority{ID: "i", Command: authority.Command{Argv: []string{"/app/run"}, Hostname: "box"}, Image: &authority.Image{Ref: "i", From: "spec.environment"},
		Work: work, Files: files, Syscalls: "hardened", Limits: authority.Limits{Processes: 1, Scratch: 1 << 20}}
	f := maps.Clone(debian)
	f["/opt/a"], f["/opt/b"] = Entry{Kind: Regular, Mode: 0o644}, Entry{Kind: Regular, Mode: 0o644}
	for _, p := range []string{"/home/me/src", "/srv/data", "/opt/x"} {
		f[p] = folder(1000)
	}
	return ForGuest(a, machine().at(f, a), Guest{Kernel: Version{6, 1}, Landlock: 2, OpenMax: 1 << 19, Root: root})
}

// Of an image everything at its top is shown, and nothing of the host but what is granted.
func TestImage(t *testing.T) {
	p, err := imagePlan(t, imageRoot(), authority.Work{Path: "/home/me/src", Mode: authority.Overlay}, authority.Grant{Host: "/srv/data", At: "/srv/data", Access: authority.CanRead},
		authority.Grant{Host: "/opt/x", At: "/app/x", Access: authority.CanRead})
	if err != nil {
		t.Fatal(err)
	}
	c := execute(p)
	if len(c.bad) > 0 {
		t.Errorf("%s", strings.Join(c.bad, "\n"))
	}
	for at, want := range map[string]string{"/usr": "/usr", "/app": "/app", "/etc": "/etc", "/home": "/home", "/home/me/src": "/home/me/src", "/srv/data": "/srv/data", "/app/x": "/opt/x", "/boot": "", "/run": ""} {
		if c.shows[at] != want {
			t.Errorf("%s shows %q, want %q", at, c.shows[at], want)
		}
	}
	for _, l := range []string{"bin", "data"} {
		if c.root[l] != "link" {
			t.Errorf("%s is no link: %q", l, c.root[l])
		}
	}
	m := p.Machine
	if m.Image != "sha256:34" || len(m.Base) > 0 || len(m.Etc) > 0 || !slices.Equal(m.Trees, []string{"/opt/x", "/home/me/src", "/srv/data"}) && len(m.Trees) != 3 {
		t.Errorf("the machine is %+v", m)
	}
	texts := map[string]string{}
	for _, x := range m.Texts {
		texts[x.Name] = x.Text
	}
	if want := "root:x:0:0::/root:/bin/sh\nme:x:7:7::/:/bin/sh\ncell:x:1000:1000:cell:/tmp:/bin/sh\n"; texts["passwd"] != want {
		t.Errorf("accounts: %q", texts["passwd"])
	}
	if texts["hostname"] != "box\n" || !strings.Contains(texts["group"], "cell:x:1000:") {
		t.Errorf("texts: %q", texts)
	}
	if _, there := texts["nsswitch.conf"]; there {
		t.Error("the image's own nsswitch.conf is replaced")
	}
	if s := p.Says[0].Text; !strings.Contains(s, "oci:/i@sha256:12") {
		t.Errorf("it says %q", s)
	}
}

// What would lie behind a link of the image, or hide a part of it, is refused, and so are images on other backends.
func TestImageRefuses(t *testing.T) {
	linked, filed := imageRoot(), imageRoot()
	linked.Entries["/etc"] = Entry{Kind: Symlink, Target: "/usr/etc"}
	filed.Entries["/home"] = Entry{Kind: Regular}
	hidden := imageRoot()
	hidden.Entries["/opt/x"] = Entry{Kind: Directory}
	between := imageRoot()
	between.Entries["/srv"] = Entry{Kind: Symlink, Target: "/usr"}
	empty := authority.Work{Path: "/tmp", Mode: authority.Empty}
	for name, c := range map[string]struct {
		root  *Root
		work  authority.Work
		grant authority.Grant
		want  string
	}{
		"/etc is a link":         {linked, empty, authority.Grant{}, "/etc is no folder"},
		"behind a file":          {filed, authority.Work{Path: "/home/me/src", Mode: authority.Overlay}, authority.Grant{}, "would lie behind /home"},
		"behind a link":          {imageRoot(), empty, authority.Grant{Host: "/srv/data", At: "/data/x", Access: authority.CanRead}, "would lie behind /data"},
		"from behind a link":     {between, empty, authority.Grant{Host: "/srv/data", At: "/x", Access: authority.CanRead}, "/srv/data would lie behind /srv"},
		"over a file":            {imageRoot(), empty, authority.Grant{Host: "/srv/data", At: "/usr/file", Access: authority.CanRead}, "a file of another type"},
		"a part of it is hidden": {hidden, empty, authority.Grant{Host: "/opt/x", At: "/y", Access: authority.CanRead}, "would be hidden"},
	} {
		var grants []authority.Grant
		if c.grant.Host != "" {
			grants = append(grants, c.grant)
		}
		if _, err := imagePlan(t, c.root, c.work, grants...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	a := &authority.Authority{ID: "i", Command: authority.Command{Argv: []string{"x"}, Hostname: "h"}, Image: &authority.Image{Ref: "i", From: "spec.environment"}, Work: empty, Syscalls: "hardened", Limits: authority.Limits{Processes: 1, Scratch: 1}}
	if _, err := For(a, machine().at(debian, a)); err == nil || !strings.Contains(err.Error(), "only a virtual machine can") {
		t.Errorf("processes: %v", err)
	}
	if _, err := ForGVisor(a, machine().at(debian, a), testRunsc); err == nil || !strings.Contains(err.Error(), "only a virtual machine can") {
		t.Errorf("gvisor: %v", err)
	}
}

// Certificates are shown over an image's, and where it has none; what a guest writes into an image's /etc is not the image's.
func TestImageTrusts(t *testing.T) {
	root := imageRoot()
	for _, d := range []string{"/etc/ssl", "/etc/ssl/certs"} {
		root.Entries[d] = Entry{Kind: Directory}
	}
	root.Entries["/etc/ssl/certs/ca-certificates.crt"] = Entry{Kind: Regular}
	p, err := imagePlan(t, root, authority.Work{Path: "/tmp", Mode: authority.Empty}, TrustGrant("/opt/x", authority.TrustAt),
		TrustGrant("/opt/a", "/etc/ssl/certs/ca-certificates.crt"), TrustGrant("/opt/b", "/usr/share/ssl/certs/ca-bundle.crt"))
	if err != nil {
		t.Fatal(err)
	}
	c := execute(p)
	for at, want := range map[string]string{authority.TrustAt: "/opt/x", "/etc": "/etc", "/etc/ssl/certs/ca-certificates.crt": "/opt/a", "/usr/share/ssl/certs/ca-bundle.crt": "/opt/b"} {
		if c.shows[at] != want {
			t.Errorf("%s shows %q, want %q", at, c.shows[at], want)
		}
	}
	if len(c.bad) > 0 {
		t.Errorf("%s", strings.Join(c.bad, "\n"))
	}
	if want := []Place{{"/usr/share/ssl/certs/ca-bundle.crt", false}}; !slices.Equal(p.Machine.Places, want) {
		t.Errorf("the guest makes %v, want %v", p.Machine.Places, want)
	}
	for _, x := range p.Machine.Texts {
		if OfImage("/etc/" + x.Name) {
			t.Errorf("/etc/%s is written, and taken for the image's", x.Name)
		}
	}
	for name, want := range map[string]bool{"/etc": true, "/etc/ssl": true, "/run": false, "/proc/1": false, "/runner": true, "/usr/etc/passwd": true} {
		if OfImage(name) != want {
			t.Errorf("%s is the image's: %v", name, !want)
		}
	}
}
