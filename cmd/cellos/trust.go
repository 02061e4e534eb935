package main

import (
	"errors"
	"path/filepath"
	"strings"
	"time"

	"cellos.io/cellos/admission"
	"cellos.io/cellos/admission/keyset"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document/input"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/variable"
)

// trust verifies the configured trust keyset. Whatever comes of it is an event; a keyset that does not verify refuses the run, unless
// somebody says that it need not.
func (c *configuration) trust() {
	demanded, err := c.vars.Unless(variable.RequireTrustVerifyKeys)
	asked := err == nil && demanded && c.vars.Line(variable.Line(variable.RequireTrustVerifyKeys)) != ""
	c.quiet = asked
	var ring keyset.Ring
	before := len(c.errs)
	c.file(variable.TrustVerifyKeysPath, func(data []byte) (err error) {
		ring, err = keyset.ParseRing(data)
		return err
	})
	switch {
	case len(c.errs) > before:
		return // a bad ring refuses whatever else is said
	case asked && !c.vars.Set(variable.TrustVerifyKeysPath):
		c.wrong(variable.TrustVerifyKeysPath, "is required by %s", variable.RequireTrustVerifyKeys)
		return
	}
	name, files := c.keysets()
	if name == nil {
		return
	}
	head, errs := verifyChain(name, files, ring, time.Now())
	if len(errs) == 0 {
		c.keyset = evidence.KeysetVerified{KeysetID: head.KeysetID, PayloadDigest: head.Digest, VerifiedSignerKid: head.SignerKid, VerifiedAt: time.Now()}
		return
	}
	attempted := "(empty chain)"
	if len(files) > 0 {
		attempted = filepath.Base(files[len(files)-1])
	}
	c.keyset = evidence.KeysetVerificationFailed{AttemptedKeysetPath: attempted, Reason: cli.OneLine(errors.Join(errs...).Error()), FailedAt: time.Now()}
	switch {
	case !demanded:
	case c.Tags.On(admission.KeysetUnverified):
		c.Tags.Use(admission.KeysetUnverified)
	default:
		c.errs = append(c.errs, errs...)
	}
}

// keysets returns the variable that names keysets, nil if none does, and their files, the oldest first.
func (c *configuration) keysets() (variable.Name, []string) {
	if list, set := c.vars.Path(variable.TrustKeysetChainPath); set {
		return variable.TrustKeysetChainPath, splitLines(list)
	}
	if name, set := c.vars.Path(variable.TrustKeysetPath); set {
		return variable.TrustKeysetPath, []string{name}
	}
	return nil, nil
}

// splitLines splits a list at commas and line feeds.
func splitLines(list string) (files []string) {
	for f := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == '\n' }) {
		if f = strings.TrimSpace(f); f != "" {
			files = append(files, f)
		}
	}
	return files
}

// verifyChain verifies keysets, of which each must name the one before. It returns the last.
func verifyChain(name variable.Name, files []string, ring keyset.Ring, now time.Time) (head *keyset.Verified, errs []error) {
	if len(files) == 0 {
		return nil, []error{variable.Errorf(name, "names no file")}
	}
	for _, file := range files {
		var v *keyset.Verified
		found := fileErrors(name, file, func(data []byte) error {
			e, err := keyset.ParseEnvelope(data)
			if err != nil {
				return err
			}
			if v, err = e.Verify(ring, now); err != nil {
				return err
			}
			if head == nil {
				return nil
			}
			if err := v.Follows(head); err != nil {
				return input.Problems{err.(input.Problem)}
			}
			return nil
		})
		errs = append(errs, found...)
		if v == nil {
			return nil, errs // the rest of the chain hangs on it
		}
		head = v
	}
	return head, errs
}
