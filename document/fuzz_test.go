package document

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// fullYAML has every one of our own fields and most of the documented ones.
const fullYAML = head + `  id: a
  correlation: {tenantId: t, labels: {b: "1", a: x}}
  ingress: {git: {url: u}, ociImage: {reference: r}}
  environment: {imageReference: i}
  placement: {poolId: p}
  identity: {kind: federatedOidc, provider: p, audience: a, secretRef: S, ttlSeconds: 5}
  lifetime: {ttlSeconds: 60}
  authority:
    filesystem:
      read: [/srv/a, {path: /srv/b, at: /b}]
      write: [/srv/c]
      exec: [{path: /opt/x}]
      workingDirectory: empty
    network: {}
    egressRules: [{host: a.example, port: 443, protocol: TLS}]
    secretRefs: [S]
    dnsAuthority:
      resolvers: [{resolverId: r, endpoint: "192.0.2.1:53", protocol: do53-udp, dnssec: {validate: false}}]
      allowedQueryTypes: [A, AAAA]
      hostnameAllowlist: ["*.a.example"]
      rebindingPolicy: {responseIpAllowlist: ["a:192.0.2.0/24"]}
      blockUdpDoq: true
  run:
    argv: [x, y]
    environment: {A: b, C: ""}
    seccomp: {profile: strict+debug}
    terminal: true
    user: {uid: 0, gid: 65534}
    hostname: h
    timeNamespace: true
    limits: {processes: 1, openFiles: 16, fileSizeBytes: 1, scratchBytes: 65536, outputBytes: 1, cpuMax: {quotaMicros: 1000}}
  export:
    targets: [{kind: http, name: h, baseUrl: "https://a.example", secretRef: S}, {kind: s3, name: s, bucket: b}]
    artifacts: [{name: n, path: /p, target: h}]
  telemetry: {channel: vsock-cbor, events: [net.x], agentVersion: 1.0.0-a}
`

func TestFullDocument(t *testing.T) {
	d, err := Parse("a.yaml", []byte(fullYAML))
	if err != nil {
		t.Fatal(err)
	}
	if !d.Spec.Run.Terminal || *d.Spec.Run.Limits.OpenFiles != 16 || d.Spec.Authority.Filesystem.Read[1].Target() != "/b" ||
		d.Spec.Authority.Filesystem.Read[0].Target() != "/srv/a" || d.Spec.Run.SecretDelivery != DeliverRuntimeLeasedBroker ||
		d.Spec.Authority.DNSAuthority.RebindingPolicy.MaxNovelIPsPerHostname != 4 || d.Spec.Authority.DNSAuthority.Resolvers[0].DNSSEC.Validate {
		t.Errorf("read as %+v", d.Spec)
	}
	sameBack(t, d)
}

// checkParse checks what holds for every input: no panic, every problem has a place or path and is one line, no bug of
// ours shows, accepted documents read back.
func checkParse(t *testing.T, name string, data []byte) {
	d, err := Parse(name, data)
	if err == nil {
		sameBack(t, d)
		return
	}
	var problems Problems
	if !errors.As(err, &problems) || len(problems) == 0 || d != nil {
		t.Fatalf("refused with %v and %v", d, err)
	}
	for _, p := range problems {
		if p.Path == "" && p.Line == 0 && len(data) <= 1<<20 {
			t.Errorf("a problem without a place: %q", p.Text)
		}
		if p.Text == "" || strings.ContainsAny(p.In("f"), "\n\r\x00") || strings.Contains(p.Text, "cellos bug") {
			t.Errorf("not one line for a user: %q", p.In("f"))
		}
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, v := range vectors(f) {
		if v.Pad == 0 && !strings.HasSuffix(v.Name, ".yaml") {
			f.Add(v.data(f))
		}
	}
	full, err := Parse("a.yaml", []byte(fullYAML))
	if err != nil {
		f.Fatal(err)
	}
	text, err := full.JSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, data []byte) { checkParse(t, "a.json", data) })
}

func FuzzParseYAML(f *testing.F) {
	f.Add([]byte(fullYAML))
	for _, s := range []string{"", "a: b", "&a b: *a", "! a", "? a\n: b", "a: |\n  b\n", "- - -", "%YAML 1.1\n---\na", "a: 'b\n\n c'", "{a: [b, {c: d}]}", "---\n---\n", "<<: a", "\"\\x\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkParse(t, "a.yaml", data) })
}

// sameInYAML checks that a JSON document, and what the YAML library makes of it in block style, mean the same.
func sameInYAML(t *testing.T, data []byte) {
	want, err := Parse("a.json", data)
	if err != nil {
		return
	}
	text, err := want.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var tree yaml.Node
	if strings.ContainsFunc(string(text), needsEscapeInYAML) || yaml.Unmarshal(text, &tree) != nil {
		return
	}
	block, err := yaml.Marshal(blockStyle(&tree))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("a.yaml", block)
	if err != nil {
		t.Fatalf("%v\n%s", err, block)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("means something else as YAML:\n%s", block)
	}
}

// blockStyle takes braces and brackets from collections, and leaves scalars quoted as JSON has them.
func blockStyle(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.ScalarNode {
		n.Style = 0
	}
	for _, inner := range n.Content {
		blockStyle(inner)
	}
	return n
}

func TestVectorsInYAML(t *testing.T) {
	for _, v := range vectors(t) {
		if v.Pad == 0 {
			t.Run(v.ID, func(t *testing.T) { sameInYAML(t, v.data(t)) })
		}
	}
}

func FuzzJSONEqualsYAML(f *testing.F) {
	for _, v := range vectors(f) {
		if v.Pad == 0 && v.Ours.Accepted {
			f.Add(v.data(f))
		}
	}
	f.Fuzz(sameInYAML)
}
