package cell

import "io"

// A Terminal is our side of a cell's terminal: what is written is typed there, and what is read was printed there. Reading ends with an
// error (io.EOF, or EIO as ioctl_tty(2) has it) when everything on the other side has ended.
type Terminal interface {
	io.ReadWriter
	// Resize sets the size of the window. The terminal's foreground processes get SIGWINCH.
	Resize(rows, cols uint16) error
}
