package verify_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/verify"
)

// tampering is one manipulation of a recorded run.
type tampering struct {
	name    string
	change  func(lines [][]byte) [][]byte
	verdict verify.Verdict
	kind    verify.Kind // one that must be among the findings; empty: none at all
}

// edit changes line n, counted from 1.
func edit(n int, f func(line string) string) func([][]byte) [][]byte {
	return func(lines [][]byte) [][]byte {
		old := string(lines[n-1])
		if lines[n-1] = []byte(f(old)); string(lines[n-1]) == old {
			panic("the manipulation changes nothing")
		}
		return lines
	}
}

func swap(old, new string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, new, 1) }
}

// envelope rewrites the DSSE envelope in a line.
func envelope(f func(map[string]any)) func(string) string {
	return func(line string) string {
		before, rest, _ := strings.Cut(line, `"dssematerial":"`)
		value, after, _ := strings.Cut(rest, `"`)
		text, err := base64.StdEncoding.DecodeString(value)
		var e map[string]any
		if err != nil || json.Unmarshal(text, &e) != nil {
			panic("no envelope")
		}
		f(e)
		text, _ = json.Marshal(e)
		return before + `"dssematerial":"` + base64.StdEncoding.EncodeToString(text) + `"` + after
	}
}

// reencode reads and writes every line as a transport may: members sorted, blanks, other escapes.
func reencode(lines [][]byte) [][]byte {
	for i, l := range lines {
		var v map[string]json.RawMessage
		if err := json.Unmarshal(l, &v); err != nil {
			panic(err)
		}
		for k, raw := range v {
			var inner map[string]json.RawMessage
			if k == "data" && json.Unmarshal(raw, &inner) == nil {
				v[k], _ = json.MarshalIndent(inner, "", " ")
			}
		}
		text, _ := json.MarshalIndent(v, " ", "  ")
		text = bytes.ReplaceAll(text, []byte("\n"), []byte(" "))
		lines[i] = append(bytes.ReplaceAll(text, []byte("é"), []byte(`\u00e9`)), '\n')
	}
	return lines
}

