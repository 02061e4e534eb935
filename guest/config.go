package guest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/secret"
	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// Config tells the guest everything. The guest trusts the host.
type Config struct {
	Protocol int    `json:"protocol"`
	Run      string `json:"run"`
	Time     int64  `json:"time"` // wall clock, nanoseconds since 1970
	Seed     []byte `json:"seed"` // 32 bytes for the entropy pool
	UID, GID uint32 // who the cell is, in the guest as a whole

	Parts  []Part  `json:"parts,omitempty"` // of a disk whose contents were decided when the machine ran already
	Drives []Drive `json:"drives"`          // in the order of mounting
	Image  bool    `json:"image"`           // the first drive is the whole tree, in which places for the others are made, and Etc
	Etc    []Text  `json:"etc"`
	Places []Place `json:"places,omitempty"` // of the cell, which the image has not
	Work   Work    `json:"work"`
	Plan   Plan    `json:"plan"`
	Output bool    `json:"output"` // one stream for output and error
	Stdin  bool    `json:"stdin"`  // there is an input
	Asks   bool    `json:"asks"`   // the command asks for its secrets, on a socket in plan.GuestSecrets
}

// A Drive is a read-only image and the place of the guest where it is shown.
type Drive struct {
	Device string `json:"device"` // serial number of the block device
	Data   string `json:"data"`   // serial number of the device that has the files' contents; "": the image itself has them
	At     []byte `json:"at"`     // "/" is the base of everything
	File   []byte `json:"file"`   // the one file of the image that is shown at At; empty: all of it
}

// A Text is a file in /etc.
type Text struct {
	Name string `json:"name"`
	Text []byte `json:"text"`
}

// A Place is an empty file or folder, on which the cell mounts something.
type Place struct {
	At     []byte `json:"at"`
	Folder bool   `json:"folder"`
}

// Work is what the working directory is made of.
type Work struct {
	Path    []byte `json:"path"`
	Overlay bool   `json:"overlay"` // what is shown there becomes the lower layer of an overlay, whose changes are sent back
	Size    uint64 `json:"size"`    // bytes of the scratch space that holds them
}

// Plan is the part of a plan.Plan that the guest carries out.
type Plan struct {
	Namespaces uint64       `json:"namespaces"`
	IDs        plan.IDs     `json:"ids"`
	Handed     []string     `json:"handed"`
	Table      table.Table  `json:"-"` // travels beside the JSON text
	Probes     []plan.Probe `json:"probes"`
	Candidates [][]byte     `json:"candidates"`
	Terminal   bool         `json:"terminal"`
	Held       plan.Held    `json:"held"`
	Mounts     []mount      `json:"mounts"`
	Layers     []string     `json:"layers"`
	Exports    bool         `json:"exports"`
	Network    plan.Network `json:"network"`
	Processes  uint64       `json:"processes"`
	Filters    []filter     `json:"filters"`
	Reports    bool         `json:"reports"` // calls that a filter refuses are told
	Arch       string       `json:"arch"`
}

type filter struct {
	Name    string `json:"name"`
	Program []byte `json:"program"`
	Late    bool   `json:"late"`
	// Policy is there where the program has to be compiled for addresses that nobody but the cell's first process knows.
	Policy *seccomp.Policy `json:"policy,omitempty"`
}

type mount struct {
	At   []byte    `json:"at"`
	Type string    `json:"type"`
	Attr plan.Attr `json:"attr"`
}

// Pack takes out of a plan what the guest needs.
func Pack(p *plan.Plan) Plan {
	w := Plan{Namespaces: uint64(p.Namespaces), IDs: p.IDs, Table: p.Table, Probes: p.Boot.Probes, Terminal: p.Boot.Terminal, Held: p.Held,
		Processes: p.Limits.Processes, Arch: p.Arch, Exports: p.Exports, Network: p.Network,
		Reports: p.Watch == authority.WatchRefused}
	for _, h := range p.Handed {
		w.Handed = append(w.Handed, h.Name)
	}
	for _, f := range p.Filters {
		x := filter{Name: f.Name, Program: f.Program, Late: f.Late}
		if f.Once() {
			x.Policy = f.Policy
		}
		w.Filters = append(w.Filters, x)
	}
	for _, c := range p.Boot.Candidates {
		w.Candidates = append(w.Candidates, []byte(c))
	}
	for _, m := range p.Mounts {
		w.Mounts = append(w.Mounts, mount{[]byte(m.At), m.Type, m.Attr})
	}
	for _, x := range p.Promises {
		if x.Layer != plan.LayerMachine && x.Layer != plan.LayerMonitor { // the host's to measure
			w.Layers = append(w.Layers, x.Layer)
		}
	}
	return w
}

