//go:build linux && (amd64 || arm64)

package agent

import "testing"

func TestStalled(t *testing.T) {
	for text, want := range map[string]bool{
		"some avg10=99.00 avg60=50.00 avg300=20.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n":    false,
		"some avg10=99.99 avg60=50.00 avg300=20.00 total=1\nfull avg10=89.99 avg60=99.00 avg300=0.00 total=9\n":  false,
		"some avg10=99.99 avg60=50.00 avg300=20.00 total=1\nfull avg10=90.00 avg60=12.00 avg300=0.00 total=9\n":  true,
		"some avg10=99.99 avg60=50.00 avg300=20.00 total=1\nfull avg10=100.00 avg60=12.00 avg300=0.00 total=9\n": true,
		"some avg10=99.99 avg60=50.00 avg300=20.00 total=1\n":                                                    false,
		"full avg10=":      false,
		"full avg10=high ": false,
		"":                 false,
	} {
		if got := stalled([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
