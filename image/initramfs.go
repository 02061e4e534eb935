package image

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// wantedModules are the drivers of a guest; those that the kernel has built in need no file. A machine has either bus.
var wantedModules = []string{"virtio_pci", "virtio_mmio", "virtio_console", "vmw_vsock_virtio_transport", "virtio_blk", "erofs", "overlay"}

// otherModules are of use where the kernel has them: tun, for cells with a network.
var otherModules = []string{"tun"}

// A File is one file of an initial file system.
type File struct {
	Name string // "modules/erofs.ko"
	Mode uint32 // permission bits
	Data []byte
}

// modules reads the wanted modules of a kernel and everything that they need, in the order in which they can be loaded. Folder is
// /lib/modules/RELEASE.
func modules(folder string) ([]File, error) {
	dep, err := os.ReadFile(filepath.Join(folder, "modules.dep"))
	if err != nil {
		return nil, fmt.Errorf("reading which modules the kernel has: %w", err)
	}
	builtin, err := os.ReadFile(filepath.Join(folder, "modules.builtin"))
	if err != nil {
		return nil, fmt.Errorf("reading which modules the kernel has: %w", err)
	}
	needs, at := dependencies(string(dep))
	var files []File
	loaded := map[string]bool{}
	for _, want := range slices.Concat(wantedModules, otherModules) {
		file, ok := at[want]
		if !ok {
			if strings.Contains(string(builtin), "/"+want+".ko") || strings.Contains(string(builtin), "/"+strings.ReplaceAll(want, "_", "-")+".ko") {
				continue
			}
			if slices.Contains(otherModules, want) {
				continue
			}
			return nil, fmt.Errorf("the kernel in %s has no module %s", folder, want)
		}
		// modules.dep(5) lists what a module needs so that the last has to be loaded first.
		order := append(slices.Clone(needs[file]), file)
		slices.Reverse(order[:len(order)-1])
		for _, f := range order {
			if loaded[f] {
				continue
			}
			loaded[f] = true
			if path.Ext(f) != ".ko" {
				return nil, fmt.Errorf("the module %s is compressed, which not every kernel can load; use a kernel with plain modules", f)
			}
			data, err := os.ReadFile(filepath.Join(folder, f))
			if err != nil {
				return nil, err
			}
			files = append(files, File{"modules/" + path.Base(f), 0o444, data})
		}
	}
	var list bytes.Buffer
	for _, f := range files {
		fmt.Fprintln(&list, path.Base(f.Name))
	}
	return append(files, File{"modules/order", 0o444, list.Bytes()}), nil
}

// dependencies reads modules.dep: what each file needs, and the file of each module.
func dependencies(text string) (needs map[string][]string, at map[string]string) {
	needs, at = map[string][]string{}, map[string]string{}
	for line := range strings.Lines(text) {
		file, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		needs[file] = strings.Fields(rest)
		name, _, _ := strings.Cut(path.Base(file), ".")
		at[strings.ReplaceAll(name, "-", "_")] = file
	}
	return needs, at
}

// writeCPIO writes an initial file system in the format that the kernel unpacks (Documentation/driver-api/early-userspace/
// buffer-format.rst, "newc"). The same files make the same bytes: owners are root, times are zero.
func writeCPIO(w io.Writer, files []File) error {
	ino := 0
	entry := func(name string, mode uint32, data []byte) error {
		ino++
		links := 1
		if mode&0o170000 == 0o040000 {
			links = 2
		}
		head := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ino, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
		var b bytes.Buffer
		b.WriteString(head + name + "\x00")
		b.Write(make([]byte, -b.Len()&3))
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		_, err := w.Write(make([]byte, -len(data)&3))
		return err
	}
	made := map[string]bool{".": true}
	var folder func(string) error
	folder = func(d string) error {
		if made[d] {
			return nil
		}
		made[d] = true
		if err := folder(path.Dir(d)); err != nil {
			return err
		}
		return entry(d, 0o040755, nil)
	}
	for _, f := range files {
		if err := folder(path.Dir(f.Name)); err != nil {
			return err
		}
		if err := entry(f.Name, 0o100000|f.Mode, f.Data); err != nil {
			return err
		}
	}
	ino = -1
	return entry("TRAILER!!!", 0, nil)
}
