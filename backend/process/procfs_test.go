//go:build linux && (amd64 || arm64)

package process

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/sysabi"
)

// statusText is /proc/PID/status of a cell's first process (Linux 6.18), with the lines that tell of rights and their neighbours.
const statusText = "Name:\tcellos-init\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4242\nNgid:\t0\nPid:\t4242\nPPid:\t4100\nTracerPid:\t0\n" +
	"Uid:\t1879052852\t1879052852\t1879052852\t1879052852\nGid:\t1879052853\t1879052853\t1879052853\t1879052853\nFDSize:\t64\nGroups:\t \nNStgid:\t4242\t1\n" +
	"Kthread:\t0\nVmPeak:\t     208 kB\nThreads:\t1\nSigQ:\t0/95876\nSigBlk:\t0000000000010000\nCapInh:\t0000000000000001\nCapPrm:\t0000000000000002\nCapEff:\t0000000000000004\n" +
	"CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000008\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\nSpeculation_Store_Bypass:\tthread vulnerable\n"

func TestParseStatus(t *testing.T) {
	got, err := parseStatus(statusText)
	want := status{
		uids: [4]uint32{1879052852, 1879052852, 1879052852, 1879052852}, gids: [4]uint32{1879052853, 1879052853, 1879052853, 1879052853},
		caps: cell.Caps{Inheritable: 1, Permitted: 2, Effective: 4, Bounding: 0x1ffffffffff, Ambient: 8}, noNewPrivs: 1, seccomp: 2, filters: 3,
	}
	if err != nil || got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	old := strings.Replace(statusText, "Seccomp_filters:\t3\n", "", 1) // before Linux 5.9
	want.filters = -1
	if got, err := parseStatus(old); err != nil || got != want {
		t.Errorf("without Seccomp_filters: %+v, %v", got, err)
	}
}

