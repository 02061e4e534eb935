package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needs skips a test whose program is not installed among the system's own.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := os.Stat(filepath.Join("/usr/bin", p)); err != nil {
			t.Skipf("%s is not installed in /usr/bin", p)
		}
	}
}

// once runs a heavy test for one user only, the ordinary one, on each backend.
func once(t *testing.T, f func(t *testing.T, u user)) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds; not in short mode")
	}
	list := users()
	u := list[len(list)-1]
	t.Run(u.name, func(t *testing.T) {
		t.Parallel()
		f(t, u)
	})
	u.backend = "gvisor"
	t.Run("gvisor "+u.name, func(t *testing.T) {
		t.Parallel()
		f(t, u)
	})
}

const program = `#include <stdio.h>
#include <math.h>
int main(void) { printf("%.3f\n", sqrt(2)); return 0; }
`

// TestPrograms runs small real programs with the grants that a user would think of: none, mostly.
func TestPrograms(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		for _, c := range []struct {
			name   string
			needs  string
			files  map[string]string
			script string
			flags  []string
			out    string // all of standard output
		}{
			{"gcc", "gcc", map[string]string{"a.c": program}, "gcc -O2 -o a a.c -lm && ./a", nil, "1.414\n"},
			{"make", "make gcc", map[string]string{
				"a.c": program, "Makefile": "all: $(foreach i,1 2 3 4 5 6 7 8,p$(i))\np%: a.c\n\t@gcc -o $@ a.c -lm\n"},
				"make -j4 all >/dev/null && for i in 1 2 3 4 5 6 7 8; do ./p$i; done | sort -u", nil, "1.414\n"},
			{"tar", "tar gzip", map[string]string{"d/one": "1\n", "d/two": "2\n"},
				"tar czf d.tgz d && rm -r d && mkdir x && tar xzf d.tgz -C x && cat x/d/one x/d/two && tar tzf d.tgz | sort", nil, "1\n2\nd/\nd/one\nd/two\n"},
			{"ssh-keygen", "ssh-keygen", nil, "ssh-keygen -q -t ed25519 -N '' -C c -f key && ssh-keygen -y -f key | cut -d' ' -f1 && stat -c %a key", nil, "ssh-ed25519\n600\n"},
			{"sqlite3", "sqlite3", nil,
				`sqlite3 d.db 'pragma journal_mode=wal; create table t(x); begin; insert into t values(1),(2); commit; select sum(x) from t;' && sqlite3 d.db 'pragma integrity_check; select count(*) from t'`,
				nil, "wal\n3\nok\n2\n"},
			{"two hundred processes", "", nil, `i=0; while [ $i -lt 200 ]; do (sleep 0.2; echo $i) & i=$((i+1)); done; wait`, nil, ""},
			{"python threads", "python3", map[string]string{"t.py": `
import concurrent.futures, os, tempfile, threading, multiprocessing, hashlib
lock = threading.Lock(); n = 0
def work(i):
    global n
    with tempfile.NamedTemporaryFile() as f:
        f.write(b"x" * 100000); f.flush(); f.seek(0)
        d = hashlib.sha256(f.read()).hexdigest()
    with lock: n += 1
    return d
with concurrent.futures.ThreadPoolExecutor(32) as p: assert len(set(p.map(work, range(200)))) == 1
def square(x): return x * x
with multiprocessing.Pool(4) as p: print(n, sum(p.map(square, range(10))))
`}, "/usr/bin/python3 t.py", nil, "200 285\n"},
			{"perl", "perl", nil, `perl -e 'pipe(R,W); if (fork) { close W; print <R>; wait } else { close R; print W "child\n" }'`, nil, "child\n"},
			{"node", "node", map[string]string{"t.js": `
const {Worker} = require('worker_threads'), fs = require('fs'), cp = require('child_process'), net = require('net');
new Worker("require('worker_threads').parentPort.postMessage(6*7)", {eval: true}).on('message', m => {
  fs.writeFileSync('/tmp/x', String(m));
  const s = net.createServer(c => c.end(cp.execSync('cat /tmp/x'))).listen(0, '127.0.0.1', () => net.connect(s.address().port, '127.0.0.1').on('data', d => { console.log(String(d)); s.close(); }));
});
`}, "/usr/bin/node t.js", nil, "42\n"},
			{"a Unix socket", "python3", nil, `/usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_UNIX); s.bind("/tmp/s"); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect("/tmp/s"); c.send(b"hello"); print(s.accept()[0].recv(9).decode())'`, nil, "hello\n"},
		} {
			t.Run(c.name, func(t *testing.T) {
				needs(t, strings.Fields(c.needs)...)
				b := newBench(t, u)
				for name, content := range c.files {
					b.write(name, content, 0o644)
				}
				out := b.sh(c.script, c.flags...).ok(t)
				if c.out == "" {
					if n := strings.Count(out, "\n"); n != 200 {
						t.Errorf("%d lines", n)
					}
				} else if out != c.out {
					t.Errorf("output %q, want %q", out, c.out)
				}
				// The working directory is a copy by default: the program's products are not on the host.
				left, _ := os.ReadDir(b.dir)
				if len(left) > len(c.files) {
					t.Errorf("the working directory of the host has %v", left)
				}
			})
		}
	})
}

