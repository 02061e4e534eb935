package view

import (
	"fmt"
	"strings"
)

// Injected is what the plan says of secrets that the gate puts into requests.
type Injected struct {
	AuthoritySHA256 string // digest of the certificate of the gate's own authority
	Rules           []struct {
		Name, Secret, Header string
		Port                 int
	}
}

// Opened says in one line whose TLS the gate opened, and what it put into the requests; "" if none.
func (r *Run) Opened() string {
	var list []string
	for _, x := range r.Injected.Rules {
		list = append(list, fmt.Sprintf("of %s:%d by the gate, which put %s into %s", x.Name, x.Port, x.Secret, x.Header))
	}
	if len(list) == 0 {
		return ""
	}
	return strings.Join(list, "; ") + "; authority " + r.Injected.AuthoritySHA256
}

// granted and used say in words what became of a secret.
func (s SecretUse) granted() string {
	if s.Placeholder {
		return "placeholder"
	}
	return "read"
}

func (s SecretUse) used() string {
	switch {
	case s.Taken == nil:
		return "taken: " + count(s.Taken)
	case s.Placeholder:
		return "put into " + plural(int(*s.Taken), "request")
	}
	return "taken " + plural(int(*s.Taken), "time")
}
