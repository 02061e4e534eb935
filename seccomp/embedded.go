package seccomp

import "cellos.io/cellos/sysabi"

//go:generate go run ./internal/mkembedded zembedded.go

// ProfileBytes returns the program of a profile as the bytes that seccomp(2) takes. For the profiles that cells usually get,
// hardened and hardened+net-none, they are in the binary already, and the call costs a copy; others are compiled.
func ProfileBytes(name string, a *sysabi.Arch) ([]byte, error) {
	if s := embedded(name, a.String()); s != "" {
		return []byte(s), nil
	}
	p, err := Profile(name)
	if err != nil {
		return nil, err
	}
	prog, err := Compile(p, a)
	if err != nil {
		return nil, err
	}
	return prog.Bytes(), nil
}

// Embedded returns the bytes of a profile's program if they are in the binary. It allocates nothing.
func Embedded(name string, a *sysabi.Arch) (string, bool) {
	s := embedded(name, a.String())
	return s, s != ""
}
