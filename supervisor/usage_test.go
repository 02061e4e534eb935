package supervisor

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/plan"
)

// meter counts what a gate, a broker or a backend would.
type meter struct{ taken, connected int64 }

func (m *meter) Meter(u *evidence.Usage) {
	u.Name("a.example.com:443").Connections = &m.connected
	u.Secret("TOKEN").Taken = &m.taken
	u.Deny(evidence.DeniedName, "evil.example:443", "--net evil.example:443")
	u.Deny(evidence.DeniedName, "evil.example:443", "--net evil.example:443")
	u.Deny(evidence.DeniedSyscall, "mount", "")
}

// metering is a cell that counts.
type metering struct {
	*fake
	meter
}

func TestUsage(t *testing.T) {
	text := strings.Replace(plain, `"egressRules":[],"secretRefs":[]`,
		`"egressRules":[{"host":"a.example.com","port":443},{"host":"b.example.com","port":80}],"secretRefs":["TOKEN","OTHER"],"filesystem":{"read":[{"path":"/data"}],"write":[{"path":"/out"}],"workingDirectory":"overlay"}`, 1)
	f := newFake()
	r := newRun(t, f, text)
	r.Meters = []Meter{&meter{taken: 0, connected: 3}}
	end := do(t, r)
	if end.Err != nil {
		t.Fatal(end.Err)
	}
	var u struct {
		Files []struct {
			Path, Mode      string
			Access          []string
			Opened, Changed *int64
		}
		Names []struct {
			Name        string
			Connections *int64
		}
		Secrets []struct {
			Name  string
			Taken *int64
		}
		Limits []struct {
			Name    string
			Limit   int64
			Peak    *int64
			Reached bool
		}
		Denials []struct {
			What, Name, Grant string
			Count             int64
		}
		Unused, NotObserved []string
	}
	if err := json.Unmarshal([]byte(data(t, recorded(t, end), evidence.TypeUsage)), &u); err != nil {
		t.Fatal(err)
	}
	if len(u.Files) != 3 || u.Files[0].Mode != "overlay" || u.Files[1].Path != "/data" || strings.Join(u.Files[2].Access, " ") != "write" && strings.Join(u.Files[2].Access, " ") != "read write" {
		t.Errorf("files %+v", u.Files)
	}
	if len(u.Names) != 2 || u.Names[0].Connections == nil || *u.Names[0].Connections != 3 || u.Names[1].Connections != nil {
		t.Errorf("names %+v", u.Names)
	}
	if len(u.Secrets) != 2 || len(u.Denials) != 2 || u.Denials[0].Count != 2 || u.Denials[1].Name != "mount" {
		t.Errorf("secrets %+v, denials %+v", u.Secrets, u.Denials)
	}
	if got := strings.Join(u.Unused, ", "); got != "secret TOKEN" {
		t.Errorf("unused: %s", got)
	}
	if got := strings.Join(u.NotObserved, ", "); !strings.Contains(got, "files opened") || !strings.Contains(got, "connections to names") || !strings.Contains(got, "high-water mark of processes") || strings.Contains(got, "wallTime") {
		t.Errorf("not observed: %s", got)
	}
	// What a control group counted is held against the limits.
	f = newFake()
	f.outcome.Group = &cell.Usage{MemoryPeak: 64 << 20, OOMKills: 1, Processes: 7, Throttled: 3}
	r = newRun(t, f, plain)
	p := *r.Plan
	p.Limits.Memory, p.Limits.CPU = 64<<20, authority.CPU{Quota: 50 * time.Millisecond, Period: 100 * time.Millisecond}
	r.Plan = &p
	d := data(t, recorded(t, do(t, r)), evidence.TypeUsage)
	for _, want := range []string{`{"limit":67108864,"name":"memory","peak":67108864,"reached":true,"unit":"bytes"}`, `"name":"processes","peak":7,"reached":false`, `{"limit":500,"name":"cpu","peak":null,"reached":true`} {
		if !strings.Contains(d, want) {
			t.Errorf("usage has no %s: %s", want, d)
		}
	}
	r = newRun(t, f, plain)
	c := &metering{newFake(), meter{taken: 1}}
	r.Backend = backendOf{c.fake, c}
	if d := data(t, recorded(t, do(t, r)), evidence.TypeUsage); !strings.Contains(d, `"name":"mount"`) {
		t.Errorf("the backend's cell was not asked: %s", d)
	}
}

// backendOf builds the fake, and hands out another cell around it.
type backendOf struct {
	*fake
	cell cell.Cell
}

func (b backendOf) Build(ctx context.Context, p *plan.Plan, s cell.Streams) (cell.Cell, error) {
	if _, err := b.fake.Build(ctx, p, s); err != nil {
		return nil, err
	}
	return b.cell, nil
}
