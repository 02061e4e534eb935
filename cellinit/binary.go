package cellinit

import (
	_ "embed"
	"fmt"
)

//go:embed init_amd64.bin
var initAMD64 string

//go:embed init_arm64.bin
var initARM64 string

// Binary returns a copy of the program for an architecture, "amd64" or "arm64": a static ELF file.
func Binary(arch string) ([]byte, error) {
	switch arch {
	case "amd64":
		return []byte(initAMD64), nil
	case "arm64":
		return []byte(initARM64), nil
	}
	return nil, fmt.Errorf("there is no first process of a cell for %q; only for amd64 and arm64", arch)
}

// Exit statuses of the program itself.
const (
	ExitGone    = 101 // the connection ended before the command's end, or the answer could not be sent
	ExitGarbage = 102 // a message was not what src/protocol.h says
	ExitSystem  = 103 // a call that cannot fail failed, or descriptor 0, 1 or 2 was not open
)
