package plan

import (
	"strings"
	"testing"
)

// An IPv6 address is refused where the guest's kernel has no IPv6, and not otherwise.
func TestIPv6OfGuest(t *testing.T) {
	for _, has := range []bool{true, false} {
		a := read(t, "", `"egressRules":[{"host":"2001:db8::1","port":443,"protocol":"tcp"}]`)
		p, err := ForGuest(a, machine().at(debian, a), Guest{Kernel: Version{6, 1}, Landlock: 2, OpenMax: 1 << 19, TUN: true, IPv6: has})
		if has != (err == nil) || err != nil && !strings.Contains(err.Error(), "2001:db8::1 is an IPv6 address, and the guest's kernel has none") {
			t.Errorf("IPv6 %v: %v", has, err)
		}
		if err == nil && len(p.Network.IPv6) != 1 {
			t.Errorf("the plan routes %v", p.Network.IPv6)
		}
	}
}
