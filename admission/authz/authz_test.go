package authz

import "testing"

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"cellos.io/v1","kind":"AuthorizationPolicy","spec":{"subjects":["t"],"allowedPools":["p"],"maxCellsPerHour":1}}`))
	f.Add([]byte(`{"spec":{"subjects":[]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := Parse(data); err == nil && len(p.Spec.Subjects) == 0 {
			t.Error("a policy without subjects")
		}
	})
}
