//go:build linux && (amd64 || arm64)

package microvm

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// ListenPool makes the socket of a pool in a folder that only this user can enter. One whose pool is gone is replaced; while another pool
// runs there, it is an error. The lock is held until close is called.
func ListenPool(dir string) (l *net.UnixListener, close func(), err error) {
	fail := func(err error) (*net.UnixListener, func(), error) {
		return nil, nil, fmt.Errorf("making the socket of the pool: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail(err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fail(err)
	}
	fi, err := d.Stat()
	if err == nil {
		if st, ok := fi.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() || fi.Mode().Perm()&0o077 != 0 {
			err = fmt.Errorf("%s belongs to somebody else, or others can enter it", dir)
		}
	}
	if err == nil {
		if err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another pool runs there already")
		}
	}
	name := fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), PoolSocket)
	if err == nil {
		if err = os.Remove(name); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: name})
	}
	if err != nil {
		d.Close()
		return fail(err)
	}
	l.SetUnlinkOnClose(false)
	return l, func() {
		l.Close()
		os.Remove(filepath.Join(dir, PoolSocket))
		d.Close()
	}, nil
}

// StatusOfPool asks the pool of a folder how it is; with stop it is asked to end, too.
func StatusOfPool(dir string, stop bool) (*PoolStatus, error) {
	what := askStatus
	if stop {
		what = askStop
	}
	conn, x, files, err := askPool(dir, poolAsked{What: what})
	if err != nil {
		return nil, err
	}
	closeAll(files...)
	if stop {
		conn.Read(make([]byte, 1)) // it ends the connection when it has heard
	}
	conn.Close()
	if x.Status == nil {
		return nil, errors.New("asking the pool: it does not say how it is")
	}
	return x.Status, nil
}
