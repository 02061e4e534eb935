// Package filters is the command seccomp but for learn, which runs a cell.
package filters
