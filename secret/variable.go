package secret

// A Variable is an environment variable whose value is not to be seen.
type Variable struct {
	Name  string
	Value Value
}
