//go:build linux

package sysabi

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// AddPartition tells the kernel that a range of a block device, in bytes, is a device of its own; see BLKPG_ADD_PARTITION,
// include/uapi/linux/blkpg.h. Numbers are from 1 on. Nothing is written. The caller needs CAP_SYS_ADMIN.
func AddPartition(device *os.File, number int, start, size int64) error {
	part := struct { // struct blkpg_partition
		start, length int64
		number        int32
		name          [2][64]byte
	}{start: start, length: size, number: int32(number)}
	arg := struct { // struct blkpg_ioctl_arg
		op, flags, length int32
		data              unsafe.Pointer
	}{op: 1, length: int32(unsafe.Sizeof(part)), data: unsafe.Pointer(&part)}
	var pin runtime.Pinner // the kernel follows the pointer in the argument
	pin.Pin(&part)
	defer pin.Unpin()
	const blkpg = 0x1269 // _IO(0x12, 105)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, device.Fd(), blkpg, uintptr(unsafe.Pointer(&arg))); e != 0 {
		return Errno(e)
	}
	return nil
}