func tamperings(other, resigned, sameID [][]byte) []tampering {
	sig := func(f func(map[string]any)) func(string) string {
		return envelope(func(e map[string]any) { f(e["signatures"].([]any)[0].(map[string]any)) })
	}
	list := []tampering{
		{"untouched", func(l [][]byte) [][]byte { return l }, verify.Good, ""},
		{"members reordered and respelled", reencode, verify.Good, ""},
		{"time with Z", edit(3, swap("+00:00\"", "Z\"")), verify.Good, ""},
		{"time in another zone", edit(3, swap("T09:12:33.556447589+00:00", "T11:12:33.556447589+02:00")), verify.Good, ""},
		{"traceparent left out", edit(3, swap(`,"traceparent":null`, "")), verify.Good, ""},
		{"unset attribute added", edit(3, swap(`,"traceparent":null`, `,"traceparent":null,"subject":null`)), verify.Good, ""},
		{"escape in data", edit(3, swap(`"specHash":"00"`, `"specHash":"\u0030\u0030"`)), verify.Good, ""},

		{"data changed", edit(9, swap(`"exitCode":0`, `"exitCode":1`)), verify.BadEvents, verify.Altered},
		{"1 as 1.0", edit(3, swap(`"ttlSeconds":60`, `"ttlSeconds":60.0`)), verify.BadEvents, verify.Altered},
		{"1.5 as 15e-1", edit(4, swap(`1.5`, `15e-1`)), verify.BadEvents, verify.Altered},
		{"member added to data", edit(3, swap(`"runId"`, `"added":1,"runId"`)), verify.BadEvents, verify.Altered},
		{"member taken from data", edit(14, swap(`"residueClass":"none",`, "")), verify.BadEvents, verify.Altered},
		{"data null", edit(13, func(s string) string {
			a, rest, _ := strings.Cut(s, `"data":`)
			_, b, _ := strings.Cut(rest, `,"time"`)
			return a + `"data":null,"time"` + b
		}), verify.BadEvents, verify.Altered},
		{"id changed", edit(2, func(s string) string { i := strings.Index(s, `"id":"`) + 6; return s[:i] + flip(s[i:]) }), verify.BadEvents, verify.Altered},
		{"source changed", edit(2, swap("cellos-supervisor", "cellos-supervisoR")), verify.BadEvents, verify.Altered},
		{"type changed", edit(3, swap("v1.started", "v1.destroyed")), verify.BadEvents, verify.Altered},
		{"content type changed", edit(3, swap("application/json", "application/jsom")), verify.BadEvents, verify.Altered},
		{"subject added", edit(3, swap(`,"traceparent"`, `,"subject":"x","traceparent"`)), verify.BadEvents, verify.Altered},
		{"time changed by a nanosecond", edit(3, swap(".556447589", ".556447588")), verify.BadEvents, verify.Altered},
		{"time changed by a second", edit(3, swap(":33.556447589", ":34.556447589")), verify.BadEvents, verify.Altered},
		{"time unset", edit(3, swap(`"time":"2026-11-23T09:12:33.556447589+00:00"`, `"time":null`)), verify.BadEvents, verify.Altered},
		{"sequence changed", edit(5, swap("0000000005", "0000000006")), verify.BadEvents, verify.Altered},
		{"sequence lowered", edit(5, swap("0000000005", "0000000002")), verify.BadEvents, verify.Altered},
		{"sequence raised far", edit(5, swap("0000000005", "9000000005")), verify.BadEvents, verify.Altered},
		{"run changed", edit(5, func(s string) string { i := strings.Index(s, `"cellosrun":"`) + 13; return s[:i] + flip(s[i:]) }), verify.BadEvents, verify.Altered},
		{"predecessor changed", edit(5, func(s string) string { i := strings.Index(s, `"cellosprev":"sha256:`) + 21; return s[:i] + flip(s[i:]) }), verify.BadEvents, verify.Altered},
		{"count changed", edit(14, swap(`"celloscount":14`, `"celloscount":13`)), verify.BadEvents, verify.Altered},
		{"count stripped", edit(14, swap(`,"celloscount":14`, ``)), verify.BadEvents, verify.Altered},
		{"count added", edit(13, swap(`,"dssematerial"`, `,"celloscount":13,"dssematerial"`)), verify.BadEvents, verify.Unsigned},
		{"attribute added", edit(13, swap(`,"dssematerial"`, `,"extra":true,"dssematerial"`)), verify.BadEvents, verify.Unsigned},
		{"traceparent set", edit(3, swap(`"traceparent":null`, `"traceparent":"00-1"`)), verify.BadEvents, verify.Unsigned},
		{"sequence stripped", edit(5, swap(`,"sequence":"0000000005"`, ``)), verify.BadEvents, verify.Altered},
		{"run stripped", edit(5, func(s string) string {
			i := strings.Index(s, `,"cellosrun":`)
			return s[:i] + s[i+len(`,"cellosrun":""`)+36:]
		}), verify.BadEvents, verify.Altered},
		{"material stripped", edit(6, func(s string) string { i := strings.Index(s, `,"dssematerial"`); return s[:i] + "}\n" }), verify.BadEvents, verify.Unsigned},
		{"material unset", edit(6, func(s string) string {
			i := strings.Index(s, `"dssematerial":`)
			return s[:i] + "\"dssematerial\":null}\n"
		}), verify.BadEvents, verify.Unsigned},
		{"material no base64", edit(6, swap(`"dssematerial":"`, `"dssematerial":"*`)), verify.BadEvents, verify.BadSignature},
		{"material of another event", func(l [][]byte) [][]byte {
			a, b := string(l[4]), string(l[5])
			l[4] = []byte(a[:strings.Index(a, `"dssematerial"`)] + b[strings.Index(b, `"dssematerial"`):])
			return l
		}, verify.BadEvents, verify.Altered},
		{"signature emptied", edit(7, sig(func(s map[string]any) { s["sig"] = "" })), verify.BadEvents, verify.BadSignature},
		{"signature changed", edit(7, sig(func(s map[string]any) { s["sig"] = flip(s["sig"].(string)) })), verify.BadEvents, verify.BadSignature},
		{"payload type changed", edit(7, envelope(func(e map[string]any) { e["payloadType"] = "x" })), verify.BadEvents, verify.BadSignature},
		{"payload changed", edit(7, envelope(func(e map[string]any) {
			b, _ := base64.StdEncoding.DecodeString(e["payload"].(string))
			e["payload"] = base64.StdEncoding.EncodeToString(bytes.Replace(b, []byte(`"sequence"`), []byte(`"sequencf"`), 1))
		})), verify.BadEvents, verify.BadSignature},
		{"no signatures", edit(7, envelope(func(e map[string]any) { e["signatures"] = []any{} })), verify.BadEvents, verify.BadSignature},
		{"key id changed", edit(7, sig(func(s map[string]any) { s["keyid"] = "other" })), verify.Untrusted, verify.UnknownKey},
		{"second signature by another key", edit(7, envelope(func(e map[string]any) {
			e["signatures"] = append([]any{map[string]any{"keyid": "other", "sig": "AAAA"}}, e["signatures"].([]any)...)
		})), verify.Good, ""},

		{"first line removed", func(l [][]byte) [][]byte { return l[1:] }, verify.Gaps, verify.Missing},
		{"last line removed", func(l [][]byte) [][]byte { return l[:13] }, verify.NotClosed, verify.Open},
		{"everything removed", func(l [][]byte) [][]byte { return nil }, verify.NotClosed, verify.Open},
		{"lines reversed", func(l [][]byte) [][]byte { slices.Reverse(l); return l }, verify.Gaps, verify.Reordered},
		{"run written twice", func(l [][]byte) [][]byte { return append(l, l...) }, verify.Gaps, verify.Duplicated},
		{"line of another run added", func(l [][]byte) [][]byte { return slices.Insert(l, 5, other[5]) }, verify.Gaps, verify.Foreign},
		{"line replaced by another run's", func(l [][]byte) [][]byte { l[5] = other[5]; return l }, verify.Gaps, verify.Foreign},
		{"end replaced by another run's", func(l [][]byte) [][]byte { return append(l[:7], other[7:]...) }, verify.Gaps, verify.Foreign},
		{"signed by another key", func([][]byte) [][]byte { return resigned }, verify.Untrusted, verify.UnknownKey},
		{"signed by another key of the same id", func([][]byte) [][]byte { return sameID }, verify.BadEvents, verify.BadSignature},

		{"line that is no JSON", func(l [][]byte) [][]byte { return slices.Insert(l, 3, []byte("{}}\n")) }, verify.Garbled, verify.Unreadable},
		{"empty line", func(l [][]byte) [][]byte { return slices.Insert(l, 3, []byte("\n")) }, verify.Garbled, verify.Unreadable},
		{"other JSON", func(l [][]byte) [][]byte { return slices.Insert(l, 3, []byte("[]\n"), []byte("{}\n")) }, verify.Garbled, verify.Unreadable},
		{"huge line", func(l [][]byte) [][]byte {
			return slices.Insert(l, 3, []byte(`{"a":"`+strings.Repeat("x", evidence.MaxLine)+"\"}\n"))
		}, verify.Garbled, verify.Unreadable},
		{"deep line", func(l [][]byte) [][]byte {
			return slices.Insert(l, 3, []byte(`{"a":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+"}\n"))
		}, verify.Garbled, verify.Unreadable},
		{"invalid UTF-8", edit(3, swap("cellos-supervisor", "cellos-supervis\xffr")), verify.Garbled, verify.Unreadable},
		{"lone surrogate", edit(3, swap("cellos-supervisor", `cellos-supervis\ud800r`)), verify.Garbled, verify.Unreadable},
		{"member twice", edit(3, swap(`"specversion":"1.0",`, `"specversion":"1.0","specversion":"1.0",`)), verify.Garbled, verify.Unreadable},
		{"other version", edit(3, swap(`"specversion":"1.0"`, `"specversion":"1.1"`)), verify.Garbled, verify.Unreadable},
		{"run as a number", edit(10, func(s string) string {
			i := strings.Index(s, `"cellosrun":"`) + 12
			return s[:i] + "5" + s[i+38:]
		}), verify.Garbled, verify.Unreadable},
		{"count as a text", edit(14, swap(`"celloscount":14`, `"celloscount":"14"`)), verify.Garbled, verify.Unreadable},
		{"time that is none", edit(3, swap(`"time":"2026-11-23T`, `"time":"2026-11-23 T`)), verify.Garbled, verify.Unreadable},
		{"id emptied", edit(3, func(s string) string { i := strings.Index(s, `"id":"`) + 6; return s[:i] + s[i+36:] }), verify.Garbled, verify.Unreadable},
		{"attribute with a fraction", edit(3, swap(`,"dssematerial"`, `,"extra":1.5,"dssematerial"`)), verify.Garbled, verify.Unreadable},
		{"sequence as a number", edit(10, swap(`"0000000010"`, `10`)), verify.Garbled, verify.Unreadable},
		{"member of data twice", edit(3, swap(`"ttlSeconds":60`, `"ttlSeconds":60,"ttlSeconds":60`)), verify.Garbled, verify.Unreadable},
		{"two lines joined", func(l [][]byte) [][]byte { l[3] = bytes.TrimSuffix(l[3], []byte("\n")); return l }, verify.Garbled, verify.Unreadable},
		{"torn line after the end", func(l [][]byte) [][]byte { return append(l, []byte(`{"spec`)) }, verify.Garbled, verify.Unreadable},
		{"torn last line", func(l [][]byte) [][]byte { l[13] = l[13][:200]; return l }, verify.NotClosed, verify.Torn},
		{"torn first line", func(l [][]byte) [][]byte { return [][]byte{l[0][:20]} }, verify.NotClosed, verify.Torn},
	}
	for n := 2; n <= 13; n++ {
		list = append(list,
			tampering{fmt.Sprintf("line %d removed", n), func(l [][]byte) [][]byte { return slices.Delete(l, n-1, n) }, verify.Gaps, verify.Missing},
			tampering{fmt.Sprintf("line %d repeated", n), func(l [][]byte) [][]byte { return slices.Insert(l, n, l[n-1]) }, verify.Gaps, verify.Duplicated},
			tampering{fmt.Sprintf("cut after line %d", n-1), func(l [][]byte) [][]byte { return l[:n-1] }, verify.NotClosed, verify.Open})
	}
	for i := range 14 {
		for j := range i {
			list = append(list, tampering{fmt.Sprintf("lines %d and %d swapped", j+1, i+1), func(l [][]byte) [][]byte { l[i], l[j] = l[j], l[i]; return l }, verify.Gaps, verify.Reordered})
		}
	}
	return list
}

// flip replaces the first hexadecimal digit or letter of s by another one.
func flip(s string) string {
	if s[0] == 'a' {
		return "b" + s[1:]
	}
	return "a" + s[1:]
}
