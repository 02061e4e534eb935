package records

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/record"
	"cellos.io/cellos/evidence/verify"
	"cellos.io/cellos/evidence/view"
	"cellos.io/cellos/printable"
	"cellos.io/cellos/terminal"
)

const ShowUsage = `usage: cellos show [--html [--output FILE] | --json] [--key FILE]... [RUN|FILE]
       cellos show --events | --document | --plan [RUN]

Shows a run: how it ended, a timeline, the boundary, what was granted and what was used of it, what was refused and what would allow it.
RUN is its name, the beginning of its name or of the part behind the dash, or "last", the default; FILE is a file of events.

  --html          one page for a browser, which needs no network and prints
  --output FILE   write it there
  --json          the summary for programs
  --key FILE      public keys to trust, as in cellos help verify
  --events        its events as they were written, one a line
  --document      the document as it was read
  --plan          the plan: what it could do, and the system calls that built the cell
`

// Show is the command show.
func Show(args []string, env cli.Environment, ui *cli.Console) error {
	set := flag.NewFlagSet("show", flag.ContinueOnError)
	asJSON, html, output := set.Bool("json", false, ""), set.Bool("html", false, ""), set.String("output", "", "")
	var keys []string
	set.Func("key", "", func(v string) error { keys = append(keys, v); return nil })
	raw := map[string]*bool{record.EventsFile: set.Bool("events", false, ""), record.DocumentFile: set.Bool("document", false, ""), record.PlanText: set.Bool("plan", false, "")}
	rest, _, err := cli.Parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.Out, ShowUsage)
		return err
	}
	if err == nil && *output != "" && !*html {
		err = errors.New("--output goes with --html")
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help show").At("show")
	}
	name := "last"
	if len(rest) > 0 {
		name = rest[0]
	}
	for file, want := range raw {
		if *want {
			return showFile(name, file, env)
		}
	}
	if *asJSON {
		dir, err := recorded(name, env)
		if err != nil {
			return err
		}
		return cli.WriteJSON(env.Out, summaryOf(record.Read(dir)))
	}
	trusted, err := trust(keys, env)
	if err != nil {
		return err
	}
	run, err := viewed(name, trusted, env)
	switch {
	case err != nil:
		return err
	case !*html:
		return run.Text(env.Out)
	case *output == "":
		return run.HTML(env.Out)
	}
	var page bytes.Buffer
	if err := run.HTML(&page); err != nil {
		return err
	}
	return os.WriteFile(*output, page.Bytes(), 0o644)
}

// recorded finds the record of a run.
func recorded(name string, env cli.Environment) (dir string, err error) {
	state, err := cli.StateDir(env)
	if err != nil {
		return "", err
	}
	if dir, err = record.Find(state, name); err != nil {
		return "", cli.NewMistake(err.Error(), "cellos runs lists the runs")
	}
	return dir, nil
}

// showFile prints a file of the record as it is; on a terminal, what could play tricks there is written as JSON escapes it.
func showFile(name, file string, env cli.Environment) error {
	dir, err := recorded(name, env)
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(dir, file))
	if err != nil {
		return err
	}
	defer f.Close()
	if !terminal.Is(env.Out) {
		_, err = io.Copy(env.Out, f)
		return err
	}
	text, err := io.ReadAll(f)
	if err == nil {
		_, err = env.Out.Write(printable.JSON(text))
	}
	return err
}

// viewed reads and verifies a run.
func viewed(name string, trusted verify.Keys, env cli.Environment) (*view.Run, error) {
	in, dir, err := openEvidence(name, env)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	seek, ok := in.(io.ReadSeeker)
	if !ok { // standard input is read twice too
		text, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		seek = bytes.NewReader(text)
	}
	v := verify.Verifier{Keys: trusted}
	if dir != "" {
		document, err := os.ReadFile(filepath.Join(dir, record.DocumentFile))
		if err != nil {
			return nil, err
		}
		v.Document = evidence.DocumentDigest(document)
	}
	report, err := v.Verify(seek)
	if err != nil {
		return nil, err
	}
	if _, err := seek.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	run, err := view.Read(seek)
	if err != nil {
		return nil, err
	}
	run.Verified(report)
	if dir != "" {
		run.Name, run.Record = filepath.Base(dir), dir
	}
	return run, nil
}

const DiffUsage = `usage: cellos diff [--json] [--key FILE]... RUN RUN

Compares two runs: what was asked and granted, how the boundary was measured, how they ended, what was refused, and what they left. RUN is as in
cellos help show. Exit status 0 if nothing differs, 1 if something does.

  --json       print the differences for programs
  --key FILE   public keys to trust, as in cellos help verify
`

// Diff is the command diff.
func Diff(args []string, env cli.Environment, ui *cli.Console) error {
	set := flag.NewFlagSet("diff", flag.ContinueOnError)
	asJSON := set.Bool("json", false, "")
	var keys []string
	set.Func("key", "", func(v string) error { keys = append(keys, v); return nil })
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	err := set.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.Out, DiffUsage)
		return err
	}
	if err != nil {
		err = errors.New(cli.FlagError(err.Error()))
	} else if set.NArg() != 2 {
		err = errors.New("two runs are required")
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help diff").At("diff")
	}
	trusted, err := trust(keys, env)
	if err != nil {
		return cli.Failure{Code: cli.ExitUsage, Errs: []error{err}}
	}
	var runs [2]*view.Run
	for i := range runs {
		if runs[i], err = viewed(set.Arg(i), trusted, env); err != nil {
			return cli.Failure{Code: cli.ExitUsage, Errs: []error{err}}
		}
	}
	list := view.Diff(runs[0], runs[1])
	if *asJSON {
		err = cli.WriteJSON(env.Out, append([]view.Difference{}, list...))
	} else {
		err = view.WriteDiff(env.Out, runs[0], runs[1], list)
	}
	if err == nil && len(list) > 0 {
		err = cli.Status(1)
	}
	return err
}
