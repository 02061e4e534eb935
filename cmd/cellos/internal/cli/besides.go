package cli

import (
	"os"
	"path/filepath"
)

// Besides finds a program that is installed with this one. What for, and what else could be done, is said when it is missing.
func Besides(name, what, or string) (string, error) {
	self, err := os.Executable() // /proc/self/exe, proc_pid_exe(5): no link
	if err != nil {
		return "", err
	}
	p := filepath.Join(filepath.Dir(self), name)
	if i, err := os.Stat(p); err != nil || !i.Mode().IsRegular() || i.Mode()&0o111 == 0 {
		return "", NewMistake(what+" needs the program "+p, "install "+name+" beside cellos (go build ./cmd/"+name+")"+or)
	}
	return p, nil
}
