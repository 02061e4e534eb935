//go:build linux

package sysabi

import (
	"encoding/binary"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// AddEntropy puts a secret seed into the kernel's random number generator, counting every bit of it, and has it
// reseed at once; see RNDADDENTROPY and RNDRESEEDCRNG of random(4).
func AddEntropy(random *os.File, seed []byte) error {
	// struct rand_pool_info: bits, bytes, the seed.
	b := binary.NativeEndian.AppendUint32(nil, uint32(8*len(seed)))
	b = binary.NativeEndian.AppendUint32(b, uint32(len(seed)))
	b = append(b, seed...)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, random.Fd(), unix.RNDADDENTROPY, uintptr(unsafe.Pointer(&b[0]))); e != 0 {
		return Errno(e)
	}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, random.Fd(), rndReseedCRNG, 0); e != 0 {
		return Errno(e)
	}
	return nil
}

const rndReseedCRNG = 0x5207 // RNDRESEEDCRNG, include/uapi/linux/random.h
