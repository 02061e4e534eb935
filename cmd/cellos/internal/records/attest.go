package records

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/attest"
	"cellos.io/cellos/evidence/policy"
	"cellos.io/cellos/evidence/verify"
)

const AttestUsage = `usage: cellos attest [FLAGS] [RUN|FILE|-]

Makes an in-toto statement about the files that a run exported and changed, signed in a DSSE envelope, for tools of the supply chain. The
evidence of the run is verified first, and what does not verify is not attested: the exit status is then that of cellos verify.

  --predicate NAME    cell (the default): what was granted, enforced and done (docs/attestation.md); slsa: provenance of SLSA 1.0
  --builder URI       who vouches for the machine (slsa), default: https://cellos.io/builder/cellos
  --failed            attest a run that did not succeed too
  --statement         print the statement without envelope and signature
  --output FILE       write it there
  --key FILE          public keys to trust in the evidence, as in cellos help verify
` + SignerUsage

// Attest is the command attest.
func Attest(args []string, env cli.Environment, ui *cli.Console) error {
	set := flag.NewFlagSet("attest", flag.ContinueOnError)
	predicate, builder, output := set.String("predicate", "cell", ""), set.String("builder", "", ""), set.String("output", "", "")
	failed, bare := set.Bool("failed", false, ""), set.Bool("statement", false, "")
	var keys []string
	set.Func("key", "", func(v string) error { keys = append(keys, v); return nil })
	var sign Signing
	sign.Register(set)
	rest, _, err := cli.Parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.Out, AttestUsage)
		return err
	}
	kind, known := map[string]attest.Predicate{"cell": attest.Cell, "slsa": attest.SLSA}[*predicate]
	if err == nil && !known {
		err = errors.New("--predicate " + cli.Quote(*predicate) + ": cell or slsa")
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help attest").At("attest")
	}
	name := "last"
	if len(rest) > 0 {
		name = rest[0]
	}
	statement, err := stated(name, kind, keys, attest.Context{Version: cli.Version, Builder: *builder}, *failed, env)
	if err != nil {
		return err
	}
	var result any = statement
	if !*bare {
		key, err := sign.Signer(env, ui)
		if err != nil {
			return err
		}
		if result, err = attest.Sign(statement, key); err != nil {
			return err
		}
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(result); err != nil {
		return err
	}
	if *output != "" {
		return os.WriteFile(*output, text.Bytes(), 0o644)
	}
	_, err = env.Out.Write(text.Bytes())
	return err
}

// stated verifies a run and makes the statement about it.
func stated(name string, kind attest.Predicate, keys []string, c attest.Context, failed bool, env cli.Environment) (attest.Statement, error) {
	var none attest.Statement
	unreadable := func(err error) error { return cli.Failure{Code: exitUnreadable, Errs: []error{err}} }
	trusted, err := trust(keys, env)
	if err != nil {
		return none, unreadable(err)
	}
	var run attest.Run
	sum := sha256.New()
	var facts policy.Facts
	v := verify.Verifier{Keys: trusted, Visit: func(e evidence.Event) { facts.Visit(e); run.Visit(e) }}
	report, err := verified(name, v, &facts, sum, env)
	if err != nil {
		return none, unreadable(err)
	}
	c.Events = hex.EncodeToString(sum.Sum(nil))
	if v := report.Verdict(); v != verify.Good {
		f := cli.Failure{Code: verifyExit[v], Errs: []error{fmt.Errorf("the evidence does not verify: %s", v)}}
		for _, x := range report.Findings[:min(len(report.Findings), 10)] {
			f.Errs = append(f.Errs, errors.New(x.String()))
		}
		return none, f
	}
	if run.Outcome() != "succeeded" && !failed && !report.Abandoned {
		return none, cli.Failure{Code: exitUnmet, Errs: []error{cli.NewMistake("the run did not succeed: "+cli.Quote(run.Outcome()), "attest it nevertheless with --failed")}}
	}
	s, err := run.Statement(kind, report, c)
	if err != nil {
		return none, cli.Failure{Code: exitUnmet, Errs: []error{err}}
	}
	return s, nil
}
