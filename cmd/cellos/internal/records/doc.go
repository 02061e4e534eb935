// Package records is the commands about what runs leave: runs, show, diff, verify, attest, and keys, with what signs.
package records
