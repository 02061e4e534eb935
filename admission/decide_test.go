package admission

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/admission/authz"
	"cellos.io/cellos/admission/pack"
	"cellos.io/cellos/document"
	"cellos.io/cellos/document/input"
)

func parse(t *testing.T, spec string) *document.Document {
	t.Helper()
	doc, err := document.Parse("d.json", []byte(`{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"c","lifetime":{"ttlSeconds":60},`+spec+`}}`))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func paths(d Decision) (list []string) {
	for _, r := range d.Refusals {
		list = append(list, r.Path)
	}
	return list
}

func loadPack(t *testing.T, rules string) *pack.Pack {
	t.Helper()
	p, err := pack.Parse([]byte(`{"apiVersion":"cellos.io/v1","kind":"PolicyPack","spec":{"id":"p","version":"1.2.0","rules":`+rules+`}}`), pack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Every gate is asked, and says what it has to say, whatever the others said.
func TestAllGatesAreAsked(t *testing.T) {
	doc := parse(t, `"authority":{"egressRules":[{"host":"a.example","port":443}],"secretRefs":["K"]},"run":{"argv":["true"]},
		"placement":{"kubernetesNamespace":"n"},"correlation":{"tenantId":"t"},"policy":{"packId":"other","packVersion":"1.0.0"}`)
	policy, err := authz.Parse([]byte(`{"apiVersion":"cellos.io/v1","kind":"AuthorizationPolicy","spec":{"subjects":["u"],"allowedPools":["q"],"allowedPolicyPacks":["p"],"maxCellsPerHour":3}}`))
	if err != nil {
		t.Fatal(err)
	}
	argv0, err := NewPrefixes([]string{"/opt"}, func(p string) string { return p })
	if err != nil {
		t.Fatal(err)
	}
	c := Configuration{RequireDerivation: true, RequireTelemetry: true, Namespace: "m", Tenant: "s", Policy: policy, Argv0: argv0, Broker: Broker{Name: "env"},
		Pack: loadPack(t, `{"maxLifetimeTtlSeconds":1,"secretRefAllowlist":{"default":[]}}`)}
	want := []string{
		"spec.authority.authorityDerivation", "spec.telemetry", "spec.placement.kubernetesNamespace", "spec.correlation.tenantId",
		"CELLOS_AUTHZ_POLICY_PATH", "spec.correlation.tenantId", "spec.placement.poolId", "spec.policy.packId",
		"spec.policy.packId", "spec.policy.packVersion", "spec.lifetime.ttlSeconds", "spec.authority.secretRefs[0]", "spec.run.argv[0]", "spec.run.secretDelivery",
	}
	d := c.Decide(doc, false)
	if got := paths(d); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if d.OnlyLeases || len(d.Denials) != 3 || len(d.Violations) != 2 {
		t.Errorf("denials %v, violations %v", d.Denials, d.Violations)
	}
}

// A tag lets pass what it names, says that it did, and nothing else.
func TestTags(t *testing.T) {
	doc := parse(t, `"authority":{},"run":{"argv":["true"],"secretDelivery":"env"},"policy":{"packId":"x"},"correlation":{"tenantId":"t"},"placement":{"poolId":"q"}`)
	policy, err := authz.Parse([]byte(`{"apiVersion":"cellos.io/v1","kind":"AuthorizationPolicy","spec":{"subjects":["t"],"allowedPolicyPacks":["x"],"maxCellsPerHour":3}}`))
	if err != nil {
		t.Fatal(err)
	}
	limits := loadPack(t, `{"maxMemoryMaxBytes":5,"maxRunTimeoutMs":5,"requireResourceLimits":true,"maxLifetimeTtlSeconds":1}`)
	empty := parse(t, `"authority":{},"run":{"argv":["true"],"secretDelivery":"env","limits":{}}`)
	pool := "pool"
	elsewhere := *limits
	elsewhere.Spec.Placement = &document.Placement{PoolID: &pool}
	for _, c := range []struct {
		name          string
		tags          []string
		conf          Configuration
		doc           *document.Document
		without, with string // refused paths
		used          string
	}{
		{"authz", []string{"authz-rate", "authz-named-pack"}, Configuration{Policy: policy}, doc, "CELLOS_AUTHZ_POLICY_PATH spec.policy.packId", "", "authz-named-pack authz-rate"},
		{"limits", []string{"pack-absent-limits"}, Configuration{Pack: limits}, empty,
			"spec.lifetime.ttlSeconds spec.run.limits.memoryMaxBytes spec.run.timeoutMs spec.run.limits", "spec.lifetime.ttlSeconds", "pack-absent-limits"},
		{"scope", []string{"pack-scope-skip"}, Configuration{Pack: &elsewhere}, empty, "spec.placement", "", "pack-scope-skip"},
		{"not used", []string{"authz-rate", "pack-scope-skip", "pack-absent-limits", "derivation-subset"}, Configuration{}, empty, "", "", ""},
	} {
		if got := strings.Join(paths(c.conf.Decide(c.doc, false)), " "); got != c.without {
			t.Errorf("%s, without tags: %s, want %s", c.name, got, c.without)
		}
		tags, err := ParseTags(c.tags)
		if err != nil {
			t.Fatal(err)
		}
		c.conf.Tags = tags
		if got := strings.Join(paths(c.conf.Decide(c.doc, false)), " "); got != c.with {
			t.Errorf("%s, with tags: %s, want %s", c.name, got, c.with)
		}
		if got := strings.Join(tags.Used(), " "); got != c.used {
			t.Errorf("%s: used %q, want %q", c.name, got, c.used)
		}
	}
	if _, err := ParseTags([]string{"authz-rate", "everything", "dlq"}); err == nil || !strings.Contains(err.Error(), `"everything", "dlq"`) {
		t.Errorf("unknown tags: %v", err)
	}
}

func TestArgv0(t *testing.T) {
	links := map[string]string{"/bin": "/usr/bin", "/bin/sh": "/usr/bin/sh", "/opt/tools/link": "/home/me/evil", "/home/me/link": "/opt/tools/x"}
	resolve := func(p string) string {
		if r, ok := links[p]; ok {
			return r
		}
		return p
	}
	for _, c := range []struct {
		prefixes, argv0 string
		grant           string // "HOST:AT"
		ok              bool
	}{
		{"/bin", "/bin/sh", "", true},
		{"/bin/", "/bin/sh", "", true},
		{`\bin`, "/bin/sh", "", true},
		{"/usr/bin", "/bin/sh", "", false}, // written elsewhere
		{"/usr/bin,/bin", "/bin/sh", "", true},
		{"/bi", "/bin/sh", "", false},
		{"/", "/anything", "", true},
		{"/", "anything", "", false},
		{"/opt", "/opt", "", true},
		{"/opt/tools", "/opt/tools/link", "", false}, // leads out
		{"/opt/tools", "/home/me/link", "", false},   // leads in
		{"/opt", "/opt/../bin/sh", "", false},
		{"/opt", "/opt//x", "", false},
		{"/opt", "/opt/./x", "", false},
		{"/opt", "/opt/x/", "", false},
		{"/opt", "/opt/x", "/home/me/evil:/opt/x", false}, // the cell sees something else there
		{"/opt", "/opt/d/x", "/home/me:/opt/d", false},
		{"/opt", "/opt/d/x", "/opt/e:/opt/d", true},
	} {
		p, err := NewPrefixes(strings.Split(c.prefixes, ","), resolve)
		if err != nil {
			t.Fatal(err)
		}
		var fs *document.Filesystem
		if host, at, ok := strings.Cut(c.grant, ":"); ok {
			fs = &document.Filesystem{Read: []document.Grant{{Path: host, At: &at}}}
		}
		if text := p.problem(c.argv0, fs); (text == "") != c.ok {
			t.Errorf("%s under %s with %q: %q", c.argv0, c.prefixes, c.grant, text)
		}
	}
	for _, bad := range [][]string{nil, {"opt"}, {"/opt/../bin"}, {"/opt/./x"}} {
		if _, err := NewPrefixes(bad, resolve); err == nil {
			t.Errorf("%q is taken as prefixes", bad)
		}
	}
}

func TestProblemsAreProblems(t *testing.T) {
	var problems input.Problems
	if _, err := pack.Parse([]byte("{"), pack.Options{}); !errors.As(err, &problems) {
		t.Errorf("%T", err)
	}
}

// What a document is granted needs a token, whatever it is.
func TestAsks(t *testing.T) {
	for spec, want := range map[string]string{
		`{}`: "", `{"egressRules":[],"secretRefs":[],"dnsAuthority":{},"cdnAuthority":{},"filesystem":{},"network":{}}`: "",
		`{"dnsAuthority":{"hostnameAllowlist":["a.example"]}}`:                                  "dnsAuthority",
		`{"dnsAuthority":{"blockUdpDoq":true}}`:                                                 "dnsAuthority",
		`{"cdnAuthority":{"providers":[{"providerId":"p","hostnamePattern":"*.example.com"}]}}`: "cdnAuthority",
		`{"filesystem":{"read":["/srv"]}}`:                                                      "filesystem",
		`{"filesystem":{"workingDirectory":"write"}}`:                                           "filesystem",
		`{"secretRefs":["A"]}`:                                                                  "secretRefs",
	} {
		if got := asks(&parse(t, `"authority":`+spec).Spec.Authority); got != want {
			t.Errorf("%s: %q, want %q", spec, got, want)
		}
	}
}
