// Package backends chooses the backend of a run, finds what it needs on this host, and is the command image.
package backends
