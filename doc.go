// Package cellos holds what concerns the whole tree: its checks of itself. The program is cmd/cellos; what a reader
// wants to see first are the five packages document, authority, plan, cell and evidence.
package cellos
