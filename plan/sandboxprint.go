package plan

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// text prints what a plan for gVisor has besides the rest.
func (s *Sandbox) text(b []byte, inside []Probe) []byte {
	r := s.Runsc
	b = fmt.Appendf(b, "\nrunsc %s, platform %s, from %s, sha256 %s\n", oneLine(r.Version), r.Platform, oneLine(r.Path), r.SHA256)
	for _, f := range s.Filters {
		b = fmt.Appendf(b, "  around it the filter %s\n", f)
	}
	for _, p := range s.Boot.Probes {
		b = fmt.Appendf(b, "  around it must be refused: %s (%s)  [%s]\n", p.Name, p.Expects(), p.Layer)
	}
	config, err := json.MarshalIndent(s.Spec, "", "  ")
	if err != nil {
		config = []byte(err.Error())
	}
	b = fmt.Appendf(b, "\nits bundle:\n%s\n", config)
	b = append(b, "\nwhat the command's first process does in gVisor, and what it must be answered\n"...)
	last, n := "", 0
	for i, p := range inside {
		line := fmt.Sprintf("%s(%s) = %s  # %s: %s", p.Call, operands(p.Args), p.Expects(), p.Layer, p.Name)
		if p.Call == "prctl" && i+1 < len(inside) && inside[i+1].Name == p.Name { // one for each capability
			if last != p.Name {
				last, n = p.Name, i
			}
			continue
		}
		if p.Call == "prctl" && last == p.Name {
			line += fmt.Sprintf(" (and %d more of the kind)", i-n)
		}
		b = fmt.Appendf(b, "     %s\n", line)
	}
	return b
}

func operands(list []Operand) string {
	s := make([]string, len(list))
	for i, o := range list {
		switch {
		case o.Back == 1:
			s[i] = "<result before>"
		case o.Back > 1:
			s[i] = fmt.Sprintf("<result %d before>", o.Back)
		case o.Filter != nil:
			s[i] = fmt.Sprintf("{%d instructions}", len(o.Filter)/8)
		case o.Data != nil:
			s[i] = quoted(o.Data)
		case int64(o.Value) < 0:
			s[i] = fmt.Sprint(int64(o.Value))
		default:
			s[i] = fmt.Sprint(o.Value)
		}
	}
	return strings.Join(s, ", ")
}

// A ReportSandbox is the part of a Report about gVisor.
type ReportSandbox struct {
	Path     string      `json:"path"`
	Version  string      `json:"version"`
	SHA256   string      `json:"sha256"`
	Platform string      `json:"platform"`
	Bundle   *specs.Spec `json:"bundle"`
}