// Unpack makes a plan of it that backend/process can carry out.
func (w Plan) Unpack() *plan.Plan {
	p := &plan.Plan{Backend: "process", Arch: w.Arch, Namespaces: plan.Namespaces(w.Namespaces), IDs: w.IDs, Table: w.Table, Held: w.Held,
		Boot: plan.Boot{Probes: w.Probes, Terminal: w.Terminal}, Exports: w.Exports, Network: w.Network}
	p.Limits.Processes = w.Processes
	if w.Reports {
		p.Watch = authority.WatchRefused
	}
	for _, h := range w.Handed {
		p.Handed = append(p.Handed, plan.Handed{Name: h})
	}
	for _, f := range w.Filters {
		p.Filters = append(p.Filters, plan.Filter{Name: f.Name, Program: f.Program, Late: f.Late, Policy: f.Policy})
	}
	for _, c := range w.Candidates {
		p.Boot.Candidates = append(p.Boot.Candidates, string(c))
	}
	for _, m := range w.Mounts {
		p.Mounts = append(p.Mounts, plan.Mount{At: string(m.At), Type: m.Type, Attr: m.Attr})
	}
	for _, l := range w.Layers {
		p.Promises = append(p.Promises, plan.Promise{Layer: l})
	}
	return p
}

// MaxConfig bounds a Config: the largest command line that execve(2) takes is 2 MiB, which base64 makes 2.8.
const MaxConfig = 16 << 20

// Frames returns the frames of CONFIG, or of PREPARE.
func (c Config) Frames(t Type) ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding the guest's configuration: %w", err)
	}
	steps, err := c.Plan.Table.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encoding the guest's configuration: %w", err)
	}
	b = append(append(binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(b)+len(steps)), uint32(len(b))), b...), steps...)
	if len(b) > MaxConfig {
		return nil, fmt.Errorf("encoding the guest's configuration: %d bytes; at most %d", len(b), MaxConfig)
	}
	var out []byte
	for {
		n := min(len(b), MaxFrame-2)
		last := byte(0)
		if n == len(b) {
			last = 1
		}
		out = Append(out, t, []byte{last}, b[:n])
		if b = b[n:]; last == 1 {
			return out, nil
		}
	}
}

// ReadConfig reads the SECRET and the CONFIG frames, or PREPARE: the type says which.
func ReadConfig(r *Reader) (Type, Config, []secret.Variable, error) {
	var all []byte
	var secrets []secret.Variable
	fail := func(format string, a ...any) (Type, Config, []secret.Variable, error) {
		return 0, Config{}, nil, fmt.Errorf("reading the configuration: "+format, a...)
	}
	what := Type(0)
	for {
		t, b, err := r.Next()
		if err != nil {
			return fail("%w", err)
		}
		if t == TypeSecret && len(b) >= 2 {
			n := int(binary.LittleEndian.Uint16(b))
			if n > len(b)-2 {
				return fail("a secret whose name has %d bytes in a frame of %d", n, len(b))
			}
			secrets = append(secrets, secret.Variable{Name: string(b[2 : 2+n]), Value: secret.Take(b[2+n:])})
			continue
		}
		if what == 0 && (t == TypeConfig || t == TypePrepare && len(secrets) == 0) {
			what = t
		}
		if t != what || len(b) < 1 || len(all)+len(b) > MaxConfig {
			return fail("a frame %v of %d bytes", t, len(b))
		}
		all = append(all, b[1:]...)
		if b[0] == 1 {
			break
		}
	}
	var c Config
	if len(all) < 4 || uint64(binary.LittleEndian.Uint32(all)) > uint64(len(all)-4) {
		return fail("%d bytes, which end in the middle", len(all))
	}
	text, steps := all[4:4+binary.LittleEndian.Uint32(all)], all[4+binary.LittleEndian.Uint32(all):]
	if err := json.Unmarshal(text, &c); err != nil {
		return fail("%w", err)
	}
	if err := c.Plan.Table.UnmarshalBinary(steps); err != nil {
		return fail("%w", err)
	}
	if c.Protocol != Protocol {
		return fail("protocol %d; this guest speaks %d", c.Protocol, Protocol)
	}
	return what, c, secrets, nil
}

// Errno turns the number of a Failed into an error.
func (f Failed) Err() error { return sysabi.Errno(f.Errno) }
