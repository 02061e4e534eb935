package sinks

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/deadletter"
)

const EventsUsage = `usage: cellos events list DIR
       cellos events resend [--to SINK] DIR

What a sink did not take lies in a folder: the dead letters of CELLOS_DLQ_DIR, or the spool of a sink (spool=DIR).

  list      list what is not delivered, and why
  resend    send it to SINK, which is written as for cellos run --sink, in the order of the events; what was delivered is marked: its
            file ends with .delivered from then on. It stops at the first event that is not taken
`

// Events is the command events.
func Events(args []string, env cli.Environment, ui *cli.Console) error {
	if len(args) == 0 {
		return cli.NewMistake("a word is missing: list or resend", "cellos help events").At("events")
	}
	what := args[0]
	set := flag.NewFlagSet("events", flag.ContinueOnError)
	var to *sinkSpec
	if what == "resend" {
		set.Func("to", "", func(v string) error {
			s, err := parseSink(v)
			to = &s
			return err
		})
	}
	rest, _, err := cli.Parse(set, args[1:])
	if errors.Is(err, flag.ErrHelp) || what == "--help" || what == "-h" {
		_, err := io.WriteString(env.Out, EventsUsage)
		return err
	}
	switch {
	case err != nil:
	case what != "list" && what != "resend":
		err = errors.New("unknown word " + cli.Quote(cli.Brief(what)))
	case len(rest) != 1:
		err = errors.New("one folder is required")
	case what == "resend" && to == nil:
		err = errors.New("--to is missing: where the events are to go")
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help events").At("events")
	}
	dir, err := deadletter.Open(rest[0])
	if err != nil {
		return err
	}
	letters, strange := dir.Letters()
	if what == "list" {
		for _, l := range letters {
			e, err := evidence.ParseEvent(l.Line[:len(l.Line)-1])
			if err != nil {
				return err
			}
			fmt.Fprintf(env.Out, "%s  %s  %d  %s  %s\n", e.Time.Local().Format("2006-01-02 15:04:05"), e.Run, e.Sequence, cli.OneLine(e.Type), cli.OneLine(l.Error))
		}
		return strange
	}
	n, err := resend(dir, letters, *to, env, ui)
	if to.kind != "stdout" {
		fmt.Fprintf(env.Out, "delivered %d of %d events\n", n, len(letters))
	}
	return errors.Join(err, strange)
}

// resend delivers letters in their order, and marks each that was. Two resends of one folder at once deliver an event twice at worst.
func resend(dir *deadletter.Dir, letters []deadletter.Letter, to sinkSpec, env cli.Environment, ui *cli.Console) (n int, err error) {
	if to.best || to.options["spool"] != "" {
		return 0, cli.NewMistake("--to takes neither best-effort nor spool: what is not taken stays where it is", "")
	}
	sink, err := to.open(nil, env, ui)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", to.name(), err)
	}
	defer sink.Close()
	for _, l := range letters {
		_, err := sink.Write(l.Line)
		if f, ok := sink.(evidence.Flusher); ok && err == nil {
			err = f.Flush()
		}
		if err == nil {
			err = sink.Sync()
		}
		if err == nil {
			err = dir.Delivered(l)
		}
		if err != nil {
			return n, fmt.Errorf("%s: %w", to.name(), err)
		}
		n++
	}
	return n, nil
}
