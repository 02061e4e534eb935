package backends

import (
	"debug/elf"
	"fmt"
	"os"

	"cellos.io/cellos/cmd/cellos/internal/cli"
)

// firstProcess returns this program, which becomes the first process of a virtual machine: nothing is there that would load it.
func firstProcess() (string, error) {
	name, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := elf.Open(name)
	if err != nil {
		return "", fmt.Errorf("reading this program: %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", cli.NewMistake("this program needs shared libraries, and a virtual machine, whose first process it is, has none", "build it with CGO_ENABLED=0")
		}
	}
	return name, nil
}
