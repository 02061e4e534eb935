//go:build linux && (amd64 || arm64)

package microvm

import (
	"errors"
	"fmt"
	"os"
	"time"

	"cellos.io/cellos/sysabi"
)

const kvmDevice = "/dev/kvm"

// kvmTime is how long KVM may take to make an empty machine, which it does in a millisecond.
const kvmTime = 10 * time.Second

// CheckKVM reports why machines cannot use KVM: no device, no permission, or a device that makes no machine. Where the processor's own
// support is incomplete, as in a virtual machine, that may show only when a kernel boots.
func CheckKVM() error {
	f, err := os.OpenFile(kvmDevice, os.O_RDWR, 0)
	if err != nil {
		return err // it names the device
	}
	done := make(chan error, 1)
	go func() {
		defer f.Close()
		done <- sysabi.TryKVM(f)
	}()
	select {
	case err = <-done:
	case <-time.After(kvmTime):
		err = errors.New("no answer in " + kvmTime.String())
	}
	if err != nil {
		return fmt.Errorf("making a machine with %s: %w", kvmDevice, err)
	}
	return nil
}
