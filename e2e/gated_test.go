package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// An event is what these tests look at of one.
type event struct {
	Type string
	Data map[string]any
}

// gated runs a script in a cell and returns the events, too.
func (b *bench) gated(flags []string, command ...string) (result, []event) {
	b.t.Helper()
	file := filepath.Join(filepath.Dir(b.dir), "events.jsonl")
	os.Remove(file)
	r := b.cell(append([]string{"--events", file}, flags...), command...)
	return r, readEvents(b.t, file)
}

// readEvents reads a file of events; one that is not there has none.
func readEvents(t *testing.T, file string) []event {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	var list []event
	in := bufio.NewScanner(f)
	in.Buffer(nil, 2<<20)
	for in.Scan() {
		var e event
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// reasons are the reason codes of the network's decisions, each once, as "deny CODE".
func reasons(list []event) map[string]bool {
	set := map[string]bool{}
	for _, e := range list {
		decision, _ := e.Data["decision"].(string)
		if a, ok := e.Data["action"].(string); ok {
			decision = a
		}
		if code, ok := e.Data["reasonCode"].(string); ok {
			set[decision+" "+code] = true
		}
	}
	return set
}

// use is the closing account of the network.
func use(t *testing.T, list []event) map[string]any {
	t.Helper()
	for _, e := range list {
		if e.Type == "io.cellos.evidence.v1.network_use" {
			return e.Data
		}
	}
	t.Fatal("no account of the network")
	return nil
}
