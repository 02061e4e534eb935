package document

import (
	"errors"
	"strings"
	"testing"
)

// head begins a YAML document on lines 1 to 3; what follows is the spec, from line 4 on.
const head = "apiVersion: cellos.io/v1\nkind: ExecutionCell\nspec:\n"

// least is a spec that is complete, on lines 4 to 6.
const least = "  id: a\n  lifetime: {ttlSeconds: 60}\n  authority:\n"

func TestBadDocuments(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		want             []string // as Problem.In("f") writes them, in order; a final … stands for any text
	}{
		{"every mistake at once", "a.yaml", head + `  id: bad id
  lifetime: {ttlSeconds: 10}
  authority:
    secretRefs:
      - x y
    egressRules:
      - {host: "*", port: 70000}
      - {host: api.example.com}
  run:
    argv: []
    timeoutMs: 20000
`, []string{
			`f:4:7: spec.id: "bad id" is not an identifier…`,
			`f:8:9: spec.authority.secretRefs[0]: "x y" is not an identifier…`,
			`f:10:16: spec.authority.egressRules[0].host: "*" is over-broad: a grant names one host, without wildcard`,
			`f:10:27: spec.authority.egressRules[0].port: 70000 is above 65535`,
			`f:11:9: spec.authority.egressRules[1].port: is required`,
			`f:13:11: spec.run.argv: must not be empty`,
			`f:14:16: spec.run.timeoutMs: 20000 is above spec.lifetime.ttlSeconds in milliseconds, which is 10000`,
		}},
		{"the same in JSON", "a.json", `{
  "apiVersion": "cellos.io/v2",
  "kind": "ExecutionCell",
  "spec": {
    "id": "a",
    "Lifetime": {"ttlSeconds": 60},
    "authority": {"egressRules": [{"host": "é.example", "port": "443"}]}
  }
}`, []string{
			`f:2:17: apiVersion: must be cellos.io/v1, not "cellos.io/v2"`,
			`f:4:11: spec.lifetime: is required`,
			`f:6:5: spec.Lifetime: unknown field; did you mean lifetime?`,
			`f:7:44: spec.authority.egressRules[0].host: "é.example" is not ASCII…`,
			`f:7:65: spec.authority.egressRules[0].port: must be a whole number, not the string "443"`,
		}},
		{"nothing follows from what was lost", "a.yaml", head + `  id: a
  lifetime: {ttlSeconds: long}
  authority: {secretRefs: [1], egressRules: none}
  identity: {kind: federatedOidc, provider: p, audience: a, secretRef: T, ttlSeconds: 5}
  run: {argv: [x], timeoutMs: 5}
  telemetry: {channel: vsock-cbor, events: [net.x], agentVersion: 1.0.0}
`, []string{
			`f:5:26: spec.lifetime.ttlSeconds: must be a whole number, not the string "long"`,
			`f:6:28: spec.authority.secretRefs[0]: must be a string, not 1`,
			`f:6:45: spec.authority.egressRules: must be a list, not the string "none"`,
		}},
		{"files", "a.yaml", head + least + `    filesystem:
      read:
        - /srv/data
        - {path: /opt/x, at: /srv/data}
        - relative
        - /a/../b
        - /proc/self
        - {at: /x}
      write: [/usr, /usr/local, {path: /srv/out, at: /opt/y}, /srv//out]
      exec: [{path: /opt/z, at: /opt/y}]
      workingDirectory: none
`, []string{
			`f:10:11: spec.authority.filesystem.read[1]: "/opt/x" is shown at "/srv/data" already, by spec.authority.filesystem.read[0]`,
			`f:11:11: spec.authority.filesystem.read[2]: "relative" is not an absolute path`,
			`f:12:11: spec.authority.filesystem.read[3]: "/a/../b" has the segment ".."…`,
			`f:13:11: spec.authority.filesystem.read[4]: "/proc/self" cannot be granted: the cell has its own /proc`,
			`f:14:11: spec.authority.filesystem.read[5].path: is required`,
			`f:15:15: spec.authority.filesystem.write[0]: "/usr" is over-broad for writing…`,
			`f:15:63: spec.authority.filesystem.write[3]: "/srv//out" has an empty segment…`,
			`f:16:14: spec.authority.filesystem.exec[0]: "/opt/z" cannot be shown at "/opt/y": spec.authority.filesystem.write[2] shows "/srv/out" there`,
			`f:17:25: spec.authority.filesystem.workingDirectory: must be overlay or read or write or empty, not "none"`,
		}},
		{"run", "a.yaml", head + `  id: a
  lifetime: {ttlSeconds: 60}
  authority: {}
  run:
    argv: [x, ""]
    environment: {A: b, "C=D": e, F: 1}
    seccomp: {profile: off}
    user: {uid: 65535, gid: -1}
    hostname: a.b
    terminal: yes
    timeNamespace: null
    limits:
      processes: 0
      openFiles: 15
      scratchBytes: 65535
      outputBytes: 9223372036854775808
      fileSizeBytes: 010
      pids: 5
`, []string{
			`f:8:15: spec.run.argv[1]: must not be empty`,
			`f:9:25: spec.run.environment["C=D"]: the name of a variable must not contain "=" or a NUL byte`,
			`f:9:38: spec.run.environment.F: must be a string, not 1`,
			`f:10:24: spec.run.seccomp.profile: "off" is not a profile…`,
			`f:11:17: spec.run.user.uid: 65535 is above 65534`,
			`f:11:29: spec.run.user.gid: -1 is below 0`,
			`f:12:15: spec.run.hostname: "a.b" is not a host name of one part…`,
			`f:13:15: spec.run.terminal: must be true or false, not the string "yes"`,
			`f:14:20: spec.run.timeNamespace: must be true or false, not null`,
			`f:16:18: spec.run.limits.processes: 0 is below 1`,
			`f:17:18: spec.run.limits.openFiles: 15 is below 16`,
			`f:18:21: spec.run.limits.scratchBytes: 65535 is below 65536`,
			`f:19:20: spec.run.limits.outputBytes: 9223372036854775808 is above 9223372036854775807`,
			`f:20:22: spec.run.limits.fileSizeBytes: must be a whole number in decimal digits, not 010`,
			`f:21:7: spec.run.limits.pids: unknown field`,
		}},
		{"targets and artifacts", "a.yaml", head + least + `    egressRules: [{host: h.example, port: 443}]
  export:
    targets:
      - {kind: http, name: h, baseUrl: "https://H.example/x", secretRef: S}
      - {kind: s3, name: h, bucket: "", baseUrl: "https://h.example"}
      - {kind: http, name: i, baseUrl: "https://user:pw@h.example"}
      - {kind: http, name: j, baseUrl: "http://h.example"}
    artifacts:
      - {name: a, path: /x}
      - {name: b, path: /x, target: k}
      - {name: b, path: /y, target: h}
      - {name: b, path: /z, target: h}
`, []string{
			`f:10:74: spec.export.targets[0].secretRef: "S" is not granted in spec.authority.secretRefs`,
			`f:11:26: spec.export.targets[1].name: "h" is taken by spec.export.targets[0].name`,
			`f:11:37: spec.export.targets[1].bucket: must not be empty`,
			`f:11:41: spec.export.targets[1].baseUrl: is not a field of the kind s3`,
			`f:12:40: spec.export.targets[2].baseUrl: a URL must not carry credentials: use secretRef`,
			`f:13:40: spec.export.targets[3].baseUrl: no rule in spec.authority.egressRules covers h.example port 80`,
			`f:15:9: spec.export.artifacts[0].target: is required where there are several targets`,
			`f:16:37: spec.export.artifacts[1].target: no target is called "k"`,
			`f:18:16: spec.export.artifacts[3].name: "b" is taken by spec.export.artifacts[2].name`,
		}},
		{"injected secrets", "a.yaml", head + least + `    secretRefs: [A]
    egressRules:
      - {host: a.example, port: 443, inject: [{secret: A, header: X-Key}]}
      - {host: 192.0.2.1, port: 443, protocol: https, inject: [{secret: B, header: Cookie}]}
      - {host: b.example, port: 443, protocol: HTTPS, inject: [{secret: A, header: "X Key"}, {header: Y}]}
      - {host: c.example, port: 443, protocol: https, inject: [{secret: A, header: X-Key}, {secret: A, header: x-key, prefix: "\n"}]}
      - {host: C.EXAMPLE, port: 443, protocol: tls}
      - {host: c.example, port: 443, protocol: udp}
      - {host: d.example, port: 443, protocol: https, inject: [{secret: A, header: X-Key}]}
      - {host: d.example, port: 443, protocol: https, inject: [{secret: A, header: X-Other}]}
      - {host: d.example, port: 444, protocol: https, inject: []}
`, []string{
			`f:9:9: spec.authority.egressRules[0].protocol: must be https in a rule that injects secrets`,
			`f:10:16: spec.authority.egressRules[1].host: "192.0.2.1" is an address…`,
			`f:10:73: spec.authority.egressRules[1].inject[0].secret: "B" is not granted in spec.authority.secretRefs`,
			`f:10:84: spec.authority.egressRules[1].inject[0].header: "Cookie" carries the message…`,
			`f:11:84: spec.authority.egressRules[2].inject[0].header: "X Key" is no name of a header…`,
			`f:11:94: spec.authority.egressRules[2].inject[1].secret: is required`,
			`f:12:9: spec.authority.egressRules[3]: spec.authority.egressRules[4] grants the same destination…`,
			`f:12:112: spec.authority.egressRules[3].inject[1].header: "x-key" is taken by spec.authority.egressRules[3].inject[0].header`,
			`f:12:127: spec.authority.egressRules[3].inject[1].prefix: "\n" has a character…`,
			`f:16:9: spec.authority.egressRules[7]: spec.authority.egressRules[6] grants the same destination…`,
		}},
		{"derivation", "a.yaml", head + least + `    egressRules: [{host: "[2001:db8::1]", port: 443}]
    secretRefs: [A]
    authorityDerivation:
      roleRoot: r
      grantorSignature: {algorithm: ed25519, bytes: ""}
      leafCapability: {secretRefs: [A, B], egressRules: [{host: "2001:DB8::1", port: 443}]}
      derivationSteps:
        - {fromCapability: {secretRefs: [A]}, toCapability: {secretRefs: [A]}}
        - {fromCapability: {secretRefs: [A, C]}, toCapability: {secretRefs: [C, D]}}
`, []string{
			`f:12:40: spec.authority.authorityDerivation.leafCapability.secretRefs[1]: "B" is not in spec.authority.secretRefs`,
			`f:15:28: spec.authority.authorityDerivation.derivationSteps[1].fromCapability: differs from the toCapability of the step before`,
			`f:15:64: spec.authority.authorityDerivation.derivationSteps[1].toCapability: the last step does not lead to leafCapability`,
			`f:15:81: spec.authority.authorityDerivation.derivationSteps[1].toCapability.secretRefs[1]: "D" is not in fromCapability`,
		}},
		{"repeated names", "a.json", "{\"apiVersion\":\"cellos.io/v1\",\n\"kind\":\"ExecutionCell\",\n\"spec\":{\"id\":\"a\",\n\"\\u0069d\":\"b\",\"authority\":{},\"lifetime\":{\"ttlSeconds\":1}}}",
			[]string{`f:4:1: spec.id: is written twice; first on line 3`}},
		{"JSON syntax", "a.json", "{\n  \"a\": 1,\n}", []string{`f:3:1: a comma without anything after it`}},
		{"YAML syntax (line 2 is where the list begins)", "a.yaml", "a: 1\nb: [1\nc: 2\n", []string{`f:2: is not YAML: …`}},
		{"JSON given as YAML", "-", "[1]", []string{`f:1:1: the document must be an object, not a list`}},
		{"too deep", "a.json", `{"spec":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, []string{`f:1:72: spec: is nested more than 64 levels deep`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.file, []byte(c.text))
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v", err)
			}
			if len(err.(interface{ Unwrap() []error }).Unwrap()) != len(problems) {
				t.Error("Unwrap does not return every problem")
			}
			for i := range max(len(problems), len(c.want)) {
				got, want := "nothing", "nothing"
				if i < len(problems) {
					got = problems[i].In("f")
				}
				if i < len(c.want) {
					want = c.want[i]
				}
				if begin, found := strings.CutSuffix(want, "…"); got != want && !(found && strings.HasPrefix(got, begin)) {
					t.Errorf("problem %d:\ngot  %s\nwant %s", i, got, want)
				}
			}
		})
	}
}
