package records

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/lines"
	"cellos.io/cellos/evidence/record"
	"cellos.io/cellos/gate/wire"
)

const RunsUsage = `usage: cellos runs [--json]
       cellos runs --recover [--signer WHAT] [--signer-key FILE]
       cellos runs --clean

Lists the recorded runs, newest first. Records are in $CELLOS_STATE, else in $XDG_STATE_HOME/cellos, else in
~/.local/state/cellos.

  --recover  close the records of runs whose supervisor died, with a signed event that says so
  --clean    remove what a crash of the machine left of runs; never a record
  --signer, --signer-key   as in cellos help run
`

type runSummary struct {
	ID      string     `json:"id"`
	Path    string     `json:"path"`
	Status  string     `json:"status"`
	SpecID  string     `json:"specId,omitempty"`
	RunID   string     `json:"runId,omitempty"`
	Run     string     `json:"cellosrun,omitempty"`
	Started *time.Time `json:"started,omitempty"`
	Ended   *time.Time `json:"ended,omitempty"`
	Events  uint64     `json:"events"`
	Outcome string     `json:"outcome,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	Error   string     `json:"error,omitempty"`
}

func summaryOf(s record.Summary) runSummary {
	r := runSummary{ID: s.ID, Path: s.Path, Status: string(s.Status), SpecID: s.SpecID, RunID: s.RunID, Run: s.Run, Events: s.Events, Outcome: s.Outcome, Reason: s.Reason}
	if !s.Started.IsZero() {
		r.Started = &s.Started
	}
	if !s.Ended.IsZero() {
		r.Ended = &s.Ended
	}
	if s.Err != nil {
		r.Error = s.Err.Error()
	}
	return r
}

// Runs is the command runs.
func Runs(args []string, env cli.Environment, ui *cli.Console) error {
	set := flag.NewFlagSet("runs", flag.ContinueOnError)
	asJSON, clean, recover := set.Bool("json", false, ""), set.Bool("clean", false, ""), set.Bool("recover", false, "")
	var sign Signing
	sign.Register(set)
	rest, _, err := cli.Parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.Out, RunsUsage)
		return err
	}
	if err == nil && len(rest) > 0 {
		err = errors.New("unexpected argument " + cli.Quote(rest[0]))
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help runs").At("runs")
	}
	state, err := cli.StateDir(env)
	if err != nil {
		return err
	}
	if *recover {
		return recoverRuns(state, sign, env, ui)
	}
	if *clean {
		return record.Clean(state, func(c record.Crashed) error {
			if err := errors.Join(cleanGroups(c, env.Out), cleanFolders(c)); err != nil || c.Scratch == "" {
				return err
			}
			fmt.Fprintf(env.Out, "removed the scratch directory of %s\n", c.ID)
			return c.Dir.RemoveScratch()
		})
	}
	list, err := record.List(state)
	if err != nil {
		return err
	}
	if *asJSON {
		out := make([]runSummary, len(list))
		for i, s := range list {
			out[i] = summaryOf(s)
		}
		return cli.WriteJSON(env.Out, out)
	}
	w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	if len(list) > 0 {
		fmt.Fprintln(w, "RUN\tCELL\tSTATUS\tOUTCOME\tSTARTED\tEVENTS")
	}
	for _, s := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\n", s.ID, cli.OneLine(s.SpecID), s.Status, s.Outcome, s.Started.Local().Format(time.DateTime), s.Events)
	}
	return w.Flush()
}

// recoverRuns closes the chains of runs that nobody lives to close.
func recoverRuns(state string, sign Signing, env cli.Environment, ui *cli.Console) error {
	key, err := sign.Signer(env, ui)
	if err != nil {
		return err
	}
	return record.Clean(state, func(c record.Crashed) error {
		late, err := undelivered(c.Dir.Path())
		if err == nil {
			_, err = c.Dir.Recover(key, "the supervisor died", time.Now, late...)
		}
		if errors.Is(err, record.ErrNothingToClose) {
			return nil
		}
		if err == nil {
			fmt.Fprintf(env.Out, "closed %s as abandoned\n", c.ID)
			err = c.Dir.RemoveAhead()
		}
		return err
	})
}

// undelivered lists the decisions on connections that a run's gate wrote ahead and the chain does not have.
func undelivered(dir string) (late []record.Late, err error) {
	f, err := os.Open(filepath.Join(dir, record.AheadFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := wire.ReadAhead(f, 0)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	chain, err := os.Open(filepath.Join(dir, record.EventsFile))
	if err != nil {
		return nil, err
	}
	defer chain.Close()
	for r := lines.NewReader(chain, evidence.MaxLine); len(list) > 0; {
		line, err := r.Next()
		if err != nil {
			break // the end, or a line that was cut off: nothing is in the chain behind it
		}
		list = slices.DeleteFunc(list, func(d wire.Decision) bool { return bytes.Contains(line, []byte(d.DecisionID)) })
	}
	for _, d := range list {
		late = append(late, record.Late{Source: d.Source, Payload: d.FlowDecision})
	}
	return late, nil
}
