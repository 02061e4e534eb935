package plan

import (
	"slices"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/sysabi"
)

// TestProbesAskOnlyOfWhatIsThere: a probe must meet its refusal whatever is granted; it must never succeed on a person's files.
func TestProbesAskOnlyOfWhatIsThere(t *testing.T) {
	names := func(a *authority.Authority, f files) (s []string) {
		t.Helper()
		p, err := For(a, machine().at(f, a))
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range p.Boot.Probes {
			s = append(s, x.Name)
		}
		return s
	}
	const usr, tty = "creating a folder in /usr", "opening the controlling terminal"
	if s := names(read(t, "", ""), debian); !slices.Contains(s, usr) || !slices.Contains(s, tty) {
		t.Errorf("probes %v", s)
	}
	if s := names(read(t, "", `"filesystem":{"write":[{"path":"/data","at":"/usr"}]}`), debian); slices.Contains(s, usr) {
		t.Error("a probe writes to what is granted at /usr")
	}
	if s := names(read(t, "", ""), files{"/src": folder(1000), "/bin": folder(0)}); slices.Contains(s, usr) || slices.Contains(s, tty) {
		t.Errorf("probes of files that the host does not have: %v", s)
	}
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		want    []sysabi.Errno
		result  int64
		holds   bool
		expects string
	}{
		{nil, 0, true, "success"}, {nil, 7, true, "success"}, {nil, -1, false, "success"},
		{eperm, -1, true, "EPERM"}, {eperm, 0, false, "EPERM"}, {eperm, -13, false, "EPERM"}, {eperm, 1, false, "EPERM"},
		{[]sysabi.Errno{sysabi.EROFS, sysabi.EACCES}, -30, true, "EROFS or EACCES"}, {[]sysabi.Errno{sysabi.EROFS, sysabi.EACCES}, -13, true, "EROFS or EACCES"},
	} {
		p := Probe{Want: c.want}
		if p.Holds(c.result) != c.holds || p.Expects() != c.expects {
			t.Errorf("%v with result %d: holds %v, expects %s", c.want, c.result, p.Holds(c.result), p.Expects())
		}
	}
}

// TestEveryProbeIsOfAPromisedLayer: what nobody promised, nobody measures.
func TestEveryProbeIsOfAPromisedLayer(t *testing.T) {
	for seed := range uint64(200) {
		a, h := anything(seed)
		p, err := For(a, h)
		if err != nil {
			continue
		}
		promised := map[string]bool{}
		for _, x := range p.Promises {
			if promised[x.Layer] {
				t.Errorf("%s is promised twice", x.Layer)
			}
			promised[x.Layer] = true
		}
		arch, _ := sysabi.ArchByName(p.Arch)
		for _, x := range p.Boot.Probes {
			if !promised[x.Layer] {
				t.Errorf("%s: nobody promised %s", x.Name, x.Layer)
			}
			if _, ok := arch.Number(x.Call); !ok && x.Call != "" {
				t.Errorf("%s: %s has no call %s", x.Name, p.Arch, x.Call)
			}
		}
		for _, s := range p.Says {
			for _, l := range s.Layers {
				if !promised[l] && l != LayerFDs && l != LayerWatch {
					t.Errorf("%q is enforced by %s, which nobody measures", s.Text, l)
				}
			}
		}
	}
}
