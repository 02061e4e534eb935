//go:build linux && (amd64 || arm64)

package gvisor

import (
	"slices"
	"testing"
)

// TestUnsupported reads lines as runsc/boot/compat.go writes them; 449 is futex_waitv on every architecture.
func TestUnsupported(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{`{"log":"compat.go:120] Unsupported syscall sys_449(0x0,0x0,0x0,0x0,0x0,0x0). It is likely that you can safely ignore this","level":"info"}` + "\n" +
			`{"log":"compat.go:120] Unsupported syscall ioctl(0x1,0x5413,0x0,0x0,0x0,0x0). It"}` + "\n", []string{"futex_waitv", "ioctl"}},
		{`{"log":"compat.go:120] Unsupported syscall rseq(0x0,0x20,0x0,0x0,0x0,0x0). It"}` + "\n", nil},
		{`off by some bytes"}` + "\n" + `{"log":"compat.go:120] Unsupported syscall a b(0x1)"}` + "\n" + `{"log":"something else"}` + "\n" + `{"log":"Unsupported syscall cut`, nil},
	} {
		if got := unsupported(c.text, "amd64"); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
	}
}
