package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCommandSeesOnlyWhatWasGranted(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.write("mine.txt", "mine", 0o600)
		out := b.sh("id -u; ls -A /; ls -A /dev; ls /proc | grep '^[0-9]' | wc -l; env; ls /proc/self/fd; cat mine.txt; cat /proc/self/status").ok(t)
		for _, secret := range []string{"hunter2", "SECRET_OF_THE_CALLER", "HOME="} {
			if strings.Contains(out, secret) {
				t.Errorf("the caller's environment is inside: %s", secret)
			}
		}
		lines := strings.Split(out, "\n")
		if want := map[int]string{0: "1000", nobody: "65534"}[u.uid]; want != "" && lines[0] != want {
			t.Errorf("uid %s inside, want %s", lines[0], want)
		}
		for _, dir := range []string{"home", "root", "boot", "sys", "mnt", "opt", "run", "srv", "media"} {
			for _, l := range lines {
				if l == dir {
					t.Errorf("/%s is in the cell", dir)
				}
			}
		}
		for _, want := range []string{"mine", "NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q inside:\n%s", want, out)
			}
		}
	})
}

func TestWorkingDirectoryModes(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		script := "cat old 2>/dev/null; echo changed > old; echo new > new; rm -f gone; ls"
		for _, c := range []struct {
			mode, old string
			made      bool // new files appear on the host
			inside    string
		}{
			{"overlay", "old", false, "oldnew\nold\n"},
			{"write", "changed\n", true, "oldnew\nold\n"},
			{"read", "old", false, "oldgone\nold\n"},
			{"empty", "old", false, "new\nold\n"},
		} {
			t.Run(c.mode, func(t *testing.T) {
				b := newBench(t, u)
				b.write("old", "old", 0o644)
				b.write("gone", "gone", 0o644)
				r := b.sh(script, "--workdir", b.dir+":"+c.mode)
				if r.out != c.inside {
					t.Errorf("inside: %q, want %q; %s", r.out, c.inside, r.err)
				}
				old, err := os.ReadFile(filepath.Join(b.dir, "old"))
				if err != nil || string(old) != c.old {
					t.Errorf("old is %q, %v on the host; want %q", old, err, c.old)
				}
				_, err = os.Stat(filepath.Join(b.dir, "new"))
				if (err == nil) != c.made {
					t.Errorf("new on the host: %v, want it there: %v", err, c.made)
				}
				if c.made {
					if fi, err := os.Stat(filepath.Join(b.dir, "new")); err != nil || owner(fi) != u.uid {
						t.Errorf("new belongs to %d, want %d", owner(fi), u.uid)
					}
				}
			})
		}
	})
}

func TestGrants(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		outside := newBench(t, u)
		outside.write("data", "data", 0o600)
		outside.write("tool", "#!/bin/sh\necho ran\n", 0o700)
		for _, c := range []struct {
			name   string
			flags  []string
			script string
			code   int
			out    string
		}{
			{"nothing", nil, "cat " + outside.dir + "/data", 1, ""},
			{"read", []string{"--read", outside.dir}, "cat " + outside.dir + "/data", 0, "data"},
			{"read elsewhere", []string{"--read", outside.dir + ":/data/set"}, "cat /data/set/data", 0, "data"},
			{"read a file", []string{"--read", outside.dir + "/data:/one"}, "cat /one", 0, "data"},
			{"read is not write", []string{"--read", outside.dir}, "echo x > " + outside.dir + "/data", 2, ""},
			{"read is not exec", []string{"--read", outside.dir}, outside.dir + "/tool", 126, ""},
			{"exec", []string{"--exec", outside.dir}, outside.dir + "/tool", 0, "ran\n"},
			{"exec is not write", []string{"--exec", outside.dir}, "echo x > " + outside.dir + "/tool", 2, ""},
			{"write", []string{"--write", outside.dir}, "echo x > " + outside.dir + "/made && cat " + outside.dir + "/made", 0, "x\n"},
			{"write is not exec", []string{"--write", outside.dir}, outside.dir + "/tool", 126, ""},
			{"write and exec", []string{"--write", outside.dir, "--exec", outside.dir}, outside.dir + "/tool", 0, "ran\n"},
			{"below the working directory", []string{"--read", outside.dir + "/data:/tmp/a/b"}, "cat /tmp/a/b", 0, "data"},
		} {
			t.Run(c.name, func(t *testing.T) {
				r := b.sh(c.script, c.flags...)
				if r.code != c.code || r.out != c.out {
					t.Errorf("exit status %d, output %q; want %d, %q\n%s", r.code, r.out, c.code, c.out, r.err)
				}
			})
		}
	})
}

func TestExitStatus(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.write("noexec", "x", 0o644)
		b.write("garbage", "\x7fELFgarbage", 0o755)
		for _, c := range []struct {
			name    string
			command []string
			flags   []string
			code    int
		}{
			{"success", []string{"true"}, nil, 0},
			{"failure", []string{"sh", "-c", "exit 42"}, nil, 42},
			{"highest", []string{"sh", "-c", "exit 255"}, nil, 255},
			{"signal", []string{"sh", "-c", "kill -TERM $$"}, nil, 128 + 15},
			{"kill", []string{"sh", "-c", "kill -KILL $$"}, nil, 128 + 9},
			{"not found", []string{"no-such-program"}, nil, 127},
			{"no such path", []string{"/no/such/program"}, nil, 127},
			{"not executable", []string{"./noexec"}, nil, 126},
			{"a folder", []string{"/usr"}, nil, 126},
			{"no program", []string{"./garbage"}, nil, 126},
			{"time limit", []string{"sleep", "100"}, []string{"--time", "100ms"}, 124},
		} {
			t.Run(c.name, func(t *testing.T) {
				if r := b.cell(c.flags, c.command...); r.code != c.code {
					t.Errorf("exit status %d, want %d\n%s", r.code, c.code, r.err)
				}
			})
		}
	})
}

