package authority

import (
	"reflect"
	"testing"
)

// A document that injects secrets has the command's programs look where the certificate is, unless it says itself where they look.
func TestInjection(t *testing.T) {
	a, err := Of(spec(t, "", `"secretRefs":["A","B","C"],"egressRules":[{"host":"X.example","port":443,"protocol":"https","inject":[{"secret":"B","header":"X-Key"},{"secret":"A","header":"Authorization","prefix":"Bearer "}]},`+
		`{"host":"y.example","port":443}]`, `,"environment":{"PIP_CERT":"/mine","Z":"1"}`), Place{WorkingDirectory: "/w"})
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Injected(); !reflect.DeepEqual(got, []string{"A", "B"}) {
		t.Errorf("injected: %q", got)
	}
	if got := Opened(a.Network); !reflect.DeepEqual(got, []string{"x.example"}) {
		t.Errorf("opened: %q", got)
	}
	want := []Injection{{"B", "X-Key", "", "spec.authority.egressRules[0].inject[0]"}, {"A", "Authorization", "Bearer ", "spec.authority.egressRules[0].inject[1]"}}
	if !reflect.DeepEqual(a.Network[0].Inject, want) || a.Network[1].Inject != nil {
		t.Errorf("%+v", a.Network)
	}
	for name, value := range map[string]string{"PIP_CERT": "/mine", "SSL_CERT_FILE": "/run/cellos-ca/bundle.crt", "NODE_EXTRA_CA_CERTS": "/run/cellos-ca/ca.crt"} {
		if got, _ := a.Command.Lookup(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	for i, v := range a.Command.Env[1:] {
		if a.Command.Env[i].Name >= v.Name {
			t.Errorf("not in order: %v", a.Command.Env)
		}
	}
	plain, err := Of(spec(t, "", `"egressRules":[{"host":"y.example","port":443,"protocol":"https"}]`, ""), Place{WorkingDirectory: "/w"})
	if err != nil {
		t.Fatal(err)
	}
	if _, set := plain.Command.Lookup("SSL_CERT_FILE"); set || Opened(plain.Network) != nil {
		t.Error("a document without injection is told of certificates")
	}
}
