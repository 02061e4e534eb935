package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestProgramsUnderHardened runs further real programs, with no grant that is about system calls.
func TestProgramsUnderHardened(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		for _, c := range []struct{ name, needs, script, out string }{
			{"bash", "bash", `exec bash -c 'set -o pipefail; coproc cat; echo hi >&${COPROC[1]}; read -r x <&${COPROC[0]}; a=(1 2 3); diff <(printf "%s\n" "${a[@]}") <(seq 3) && echo "$x ${#a[@]}"; trap "echo bye" EXIT'`, "hi 3\nbye\n"},
			{"coreutils", "sort", `mkdir -p d/e && seq 1000 > d/f && cp -a d/f d/e/g && ln -s f d/l && ln d/f d/h && mv d/e/g d/g && chmod 600 d/g && touch -d @0 d/h && dd if=d/f of=d/x bs=100 count=3 2>/dev/null &&
				truncate -s 5 d/x && sort -rn --parallel=4 d/f | head -n 1 && wc -c < d/x && stat -c '%a %Y' d/g d/h | sort && du -a d | wc -l && split -l 500 d/f d/s. && cat d/s.aa d/s.ab | cmp - d/f && tail -n 1 d/f && timeout 5 env -i true && nice -n 3 id -u | grep -c . && df /tmp | wc -l && rm -r d`, ""},
			{"curl to a server of the cell's own", "curl python3", `/usr/bin/python3 -c '
import http.server, subprocess, threading
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(b"served\n")
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H); threading.Thread(target=s.serve_forever, daemon=True).start()
print(subprocess.run(["curl", "-sS", "http://127.0.0.1:%d/" % s.server_port], capture_output=True, text=True).stdout, end="")'`, "served\n"},
		} {
			t.Run(c.name, func(t *testing.T) {
				needs(t, strings.Fields(c.needs)...)
				script := c.script
				if c.name == "coreutils" {
					needs(t, "bash")
					c.out = "1000\n5\n"
				}
				b := newBench(t, u)
				b.write("script", script, 0o755)
				shell := "sh"
				if c.name == "coreutils" {
					shell = "bash"
				}
				out := b.cell(nil, shell, "script").ok(t)
				if c.name == "coreutils" && strings.HasPrefix(out, c.out) && strings.Contains(out, "\n600 ") && strings.Contains(out, "644 0\n") && strings.HasSuffix(out, "1000\n1\n2\n") {
					return
				}
				if out != c.out {
					t.Errorf("output %q, want %q", out, c.out)
				}
			})
		}
	})
}

// TestTracingIsRefused: strace is, with words that say why and what would allow it; with that it works.
func TestTracingIsRefused(t *testing.T) {
	needs(t, "strace")
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.cell(nil, "strace", "true").fails(t, 1, "Operation not permitted")
		if u.backend == "" {
			b.cell([]string{"--report-refusals"}, "strace", "true").fails(t, 1, "refused: ptrace, ", "by the profile hardened; --seccomp hardened+debug allows it")
		}
		r := b.cell([]string{"--seccomp", "hardened+debug"}, "strace", "-f", "-e", "trace=execve", "sh", "-c", "true; /bin/true")
		if r.code != 0 || strings.Count(r.err, "execve(") != 2 || !strings.Contains(r.err, "exited with 0") {
			t.Errorf("%d\n%s", r.code, r.err)
		}
		// The cell's first process is nobody's to trace, whatever the profile allows.
		b.cell([]string{"--seccomp", "hardened+debug"}, "strace", "-p", "1").fails(t, 1, "Operation not permitted")
	})
}

func TestPostgres(t *testing.T) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		t.Skip("postgresql is not installed in /usr/lib/postgresql")
	}
	bin := filepath.Dir(found[len(found)-1])
	once(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		out := b.sh(bin+`/initdb -D /tmp/db -A trust -U me -N > /tmp/log 2>&1 || cat /tmp/log >&2
`+bin+`/pg_ctl -D /tmp/db -o '-k /tmp -h ""' -l /tmp/server -t 100 -w start > /dev/null || cat /tmp/server >&2
`+bin+`/psql -h /tmp -U me -d postgres -Atc 'create table t as select generate_series(1,1000) x; select sum(x) from t'
`+bin+`/pg_ctl -D /tmp/db -m fast -w stop | tail -n 1`, "--env", "HOME=/tmp").ok(t)
		if out != "SELECT 1000\n500500\nserver stopped\n" {
			t.Errorf("output %q", out)
		}
	})
}

// TestChromium renders a page with scripts, with Chromium's own sandbox off: that one is made of namespaces, which a cell has no more of.
func TestChromium(t *testing.T) {
	found, _ := filepath.Glob("/usr/lib/chromium/chromium")
	if len(found) == 0 {
		t.Skip("chromium is not installed in /usr/lib/chromium")
	}
	once(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.write("page.html", `<script>document.write(6*7)</script>`, 0o644)
		r := b.cell([]string{"--env", "HOME=/tmp"}, found[0], "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=/tmp/profile", "--dump-dom", "file://"+b.dir+"/page.html")
		if r.code != 0 || !strings.Contains(r.out, "<body>42</body>") {
			t.Errorf("%d, %q\n%s", r.code, r.out, r.err)
		}
	})
}
