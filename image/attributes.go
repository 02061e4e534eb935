package image

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"cellos.io/cellos/sysabi"
)

// xattrs returns the extended attributes that mean something to another kernel: the user's own, and file capabilities are none, because
// no cell honours them. What cannot be read has none.
func (s *source) xattrs(in, name string) (map[string]string, error) {
	dir, err := s.in(in)
	if err == nil && dir.self == nil {
		if dir.self, err = dir.root.Open("."); errors.Is(err, fs.ErrPermission) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	at := "/proc/self/fd/" + strconv.Itoa(int(dir.self.Fd())) + "/" + name
	if s.buf == nil {
		s.buf = make([]byte, sysabi.XattrMax)
	}
	names, err := sysabi.XattrNames(at, s.buf)
	if err != nil {
		return nil, nil
	}
	var m map[string]string
	for _, a := range names {
		if !strings.HasPrefix(a, "user.") || strings.HasPrefix(a, "user.overlay.") {
			continue
		}
		n, err := sysabi.XattrOf(at, a, s.buf)
		if err != nil {
			continue
		}
		if err := s.count(0, len(a)+n); err != nil {
			return nil, err
		}
		if m == nil {
			m = map[string]string{}
		}
		m[a] = string(s.buf[:n])
	}
	return m, nil
}
