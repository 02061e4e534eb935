package format

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	for _, c := range []struct {
		name      string
		good, bad []string
	}{
		{"portable", []string{"a", "0", "a.b_c-", "A.", long(128)},
			[]string{"", ".a", "-a", "_a", "a..b", "a b", "a/b", "é", "a\n", long(129)}},
		{"digest", []string{"sha256:" + strings.Repeat("0af", 21) + "9"},
			[]string{"", "sha256:", "SHA256:" + long(64), "sha256:" + long(63), "sha256:" + long(65), "sha256:" + strings.Repeat("A", 64), "sha256:" + strings.Repeat("g", 64), long(64)}},
		{"namespace", []string{"a", "0", "a--b", long(63)}, []string{"", "A", "-a", "a-", "a.b", "a_b", long(64)}},
		{"label", []string{"a", "Host-1", long(63)}, []string{"", "-a", "a-", "a.b", "a_b", "é", long(64)}},
		{"nonempty", []string{" ", "a"}, []string{""}},
		{"nonblank", []string{" a"}, []string{"", " ", "\u3000\t"}},
		{"text", []string{" ", "a\n"}, []string{"", "\x00", "a\x00"}},
		{"nonul", []string{"", "a"}, []string{"\x00"}},
		{"variable", []string{"A", "a.b", " "}, []string{"", "A=", "=", "A\x00"}},
		{"tenant", []string{"a", "a/b$é", long(1000)}, []string{"", "a.b", "*", ">", "a b", "\t", "\u00a0", "\u3000", "\u0085", "\x00", "\x7f", "\u009f"}},
		{"semver", []string{"0.0.0", "1.2.3", "1.2.3-a.b-c", "1.2.3--", "99999999999999999999999.0.0"},
			[]string{"", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.03", "v1.2.3", "1.2.3+b", "1.2.3-", "1.2.3-a_b", " 1.2.3", "1..3", "１.0.0"}},
		{"protocol", []string{"tcp", "TCP", "udp", "tls", "https", "http", "dns-acknowledged", "DNS-Acknowledged"}, []string{"", "icmp", "tcp ", "any"}},
		{"seccomp", []string{"baseline", "hardened", "strict", "strict+debug", "hardened+net-none+debug", "hardened+debug+net-none"},
			[]string{"", "off", "bpf", "Hardened", "hardened+", "hardened+x", "+debug", "hardened+debug+debug", "hardened+debug+net-none+debug", "hardened "}},
		{"grant", []string{"/a", "/a/b", "/usr", "/procs", "/developer", "/..a", "/a b", "/" + long(255), "/é"},
			[]string{"", "/", "a", "./a", "/a/", "//a", "/a//b", "/a/.", "/./a", "/..", "/a/../b", "/proc", "/proc/self", "/sys/fs", "/dev", "/dev/null",
				"/a\x00", "/a\nb", "/\x7f", "/\u0085", "/" + long(256), strings.Repeat("/aaaaaaa", 512)}},
		{"allowedip", []string{"a.example:192.0.2.1", "a:2001:db8::1", "a:2001:db8::/32", "a:10.0.0.0/8"},
			[]string{"", "a", ":192.0.2.1", "a:", "a:x", "a:192.0.2.1/33", "a:192.0.2.256", "*.a:192.0.2.1", "192.0.2.1:192.0.2.1", "a:fe80::1%eth0"}},
	} {
		for _, s := range c.good {
			if problem := Check(c.name, s); problem != "" {
				t.Errorf("%s %.60q: %s", c.name, s, problem)
			}
		}
		for _, s := range c.bad {
			if problem := Check(c.name, s); problem == "" || strings.ContainsAny(problem, "\n\x00") || strings.HasPrefix(problem, "cellos bug") {
				t.Errorf("%s %.60q: the problem is %q", c.name, s, problem)
			}
		}
	}
	if problem := Check("portabel", "a"); !strings.HasPrefix(problem, "cellos bug: ") {
		t.Errorf("an unknown format: %q", problem)
	}
}

func TestHost(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 61)+".", 4)
	for _, s := range []string{"a", "localhost", "A.Example", "_srv._tcp.example", "a_b", "xn--bcher-kva.example", "1.a", "1password.com",
		"192.0.2.1", "127.0.0.1", "2001:db8::1", "[2001:db8::1]", "::ffff:192.0.2.1", "a.0xg", long[:247] + ".a.aa", "255.255.255.255"} {
		if problem := Host(s); problem != "" {
			t.Errorf("%q: %s", s, problem)
		}
	}
	for _, s := range []string{"", " ", "*", "*.a", "a.*", "192.0.2.0/24", "::/0", "0.0.0.0", "::", "[::]", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1", "a b", "a;b",
		"https://a", "a:443", "192.0.2.1:443", "[2001:db8::1]:443", "[a]", "[192.0.2.1]", "[", "[]", "a.", ".a", "a..b", "-a", "a-", "a.-b",
		strings.Repeat("a", 64), strings.Repeat("a.", 126) + "aa", "é.example", "1.2.3", "192.0.2.01", "0x7f.1", "0x7f000001", "2130706433", "a.1", "a.0x1F", "a.0x",
		"fe80::1%eth0", "[fe80::1%25eth0]", "a\x00", "a\n", "a@b"} {
		if problem := Host(s); problem == "" || strings.Contains(problem, "\n") {
			t.Errorf("%q: the problem is %q", s, problem)
		}
	}
}