func TestGitClone(t *testing.T) {
	needs(t, "git")
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		source := newBench(t, u)
		for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."},
			{"-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "first"}} {
			source.write("file", "content\n", 0o644)
			cmd := source.command()
			cmd.Path, cmd.Args = "/usr/bin/git", append([]string{"git"}, args...)
			if r := source.run(cmd); r.code != 0 {
				t.Fatalf("git %v: %s", args, r.err)
			}
		}
		out := b.sh("git clone -q /repo copy && cat copy/file && cd copy && git log --format=%s && git fsck && echo more >> file && git -c user.name=b -c user.email=b@example.org commit -qam second && git log --oneline | wc -l",
			"--read", source.dir+":/repo", "--env", "HOME=/tmp", "--env", "GIT_CONFIG_COUNT=1", "--env", "GIT_CONFIG_KEY_0=safe.directory", "--env", "GIT_CONFIG_VALUE_0=*",
			"--workdir", b.dir+":write").ok(t)
		if out != "content\nfirst\n2\n" {
			t.Errorf("output %q", out)
		}
		if data, err := os.ReadFile(filepath.Join(b.dir, "copy/file")); err != nil || string(data) != "content\nmore\n" {
			t.Errorf("the clone has %q, %v", data, err)
		}
	})
}

func TestPythonVenv(t *testing.T) {
	needs(t, "python3")
	if found, _ := filepath.Glob("/usr/lib/python3*/ensurepip"); len(found) == 0 {
		t.Skip("python3's venv and ensurepip are not installed")
	}
	once(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		out := b.sh("/usr/bin/python3 -m venv v && v/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)' && v/bin/pip --version | cut -d' ' -f1").ok(t)
		if out != "True\npip\n" {
			t.Errorf("output %q", out)
		}
	})
}

func TestGoBuild(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("go is not installed")
	}
	goroot := strings.TrimSpace(string(root))
	once(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.write("go.mod", "module example.org/m\n\ngo 1.26\n", 0o644)
		b.write("m.go", "package main\n\nimport (\n\t\"fmt\"\n\t\"strings\"\n)\n\nfunc main() { fmt.Println(strings.ToUpper(\"built\")) }\n", 0o644)
		b.write("m_test.go", "package main\n\nimport \"testing\"\n\nfunc TestM(t *testing.T) {}\n", 0o644)
		out := b.sh("go build -o m . && ./m && go vet . && go test . | cut -f1",
			"--exec", goroot, "--env", "PATH="+goroot+"/bin:/usr/bin:/bin", "--env", "HOME=/tmp", "--env", "GOCACHE=/tmp/cache", "--env", "GOFLAGS=-mod=mod", "--env", "CGO_ENABLED=0",
			"--env", "GOTOOLCHAIN=local", "--env", "GOPROXY=off").ok(t)
		if out != "BUILT\nok  \n" && out != "BUILT\nok\n" && !strings.HasPrefix(out, "BUILT\nok") {
			t.Errorf("output %q", out)
		}
	})
}

func TestNpmCi(t *testing.T) {
	needs(t, "node", "npm")
	once(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.write("dep/package.json", `{"name":"dep","version":"1.0.0","main":"i.js"}`, 0o644)
		b.write("dep/i.js", "module.exports = 'from the dependency'\n", 0o644)
		b.write("package.json", `{"name":"top","version":"1.0.0","dependencies":{"dep":"file:dep"},"scripts":{"test":"node -p \"require('dep')\""}}`, 0o644)
		b.write("package-lock.json", `{"name":"top","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"top","version":"1.0.0","dependencies":{"dep":"file:dep"}},"dep":{"version":"1.0.0"},"node_modules/dep":{"resolved":"dep","link":true}}}`, 0o644)
		out := b.sh("npm ci --offline --no-audit --no-fund >/dev/null && npm test --silent", "--env", "HOME=/tmp", "--env", "npm_config_cache=/tmp/npm").ok(t)
		if out != "from the dependency\n" {
			t.Errorf("output %q", out)
		}
	})
}

func TestJava(t *testing.T) {
	needs(t, "java")
	real, err := filepath.EvalSymlinks("/usr/bin/java")
	if err != nil {
		t.Skip("java is not installed")
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(real), "javac")); err != nil {
		t.Skip("java has no compiler here")
	}
	once(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.write("T.java", `import java.util.stream.*;
public class T { public static void main(String[] a) { System.out.println(IntStream.range(0, 1000).parallel().map(x -> x * 2).sum()); } }
`, 0o644)
		if out := b.sh(real + " T.java").ok(t); out != "999000\n" {
			t.Errorf("output %q", out)
		}
	})
}
