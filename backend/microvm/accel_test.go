//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/backend/microvm"
)

// Whether KVM is there, may be used, and works, decides how machines run; what was found is remembered, and a machine runs either way.
func TestAccelerated(t *testing.T) {
	b := backend(t)
	a := b.Accelerated(t.Context())
	q := a.Monitor.(microvm.QEMU)
	_, err := os.Stat("/dev/kvm")
	switch check := microvm.CheckKVM(); {
	case q.KVM && check != nil:
		t.Errorf("KVM is used, although: %v", check)
	case !q.KVM && (a.NoKVM == "" || strings.Contains(a.NoKVM, "\n")):
		t.Errorf("why the processor is emulated: %q", a.NoKVM)
	case err != nil && !strings.Contains(a.NoKVM, "no such file"):
		t.Errorf("there is no /dev/kvm, and the reason is %q", a.NoKVM)
	case check != nil && !strings.Contains(a.NoKVM, check.Error()):
		t.Errorf("%q instead of %v", a.NoKVM, check)
	case check == nil && !q.KVM && !strings.Contains(a.NoKVM, "/dev/kvm is there, but a kernel does not boot with it: "):
		t.Errorf("%q", a.NoKVM)
	}
	t.Logf("KVM: %v %s", q.KVM, a.NoKVM)
	b.Phase = func(string, time.Duration) { t.Error("a machine was booted again") }
	if again := b.Accelerated(t.Context()); again.NoKVM != a.NoKVM || again.Monitor != a.Monitor {
		t.Errorf("it was remembered as %q", again.NoKVM)
	}
	if a.Facts, err = a.LearnFacts(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := machine(t, a, workdir(t), nil, "/bin/true")
	if bound, err := c.Measure(t.Context()); err != nil || bound.Err() != nil {
		t.Errorf("%v, %v", err, bound.Err())
	}
}
