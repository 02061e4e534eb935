package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/record"
)

// showRun prints a run for people: how it ended, what it used, what it changed, whether the boundary held.
func showRun(s record.Summary, out io.Writer) error {
	p := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-10s %s\n", name, oneLine(fmt.Sprintf(format, args...)))
	}
	p("run", "%s", s.ID)
	p("cell", "%s", s.SpecID)
	p("status", "%s", s.Status)
	if !s.Started.IsZero() {
		p("started", "%s", s.Started.Local().Format(time.RFC3339))
	}
	if !s.Ended.IsZero() {
		p("ended", "%s", s.Ended.Local().Format(time.RFC3339))
	}
	if s.Outcome != "" {
		p("outcome", "%s", strings.TrimSuffix(s.Outcome+": "+s.Reason, ": "))
	}
	f, err := os.Open(filepath.Join(s.Path, record.EventsFile))
	if err != nil {
		return err
	}
	defer f.Close()
	var errs error
	for e, err := range evidence.ReadEvents(f) {
		if err != nil {
			errs = errors.Join(errs, err)
			break
		}
		showEvent(e, p)
	}
	p("record", "%s", s.Path)
	return errs
}

func showEvent(e evidence.Event, p func(string, string, ...any)) {
	switch e.Type {
	case evidence.TypeCompleted:
		var d struct {
			Argv       []string
			ExitCode   int
			SpawnError string
		}
		if json.Unmarshal(e.Data, &d) == nil {
			p("command", "%q", d.Argv)
			if d.SpawnError != "" {
				p("", "%s", d.SpawnError)
			}
		}
	case evidence.TypeCommand:
		var d struct {
			Outcome                               string
			ExitCode                              *int
			Signal                                *string
			DurationNanos, UserNanos, SystemNanos int64
			MaxRSSBytes                           int64 `json:"maxRssBytes"`
		}
		if json.Unmarshal(e.Data, &d) != nil {
			return
		}
		how := d.Outcome
		if d.ExitCode != nil {
			how += fmt.Sprintf(" with status %d", *d.ExitCode)
		}
		if d.Signal != nil {
			how += " by " + *d.Signal
		}
		p("ended by", "%s after %v, processor time %v user %v system, %d MiB", how, time.Duration(d.DurationNanos).Round(time.Microsecond),
			time.Duration(d.UserNanos).Round(time.Microsecond), time.Duration(d.SystemNanos).Round(time.Microsecond), d.MaxRSSBytes>>20)
	case evidence.TypeBoundary:
		var d struct {
			Holds  bool
			Layers []struct {
				Name  string
				Holds bool
			}
			Probes []struct{ Holds bool }
		}
		if json.Unmarshal(e.Data, &d) != nil {
			return
		}
		p("boundary", "%s: %d layers, %d probes", map[bool]string{true: "held", false: "did not hold"}[d.Holds], len(d.Layers), len(d.Probes))
		for _, l := range d.Layers {
			if !l.Holds {
				p("", "%s does not hold", l.Name)
			}
		}
	case evidence.TypeFiles:
		var d struct {
			Total   int
			Changes []struct{ Change, Path string }
		}
		if json.Unmarshal(e.Data, &d) != nil {
			return
		}
		p("changes", "%d", d.Total)
		for i, c := range d.Changes {
			if i == 20 {
				p("", "and %d more: cellos show --events", d.Total-i)
				break
			}
			p("", "%s %s", c.Change, c.Path)
		}
	case evidence.TypeResidue:
		var d struct{ Clean bool }
		if json.Unmarshal(e.Data, &d) == nil {
			p("left over", "%s", map[bool]string{true: "nothing", false: "something: cellos show --events"}[d.Clean])
		}
	}
}
