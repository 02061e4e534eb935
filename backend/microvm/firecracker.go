//go:build linux && (amd64 || arm64)

package microvm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Firecracker is the monitor for machines with KVM. It is configured over the HTTP API on its Unix socket, from version 1.8 on: earlier
// ones describe their devices only on the kernel's command line, which the kernels of distributions do not read.
//
// https://github.com/firecracker-microvm/firecracker/blob/main/src/firecracker/swagger/firecracker.yaml
type Firecracker struct {
	Program   string // absolute path
	Arch      string // of the guest
	NoSeccomp bool   // without the monitor's own filters; the one of its cell stays
}

var _ Monitor = Firecracker{}

// Names in the monitor's working directory.
const (
	apiSocket   = "api"
	vsockSocket = "vsock"
	channelPort = 9000 // of the host, to which the guest connects
)

// guestCID is the address of every guest: each has a monitor of its own, so they do not meet.
const guestCID = 3

// Limits of what a guest makes the host do: bytes of randomness and of console output, in each time.
var (
	entropyLimit = rateLimiter{Bandwidth: &tokenBucket{Size: 64 << 10, RefillTime: 100}}
	consoleLimit = tokenBucket{Size: 16 << 10, RefillTime: 1000, OneTimeBurst: 256 << 10}
)

// Name is "firecracker".
func (Firecracker) Name() string { return "firecracker" }

// Command returns Firecracker's command line. It reads nothing; its standard output and error take its messages and the guest's console.
func (f Firecracker) Command(m Machine) Command {
	argv := []string{f.Program, "--id", "cellos", "--api-sock", monitorDir + "/" + apiSocket, "--level", "Warning"}
	if f.NoSeccomp {
		argv = append(argv, "--no-seccomp")
	}
	return Command{Argv: argv, Exec: []string{f.Program}, Devices: []string{kvmDevice}, Boot: f.boot(), VhostUser: true}
}

// boot is the kernel's command line. What it says besides that of every machine is what Firecracker's documentation recommends: there is
// no PCI bus, and of the keyboard's controller only the reset line.
func (f Firecracker) boot() string {
	line := bootLine("ttyS0", "k", "vsock:"+strconv.Itoa(channelPort)) + " pci=off"
	if f.Arch == "amd64" {
		line += " i8042.noaux i8042.nomux i8042.dumbkbd swiotlb=noforce"
	}
	return line
}

// Serial is what Firecracker makes of the numbers of the image's device and inode, as long as a virtio drive can say.
func (Firecracker) Serial(_ int, image os.FileInfo) string {
	st, ok := image.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	s := fmt.Sprintf("%d%d%d", st.Dev, st.Rdev, st.Ino)
	return s[:min(len(s), 20)] // VIRTIO_BLK_ID_BYTES
}

// Start configures the machine, starts it, and waits for the guest to connect.
func (f Firecracker) Start(ctx context.Context, m Machine, s Standing) (net.Conn, error) {
	l, err := s.listen(vsockSocket + "_" + strconv.Itoa(channelPort))
	if err != nil {
		return nil, fmt.Errorf("opening the channel to the guest: %w", err)
	}
	defer os.Remove(s.path(vsockSocket + "_" + strconv.Itoa(channelPort))) // nobody connects twice
	defer l.Close()
	if err := f.configure(ctx, m, s); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("managing Firecracker: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { l.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn, err := l.AcceptUnix()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("waiting for the guest to connect: %w", err)
	}
	return conn, nil
}

// configure waits for the API, and says in the order of the documentation what the machine has: boot source and size first, then the
// devices, and InstanceStart last, after which nothing of it can change.
func (f Firecracker) configure(ctx context.Context, m Machine, s Standing) error {
	api := newAPI(func(ctx context.Context) (net.Conn, error) { return dialWhenThere(ctx, s.path(apiSocket)) })
	defer api.close()
	var is instanceInfo
	if err := api.get(ctx, "/", &is); err != nil {
		return err
	}
	v, err := parseVersion(is.Version)
	if err != nil {
		return err
	}
	if is.State != "Not started" {
		return fmt.Errorf("the machine is %.40q before it was started", is.State)
	}
	for _, r := range f.requests(m, v) {
		if err := api.put(ctx, r.path, r.body); err != nil {
			return err
		}
	}
	return nil
}

// A put is one request.
type put struct {
	path string
	body any
}

// requests is everything that a machine is told. Metrics, the metadata service (MMDS), balloon, memory that can be plugged and network
// interfaces are never asked for, so the guest has no such device.
func (f Firecracker) requests(m Machine, v version) []put {
	r := []put{
		{"/machine-config", machineConfig{CPUs: m.CPUs, MemoryMiB: m.Memory >> 20}},
		{"/boot-source", bootSource{Kernel: m.Kernel, Initrd: m.Initrd, Args: f.boot()}},
	}
	for i, d := range m.Drives {
		id := "drive" + strconv.Itoa(i)
		yes := true
		r = append(r, put{"/drives/" + id, drive{ID: id, Path: d, ReadOnly: &yes}})
	}
	if m.View != "" {
		r = append(r, put{"/drives/view", drive{ID: "view", Socket: m.View}})
	}
	r = append(r,
		put{"/vsock", vsock{CID: guestCID, Path: monitorDir + "/" + vsockSocket}},
		put{"/entropy", entropy{&entropyLimit}},
	)
	if v.atLeast(1, 16) {
		r = append(r, put{"/serial", serial{Path: "/dev/stderr", Limit: &consoleLimit}})
	}
	return append(r, put{"/actions", action{"InstanceStart"}})
}

// oldest is the first version of Firecracker whose machines the kernels of distributions understand.
var oldest = version{1, 8}

// version is the number of a release.
type version struct{ major, minor int }

func (v version) atLeast(major, minor int) bool {
	return v.major > major || v.major == major && v.minor >= minor
}

// parseVersion reads "1.16.1" or "1.17.0-dev", and refuses what is too old.
func parseVersion(s string) (v version, err error) {
	major, rest, ok := strings.Cut(strings.TrimPrefix(s, "v"), ".")
	minor, _, ok2 := strings.Cut(rest, ".")
	v.major, err = strconv.Atoi(major)
	n, err2 := strconv.Atoi(minor)
	if !ok || !ok2 || err != nil || err2 != nil {
		return version{}, fmt.Errorf("it calls its version %.40q", s)
	}
	v.minor = n
	if !v.atLeast(oldest.major, oldest.minor) {
		return version{}, fmt.Errorf("version %.40q is too old; %d.%d is needed", s, oldest.major, oldest.minor)
	}
	return v, nil
}

// dialWhenThere connects to a socket as soon as somebody listens on it.
func dialWhenThere(ctx context.Context, path string) (net.Conn, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}
