//go:build !linux

package delivery

import (
	"errors"
	"net"
)

// peer fails: nobody is answered.
func peer(*net.UnixConn) (uint32, error) {
	return 0, errors.New("who asks for a secret is known on Linux only")
}