func TestProfilesAndCornersOfDocuments(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		for _, p := range []string{"hardened", "baseline", "hardened+net-none", "hardened+debug", "baseline+debug", "hardened+net-none+debug"} {
			b.cell([]string{"--seccomp", p}, "true").ok(t)
		}
		b.cell([]string{"--time-namespace"}, "true").ok(t)
		if out := b.cell([]string{"--user", "0"}, "id", "-u").ok(t); out != "0\n" {
			t.Errorf("uid inside: %q", out)
		}
		b.write("norun.yaml", "apiVersion: cellos.io/v1\nkind: ExecutionCell\nspec:\n  id: norun\n  authority: {}\n  lifetime: {ttlSeconds: 5}\n", 0o600)
		b.cellos("run", "norun.yaml").ok(t)
		b.cellos("verify", "last").ok(t)
		if out := b.cellos("show", "last").ok(t); !strings.Contains(out, "boundary   held") || strings.Contains(out, "ended by") {
			t.Errorf("a cell without a command: %s", out)
		}
	})
}

// What verify says of a record that somebody touched.
func TestVerify(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.sh("echo x > f; exit 3").fails(t, 3)
		b.cellos("verify", "last").ok(t)
		events := b.cellos("show", "--events", "last").ok(t)
		lines := strings.SplitAfter(strings.TrimSuffix(events, "\n"), "\n")
		join := func(l ...string) string { return strings.Join(l, "") }
		for _, c := range []struct {
			name, stream string
			code         int
		}{
			{"good", events, 0},
			{"one missing", join(append(append([]string{}, lines[:4]...), lines[5:]...)...), 4},
			{"one twice", join(append(append([]string{}, lines[:5]...), lines[4:]...)...), 4},
			{"cut off", join(lines[:6]...), 6},
			{"changed", strings.Replace(events, `"exitCode":3`, `"exitCode":0`, 1), 3},
			{"unsigned", strings.ReplaceAll(events, "dssematerial", "dssemateriax"), 3},
			{"nothing", "", 6},
			{"no events", "hello\n", 8},
		} {
			b.write("stream", c.stream, 0o600)
			if r := b.cellos("verify", b.dir+"/stream"); r.code != c.code {
				t.Errorf("%s: exit status %d, want %d\n%s%s", c.name, r.code, c.code, r.out, r.err)
			}
		}
		b.cellos("keys", "rotate").ok(t)
		b.cellos("verify", "last").ok(t)
		other := newBench(t, u)
		other.cell(nil, "true").ok(t)
		b.write("other.pem", other.cellos("keys", "show").ok(t), 0o600)
		b.cellos("verify", "--key", b.dir+"/other.pem", "last").fails(t, 5)
		b.write("policy.yaml", "backend: [process]\nboundary: holds\nlayers: [seccomp, landlock]\negress: []\noutcome: succeeded\n", 0o600)
		b.cellos("verify", "--require", b.dir+"/policy.yaml", "last").fails(t, 7)
		b.cell(nil, "true").ok(t)
		b.cellos("verify", "--require", b.dir+"/policy.yaml", "last").ok(t)
		proof := b.cellos("verify").ok(t) // the last run
		for _, want := range []string{"good: run ", "nothing is missing", "no network", "command: true\n", "cell true\n", "13 layers were measured", "succeeded; nothing was left over"} {
			if !strings.Contains(proof, want) {
				t.Errorf("verify does not say %q:\n%s", want, proof)
			}
		}
		b.cellos("verify", "--key", b.dir+"/none", "last").fails(t, 8)
		b.cellos("verify", "--require", b.dir+"/stream", "last").fails(t, 2)
		b.cellos("verify", b.dir).fails(t, 8)
		b.cellos("verify", "nosuchrun").fails(t, 8, "cellos runs lists")
		c := b.command("verify", "-")
		c.Stdin = strings.NewReader(b.cellos("show", "--events", "last").ok(t))
		b.run(c).ok(t)
		// A mirror file has the events of several runs.
		b.cell([]string{"--events", "mirror"}, "true").ok(t)
		first := runsOf(t, b)[0]
		b.cell([]string{"--events", "mirror"}, "true").ok(t)
		b.cellos("verify", "./mirror").fails(t, 4)
		r := parsed(t, b.cellos("verify", "--run", first.Run, "--json", "./mirror").ok(t))["report"].(map[string]any)
		head, count := r["head"].(string), fmt.Sprint(r["count"])
		b.cellos("verify", "--run", first.Run, "--head", head, "--count", count, "./mirror").ok(t)
		b.cellos("verify", "--head", head, "last").fails(t, 4)
		b.write("stream", strings.Join(strings.SplitAfter(b.cellos("show", "--events").ok(t), "\n")[:9], ""), 0o600)
		b.cellos("verify", "./stream").fails(t, 6)
		b.cellos("verify", "--count", count, "./stream").fails(t, 4)
		// The files beside the events belong to the run.
		dir := runsOf(t, b)[0].Path
		for _, name := range []string{"document", "plan.txt"} {
			text, err := os.ReadFile(dir + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(dir+"/"+name, append(text, ' '), 0o600); err != nil {
				t.Fatal(err)
			}
			if r := b.cellos("verify", "last"); r.code != 4 || !strings.Contains(r.out, "wrong") {
				t.Errorf("%s changed: %+v", name, r)
			}
			if err := os.WriteFile(dir+"/"+name, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		b.cellos("verify", "last").ok(t)
	})
}
