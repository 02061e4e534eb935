package plan

import (
	"slices"
	"testing"
	"time"

	"cellos.io/cellos/authority"
)

// delegated is what systemd gives to an ordinary user.
var delegated = Cgroups{Unique: "u", Places: []CgroupPlace{
	{Version: 2, Dirs: []CgroupDir{{Path: "/sys/fs/cgroup/user.slice/app.scope", Available: []string{"cpu", "memory", "pids"}}}},
	{Version: 2, Dirs: []CgroupDir{{Path: "/sys/fs/cgroup/user.slice", Controllers: []string{"cpu", "memory", "pids"}}}},
}}

// versionOne is a host of root's with an empty version 2 beside version 1.
var versionOne = Cgroups{Unique: "u", Places: []CgroupPlace{
	{Version: 2, Dirs: []CgroupDir{{Path: "/sys/fs/cgroup/unified"}}},
	{Version: 1, Dirs: []CgroupDir{
		{Path: "/sys/fs/cgroup/cpu", Controllers: []string{"cpu"}}, {Path: "/sys/fs/cgroup/freezer", Controllers: []string{"freezer"}},
		{Path: "/sys/fs/cgroup/memory/me", Controllers: []string{"memory"}}, {Path: "/sys/fs/cgroup/pids", Controllers: []string{"pids"}}}},
}}

func TestGroup(t *testing.T) {
	asked := func(c ...string) Cgroups {
		return Cgroups{Asked: "/g", Unique: "u", Why: "why", Places: []CgroupPlace{{Version: 2, Dirs: []CgroupDir{{Path: "/g", Controllers: c[:len(c)/2], Available: c[len(c)/2:]}}}}}
	}
	memory := authority.Limits{Memory: 1 << 20, MemoryFrom: "m", Processes: 4}
	both := memory
	both.CPU, both.CPUFrom = authority.CPU{Quota: time.Millisecond, Period: time.Second}, "c"
	for _, c := range []struct {
		name    string
		l       authority.Limits
		host    Cgroups
		paths   []string // nil: no group
		enable  []string
		procs   uint64
		refused []string
	}{
		{"nothing asked for", authority.Limits{Processes: 4}, delegated, nil, nil, 0, nil},
		{"the nearest folder that has it", memory, delegated, []string{"/sys/fs/cgroup/user.slice/cellos_a_b_u"}, nil, 5, nil},
		{"version 1 where version 2 has it not", memory, versionOne, []string{"/sys/fs/cgroup/freezer/cellos_a_b_u", "/sys/fs/cgroup/memory/me/cellos_a_b_u", "/sys/fs/cgroup/pids/cellos_a_b_u"}, nil, 5, nil},
		{"an operator's folder, for nothing", authority.Limits{Processes: 4}, asked("pids", "memory"), []string{"/g/cellos_a_b_u"}, nil, 5, nil},
		{"an operator's folder, enabled", both, asked("pids", "x", "memory", "cpu"), []string{"/g/cellos_a_b_u"}, []string{"memory", "cpu"}, 5, nil},
		{"an operator's folder without", both, asked("pids", "memory"), nil, nil, 0, []string{"m", "c"}},
		{"nowhere", both, Cgroups{Why: "why"}, nil, nil, 0, []string{"m", "c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, refused := Group("a.b", c.l, c.host)
			var from []string
			for _, r := range refused {
				from = append(from, r.From)
				if r.Remedy == "" || r.Text == "" {
					t.Errorf("a refusal without text or remedy: %+v", r)
				}
			}
			if !slices.Equal(from, c.refused) {
				t.Errorf("refused %q, want %q", from, c.refused)
			}
			if g == nil {
				if c.paths != nil {
					t.Error("no group")
				}
				return
			}
			if got := g.Paths(); !slices.Equal(got, c.paths) || !slices.Equal(g.Enable, c.enable) || g.Processes != c.procs {
				t.Errorf("paths %q, enables %q, %d processes", got, g.Enable, g.Processes)
			}
			if g.Memory != c.l.Memory || g.CPU != c.l.CPU {
				t.Errorf("limits %d, %v", g.Memory, g.CPU)
			}
		})
	}
}

func TestLeafName(t *testing.T) {
	for id, want := range map[string]string{"": "cell", "ab-c_D9": "ab-c_D9", "a/../b": "a____b", "\u00fc": "__"} {
		if got := leafID(id); got != want {
			t.Errorf("%q becomes %q, want %q", id, got, want)
		}
	}
}
