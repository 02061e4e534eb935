package plan

import (
	"fmt"
	"path"
	"strings"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// etcFiles are what programs need of /etc: the loader's cache, alternatives, certificates, fonts, time zone, names of services and media types, and the
// configuration of language runtimes. Everything else (accounts, keys, host names, services' settings) stays outside. The
// star at the end of a name stands for any rest.
var etcFiles = []string{
	"alternatives", "ca-certificates", "crypto-policies", "fonts", "gitconfig", "java*", "ld.so.cache", "ld-musl-*", "localtime", "maven",
	"mime.types", "os-release", "perl", "pki", "python*", "services", "ssl", "timezone",
}

// etcPoints makes the cell's /etc: accounts and host names that tell nothing of the host, links, and places for what is shown of it.
func (p *planner) etcPoints() {
	if !p.ownEtc() {
		return
	}
	b := &p.b
	p.folder("/etc")
	for _, f := range p.etcTexts() {
		if !p.replaced("/etc/" + f.name) {
			b.writeFile("writing /etc/"+f.name, p.rootFD, "etc/"+f.name, sysabi.O_CREAT|sysabi.O_WRONLY, "O_CREAT|O_WRONLY", 0o444, []byte(f.text))
		}
	}
	for _, at := range p.etcShown() {
		switch e := p.h.Entries[at]; e.Kind {
		case Symlink:
			b.do("linking "+at, "symlinkat", table.Path(e.Target), table.FD(p.rootFD), table.Path(at[1:]))
		case Directory:
			p.folder(at)
		case Regular:
			p.file(at)
		}
	}
}

// etc shows parts of the host's /etc.
func (p *planner) etc() {
	for _, at := range p.etcShown() {
		if k := p.h.Entries[at].Kind; k != Directory && k != Regular {
			continue
		}
		p.b.attach(at, p.b.cloneTree(at, sysabi.AT_FDCWD, at, true), p.rootFD, at[1:])
		p.mount(at, "", ReadOnly|NoSUID|NoDev)
	}
}

// etcShown lists what is shown of the host's /etc.
func (p *planner) etcShown() (paths []string) {
	if !p.ownEtc() {
		return nil
	}
	for _, name := range p.h.Etc {
		if at := "/etc/" + name; EtcWanted(name) && !p.replaced(at) {
			paths = append(paths, at)
		}
	}
	return paths
}

// EtcWanted reports whether a name in /etc is shown to cells; package host looks only at those.
func EtcWanted(name string) bool {
	for _, f := range etcFiles {
		if prefix, some := strings.CutSuffix(f, "*"); name == f || some && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

type etcText struct{ name, text string }

func (p *planner) etcTexts() []etcText {
	ids := p.p.IDs
	home := "/tmp"
	if h, ok := p.a.Command.Lookup("HOME"); ok && path.IsAbs(h) && !strings.ContainsAny(h, ":\n") {
		home = h
	}
	host := p.a.Command.Hostname
	passwd := fmt.Sprintf("cell:x:%d:%d:cell:%s:/bin/sh\n", ids.UID, ids.GID, home)
	group := fmt.Sprintf("cell:x:%d:\n", ids.GID)
	if ids.UID != 0 {
		passwd = "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n" + passwd
	}
	if ids.GID != 0 {
		group = "root:x:0:\n" + group
	}
	if ids.UID != 65534 {
		passwd += "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
	}
	if ids.GID != 65534 {
		group += "nogroup:x:65534:\n"
	}
	texts := []etcText{
		{"passwd", passwd},
		{"group", group},
		{"hostname", host + "\n"},
		{"hosts", "127.0.0.1 localhost " + host + "\n::1 localhost " + host + "\n"},
		{"nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"},
	}
	if text := p.p.Network.hostHosts; text != "" {
		texts[3].text = text
	}
	if text := p.p.Network.resolvConf(); text != "" {
		texts = append(texts, etcText{"resolv.conf", text})
	}
	return texts
}
