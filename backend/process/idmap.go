//go:build linux && (amd64 || arm64)

package process

import (
	"errors"
	"fmt"
	"os"

	"cellos.io/cellos/plan"
	"cellos.io/cellos/spawn"
	"cellos.io/cellos/sysabi"
)

// writeMaps makes the child who the plan says. Only root does this for a child: user_namespaces(7), "Defining user and
// group ID mappings".
func writeMaps(pid int, ids plan.IDs) error {
	for _, m := range []struct {
		name            string
		inside, outside uint32
	}{{"gid_map", ids.GID, ids.HostGID}, {"uid_map", ids.UID, ids.HostUID}} {
		if err := writeMap(pid, m.name, m.inside, m.outside); err != nil {
			return err
		}
	}
	return nil
}

func writeMap(pid int, name string, inside, outside uint32) error {
	path := fmt.Sprintf("/proc/%d/%s", pid, name)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(f, "%d %d 1\n", inside, outside)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("mapping ids: %w", err)
	}
	return nil
}

// trees opens what root shows to the cell. The owner of each tree becomes the cell's user, by a mount that maps ids: files keep
// their owner on the file system, and the cell's uid owns nothing on the host.
func (h *handing) trees(p *plan.Plan, ahead *Ahead) error {
	type owner struct{ uid, gid uint32 }
	spaces := map[owner]int{}
	defer func() {
		for _, fd := range spaces {
			sysabi.CloseFD(fd)
		}
	}()
	for _, x := range p.Handed {
		if x.Tree == nil {
			continue
		}
		o := owner{x.Tree.UID, x.Tree.GID}
		space, ok := spaces[o]
		if !ok {
			var err error
			if space, err = mapping(o.uid, o.gid, p.IDs, ahead); err != nil {
				return err
			}
			spaces[o] = space
		}
		fd, err := openTree(x.Tree, space)
		if err != nil {
			return err
		}
		h.giveOwn(x.Name, fd)
	}
	return nil
}

func openTree(t *plan.Tree, userns int) (int, error) {
	at, err := sysabi.OpenNoLinks(t.Path)
	if err != nil {
		return -1, fmt.Errorf("opening %s: %w", t.Path, err)
	}
	defer sysabi.CloseFD(at)
	fd, err := sysabi.CloneTree(at)
	if err != nil {
		return -1, fmt.Errorf("copying the mount of %s: %w", t.Path, err)
	}
	if err := sysabi.SetTreeAttr(fd, uint64(t.Attr)|sysabi.MOUNT_ATTR_IDMAP, userns); err != nil {
		sysabi.CloseFD(fd)
		err = fmt.Errorf("mapping the owner of %s to the cell's user: %w", t.Path, err)
		return -1, hinted{err, "its file system, or one mounted below it, cannot map ids; start cellos as the files' owner instead of root"}
	}
	return fd, nil
}

// mapping makes a user namespace in which an owner on the file system is the cell's user on the host. A namespace needs a process to
// be made; this one waits for a table that never comes.
func mapping(uid, gid uint32, ids plan.IDs, ahead *Ahead) (int, error) {
	p := ahead.takeHolder()
	if p == nil {
		var err error
		if p, err = spawn.Prepare(sysabi.CLONE_NEWUSER); err != nil {
			return -1, explain(err)
		}
	}
	defer p.Close()
	if err := writeMap(p.PID(), "gid_map", gid, ids.HostGID); err != nil {
		return -1, err
	}
	if err := writeMap(p.PID(), "uid_map", uid, ids.HostUID); err != nil {
		return -1, err
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", p.PID()))
	if err != nil {
		return -1, fmt.Errorf("opening a user namespace: %w", err)
	}
	defer f.Close()
	return sysabi.DupAbove(int(f.Fd()), 3)
}
