//go:build linux && (amd64 || arm64)

package microvm

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// QEMU is the monitor for machines without KVM and without Firecracker: a machine q35 (amd64) or virt (arm64) whose devices are a
// serial line for the guest's console, one virtio port, and the drives.
type QEMU struct {
	Program string // absolute path
	Arch    string // of the guest
	KVM     bool   // use /dev/kvm; without it the processor is emulated
}

// Name is "qemu".
func (QEMU) Name() string { return "qemu" }

// Command returns QEMU's command line. Its standard input is the channel, its standard output the management socket (QMP), its standard
// error takes its messages and the guest's console.
func (q QEMU) Command(m Machine) Command {
	machine, reboot, console := "q35,usb=off,smbus=off,sata=off,vmport=off,i8042=off,hpet=off,graphics=off", "t", "ttyS0"
	if q.Arch == "arm64" {
		machine, reboot, console = "virt,gic-version=max", "k", "ttyAMA0"
	}
	accel, processor := "tcg,thread=multi", "max"
	switch {
	case q.KVM:
		accel = "kvm"
	case q.Arch == "amd64":
		// With "enhanced rep movsb" the kernel clears and copies pages byte by byte, which an emulator does one at a time.
		processor += ",erms=off"
	}
	// The kernel need not test its own code for encryption at each boot. Nor the timer's interrupt, which under emulation on a busy host may
	// come so late that the kernel gives up ("IO-APIC + timer doesn't work!").
	boot := bootLine(console, reboot, "port") + " cryptomgr.notests"
	if q.Arch == "amd64" {
		boot += " no_timer_check"
	}
	argv := []string{
		q.Program, "-name", "cellos", "-machine", machine, "-accel", accel, "-cpu", processor, "-smp", strconv.Itoa(m.CPUs), "-m", strconv.FormatUint(m.Memory>>20, 10) + "M",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-kernel", m.Kernel, "-initrd", m.Initrd, "-append", boot,
		"-chardev", "socket,id=control,fd=0", "-device", "virtio-serial-pci,max_ports=2", "-device", "virtserialport,chardev=control,name=cellos.control,nr=1",
		"-chardev", "socket,id=manage,fd=1", "-mon", "chardev=manage,mode=control",
		"-chardev", "file,id=console,path=/dev/stderr", "-serial", "chardev:console",
	}
	for i, d := range m.Drives {
		n := strconv.Itoa(i)
		argv = append(argv, "-blockdev", "driver=raw,node-name=d"+n+",read-only=on,file.driver=file,file.locking=off,file.filename="+comma(d),
			"-device", "virtio-blk-pci,drive=d"+n+",serial="+n)
	}
	if m.View != "" {
		argv = append(argv, "-blockdev", "driver=nbd,node-name=view,read-only=on,server.type=unix,server.path="+comma(m.View), "-device", "virtio-blk-pci,drive=view,serial=view")
	}
	c := Command{Argv: argv, Boot: boot, Sockets: true}
	if q.KVM {
		c.Devices = []string{"/dev/kvm"}
	}
	return c
}

// Serial is the number of the drive.
func (QEMU) Serial(n int, _ os.FileInfo) string { return strconv.Itoa(n) }

// comma doubles the commas of a path, which separate options in QEMU.
func comma(path string) string { return strings.ReplaceAll(path, ",", ",,") }

// Start greets the monitor by its management protocol; the machine runs already.
func (q QEMU) Start(ctx context.Context, m Machine, s Standing) (net.Conn, error) {
	conn, err := net.FileConn(s.Manage)
	if err != nil {
		return nil, fmt.Errorf("managing QEMU: %w", err)
	}
	defer conn.Close()
	if d, ok := ctx.Deadline(); ok {
		conn.SetDeadline(d)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	status, err := qmp(conn)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("managing QEMU: %w", err)
	}
	if status != "running" {
		return nil, fmt.Errorf("managing QEMU: the machine is %q", status)
	}
	c, err := net.FileConn(s.Control)
	if err != nil {
		return nil, fmt.Errorf("opening the channel to the guest: %w", err)
	}
	return c, nil
}

// maxQMP bounds what is read of the management protocol. The greeting has 200 bytes.
const maxQMP = 64 << 10

// qmp greets the monitor, and asks how the machine is: docs/interop/qmp-spec.txt of QEMU. What the monitor says is not trusted.
func qmp(conn io.ReadWriter) (status string, err error) {
	d := json.NewDecoder(io.LimitReader(conn, maxQMP))
	type answer struct {
		QMP    json.RawMessage            `json:"QMP"`
		Return map[string]json.RawMessage `json:"return"`
		Event  string                     `json:"event"`
		Error  *struct{ Class, Desc string }
	}
	next := func() (answer, error) {
		for {
			var a answer
			if err := d.Decode(&a); err != nil {
				return a, err
			}
			if a.Error != nil {
				return a, fmt.Errorf("it answers %.200q", a.Error.Desc)
			}
			if a.Event == "" {
				return a, nil
			}
		}
	}
	a, err := next()
	if err != nil {
		return "", err
	}
	if a.QMP == nil {
		return "", fmt.Errorf("it does not greet")
	}
	for _, command := range []string{"qmp_capabilities", "query-status"} {
		if _, err := fmt.Fprintf(conn, "{\"execute\":%q}\n", command); err != nil {
			return "", err
		}
		if a, err = next(); err != nil {
			return "", err
		}
	}
	err = json.Unmarshal(a.Return["status"], &status)
	return status, err
}

var _ Monitor = QEMU{}

// closeAll closes files that are there.
func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
