package filters

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/seccomp/analyze"
	"cellos.io/cellos/seccomp/policyfile"
	"cellos.io/cellos/sysabi"
)

// A programReport says which program it is about.
type programReport struct {
	Name         string `json:"name"`
	Arch         string `json:"arch"`
	Instructions int    `json:"instructions"`
	SHA256       string `json:"sha256"`
}

func (t *filterTool) report(l *loaded) programReport {
	sum := sha256.Sum256(l.program.Bytes())
	return programReport{l.name, t.arch.String(), len(l.program), hex.EncodeToString(sum[:])}
}

func (t *filterTool) list(args []string) error {
	if len(args) > 0 {
		return t.mistake("unexpected argument "+cli.Quote(cli.Brief(args[0])), "")
	}
	var rows []programReport
	for _, name := range profileNames() {
		l, err := t.read(name)
		if name == "baseline" && err != nil {
			break // it and what is added to it are not for every architecture
		}
		if err != nil {
			return err
		}
		rows = append(rows, t.report(l))
	}
	if t.json {
		return cli.WriteJSON(t.env.Out, rows)
	}
	for _, r := range rows {
		fmt.Fprintf(t.env.Out, "%-26s %4d instructions  sha256 %s\n", r.Name, r.Instructions, r.SHA256)
	}
	return nil
}

func (t *filterTool) show(args []string) error {
	l, err := t.one(args)
	if err != nil {
		return err
	}
	if l.policy == nil {
		return t.mistake(cli.Brief(l.name)+" is a program, whose policy nobody knows", "cellos seccomp explain and cellos seccomp disasm tell what it does")
	}
	var text []byte
	switch t.format {
	case "yaml":
		text = policyfile.YAML(l.policy)
	case "json":
		text, err = policyfile.JSON(l.policy)
	case "oci":
		text, err = policyfile.OCI(l.policy, t.arch)
	default:
		return t.mistake("--format "+cli.Brief(t.format)+": the formats are yaml, json and oci", "")
	}
	if err != nil {
		return cli.Failure{Code: cli.ExitUsage, Errs: cli.Split(err)}
	}
	_, err = t.env.Out.Write(text)
	return err
}

func (t *filterTool) compile(args []string) error {
	l, err := t.one(args)
	if err != nil {
		return err
	}
	text, err := l.program.Format(t.format, t.arch)
	if err != nil {
		return t.mistake("--format "+cli.Brief(t.format)+": the formats are "+strings.Join(seccomp.Formats(), ", "), "")
	}
	if t.output != "" {
		return cli.WriteFile(t.output, text)
	}
	if _, _, err := sysabi.WindowSize(int(t.env.Out.Fd())); err == nil && t.format == "raw" {
		return t.mistake("the bytes of a program are not for a terminal", "choose a file with --output, or another form with --format")
	}
	_, err = t.env.Out.Write(text)
	return err
}

func (t *filterTool) disasm(args []string) error {
	l, err := t.one(args)
	if err != nil {
		return err
	}
	text := l.program.Disassemble(t.arch)
	if !t.json {
		_, err = fmt.Fprint(t.env.Out, text)
		return err
	}
	type instruction struct {
		Code uint16 `json:"code"`
		JT   uint8  `json:"jt"`
		JF   uint8  `json:"jf"`
		K    uint32 `json:"k"`
		Text string `json:"text"`
		Note string `json:"note,omitempty"`
	}
	report := struct {
		programReport
		Listing []instruction `json:"listing"`
	}{programReport: t.report(l)}
	for pc, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if pc == len(l.program) {
			break
		}
		i := l.program[pc]
		_, note, _ := strings.Cut(line, " ; ")
		report.Listing = append(report.Listing, instruction{i.Code, i.JT, i.JF, i.K, i.String(), note})
	}
	return cli.WriteJSON(t.env.Out, report)
}

func (t *filterTool) explain(args []string) error {
	if err := t.count(args, 1); err != nil {
		return err
	}
	l, err := t.valid(args[0])
	if err != nil {
		return err
	}
	x, err := analyze.Program(l.program, t.arch)
	if err != nil {
		return err
	}
	e := x.Explain()
	if t.json {
		report := struct {
			programReport
			*analyze.Explanation
			Costs []analyze.Cost `json:"costs,omitempty"`
		}{programReport: t.report(l), Explanation: e}
		report.Explanation = e
		if t.costs {
			report.Costs = x.Costs()
		}
		return cli.WriteJSON(t.env.Out, report)
	}
	if _, err := fmt.Fprint(t.env.Out, e); err != nil || !t.costs {
		return err
	}
	fmt.Fprintf(t.env.Out, "\ninstructions that run for a call; none where the kernel knows the answer from the start\n")
	for _, c := range x.Costs() {
		switch {
		case c.Cached:
			fmt.Fprintf(t.env.Out, "  %-26s none\n", c.Call)
		case c.Least == c.Most:
			fmt.Fprintf(t.env.Out, "  %-26s %d\n", c.Call, c.Most)
		default:
			fmt.Fprintf(t.env.Out, "  %-26s %d to %d\n", c.Call, c.Least, c.Most)
		}
	}
	return nil
}
