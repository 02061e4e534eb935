package host

import (
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/document"
	"cellos.io/cellos/plan"
)

// plain is the authority of cellos run -- /bin/true.
func plain(b *testing.B) *authority.Authority {
	b.Helper()
	doc, err := document.Parse("plain", []byte(`{"apiVersion": "cellos.io/v1", "kind": "ExecutionCell", "spec": {"id": "true",
		"run": {"argv": ["/bin/true"], "secretDelivery": "env", "workingDirectory": "/tmp"},
		"authority": {"filesystem": {"workingDirectory": "overlay"}, "egressRules": [], "secretRefs": []}, "lifetime": {"ttlSeconds": 86400}}}`))
	if err != nil {
		b.Fatal(err)
	}
	a, err := authority.Of(doc, authority.Place{WorkingDirectory: "/tmp"})
	if err != nil {
		b.Fatal(err)
	}
	return a
}

func BenchmarkDescribe(b *testing.B) {
	a := plain(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Describe(plan.Paths(a)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlan is the way from the authority to the plan, and to its text in the run's record.
func BenchmarkPlan(b *testing.B) {
	a := plain(b)
	h, err := Describe(plan.Paths(a))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p, err := plan.For(a, h)
		if err != nil {
			b.Fatal(err)
		}
		p.Text()
	}
}
