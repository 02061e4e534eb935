package records

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/policy"
	"cellos.io/cellos/evidence/publickey"
	"cellos.io/cellos/evidence/record"
	"cellos.io/cellos/evidence/verify"
)

const VerifyUsage = `usage: cellos verify [FLAGS] [RUN|FILE|-]

Checks the evidence of a run: every event signed with a known key and unchanged, none missing, moved, repeated or added, and says what it
proves. RUN is a recorded run (its name, the beginning of it, or "last", the default), FILE a file of events, - standard input.

  --key FILE         public keys to trust: PEM, JWK, JWKS or an SSH public key. Without it, your own (cellos keys)
  --require POLICY   demands on what the evidence says, in YAML: docs/evidence-format.md
  --run ID           take the events of this run (cellosrun) out of a stream with several, such as a mirror file
  --count N          how many events there must be, and
  --head DIGEST      the digest of the last one's payload, as you know them from elsewhere: then a chain that was cut off is told from an open one
  --json             print the report for programs

exit status: 0 good; 2 wrong command line; 3 events are not authentic; 4 events are missing, moved, repeated or cut off; 5 signed with
unknown keys; 6 not closed: its supervisor died, or still runs; 7 a demand is not met; 8 cannot be read.
`

// Exit codes of verify.
var verifyExit = map[verify.Verdict]int{verify.Good: 0, verify.BadEvents: 3, verify.Gaps: 4, verify.Untrusted: 5, verify.NotClosed: 6, verify.Garbled: 8}

const (
	exitUnmet      = 7
	exitUnreadable = 8
)

// Verify is the command verify.
func Verify(args []string, env cli.Environment, ui *cli.Console) error {
	set := flag.NewFlagSet("verify", flag.ContinueOnError)
	var files []string
	set.Func("key", "", func(v string) error { files = append(files, v); return nil })
	require, asJSON := set.String("require", "", ""), set.Bool("json", false, "")
	var known verify.Verifier
	set.StringVar(&known.Run, "run", "", "")
	set.Uint64Var(&known.Count, "count", 0, "")
	set.StringVar(&known.Head, "head", "", "")
	rest, _, err := cli.Parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.Out, VerifyUsage)
		return err
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help verify").At("verify")
	}
	name := "last"
	if len(rest) > 0 {
		name = rest[0]
	}
	unreadable := func(err error) error { return cli.Failure{Code: exitUnreadable, Errs: []error{err}} }
	trusted, err := trust(files, env)
	if err != nil {
		return unreadable(err)
	}
	var demands *policy.Policy
	if *require != "" {
		text, err := os.ReadFile(*require)
		if err != nil {
			return unreadable(err)
		}
		p, err := policy.Parse(text)
		if err != nil {
			return cli.Failure{Code: cli.ExitUsage, Errs: []error{fmt.Errorf("%s: %w", *require, err)}}
		}
		demands = &p
	}
	var facts policy.Facts
	known.Keys, known.Visit = trusted, facts.Visit
	report, err := verified(name, known, &facts, io.Discard, env)
	if err != nil {
		return unreadable(err)
	}
	unmet := []string{}
	if demands != nil && report.Verdict() == verify.Good {
		unmet = append(unmet, demands.Check(report, &facts, time.Now())...)
	}
	if *asJSON {
		proved := []string{}
		if report.Verdict() == verify.Good {
			proved = facts.Sentences()
		}
		err = cli.WriteJSON(env.Out, map[string]any{"verdict": report.Verdict(), "report": report, "unmet": unmet, "proved": proved})
	} else {
		err = writeReport(env.Out, report, &facts, unmet)
	}
	if err != nil {
		return err
	}
	if code := verifyExit[report.Verdict()]; code != 0 {
		return cli.Status(code)
	}
	if len(unmet) > 0 {
		return cli.Status(exitUnmet)
	}
	return nil
}

