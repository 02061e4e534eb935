//go:build linux && (amd64 || arm64)

package microvm

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"

	"cellos.io/cellos/guest"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// A Monitor is a program that emulates a machine. The implementations are [QEMU] and [Firecracker].
type Monitor interface {
	// Name is "qemu" or "firecracker".
	Name() string
	// Command is how the monitor is started in its cell.
	Command(m Machine) Command
	// Serial is the serial number by which a guest finds drive n, whose image is a file with this status.
	Serial(n int, image os.FileInfo) string
	// Start makes the machine run once the monitor does, and returns the channel to the guest.
	Start(ctx context.Context, m Machine, s Standing) (net.Conn, error)
}

// A Machine is what a monitor is told of the machine.
type Machine struct {
	Run    string // name of the run
	Kernel string // paths in the monitor's cell
	Initrd string
	Drives []string // read-only images; drive n is the n-th block device
	View   string   // socket of the server of the last block device, in the monitor's cell; "": there is none
	Memory uint64   // bytes
	CPUs   int
}

// A Command is a program with its files.
type Command struct {
	Argv      []string
	Exec      []string // files and folders besides the system's that hold the program
	Devices   []string // device nodes that it needs
	Boot      string   // the kernel's command line that goes with it, for messages
	Sockets   bool     // its standard input and output are sockets; else nothing, and the console
	VhostUser bool     // it reads the view as a vhost-user device; else over NBD
}

// Standing is what is there when the monitor runs.
type Standing struct {
	Control *os.File // our end of the socket that is its standard input; nil if there is none
	Manage  *os.File // our end of the socket that is its standard output
	Dir     *os.File // its working directory, which only the two can see
	IDs     plan.IDs // who it is
}

// path is where the supervisor finds a name of the monitor's working directory.
func (s Standing) path(name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", s.Dir.Fd(), name)
}

// listen makes a socket in the monitor's working directory, to which the monitor can connect.
func (s Standing) listen(name string) (*net.UnixListener, error) {
	var l net.Listener
	err := sysabi.FilesAs(s.IDs.HostUID, s.IDs.HostGID, func() (err error) { // root does not exist there
		l, err = net.Listen("unix", s.path(name))
		return err
	})
	if err != nil {
		return nil, err
	}
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(false) // it goes with the folder
	return ul, nil
}

// bootLine is the kernel's command line: no secret, nothing of the command.
func bootLine(console, reboot, channel string) string {
	return "console=" + console + " quiet panic=-1 reboot=" + reboot + " random.trust_cpu=on cellos.v=" + strconv.Itoa(guest.Protocol) + " cellos.channel=" + channel
}

// An EndError is the end of a machine that is not the end of the command.
type EndError struct {
	Reason string // "boot_failed", "vmm_exited", "guest_error", "guest_panic", "oom", "protocol"
	Text   string
	Err    error
}

func (e *EndError) Error() string {
	s := "the virtual machine ended (" + e.Reason + ")"
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *EndError) Unwrap() error { return e.Err }

// planned is the machine of a plan, without its files.
func planned(p *plan.Plan) Machine { return Machine{Memory: p.Machine.Memory, CPUs: p.Machine.CPUs} }
