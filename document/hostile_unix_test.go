//go:build unix

package document

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHostileInputsAreBounded reads inputs of the largest size that make naive readers slow: each must be done in processor
// time that grows with its size. The bound is some fifty times what they need on a small machine.
func TestHostileInputsAreBounded(t *testing.T) {
	list := func(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s, n), ",") }
	for _, c := range []struct{ what, name, text string }{
		{"deep JSON", "a.json", `{"a":` + strings.Repeat("[", 1<<20-10)},
		{"repeated names", "a.json", `{` + list(`"":1,`, 200000) + `}`},
		{"many lost values", "a.json", `{"spec":{"authority":{"egressRules":[` + list(`{},`, 100000) + `]}}}`},
		{"many bad names", "a.json", `{"spec":{"run":{"environment":{` + list(`"=":1,`, 150000) + `}}}}`},
		{"a long number", "a.json", `{"a":` + strings.Repeat("1", 1000000) + "}"},
		{"deep block YAML", "a.yaml", strings.Repeat("- ", 1<<19)},
		{"deep flow YAML", "a.yaml", strings.Repeat("[", 1<<20)},
		{"deep keys", "a.yaml", strings.Repeat("? ", 1<<19)},
		{"one long line", "a.yaml", "a: [" + strings.Repeat("a,", 500000) + "]"},
		{"comments", "a.yaml", strings.Repeat("- a # c\n", 130000)},
		{"many lines", "a.yaml", strings.Repeat("a: b\n", 200000)},
		{"aliases", "a.yaml", "a: &a [x]\nb: [" + strings.Repeat("*a,", 300000) + "]"},
	} {
		t.Run(c.what, func(t *testing.T) {
			begin := spent()
			_, err := Parse(c.name, []byte(c.text))
			took := spent() - begin
			if err == nil {
				t.Error("accepted")
			}
			t.Log(took)
			if took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// spent is the processor time that this program has used. A busy machine does not make it longer.
func spent() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
