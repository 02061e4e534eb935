package format

import (
	"strings"
	"unicode"
)

// AbsolutePath reports what is wrong with s as a path in a grant, "" when nothing is: absolute, at most 4095 bytes
// (PATH_MAX less its NUL, include/uapi/linux/limits.h), segments of at most 255 bytes (NAME_MAX), none of them empty, "."
// or "..", no final slash, no control characters.
func AbsolutePath(s string) string {
	switch {
	case s == "":
		return "must not be empty"
	case s[0] != '/':
		return Quote(s) + " is not an absolute path"
	case len(s) > 4095:
		return Quote(s) + " is longer than 4095 bytes"
	case s == "/":
		return ""
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return Quote(s) + " contains a control character"
		}
	}
	for segment := range strings.SplitSeq(s[1:], "/") {
		switch {
		case segment == "":
			return Quote(s) + " has an empty segment: write single slashes, and none at the end"
		case segment == "." || segment == "..":
			return Quote(s) + ` has the segment "` + segment + `": write the path without it`
		case len(segment) > 255:
			return Quote(s) + " has a segment longer than 255 bytes"
		}
	}
	return ""
}

// grantPath is a path that may be granted: the root and the kernel's own file systems are made by the cell itself.
func grantPath(s string) string {
	if problem := AbsolutePath(s); problem != "" {
		return problem
	}
	if s == "/" {
		return `"/" is over-broad: name the directories that are needed`
	}
	for _, root := range [...]string{"/proc", "/sys", "/dev"} {
		if s == root || strings.HasPrefix(s, root+"/") {
			return Quote(s) + " cannot be granted: the cell has its own " + root
		}
	}
	return ""
}

// OverBroadWrite reports what is wrong with s as a path to be written, "" when nothing is: a whole system directory is
// over-broad, what lies in it is not.
func OverBroadWrite(s string) string {
	switch s {
	case "/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64", "/boot", "/var", "/home", "/root", "/run":
		return Quote(s) + " is over-broad for writing: name the directory below it that is needed"
	}
	return ""
}
