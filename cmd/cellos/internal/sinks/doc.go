// Package sinks is where the events of a run go besides its record: flags and variables of sinks, and the command events.
package sinks
