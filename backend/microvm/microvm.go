//go:build linux && (amd64 || arm64)

package microvm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/host"
	"cellos.io/cellos/image"
	"cellos.io/cellos/plan"
)

// Backend builds cells in virtual machines.
type Backend struct {
	Monitor  Monitor
	Store    *image.Store
	Kernel   image.Kernel
	Program  string    // the first process of a guest: cellos itself, built for the guest's architecture
	Manifest *Manifest // nil: what boots is not compared with anything
	Facts    plan.Guest
	NoKVM    string                                // why the processor is emulated, for the evidence; "": nobody asked
	Boot     time.Duration                         // how long a guest may take to greet, and to do each thing that comes before the command; 0: two minutes
	Silence  time.Duration                         // how long a guest may not answer while its command runs; 0: two minutes
	Calls    func(cell.Call)                       // told of every system call that the guest says it refused, in their order; nil: nobody
	Pool     *Pooled                               // machines that wait; nil: each cell has one booted
	Phase    func(name string, took time.Duration) // told of each phase of a start; nil: nobody
}

var _ cell.Backend = Backend{}

// Times that a machine gets. Under software emulation on a machine with other work a boot can take ten times its usual five seconds.
const (
	bootTime  = 120 * time.Second
	imageTime = 10 * time.Minute // to convert trees that have no image yet
)

// maxEvents is how many messages a guest can send besides its streams: HELLO, READY, STARTED or FAILED, EXIT, the last CHANGES.
const maxEvents = 5

// StartTime is how long a start may take as a whole.
func (b Backend) StartTime() time.Duration { return b.bootTime() + imageTime }

func (b Backend) bootTime() time.Duration {
	if b.Boot != 0 {
		return b.Boot
	}
	return bootTime
}

func (b Backend) phase(name string, since time.Time) time.Time {
	now := time.Now()
	if b.Phase != nil {
		b.Phase(name, now.Sub(since))
	}
	return now
}

// Build makes what is missing of the images, starts the machine, and returns when its first process has said what it is.
func (b Backend) Build(ctx context.Context, p *plan.Plan, s cell.Streams) (cell.Cell, error) {
	if p.Machine == nil {
		return nil, errors.New("building the cell: the plan is not for a virtual machine")
	}
	at := time.Now()
	c := b.newCell(p)
	err := c.boots(ctx, b)
	if err == nil && b.Pool != nil {
		err = c.take(ctx, b)
	}
	if err == nil {
		err = c.files(ctx, b)
	}
	if err == nil {
		b.phase("images", at)
		if c.monitor != nil {
			err = c.resume(ctx, b, s)
		} else {
			err = c.start(ctx, b, s)
		}
	}
	if err != nil {
		c.Destroy()
		return nil, fmt.Errorf("building the cell: %w", err)
	}
	return c, nil
}

func (b Backend) newCell(p *plan.Plan) *machineCell {
	silence := b.Silence
	if silence == 0 {
		silence = 2 * time.Minute
	}
	c := &machineCell{plan: p, events: make(chan guest.Event, maxEvents), over: make(chan struct{}), left: make(chan struct{}), backend: b, life: newWatchdog(silence)}
	c.asked.ctx, c.asked.cancel = context.WithCancel(context.Background())
	return c
}

// bounded is a context for what the guest has to do now.
func (b Backend) bounded(ctx context.Context, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, b.bootTime(), &EndError{Reason: "guest_hang", Text: fmt.Sprintf("the guest %s within %v", what, b.bootTime())})
}

// start starts the machine, and waits for the guest's greeting.
func (c *machineCell) start(ctx context.Context, b Backend, s cell.Streams) error {
	ctx, cancel := untilHello(ctx, b)
	defer cancel()
	if err := c.launch(ctx, b); err != nil {
		return err
	}
	at := time.Now()
	if err := c.converse(s); err != nil {
		return err
	}
	hello, err := c.await(ctx, guest.TypeHello)
	if err != nil {
		return err
	}
	b.phase("guest's boot", at)
	if err := c.fits(hello.Hello, b); err != nil {
		return err
	}
	return c.secrets(s)
}

// untilHello is a context for what a machine does up to HELLO.
func untilHello(ctx context.Context, b Backend) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, b.bootTime(), &EndError{Reason: "boot_failed", Text: fmt.Sprintf("the guest said nothing for %v", b.bootTime())})
}

// described is what the monitor is told, how it is started, and what its cell shows it.
func (c *machineCell) described(b Backend) (m Machine, cmd Command, grants authority.Grants) {
	m = planned(c.plan)
	m.Kernel, m.Initrd = "/vm/kernel", "/vm/initrd"
	show := func(hostPath, at string) {
		grants = append(grants, authority.Grant{Host: hostPath, At: at, Access: authority.CanRead})
	}
	show(b.Kernel.Path, m.Kernel)
	show(c.initrd.Path, m.Initrd)
	if c.disk == nil {
		for i, img := range c.images[1:] {
			d := "/vm/drive" + strconv.Itoa(i)
			m.Drives = append(m.Drives, d)
			show(img.Path, d)
		}
	}
	if c.view != nil || c.disk != nil {
		m.View = monitorDir + "/view"
	}
	return m, b.Monitor.Command(m), grants
}

