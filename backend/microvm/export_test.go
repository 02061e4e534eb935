//go:build linux && (amd64 || arm64)

package microvm

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Probed is a Firecracker that a test looks at while it is configured, and that tells on its serial line from the beginning what the
// guest's kernel does.
type Probed struct {
	Firecracker
	T *testing.T

	NoKVM bool // the cell has no /dev/kvm
	Stop  bool // at the first message of the guest's kernel

	Version, Console string // what was seen
	Started          bool
}

// ErrStopped is the error of a start with Stop.
var ErrStopped = errors.New("the guest's kernel speaks")

// Command is Firecracker's.
func (p *Probed) Command(m Machine) Command {
	c := p.Firecracker.Command(m)
	if p.NoKVM {
		c.Devices = nil
	}
	return c
}

// Start takes a real Firecracker through everything that it is told, and asks it after each step.
func (p *Probed) Start(ctx context.Context, m Machine, s Standing) (net.Conn, error) {
	t := p.T
	l, err := s.listen(vsockSocket + "_" + strconv.Itoa(channelPort))
	if err != nil {
		return nil, err
	}
	defer l.Close()
	a := newAPI(func(ctx context.Context) (net.Conn, error) { return dialWhenThere(ctx, s.path(apiSocket)) })
	defer a.close()
	state := func() string {
		var is instanceInfo
		if err := a.get(ctx, "/", &is); err != nil {
			t.Fatal(err)
		}
		p.Version = is.Version
		return is.State
	}
	if got := state(); got != "Not started" {
		t.Errorf("before anything it is %q", got)
	}
	v, err := parseVersion(p.Version)
	if err != nil {
		return nil, err
	}
	var api *APIError
	if err := a.put(ctx, "/actions", action{"InstanceStart"}); !errors.As(err, &api) || api.Status != 400 || !strings.Contains(api.Fault, "kernel") {
		t.Errorf("started without a kernel: %v", err)
	}
	if err := a.put(ctx, "/machine-config", map[string]int{"vcpu_count": 1, "mem_size_mib": 128, "cats": 1}); !errors.As(err, &api) || api.Status != 400 || !strings.Contains(api.Fault, "cats") {
		t.Errorf("a field that nobody knows: %v", err)
	}
	if err := a.put(ctx, "/drives/x", drive{ID: "x", Path: "/nowhere", ReadOnly: new(bool)}); !errors.As(err, &api) || api.Status != 400 || !strings.Contains(api.Fault, "No such file") {
		t.Errorf("a drive that is not there: %v", err)
	}
	began := time.Now()
	for _, r := range p.requests(m, v) {
		switch b := r.body.(type) {
		case bootSource:
			b.Args = strings.Replace(b.Args, "quiet", "ignore_loglevel earlyprintk=serial,ttyS0,115200", 1)
			r.body = b
		case serial:
			b.Path, b.Limit = monitorDir+"/serial", nil
			r.body = b
		}
		if _, last := r.body.(action); last {
			t.Logf("what the machine has was told in %v", time.Since(began))
			began = time.Now()
		}
		if err := a.put(ctx, r.path, r.body); err != nil {
			return nil, err
		}
	}
	p.Started = true
	t.Logf("the start was answered in %v", time.Since(began))
	if got := state(); got != "Running" {
		t.Errorf("after the start it is %q", got)
	}
	for _, r := range []put{{"/actions", action{"InstanceStart"}}, {"/machine-config", machineConfig{CPUs: 1, MemoryMiB: 128}}, {"/vsock", vsock{CID: 3, Path: monitorDir + "/v2"}}} {
		if err := a.put(ctx, r.path, r.body); !errors.As(err, &api) || api.Status != 400 || !strings.Contains(api.Fault, "after starting") {
			t.Errorf("PUT %s after the start: %v", r.path, err)
		}
	}
	p.vsock(s)
	for {
		if b, err := os.ReadFile(s.path("serial")); err == nil {
			p.Console = string(b)
		}
		if p.Stop && strings.Contains(p.Console, "Linux version") {
			return nil, ErrStopped
		}
		l.SetDeadline(time.Now().Add(50 * time.Millisecond))
		conn, err := l.AcceptUnix()
		var late net.Error
		if !errors.As(err, &late) || !late.Timeout() {
			return conn, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// vsock asks the host's side of the vsock device for a port on which no guest listens yet: it takes the question, and hangs up.
func (p *Probed) vsock(s Standing) {
	c, err := net.Dial("unix", s.path(vsockSocket))
	if err != nil {
		p.T.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := io.WriteString(c, "CONNECT 52\n"); err != nil {
		p.T.Error(err)
	}
	if b, err := io.ReadAll(c); len(b) > 0 {
		p.T.Errorf("the vsock device answers %q, %v", b, err)
	}
}
