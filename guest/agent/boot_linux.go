//go:build linux && (amd64 || arm64)

package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cellos.io/cellos/sysabi"
)

// Modules is the folder of the initramfs that holds the kernel's modules, and the name of the list in it that says in which order they
// are loaded.
const (
	Modules = "/modules"
	Order   = "order"
)

// Port is the name of the virtio-serial port that is the channel, where there is one.
const Port = "cellos.control"

// early makes what the rest needs: the kernel's own file systems, and the drivers.
func early() error {
	for _, x := range []struct{ fstype, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := os.MkdirAll(x.at, 0o755); err != nil {
			return err
		}
		if err := sysabi.Mount(x.fstype, x.at, x.fstype, sysabi.MS_NOSUID|sysabi.MS_NOEXEC, ""); err != nil && !errors.Is(err, sysabi.EBUSY) {
			return fmt.Errorf("mounting %s: %w", x.at, err)
		}
	}
	list, err := os.ReadFile(filepath.Join(Modules, Order))
	if err != nil {
		return fmt.Errorf("reading the list of modules: %w", err)
	}
	for name := range strings.FieldsSeq(string(list)) {
		f, err := os.Open(filepath.Join(Modules, name))
		if err != nil {
			return err
		}
		err = sysabi.LoadModule(f)
		f.Close()
		if err != nil {
			return fmt.Errorf("loading the module %s: %w", name, err)
		}
	}
	return nil
}

// open opens the channel that the boot line names, once: "port" is the virtio-serial port Port, "vsock:9000" a port of the host. No
// process of the cell can open it again: a port has one user, and the cell's system call filter knows no AF_VSOCK.
func open() (*os.File, error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	kind := ""
	for f := range strings.FieldsSeq(string(line)) {
		if v, ok := strings.CutPrefix(f, "cellos.channel="); ok {
			kind = v
		}
	}
	if n, ok := strings.CutPrefix(kind, "vsock:"); ok {
		port, err := strconv.ParseUint(n, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("the boot line names the channel %q", kind)
		}
		fd, err := sysabi.DialHost(uint32(port))
		if err != nil {
			return nil, fmt.Errorf("connecting with the host: %w", err)
		}
		if err := sysabi.SetNonblock(fd, true); err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), "channel"), nil
	}
	if kind != "port" {
		return nil, fmt.Errorf("the boot line names the channel %q", kind)
	}
	// The driver's own probing goes on after the module is loaded.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			if b, err := os.ReadFile(n); err != nil || strings.TrimSpace(string(b)) != Port {
				continue
			}
			f, err := os.OpenFile("/dev/"+filepath.Base(filepath.Dir(n)), os.O_RDWR, 0)
			if err != nil {
				return nil, fmt.Errorf("opening the channel: %w", err)
			}
			return f, os.Remove(f.Name())
		}
		if time.Now().After(deadline) {
			return nil, errors.New("the machine has no port " + Port)
		}
	}
}