// launch puts the monitor into its cell, and has it start the machine.
func (c *machineCell) launch(ctx context.Context, b Backend) error {
	at := time.Now()
	m, cmd, grants := c.described(b)
	c.monitorPlan, c.machine = cmd, m
	p, err := monitorPlan(cmd, grants, m, c.plan.Limits.Scratch, 0)
	if err != nil {
		return err
	}
	c.ids = p.IDs
	e, err := monitorEnds(cmd, p.IDs)
	if err != nil {
		return err
	}
	defer closeAll(e.control, e.manage)
	c.console = watchConsole(e.console)
	c.monitor, err = process.Backend{}.Build(ctx, p, e.cell)
	e.closeTheirs()
	if err != nil {
		return fmt.Errorf("making the monitor's cell: %w", err)
	}
	at = b.phase("monitor's cell", at)
	if c.outside, err = c.monitor.Measure(ctx); err != nil {
		return fmt.Errorf("measuring the monitor's cell: %w", err)
	}
	if err := c.outside.Err(); err != nil {
		return fmt.Errorf("the monitor's cell: %w", err)
	}
	if err := c.stands(); err != nil {
		return err
	}
	standing := Standing{Control: e.control, Manage: e.manage, Dir: c.monitor.Changes(), IDs: p.IDs}
	if c.view != nil || c.disk != nil {
		if err := c.serve(standing, cmd.VhostUser); err != nil {
			return err
		}
	}
	if err := c.monitor.Release(ctx); err != nil {
		return fmt.Errorf("starting the monitor: %w", err)
	}
	starting, dead := context.WithCancelCause(ctx)
	defer dead(nil)
	go c.watch(dead)
	at = b.phase("monitor's start", at)
	conn, err := b.Monitor.Start(starting, m, standing)
	if err != nil {
		return c.explain(err)
	}
	c.connect(conn)
	b.phase("monitor's answer", at)
	c.host = guest.NewHost(c.conn, c.conn, c.plan)
	return nil
}

// converse connects the streams, and begins to hear the guest.
func (c *machineCell) converse(s cell.Streams) error {
	if err := c.streams(s); err != nil {
		c.host = nil
		return err
	}
	c.asked.answer = s.Answer
	c.outputs = [2]*output{newOutput(guest.TypeStdout, c.host, c.out), newOutput(guest.TypeStderr, c.host, c.err)}
	if err := c.openLink(); err != nil {
		close(c.over)
		return err
	}
	go c.listen()
	return nil
}

// secrets hands the secrets over before anything else.
func (c *machineCell) secrets(s cell.Streams) error {
	for _, v := range s.Secrets { // now: they may be wiped when the cell is built
		if err := c.host.Secret(v); err != nil {
			return fmt.Errorf("handing over the secret %s: %w", v.Name, c.explain(err))
		}
	}
	return nil
}

// monitorDir is the monitor's working directory: a folder in memory that only the monitor and we can see, and that goes with its cell.
const monitorDir = "/tmp"

// monitorPlan plans the monitor's own cell, as everybody's. ID is the host's user of one that root has already; 0: one is chosen.
func monitorPlan(cmd Command, grants authority.Grants, m Machine, changes uint64, id uint32) (*plan.Plan, error) {
	for _, d := range cmd.Exec {
		grants = append(grants, authority.Grant{Host: d, At: d, Access: authority.CanRead | authority.CanExec})
	}
	a := &authority.Authority{
		ID:      "monitor",
		Command: authority.Command{Argv: cmd.Argv, Env: []authority.Variable{{Name: "PATH", Value: authority.Path}}, Hostname: "monitor"},
		Work:    authority.Work{Path: monitorDir, Mode: authority.Empty},
		Files:   grants, Devices: cmd.Devices, Syscalls: "hardened",
		Limits: authority.Limits{Processes: 64 + 4*uint64(m.CPUs), OpenFiles: 256, Scratch: 64<<20 + changes},
	}
	h, err := host.Describe(plan.Paths(a))
	if err != nil {
		return nil, err
	}
	if id != 0 && h.Root() {
		h.CellID = id
	}
	p, err := plan.For(a, h)
	if err != nil {
		return nil, fmt.Errorf("planning the monitor's cell: %w", err)
	}
	return p, nil
}

// config is what the guest is told.
func (c *machineCell) config() guest.Config {
	seed := make([]byte, 32)
	rand.Read(seed) // never fails (crypto/rand)
	p := c.plan
	return guest.Config{
		Protocol: guest.Protocol, Time: time.Now().UnixNano(), Seed: seed, UID: p.Machine.UID, GID: p.Machine.GID,
		Parts: c.parts, Drives: c.drives, Image: p.Machine.Image != "", Etc: texts(p.Machine.Texts), Places: places(p.Machine.Places), Plan: guest.Pack(p), Output: c.out == c.err, Stdin: c.in != nil, Asks: p.Machine.Asks,
		Work: guest.Work{Path: []byte(p.Work.Path), Overlay: p.Work.Mode == authority.Overlay, Size: p.Limits.Scratch},
	}
}

func places(list []plan.Place) (out []guest.Place) {
	for _, x := range list {
		out = append(out, guest.Place{At: []byte(x.At), Folder: x.Folder})
	}
	return out
}

func texts(list []plan.Text) (out []guest.Text) {
	for _, t := range list {
		out = append(out, guest.Text{Name: t.Name, Text: []byte(t.Text)})
	}
	return out
}
