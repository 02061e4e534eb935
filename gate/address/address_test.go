package address

import (
	"net/netip"
	"testing"
)

func TestBlocked(t *testing.T) {
	f := NewFilter([]netip.Addr{netip.MustParseAddr("93.184.216.1"), netip.MustParseAddr("2a00:1450::7%eth0")})
	for _, s := range []string{
		"127.0.0.1", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.1.1", "10.1.2.3", "172.31.255.255", "192.168.0.1", "100.64.0.1", "192.0.0.192",
		"192.0.2.1", "198.18.0.2", "198.19.0.0", "198.51.100.1", "203.0.113.9", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1",
		"100.100.100.200", "168.63.129.16", "93.184.216.1", "::", "::1", "fe80::1", "fe80::1%lo", "fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254",
		"fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:93.184.216.1", "::127.0.0.1", "::10.0.0.1", "64:ff9b::7f00:1",
		"64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a00:1::5", "2001:0:7f00:1::", "2001:0:808:808::8000:fffe", "2a00:1450::7",
	} {
		if _, blocked := f.Blocked(netip.MustParseAddr(s)); !blocked {
			t.Errorf("%s passes", s)
		}
	}
	for _, s := range []string{"8.8.8.8", "93.184.216.34", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "198.17.0.1", "198.20.0.1",
		"223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"} {
		if r, blocked := f.Blocked(netip.MustParseAddr(s)); blocked {
			t.Errorf("%s is blocked as %s (%s)", s, r.What, r.Source)
		}
	}
	for s, never := range map[string]bool{"169.254.169.254": true, "64:ff9b::a9fe:a9fe": true, "::ffff:169.254.169.254": true, "127.0.0.1": false, "10.0.0.1": false, "224.0.0.1": true} {
		if r, _ := f.Blocked(netip.MustParseAddr(s)); r.Never != never {
			t.Errorf("%s: never is %v", s, r.Never)
		}
	}
}

func TestEveryRangeHasItsSource(t *testing.T) {
	for _, r := range table() {
		if r.Source == "" || r.What == "" || r.Prefix != r.Prefix.Masked() {
			t.Errorf("%+v", r)
		}
	}
}
