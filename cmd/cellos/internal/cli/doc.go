// Package cli is what every command of cellos shares: the process that it is given, messages and exit statuses, flags and their values.
package cli
