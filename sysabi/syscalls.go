package sysabi

//go:generate go run ./internal/mksyscalls testdata/syscalls.tsv zsyscalls.go

// call is one line of a system call table.
type call struct {
	name   string
	number uint16
}

// calls is a table in two orders. Both are static data: nothing is built when a program starts.
type calls struct {
	byName   []call   // sorted by name
	byNumber []uint16 // positions in byName, sorted by number
}

func (c calls) number(name string) (int, bool) {
	lo, hi := 0, len(c.byName)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if c.byName[mid].name < name {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(c.byName) && c.byName[lo].name == name {
		return int(c.byName[lo].number), true
	}
	return 0, false
}

func (c calls) name(nr int) (string, bool) {
	lo, hi := 0, len(c.byNumber)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if int(c.byName[c.byNumber[mid]].number) < nr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(c.byNumber) {
		if e := c.byName[c.byNumber[lo]]; int(e.number) == nr {
			return e.name, true
		}
	}
	return "", false
}

// KnownCall reports whether any of the architectures, 32-bit x86 included, has a system call of this name.
func KnownCall(name string) bool {
	for i := range arches {
		if _, ok := arches[i].calls.number(name); ok {
			return true
		}
	}
	_, ok := i386.number(name)
	return ok
}
