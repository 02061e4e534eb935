package cgroup

import (
	"slices"
	"testing"
)

// Texts of mountinfo and cgroup from a host with both versions, from one of systemd's with version 2 alone, and from containers.
func TestReadMounts(t *testing.T) {
	const hybrid = `23 1 0:20 / / rw - ext4 /dev/vda rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	for _, c := range []struct {
		name, info, own string
		two             string   // the own folder
		one             []string // controllers and own folder
	}{
		{"hybrid", hybrid, "9:name=systemd:/\n4:memory:/a/b\n1:cpu,cpuacct:/x\n0::/init\n", "/sys/fs/cgroup/unified/init",
			[]string{"cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct/x", "memory /sys/fs/cgroup/memory/a/b", "name=systemd /sys/fs/cgroup/systemd"}},
		{"unified", "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope\n",
			"/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope", nil},
		{"a name with a blank and a colon", `30 24 0:26 / /sys/fs/my\040groups rw - cgroup2 cgroup2 rw` + "\n", "0::/a b:c\n", "/sys/fs/my groups/a b:c", nil},
		{"a container without a namespace", "35 31 0:32 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n30 24 0:26 /docker/x /c2 rw - cgroup2 cgroup2 rw\n",
			"4:memory:/docker/x/in\n0::/docker/x\n", "/c2", []string{"memory /sys/fs/cgroup/memory/in"}},
		{"another part of the tree", "30 24 0:26 /docker/x /c2 rw - cgroup2 cgroup2 rw\n", "0::/docker/xy\n", "", nil},
		{"outside the namespace", "30 24 0:26 / /c2 rw - cgroup2 cgroup2 rw\n", "0::/../other\n", "", nil},
		{"mounted twice", "30 24 0:26 / /c2 rw - cgroup2 cgroup2 rw\n31 24 0:26 / /again rw - cgroup2 cgroup2 rw\n", "0::/\n", "/c2", nil},
		{"nothing", "23 1 0:20 / / rw - ext4 /dev/vda rw\n", "0::/\n", "", nil},
		{"garbage", "\n - \n - cgroup2\n30 24 0:26 / - cgroup2 cgroup2 rw\nx", ":\n::\n0:", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m mounts
			m.read(c.info, c.own)
			two := ""
			if m.two != nil {
				two = m.two.dir()
			}
			if two != c.two {
				t.Errorf("version 2 is at %q, want %q", two, c.two)
			}
			var one []string
			for _, h := range m.one {
				s := ""
				for i, x := range h.controllers {
					s += map[bool]string{true: ",", false: ""}[i > 0] + x
				}
				one = append(one, s+" "+h.dir())
			}
			slices.Sort(one)
			if !slices.Equal(one, c.one) {
				t.Errorf("version 1 is %q, want %q", one, c.one)
			}
		})
	}
}

func TestCommonDir(t *testing.T) {
	for _, c := range [][3]string{{"/a/b", "/a/b", "/a/b"}, {"/a/b/c", "/a/b", "/a/b"}, {"/a/bc", "/a/b", "/a"}, {"/x", "/a/b", "/"}, {"/", "/a", "/"}} {
		if got := commonDir(c[0], c[1]); got != c[2] {
			t.Errorf("%s and %s have %s in common, want %s", c[0], c[1], got, c[2])
		}
		if got := commonDir(c[1], c[0]); got != c[2] {
			t.Errorf("%s and %s have %s in common, want %s", c[1], c[0], got, c[2])
		}
	}
}

func FuzzReadMounts(f *testing.F) {
	f.Add("41 31 0:38 /a /sys/fs\\040 rw - cgroup2 cgroup2 rw\n", "0::/a/b\n")
	f.Add("35 31 0:32 / /m rw - cgroup cgroup rw,memory\n", "4:memory:/\n")
	f.Fuzz(func(t *testing.T, info, own string) {
		var m mounts
		m.read(info, own)
		for _, h := range m.one {
			h.dir()
		}
		if m.two != nil {
			m.two.dir()
		}
	})
}
