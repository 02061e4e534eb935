package seccomp

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"

	"cellos.io/cellos/sysabi"
)

// The variables that choose the operator's filter.
const (
	EnvProfile = "CELLOS_SUBPROCESS_SECCOMP"
	EnvPath    = "CELLOS_SECCOMP_BPF_PATH"
)

// Variable is an environment variable: any bytes, or not set at all.
type Variable struct {
	Value string
	Set   bool
}

// Env is the pair of variables.
type Env struct {
	Profile Variable // of the name EnvProfile
	Path    Variable // of the name EnvPath
	// Exact refuses the values hardened and strict, which the reference implementation does not have.
	Exact bool
}

// Selection is what the two variables ask for. At most one of Profile and Path is set; neither means no filter.
type Selection struct {
	Profile string  // a name for Profile
	Path    string  // the file that Program was read from
	Program Program // of the right length and otherwise unchecked; see Check
	// Warnings are the corners in which the reference implementation quietly does what few expect.
	Warnings []string
}

// Select reads the two variables as the reference implementation does, with its precedence and its error texts. read reads the
// file: normally [ReadFile]. It is called at most once.
//
// In addition to the reference's values the profile may be hardened or strict, unless Exact is set; default is still the baseline.
func (e Env) Select(read func(path string) ([]byte, error)) (Selection, error) {
	s, err := e.choose()
	if err != nil || s.Path == "" {
		return s, err
	}
	b, err := read(s.Path)
	if err == nil {
		s.Program, err = ParseProgram(b)
		return s, err
	}
	var length *lengthError
	if errors.As(err, &length) {
		return s, length
	}
	return s, &pathError{s.Path, err}
}

func (e Env) choose() (Selection, error) {
	profile, path := e.Profile, e.Path
	v, warnings := "", []string(nil)
	if profile.Set && !utf8.ValidString(profile.Value) {
		warnings = append(warnings, EnvProfile+" is not valid UTF-8 and counts as unset")
	} else if profile.Set {
		v = strings.TrimSpace(profile.Value)
	}
	if path.Set && path.Value == "" {
		warnings = append(warnings, EnvPath+" is empty and counts as unset")
	}
	s := Selection{Warnings: warnings}
	word := lowerASCII(v)
	if e.Exact && (word == "hardened" || word == "strict") {
		word = "?"
	}
	switch word {
	case "", "0", "off", "none":
		s.Path = path.Value
		if s.Path != "" && v != "" {
			s.Warnings = append(s.Warnings, fmt.Sprintf("%s=%s does not turn off the filter of %s, which is loaded", EnvProfile, v, EnvPath))
		}
	case "1", "default", "baseline", "hardened", "strict":
		s.Profile = word
		if word == "1" || word == "default" {
			s.Profile = "baseline"
		}
		if path.Value != "" {
			return s, fmt.Errorf("%s=%s cannot be combined with %s (%s)", EnvProfile, s.Profile, EnvPath, printable(path.Value))
		}
	case "bpf", "path", "file":
		s.Path = path.Value
		if s.Path == "" {
			return s, fmt.Errorf("%s=bpf requires %s", EnvProfile, EnvPath)
		}
	default:
		return s, fmt.Errorf("%s must be one of: 1, default, baseline, bpf, 0, off, none (got %q)", EnvProfile, v)
	}
	return s, nil
}

// Requested reports whether the variables mention a filter at all. It is true for values that FromEnv refuses, and must not be
// taken to mean that a filter will be loaded.
func (e Env) Requested() bool {
	profile, path := e.Profile, e.Path
	if path.Value != "" {
		return true
	}
	if !profile.Set || !utf8.ValidString(profile.Value) {
		return false
	}
	switch lowerASCII(strings.TrimSpace(profile.Value)) {
	case "", "0", "off", "none":
		return false
	}
	return true
}

// Strict returns an error for each warning, for operators who want no surprises, and otherwise nil.
func (s Selection) Strict() error {
	var errs []error
	for _, w := range s.Warnings {
		errs = append(errs, errors.New(w))
	}
	return errors.Join(errs...)
}

// Check says whether the kernel would take the file's program. The reference does not ask and fails when it starts the cell.
func (s Selection) Check() error {
	if s.Path == "" {
		return nil
	}
	if err := s.Program.Check(); err != nil {
		return &pathError{s.Path, err}
	}
	return nil
}

// lowerASCII lowers A to Z only: strings.EqualFold would take U+017F for an s.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// pathError is an error about the file of EnvPath.
type pathError struct {
	path string
	err  error
}

func (e *pathError) Unwrap() error { return e.err }

// Is makes errors.Is find the conditions of io/fs behind a kernel's error number.
func (e *pathError) Is(target error) bool {
	switch e.err {
	case sysabi.ENOENT:
		return target == fs.ErrNotExist
	case sysabi.EACCES, sysabi.EPERM:
		return target == fs.ErrPermission
	}
	return false
}

func (e *pathError) Error() string {
	text := e.err.Error()
	if errno, ok := e.err.(sysabi.Errno); ok { // as the reference writes it: strerror(3) and the number
		text = strings.ToUpper(text[:1]) + text[1:] + fmt.Sprintf(" (os error %d)", errno)
	}
	return fmt.Sprintf("%s %s: %s", EnvPath, printable(e.path), text)
}

// lengthError is an error about the length of a program.
type lengthError struct{ size int64 }

func (e *lengthError) Error() string {
	switch {
	case e.size == 0:
		return "seccomp BPF program is empty"
	case e.size%InstructionSize != 0:
		return fmt.Sprintf("seccomp BPF length %d is not a multiple of 8 (sock_filter size)", e.size)
	}
	return fmt.Sprintf("seccomp BPF program too large (max %d bytes)", MaxInstructions*InstructionSize)
}

func checkLength(n int64) error {
	if n == 0 || n%InstructionSize != 0 || n > MaxInstructions*InstructionSize {
		return &lengthError{n}
	}
	return nil
}
