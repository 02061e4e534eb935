package guest

import (
	"encoding/binary"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/seccomp"
)

// refusedSize is the length of REFUSED: number, architecture, six arguments, the answer, and which filter of the plan gave it.
const refusedSize = 4 + 4 + 6*8 + 4 + 4

// AppendRefused appends the body of a REFUSED frame: a system call that the guest's first process refused in the name of a filter.
func AppendRefused(dst []byte, c cell.Call) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, c.NR)
	dst = binary.LittleEndian.AppendUint32(dst, c.Arch)
	for _, a := range c.Args {
		dst = binary.LittleEndian.AppendUint64(dst, a)
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(c.Verdict))
	return binary.LittleEndian.AppendUint32(dst, uint32(c.By))
}

// refused reads REFUSED. What a filter would say is not asked again: some are made for addresses that nobody but the guest knows.
func (h *Host) refused(b []byte) (c cell.Call, err error) {
	if len(b) != refusedSize {
		return c, broken("REFUSED of %d bytes", len(b))
	}
	c.NR, c.Arch = binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	for i := range c.Args {
		c.Args[i] = binary.LittleEndian.Uint64(b[8+8*i:])
	}
	verdict, by := seccomp.Action(binary.LittleEndian.Uint32(b[56:])), binary.LittleEndian.Uint32(b[60:])
	if _, errno := verdict.Errno(); !errno && verdict != seccomp.KillProcess {
		return c, broken("REFUSED with the answer %#x", uint32(verdict))
	}
	if by >= uint32(h.filters) {
		return c, broken("REFUSED by filter %d of %d", by, h.filters)
	}
	c.Verdict, c.By, c.Claimed = verdict, int(by), true
	return c, nil
}