// trust reads the keys of the files, or the user's own.
func trust(files []string, env cli.Environment) (verify.Keys, error) {
	var list []publickey.Key
	for _, f := range files {
		k, err := PublicKeys(f)
		if err != nil {
			return nil, err
		}
		list = append(list, k...)
	}
	if len(files) > 0 {
		return publickey.Trust(list...), nil
	}
	store, err := keyStore(env)
	if err != nil {
		return nil, err
	}
	own, err := store.List()
	if err != nil {
		return nil, err
	}
	trusted := verify.Keys{}
	for _, k := range own {
		trusted[k.ID] = k.Public
	}
	return trusted, nil
}

// verified verifies a stream of events; that of a recorded run also against the document and the plan beside it, of which facts, that v
// visits, know the digest. What is read goes to copied too.
func verified(name string, v verify.Verifier, facts *policy.Facts, copied io.Writer, env cli.Environment) (verify.Report, error) {
	in, dir, err := openEvidence(name, env)
	if err != nil {
		return verify.Report{}, err
	}
	defer in.Close()
	stream := io.TeeReader(in, copied)
	if dir == "" {
		return v.Verify(stream)
	}
	document, err := os.ReadFile(filepath.Join(dir, record.DocumentFile))
	if err != nil {
		return verify.Report{}, err
	}
	v.Document = evidence.DocumentDigest(document)
	report, err := v.Verify(stream)
	if err != nil || facts.PlanDigest == "" {
		return report, err
	}
	plan, err := os.ReadFile(filepath.Join(dir, record.PlanText))
	if err != nil {
		return verify.Report{}, err
	}
	if got := evidence.DocumentDigest(plan); got != facts.PlanDigest {
		report.Add(verify.Finding{Kind: verify.WrongPlan, Detail: record.PlanText + " has the digest " + got + ", and the events name " + cli.Quote(cli.Brief(facts.PlanDigest))})
	}
	return report, nil
}

// openEvidence opens a stream of events, and returns the directory of a recorded run with it.
func openEvidence(name string, env cli.Environment) (in io.ReadCloser, dir string, err error) {
	if name == "-" {
		return io.NopCloser(env.In), "", nil
	}
	if strings.Contains(name, "/") {
		f, err := os.Open(name)
		return f, "", err
	}
	state, err := cli.StateDir(env)
	if err != nil {
		return nil, "", err
	}
	dir, err = record.Find(state, name)
	if errors.Is(err, fs.ErrNotExist) {
		if f, ferr := os.Open(name); ferr == nil {
			return f, "", nil
		}
		return nil, "", cli.NewMistake(err.Error(), "cellos runs lists the runs")
	}
	if err != nil {
		return nil, "", err
	}
	f, err := os.Open(filepath.Join(dir, record.EventsFile))
	return f, dir, err
}

func writeReport(out io.Writer, r verify.Report, facts *policy.Facts, unmet []string) error {
	for _, f := range r.Findings {
		fmt.Fprintln(out, cli.OneLine(f.String()))
	}
	if r.More > 0 {
		fmt.Fprintf(out, "and %d more findings\n", r.More)
	}
	for _, u := range unmet {
		fmt.Fprintln(out, "not met: "+cli.OneLine(u))
	}
	what := string(r.Verdict())
	if r.Verdict() == verify.Good && len(unmet) > 0 {
		what = "good, but demands are not met"
	}
	closed := "not closed"
	if r.Complete {
		closed = fmt.Sprintf("%d of %d", r.Events, r.Count)
	}
	_, err := fmt.Fprintf(out, "%s: run %s, events %s, signed by %s\n", what, cli.OneLine(r.Run), closed, cli.OneLine(strings.Join(r.Keys, ", ")))
	if r.Verdict() != verify.Good {
		return err
	}
	how := "nothing is missing, added, moved or changed between its document (" + r.Document + ") and its closing event"
	if r.Abandoned {
		how = "nothing is missing up to where its supervisor died; the closing event was added afterwards"
	}
	when := fmt.Sprintf("when: from %s to %s", r.First.UTC().Format(time.RFC3339), r.Last.UTC().Format(time.RFC3339))
	if facts.Cell != "" {
		when += ", cell " + facts.Cell
	}
	for _, s := range append([]string{"record: " + how, when}, facts.Sentences()...) {
		if _, err := fmt.Fprintln(out, "  "+cli.OneLine(s)); err != nil {
			return err
		}
	}
	return err
}
