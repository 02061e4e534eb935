// Package variable declares every environment variable that cellos reads, in one table, and reads them.
//
//	env := variable.OS()
//	strict, err := env.On(variable.StrictConfig) // err names the variable and what it may hold
//
// The kind of a variable is the type of its constant, so that it is read in one way everywhere: a [Present] by [Env.Is], a
// [Switch] by [Env.On], a [Number] by [Env.Int]. A value that its kind does not allow is an error and never the default.
//
// To add a variable: a constant in names.go and a row in the table of its subject. The page docs/variables.md is made from the
// table (go generate ./variable), and the tests of the tree refuse a Getenv anywhere else.
package variable

//go:generate go run ./internal/mkvariables ../docs/variables.md