// TestStatusWithoutALine: what is not said is not zero.
func TestStatusWithoutALine(t *testing.T) {
	for _, name := range []string{"Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"} {
		var kept strings.Builder
		for line := range strings.Lines(statusText) {
			if !strings.HasPrefix(line, name+":") {
				kept.WriteString(line)
			}
		}
		if got, err := parseStatus(kept.String()); err == nil {
			t.Errorf("without %s: %+v", name, got)
		}
	}
	for _, bad := range [][2]string{
		{"CapEff:\t0000000000000004", "CapEff:\t"}, {"CapEff:\t0000000000000004", "CapEff:\tnone"}, {"CapEff:\t0000000000000004", "CapEff:\t10000000000000000"},
		{"NoNewPrivs:\t1", "NoNewPrivs:\tyes"}, {"Uid:\t1879052852\t", "Uid:\t-1\t"}, {"Uid:\t1879052852\t", "Uid:\t4294967296\t"}, {"Gid:\t1879052853\t", "Gid:\t"},
		{"Seccomp:\t2", "Seccomp:\t"},
	} {
		if got, err := parseStatus(strings.Replace(statusText, bad[0], bad[1], 1)); err == nil {
			t.Errorf("%q: %+v", bad[1], got)
		} else if !strings.HasPrefix(err.Error(), "reading process status: ") {
			t.Errorf("%q: %v", bad[1], err)
		}
	}
	for _, text := range []string{"", "\n", "Uid", strings.Repeat("Uid:\t0\t0\t0\t0\n", 20)} {
		if got, err := parseStatus(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestParseOwnStatus(t *testing.T) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseStatus(string(b))
	if err != nil || s.uids[1] != uint32(os.Geteuid()) || s.gids[1] != uint32(os.Getegid()) || s.noNewPrivs < 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// mountinfoText has lines as proc_pid_mountinfo(5) and real cells show them.
const mountinfoText = `600 500 0:50 /root / ro,nosuid,nodev,relatime - tmpfs cellos rw,size=1048576k,nr_inodes=262144,mode=755,uid=1000,gid=1000,inode64
601 600 254:0 /usr /usr ro,nosuid,nodev,relatime master:1 - ext4 /dev/vda rw
602 600 0:51 / /proc rw,nosuid,nodev,noexec,relatime - proc cellos rw
603 600 254:0 /data /a\040b\011c\012d\134e ro,nosuid,nodev,noexec,relatime shared:2 propagate_from:3 - ext4 /dev/vda rw
604 600 0:52 / /src rw,nosuid,nodev,relatime - overlay cellos rw,lowerdir=lower,upperdir=upper,workdir=work,userxattr
605 600 254:0 / /n` + "\u00a0" + `bsp` + "\u2003\u0085" + `x rw,relatime - fuse.sshfs me@host:/x\040-\040y rw
606 600 0:53 / /bytes` + "\xff\xfe" + ` rw - btrfs /dev/x rw
607 604 0:54 / /src ro,noexec - tmpfs over rw
608 600 0:55 / /minus - rw
`

func TestParseMountinfo(t *testing.T) {
	text := strings.Replace(mountinfoText, "608 600 0:55 / /minus - rw\n", "", 1)
	got, err := parseMountinfo(text)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]struct{ fstype, has, lacks string }{
		"/": {"tmpfs", "ro", "rw"}, "/usr": {"ext4", "nosuid", "noexec"}, "/proc": {"proc", "noexec", "ro"}, "/a b\tc\nd\\e": {"ext4", "noexec", "rw"},
		"/src":                     {"tmpfs", "noexec", "nosuid"}, // the one on top
		"/n\u00a0bsp\u2003\u0085x": {"fuse.sshfs", "rw", "ro"}, "/bytes\xff\xfe": {"btrfs", "rw", "relatime"},
	} {
		m, ok := got[at]
		if !ok || m.fstype != want.fstype || !m.options[want.has] || m.options[want.lacks] {
			t.Errorf("%q: %v, %+v, want %+v", at, ok, m, want)
		}
	}
	if len(got) != 7 {
		t.Errorf("%d mounts", len(got))
	}
	for _, bad := range []string{"x\n", "608 600 0:55 / /minus - rw\n", "600 500 0:50 /root / ro - \n", "600 500 0:50 /root / ro tmpfs cellos rw\n", "\n"} {
		if got, err := parseMountinfo(bad); err == nil || !strings.HasPrefix(err.Error(), "reading mountinfo: strange line ") {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

func TestParseOwnMountinfo(t *testing.T) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseMountinfo(string(b))
	if err != nil || m["/"].fstype == "" || m["/proc"].fstype != "proc" {
		t.Errorf("%v, %v", m, err)
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "/plain": "/plain", `/a\040b`: "/a b", `\040`: " ", `/x\134`: `/x\`, `/x\134040`: `/x\040`, `\012\011\043`: "\n\t#", `/\377`: "/\xff",
		`/a\04`: `/a\04`, `/a\`: `/a\`, `/a\999`: `/a\999`, `/a\777`: `/a\777`, `/a\+40`: `/a\+40`, `\\040`: `\ `,
	} {
		if got := sysabi.UnescapeMount(in); got != want {
			t.Errorf("sysabi.UnescapeMount(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzUnescape(f *testing.F) {
	f.Add("/a b\n\t\\#")
	f.Add("\\040\xff")
	f.Fuzz(func(t *testing.T, path string) {
		var b strings.Builder // as the kernel does: fs/seq_file.c, mangle_path with " \t\n\\#"
		for i := range len(path) {
			if strings.IndexByte(" \t\n\\#", path[i]) >= 0 {
				b.WriteString(`\` + string([]byte{'0' + path[i]>>6, '0' + path[i]>>3&7, '0' + path[i]&7}))
			} else {
				b.WriteByte(path[i])
			}
		}
		if got := sysabi.UnescapeMount(b.String()); got != path {
			t.Errorf("%q became %q", path, got)
		}
		sysabi.UnescapeMount(path) // whatever it is, it does not panic
	})
}

func FuzzParsers(f *testing.F) {
	f.Add(statusText)
	f.Add(mountinfoText)
	f.Add("Limit                     Soft Limit           Hard Limit           Units     \nMax processes  \n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := parseStatus(text); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("an error of two lines: %q", err)
		}
		if m, err := parseMountinfo(text); err == nil && len(m) > strings.Count(text, "\n")+1 {
			t.Errorf("%d mounts in %d lines", len(m), strings.Count(text, "\n"))
		} else if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("an error of two lines: %q", err)
		}
		for name, v := range parseLimits(text) {
			if v[0] == "" || v[1] == "" || strings.Contains(name, "\n") {
				t.Errorf("limit %q is %q", name, v)
			}
		}
	})
}

// limitsText is /proc/PID/limits, proc_pid_limits(5).
const limitsText = `Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max core file size        0                    0                    bytes     
Max processes             4097                 4097                 processes 
Max open files            1024                 65536                files     
Max nice priority         0                    0                    
Max realtime timeout      unlimited            unlimited            us        
`

func TestParseLimits(t *testing.T) {
	got := parseLimits(limitsText)
	for name, want := range map[string][2]string{
		"Max core file size": {"0", "0"}, "Max processes": {"4097", "4097"}, "Max open files": {"1024", "65536"}, "Max nice priority": {"0", "0"}, "Max cpu time": {"unlimited", "unlimited"},
		"Max nothing": {},
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	b, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	own := parseLimits(string(b))
	if n, err := strconv.Atoi(own["Max open files"][0]); err != nil || n <= 0 || len(own) < 16 {
		t.Errorf("own limits: %q", own)
	}
}
