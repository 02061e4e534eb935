package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"cellos.io/cellos/evidence/eventtest"
)

// streamsRefused are stored streams of runs that this program refuses on purpose, and the exit status.
func streamsRefused() map[string]int {
	return map[string]int{
		"all-fields":            2,   // free values in filesystem and network, which nothing enforced
		"trust-plane-ids":       2,   // the same
		"argv0-refused":         125, // a gate: before the event that says that the cell started
		"authz-pass":            125, // a rate that nothing enforces, and a pack that is only named
		"backend-unknown":       125,
		"export-no-sink":        125, // known before the command runs
		"exit-failure":          125, // the same
		"keyset-unknown-signer": 125,
		"memory-broker":         125, // secrets are not made up
		"signing-misconfigured": 125,
		"resolve-egress":        125, // its rule names the loopback interface, which would be the cell's own: TestDropinResolvedHosts
		"sni-proxy":             111, // there is no proxy to connect to: names are checked on the connections themselves, TestDropinNameDecisions
	}
}

// streamsAllowed are those that a tag of CELLOS_COMPAT_ALLOW lets pass as they were.
func streamsAllowed() map[string]string {
	return map[string]string{"authz-pass": "authz-rate,authz-named-pack", "keyset-unknown-signer": "keyset-unverified"}
}

// TestDropinStreams compares the events of the drop-in with those that the existing program wrote, field by field, and verifies the chain
// of each run.
func TestDropinStreams(t *testing.T) {
	fsys := os.DirFS("../evidence/testdata/streams")
	names, err := eventtest.Names(fsys)
	if err != nil || len(names) < 60 {
		t.Fatalf("%d streams, %v", len(names), err)
	}
	refused, allowed := streamsRefused(), streamsAllowed()
	each(t, func(t *testing.T, u user) {
		for _, name := range names {
			c, err := eventtest.Load(fsys, name)
			if err != nil {
				t.Fatal(err)
			}
			tag, without := allowed[name], adapt(t, u, &c)
			if without != "" {
				t.Logf("%s: not run: needs %s", name, without)
				continue
			}
			if tag != "" {
				c.Env["CELLOS_COMPAT_ALLOW"] = tag
				streamCase(t, u, c, true)
				delete(c.Env, "CELLOS_COMPAT_ALLOW")
			}
			code, differs := refused[name]
			r := streamCase(t, u, c, !differs && c.Compat != "informative")
			if differs && r.code != code {
				t.Errorf("%s: exit status %d, want %d\n%s", name, r.code, code, r.err)
			}
		}
	})
}

// streamCase runs one case in a folder of its own.
func streamCase(t *testing.T, u user, c eventtest.Case, same bool) result {
	d := newDropin(t, u)
	d.closedTUN = tunClosed(u)
	d.redacts = c.Env["CELLOS_REDACT_EVENT_FIELDS"] != ""
	table := map[string]string{"DIR": d.dir, "DNSPORT": stubDNS(t, c.DNS)}
	for name, f := range c.Files {
		mode, err := strconv.ParseUint(f.Mode, 8, 32)
		if err != nil {
			mode = 0o644
		}
		if f.Dir {
			if err := os.MkdirAll(filepath.Join(d.dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
			d.own(filepath.Join(d.dir, name))
			continue
		}
		d.write(name, string(f.Bytes(table)), os.FileMode(mode))
	}
	if err := os.MkdirAll(filepath.Join(d.dir, "out"), 0o755); err != nil {
		t.Fatal(err)
	}
	d.own(filepath.Join(d.dir, "out"))
	doc := c.DocumentBytes(table)
	mirror := filepath.Join(d.dir, "out", "events.jsonl")
	env := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "CELL_OS_JSONL_EVENTS=" + mirror}
	for k, v := range c.Env {
		env = append(env, k+"="+eventtest.Expand(v, table))
	}
	arg := d.write("spec.json", string(doc), 0o644)
	if c.Via == "stdin" {
		arg = "-"
	}
	cmd := d.supervisor(env, arg)
	if c.Via == "stdin" {
		cmd.Stdin = bytes.NewReader(doc)
	}
	r := d.run(cmd)
	got, err := os.ReadFile(mirror)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if !same {
		return r
	}
	if (r.code == 0) != (c.Expect.Exit == 0) {
		t.Errorf("%s: exit status %d, want %d\n%s", c.Name, r.code, c.Expect.Exit, r.err)
	}
	for _, diff := range c.Compare(got, eventtest.Options{Dir: d.dir, Document: doc, AllowOwn: true}) {
		t.Errorf("%s: %s\n%s", c.Name, diff, r.err)
	}
	if len(got) == 0 {
		return r
	}
	v := d.supervisor([]string{"PATH=/usr/bin:/bin"}, "verify", "last")
	v.Args[0] = "cellos"
	if v := d.run(v); v.code != 0 {
		t.Errorf("%s: the chain does not verify: exit status %d\n%s%s", c.Name, v.code, v.out, v.err)
	}
	return r
}