func TestHostKey(t *testing.T) {
	for a, b := range map[string]string{"A.Example": "a.example", "[2001:DB8:0::1]": "2001:db8::1", "192.0.2.1": "192.0.2.1"} {
		if HostKey(a) != b {
			t.Errorf("HostKey(%q) = %q, want %q", a, HostKey(a), b)
		}
	}
}

func TestHostPattern(t *testing.T) {
	for _, s := range []string{"a.b", "*.a.b", "*.LOCAL", "*.example", "1.a", "a.b1", strings.Repeat("a", 63) + ".b"} {
		if problem := HostPattern(s); problem != "" {
			t.Errorf("%q: %s", s, problem)
		}
	}
	for _, s := range []string{"", "*", "*.", "*.com", "*.de", "a", "a.b.", ".a.b", "-a.b", "a-.b", "a_b.c", "*.*.a", "a.*.b", "a*.b.c", "192.0.2.1", "a.1", "*.1.2", "*.a.0x1",
		"2001:db8::1", "é.example", "a.b:443", "a .b", strings.Repeat("a", 64) + ".b", "*." + strings.Repeat("a.", 126) + "a"} {
		if problem := HostPattern(s); problem == "" || strings.Contains(problem, "\n") {
			t.Errorf("%q: the problem is %q", s, problem)
		}
	}
}

func TestParseBaseURL(t *testing.T) {
	for s, want := range map[string]BaseURL{
		"https://a":                   {"a", 443},
		"HTTP://A.Example/":           {"a.example", 80},
		"https://a.example:8443/x/@":  {"a.example", 8443},
		"http://192.0.2.1:1/":         {"192.0.2.1", 1},
		"https://[2001:DB8::1]/x%20":  {"2001:db8::1", 443},
		"https://[2001:db8::1]:65535": {"2001:db8::1", 65535},
	} {
		if got, problem := ParseBaseURL(s); got != want || problem != "" {
			t.Errorf("%q: %v, %q", s, got, problem)
		}
	}
	for _, s := range []string{"", "a", "//a", "https:", "https://", "https:a", "https:///a", "https://:443", "ftp://a", "file:///a", "mailto:a@b", "https://a?", "https://a/#", "https://a/?q",
		" https://a", "https://a ", "https://a/\tb", "https:\\\\a", "https://a\\b", "https://u@a", "https://u:secret@a", "https://a:", "https://a:0", "https://a:65536", "https://a:00443", "https://a:+1",
		"https://2001:db8::1", "https://0x7f.1", "https://%61", "https://é", "https://*.a", "https://a.", "https://0.0.0.0", "https://a/%zz", "https://a/%2", "https://a/\u0085", "https://[a]"} {
		if _, problem := ParseBaseURL(s); problem == "" || strings.Contains(problem, "\n") || strings.Contains(problem, "secret@") {
			t.Errorf("%q: the problem is %q", s, problem)
		}
	}
}

func TestEndpoint(t *testing.T) {
	for _, c := range []struct {
		protocol  string
		good, bad []string
	}{
		{"do53-udp", []string{"192.0.2.53:53", "[2001:db8::1]:5353"}, []string{"", "192.0.2.53", "192.0.2.53:", "192.0.2.53:0", "192.0.2.53:65536", "192.0.2.53:053", "2001:db8::1", "2001:db8::1:53", "a:53", "[fe80::1%1]:53", "0.0.0.0:53"}},
		{"do53-tcp", []string{"127.0.0.1:53"}, []string{"a:53", "https://a"}},
		{"dot", []string{"dns.example:853", "192.0.2.1:853", "[::1]:853"}, []string{"", "dns.example", ":853", "dns.example:0", "::1:853", "*.a:853", "a.:853"}},
		{"doq", []string{"dns.example:853", "quic://[::1]:853"}, []string{"", "quic://", "quic://dns.example", "https://a:1", "quic://quic://a:1"}},
		{"doh", []string{"https://dns.example/dns-query", "https://192.0.2.1:8443", "https://a/q{?dns}", "https://a?x"}, []string{"", "http://a", "dns.example", "https://", "https://a#b", "https://u@a/", "https://a b", "https://a:0/", "https://*.a/"}},
	} {
		for _, s := range c.good {
			if problem := Endpoint(c.protocol, s); problem != "" {
				t.Errorf("%s %q: %s", c.protocol, s, problem)
			}
		}
		for _, s := range c.bad {
			if problem := Endpoint(c.protocol, s); problem == "" || strings.Contains(problem, "\n") {
				t.Errorf("%s %q: the problem is %q", c.protocol, s, problem)
			}
		}
	}
}

func TestOverBroadWrite(t *testing.T) {
	for _, s := range []string{"/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64", "/boot", "/var", "/home", "/root", "/run"} {
		if OverBroadWrite(s) == "" || OverBroadWrite(s+"/x") != "" || OverBroadWrite(s+"x") != "" {
			t.Errorf("%s: the directory itself, and only it, is over-broad", s)
		}
	}
}

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{"a\n\"": `"a\n\""`, strings.Repeat("é", 60): `"` + strings.Repeat("é", 40) + `"…`, strings.Repeat("a", 79) + "é": `"` + strings.Repeat("a", 79) + `"…`} {
		if got := Quote(s); got != want {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	}
}
