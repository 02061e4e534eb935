package hello

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"testing"
)

// capture returns the ClientHello that crypto/tls sends.
func capture(t testing.TB, c *tls.Config) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer b.Close()
	go func() {
		tls.Client(a, c).Handshake()
		a.Close()
	}()
	var col Collector
	buf := make([]byte, 4096)
	for !col.Done() {
		n, err := b.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		col.Write(buf[:n])
	}
	return bytes.Clone(col.Raw())
}

func read(pieces ...[]byte) (Hello, error) {
	var c Collector
	for _, p := range pieces {
		c.Write(p)
	}
	if !c.Done() {
		return Hello{}, errors.New("incomplete")
	}
	return c.Hello()
}

func TestHelloOfCryptoTLS(t *testing.T) {
	raw := capture(t, &tls.Config{ServerName: "API.Example.com.", NextProtos: []string{"h2", "http/1.1"}})
	h, err := read(raw)
	if err != nil || h.Name != "api.example.com" || h.ECH || h.EarlyData || len(h.ALPN) != 2 || h.ALPN[0] != "h2" {
		t.Fatalf("%+v, %v", h, err)
	}
	if h, err := read(capture(t, &tls.Config{InsecureSkipVerify: true})); err != nil || h.Name != "" {
		t.Errorf("no name: %+v, %v", h, err)
	}
}

// records splits the handshake message of a capture into records of n bytes.
func records(raw []byte, n int) (out []byte) {
	msg := raw[5:]
	for len(msg) > 0 {
		k := min(n, len(msg))
		out = append(out, 0x16, 3, 1, byte(k>>8), byte(k))
		out = append(out, msg[:k]...)
		msg = msg[k:]
	}
	return out
}

func TestPiecesDoNotMatter(t *testing.T) {
	raw := capture(t, &tls.Config{ServerName: "a.example"})
	for _, r := range [][]byte{raw, records(raw, 1), records(raw, 2), records(raw, 100)} {
		var bytewise [][]byte
		for i := range r {
			bytewise = append(bytewise, r[i:i+1])
		}
		if h, err := read(bytewise...); err != nil || h.Name != "a.example" {
			t.Errorf("%d bytes one by one: %+v, %v", len(r), h, err)
		}
	}
}

// build makes a ClientHello with the given extensions.
func build(ext ...[]byte) []byte {
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0, 0, 2, 0x13, 1, 1, 0)
	all := bytes.Join(ext, nil)
	body = append(body, byte(len(all)>>8), byte(len(all)))
	body = append(body, all...)
	msg := append([]byte{1, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
	return records(append(make([]byte, 5), msg...), 1<<14)
}

func ext(kind uint16, data []byte) []byte {
	return append([]byte{byte(kind >> 8), byte(kind), byte(len(data) >> 8), byte(len(data))}, data...)
}

func sni(names ...string) []byte {
	var list []byte
	for _, n := range names {
		list = append(list, 0, byte(len(n)>>8), byte(len(n)))
		list = append(list, n...)
	}
	return ext(0, append([]byte{byte(len(list) >> 8), byte(len(list))}, list...))
}

func TestBuilt(t *testing.T) {
	if h, err := read(build(sni("a.example"), ext(0xfe0d, []byte{0}), ext(42, nil))); err != nil || !h.ECH || !h.EarlyData || h.Name != "a.example" {
		t.Errorf("%+v, %v", h, err)
	}
	for name, x := range map[string]struct {
		raw  []byte
		want error
	}{
		"two names":    {build(sni("a.example", "b.example")), ErrNotTLS},
		"empty name":   {build(sni("")), ErrName},
		"address":      {build(sni("192.0.2.1")), ErrName},
		"IPv6 address": {build(sni("::1")), ErrName},
		"NUL":          {build(sni("a.example\x00.evil")), ErrName},
		"300 bytes":    {build(sni(string(bytes.Repeat([]byte("a"), 300)))), ErrName},
		"not ASCII":    {build(sni("b\xc3\xbccher.example")), ErrName},
		"twice":        {build(sni("a.example"), sni("b.example")), ErrNotTLS},
		"SSLv2":        {[]byte{0x80, 0x2e, 1, 3, 1, 0, 0x15, 0, 0, 0, 0x10}, ErrNotTLS},
		"HTTP":         {[]byte("GET / HTTP/1.1\r\n"), ErrNotTLS},
		"empty record": {[]byte{0x16, 3, 1, 0, 0}, ErrNotTLS},
		"huge record":  {[]byte{0x16, 3, 1, 0x40, 1}, ErrNotTLS},
		"server hello": {[]byte{0x16, 3, 1, 0, 1, 2}, ErrNotTLS},
		"huge message": {[]byte{0x16, 3, 1, 0, 4, 1, 0x7f, 0, 0}, ErrTooLong},
		"trailing": {append(build(sni("a.example"))[:3], func() []byte {
			r := build(sni("a.example"))
			return append([]byte{byte((len(r) - 4) >> 8), byte(len(r) - 4)}, append(r[5:], 0)...)
		}()...), ErrNotTLS},
		"half a name":    {build(ext(0, []byte{0, 5, 0, 0, 9, 'a', 'b'})), ErrNotTLS},
		"odd cipherlist": {records(append(make([]byte, 5), append([]byte{1, 0, 0, 41, 3, 3}, append(make([]byte, 32), 0, 0, 3, 1, 2, 3, 1)...)...), 1<<14), ErrNotTLS},
	} {
		if h, err := read(x.raw); !errors.Is(err, x.want) {
			t.Errorf("%s: %+v, %v; want %v", name, h, err, x.want)
		}
	}
	long := bytes.Repeat([]byte{0x16, 3, 1, 0, 1, 1}, 1)
	var c Collector
	c.Write(long)
	c.Write([]byte{0x16, 3, 1, 0, 3, 0, 0xff, 0}) // 65,280 bytes are announced
	for !c.Done() {
		c.Write(append([]byte{0x16, 3, 1, 0x20, 0}, make([]byte, 0x2000)...))
	}
	if _, err := c.Hello(); err == nil {
		t.Error("a hello of zeros is read")
	}
}

func FuzzHello(f *testing.F) {
	f.Add(capture(f, &tls.Config{ServerName: "a.example", NextProtos: []string{"h2"}}), 7)
	f.Add(build(sni("a.example"), ext(0xfe0d, []byte{0})), 1)
	f.Add(records(build(sni("a.example")), 3), 2)
	f.Fuzz(func(t *testing.T, raw []byte, cut int) {
		whole, err := read(raw)
		if cut <= 0 || cut >= len(raw) {
			return
		}
		var c Collector
		for rest := raw; len(rest) > 0 && !c.Done(); {
			k := min(cut, len(rest))
			c.Write(rest[:k])
			rest = rest[k:]
		}
		if !c.Done() {
			if err == nil {
				t.Fatal("complete in one piece only")
			}
			return
		}
		h, err2 := c.Hello()
		// A first piece that is complete may be decided before bytes that follow it are seen.
		if err == nil && (err2 != nil || h.Name != whole.Name || h.ECH != whole.ECH) {
			t.Fatalf("%+v, %v in one piece; %+v, %v in several", whole, err, h, err2)
		}
		if len(h.Name) > 253 || bytes.ContainsAny([]byte(h.Name), "\x00 \r\n:/") {
			t.Fatalf("name %q", h.Name)
		}
	})
}
