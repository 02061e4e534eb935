package plan

import (
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/secret"
)

func TestSecretsAreRefused(t *testing.T) {
	for _, c := range []struct {
		run, grants string
		want        []string
	}{
		{`"secretDelivery":"env"`, `"secretRefs":["API","db-pass","a.b","path","HOME"]`, nil},
		{`"secretDelivery":"env"`, `"secretRefs":["PATH","ok","IFS","ENV","BASH_ENV","LD_PRELOAD","LD_LIBRARY_PATH","GLIBC_TUNABLES","CELLOS_SECRET_DELIVERY","CELLOS_RUNTIME_SECRET_TOKEN"]`,
			[]string{"secretRefs[0]: ", "secretRefs[2]: ", "secretRefs[3]: ", "secretRefs[4]: ", "secretRefs[5]: ", "secretRefs[6]: ", "secretRefs[7]: ", "secretRefs[8]: ", "secretRefs[9]: "}},
		{`"secretDelivery":"env","environment":{"API":"x"}`, `"secretRefs":["API"]`, []string{"spec.run.environment.API: the variable is the secret's"}},
		{`"secretDelivery":"runtimeBroker"`, `"secretRefs":["PATH","LD_PRELOAD"]`, nil},
		{`"secretDelivery":"runtimeBroker","environment":{"CELLOS_RUNTIME_SECRET_TOKEN":"x"}`, "", []string{"spec.run.environment.CELLOS_RUNTIME_SECRET_TOKEN"}},
		{`"secretDelivery":"runtimeBroker","seccomp":{"profile":"hardened+net-none"}`, `"secretRefs":["K"]`, []string{"spec.run.secretDelivery: delivering secrets on a socket"}},
		{`"secretDelivery":"runtimeBroker","seccomp":{"profile":"hardened+net-none"}`, "", nil},
	} {
		a := read(t, c.run, c.grants)
		_, err := For(a, machine().at(debian, a))
		var got []string
		if err != nil {
			for _, r := range err.(Refused) {
				got = append(got, r.Error())
			}
		}
		if len(got) != len(c.want) || slices.ContainsFunc(c.want, func(w string) bool {
			return !slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, w) })
		}) {
			t.Errorf("%s %s:\n%s\nwant\n%s", c.run, c.grants, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// TestSecretsAreInNoPlan: the values go into the environment when the table is linked, and are printed nowhere.
func TestSecretsAreInNoPlan(t *testing.T) {
	a := read(t, `"secretDelivery":"env"`, `"secretRefs":["API"]`)
	p, err := For(a, machine().at(debian, a))
	if err != nil {
		t.Fatal(err)
	}
	v := secret.FromString("hunter2")
	with := p.WithSecrets([]secret.Variable{{Name: "API", Value: v}})
	if s := with.String(); strings.Contains(s, "hunter2") || !strings.Contains(s, `"API=[secret]"`) {
		t.Error("the table prints the value, or not the name")
	}
	if with.Size() <= p.Table.Size() || strings.Contains(p.Table.String(), "API") {
		t.Error("the plan's own table changed")
	}
	if !strings.Contains(p.Words(), "see the secrets API in its environment") {
		t.Errorf("it does not say so:\n%s", p.Words())
	}
	if got := p.WithSecrets(nil); &got[0] != &p.Table[0] {
		t.Error("a copy for nothing")
	}
}
