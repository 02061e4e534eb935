//go:build !unix

package analyze

import "time"

var start = time.Now()

// spent stands for processor time where the system does not tell it.
func spent() time.Duration { return time.Since(start) }
