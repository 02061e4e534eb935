package gate

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// ask builds a question; change may spoil it.
func ask(name string, t dnsmessage.Type, change func([]byte) []byte) []byte {
	b := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for l := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(l))), l...)
	}
	b = append(b, 0, byte(t>>8), byte(t), 0, 1)
	if change != nil {
		b = change(b)
	}
	return b
}

func set(at int, v byte) func([]byte) []byte {
	return func(b []byte) []byte { b[at] = v; return b }
}

func TestQuestions(t *testing.T) {
	edns := []byte{0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0}
	for name, x := range map[string]struct {
		msg  []byte
		name string // "" means malformed
	}{
		"plain":             {ask("api.example.com", 1, nil), "api.example.com"},
		"case":              {ask("aPi.ExAmple.com", 1, nil), "api.example.com"},
		"checking disabled": {ask("a.example", 1, set(3, 0x30)), "a.example"},
		"EDNS":              {ask("a.example", 1, func(b []byte) []byte { b[11] = 1; return append(b, edns...) }), "a.example"},
		"EDNS options":      {ask("a.example", 1, func(b []byte) []byte { b[11] = 1; return append(append(b, edns[:10]...), 4, 0, 10, 0, 0) }), "a.example"},
		"EDNS, cut":         {ask("a.example", 1, func(b []byte) []byte { b[11] = 1; return append(append(b, edns[:10]...), 5, 0, 10, 0, 0) }), ""},
		"EDNS announced":    {ask("a.example", 1, set(11, 1)), ""},
		"bytes behind":      {ask("a.example", 1, func(b []byte) []byte { return append(b, 0) }), ""},
		"answer":            {ask("a.example", 1, set(2, 0x81)), ""},
		"update":            {ask("a.example", 1, set(2, 5<<3)), ""},
		"notify":            {ask("a.example", 1, set(2, 4<<3)), ""},
		"no question":       {ask("a.example", 1, set(5, 0)), ""},
		"two questions":     {ask("a.example", 1, set(5, 2)), ""},
		"65535 questions":   {ask("a.example", 1, func(b []byte) []byte { b[4], b[5] = 255, 255; return b }), ""},
		"an answer in it":   {ask("a.example", 1, set(7, 1)), ""},
		"class CH":          {ask("a.example", 1, func(b []byte) []byte { b[len(b)-1] = 3; return b }), ""},
		"pointer":           {ask("a.example", 1, set(12, 0xc0)), ""},
		"long label":        {ask(strings.Repeat("a", 64)+".example", 1, nil), ""},
		"longest label":     {ask(strings.Repeat("a", 63)+".example", 1, nil), strings.Repeat("a", 63) + ".example"},
		"long name":         {ask(strings.Repeat("a.", 127)+"a", 1, nil), ""},
		"dot in a label":    {ask("a.example", 1, set(13, '.')), ""},
		"blank in a label":  {ask("a.example", 1, set(13, ' ')), ""},
		"NUL in a label":    {ask("a.example", 1, set(13, 0)), ""},
		"control":           {ask("a.example", 1, set(13, 7)), ""},
		"cut name":          {ask("a.example", 1, func(b []byte) []byte { return b[:15] }), ""},
		"cut type":          {ask("a.example", 1, func(b []byte) []byte { return b[:len(b)-3] }), ""},
		"cut header":        {make([]byte, 11), ""},
		"nothing":           {nil, ""},
	} {
		q, err := parseQuestion(x.msg)
		if (err != nil) != (x.name == "") || err == nil && q.name != x.name {
			t.Errorf("%s: %+v, %v", name, q, err)
		}
	}
	q, err := parseQuestion([]byte{0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1})
	if err != nil || q.name != "" {
		t.Errorf("the root: %+v, %v", q, err)
	}
}

func TestReplies(t *testing.T) {
	q, err := parseQuestion(ask("aPi.example", dnsmessage.TypeTXT, nil))
	if err != nil {
		t.Fatal(err)
	}
	var m dnsmessage.Message
	long := []dnsmessage.ResourceBody{&dnsmessage.TXTResource{TXT: []string{strings.Repeat("x", 250), strings.Repeat("y", 250)}}}
	if err := m.Unpack(q.reply(0, long, 1, false)); err != nil || !m.Truncated || len(m.Answers) != 0 {
		t.Errorf("over UDP: %+v, %v", m, err)
	}
	if err := m.Unpack(q.reply(0, long, 1, true)); err != nil || m.Truncated || len(m.Answers) != 1 || m.ID != 0x1234 || m.Questions[0].Name.String() != "aPi.example." {
		t.Errorf("over TCP: %+v, %v", m, err)
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add(ask("api.example.com", 1, nil))
	f.Add(ask("a.example", 16, func(b []byte) []byte { b[11] = 1; return append(b, 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0) }))
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := parseQuestion(b)
		if err != nil {
			return
		}
		r := q.reply(dnsmessage.RCodeRefused, nil, 0, false)
		var m dnsmessage.Message
		if err := m.Unpack(r); err != nil || m.ID != q.id || len(m.Questions) != 1 || !strings.EqualFold(strings.TrimSuffix(m.Questions[0].Name.String(), "."), q.name) {
			t.Fatalf("% x: %+v, answered % x: %v", b, q, r, err)
		}
		if bytes.ContainsAny([]byte(q.name), " \x00/:") {
			t.Fatalf("name %q", q.name)
		}
	})
}
