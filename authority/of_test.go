package authority

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/document"
)

// spec is a document with the given members in spec, authority and run; run is left out if it is "-".
func spec(t *testing.T, members, grants, run string) *document.Document {
	t.Helper()
	text := `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"it","lifetime":{"ttlSeconds":60}`
	if run != "-" {
		text += `,"run":{"argv":["/bin/true","x"]` + run + `}`
	}
	text += `,"authority":{` + grants + `}` + members + `}}`
	doc, err := document.Parse("it.json", []byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return doc
}

// plain is what a document grants that says only what it must, read in /w.
func plain() Authority {
	return Authority{
		ID:       "it",
		Command:  Command{Argv: []string{"/bin/true", "x"}, Env: []Variable{{"PATH", "/usr/bin:/bin:/usr/local/bin"}}, Hostname: "cell"},
		Work:     Work{Path: "/w", Mode: Overlay},
		Syscalls: "hardened", Names: Names{Types: DefaultTypes()},
		Limits: Limits{Lifetime: time.Minute, Wall: time.Minute, WallFrom: "spec.lifetime.ttlSeconds",
			Processes: 4096, Scratch: 1 << 30},
		Delivery: "runtimeLeasedBroker",
	}
}

func TestOf(t *testing.T) {
	const fs = `"filesystem":`
	for _, c := range []struct {
		name                 string
		members, grants, run string
		change               func(a *Authority)
	}{
		{"defaults", "", "", "", func(*Authority) {}},
		{"no run", "", "", "-", func(a *Authority) { a.Command.Argv, a.Delivery = nil, "env" }},
		{"null filesystem", "", fs + "null", "", func(*Authority) {}},

		{"terminal", "", "", `,"terminal":true`, func(a *Authority) { a.Command.Terminal = true }},
		{"time namespace", "", "", `,"timeNamespace":true`, func(a *Authority) { a.Clocks = true }},
		{"host name", "", "", `,"hostname":"box"`, func(a *Authority) { a.Command.Hostname = "box" }},
		{"user", "", "", `,"user":{"uid":0,"gid":65534}`, func(a *Authority) { a.Command.User = &User{0, 65534} }},
		{"profile", "", "", `,"seccomp":{"profile":"strict+net-none"}`, func(a *Authority) { a.Syscalls = "strict+net-none" }},
		{"environment is sorted", "", "", `,"environment":{"Z":"1","A":"","M":"x=y"}`,
			func(a *Authority) {
				a.Command.Env = []Variable{{"A", ""}, {"M", "x=y"}, {"PATH", Path}, {"Z", "1"}}
			}},
		{"environment sets PATH", "", "", `,"environment":{"PATH":"/x"}`, func(a *Authority) { a.Command.Env = []Variable{{"PATH", "/x"}} }},

		{"time limit", "", "", `,"timeoutMs":1500`, func(a *Authority) { a.Limits.Wall, a.Limits.WallFrom = 1500*time.Millisecond, "spec.run.timeoutMs" }},
		{"time limit as long as the lifetime", "", "", `,"timeoutMs":60000`, func(a *Authority) { a.Limits.WallFrom = "spec.run.timeoutMs" }},
		{"empty limits", "", "", `,"limits":{}`, func(*Authority) {}},
		{"every limit", "", "", `,"limits":{"memoryMaxBytes":7,"cpuMax":{"quotaMicros":5000},"gracefulShutdownSeconds":3,"processes":1,` +
			`"openFiles":16,"fileSizeBytes":9,"scratchBytes":65536,"outputBytes":11}`, func(a *Authority) {
			l := &a.Limits
			l.Memory, l.CPU, l.Grace, l.Processes = 7, CPU{5 * time.Millisecond, 100 * time.Millisecond}, 3*time.Second, 1
			l.MemoryFrom, l.CPUFrom = "spec.run.limits.memoryMaxBytes", "spec.run.limits.cpuMax"
			l.OpenFiles, l.FileSize, l.Scratch, l.Output = 16, 9, 65536, 11
		}},
		{"period", "", "", `,"limits":{"cpuMax":{"quotaMicros":1000,"periodMicros":2000}}`, func(a *Authority) {
			a.Limits.CPU, a.Limits.CPUFrom = CPU{time.Millisecond, 2 * time.Millisecond}, "spec.run.limits.cpuMax"
		}},

		{"absolute working directory", "", "", `,"workingDirectory":"/a/b/"`, func(a *Authority) { a.Work.Path, a.Work.From = "/a/b", "spec.run.workingDirectory" }},
		{"relative working directory", "", "", `,"workingDirectory":"./x//y"`, func(a *Authority) { a.Work.Path, a.Work.From = "/w/x/y", "spec.run.workingDirectory" }},
		{"working directory here", "", "", `,"workingDirectory":"."`, func(a *Authority) { a.Work.From = "spec.run.workingDirectory" }},
		{"dots that are a name", "", "", `,"workingDirectory":"...x/..y"`, func(a *Authority) { a.Work.Path, a.Work.From = "/w/...x/..y", "spec.run.workingDirectory" }},
		{"mode overlay", "", fs + `{"workingDirectory":"overlay"}`, "", func(*Authority) {}},
		{"mode read", "", fs + `{"workingDirectory":"read"}`, "", func(a *Authority) { a.Work.Mode = Read }},
		{"mode write", "", fs + `{"workingDirectory":"write"}`, "", func(a *Authority) { a.Work.Mode = Write }},
		{"mode empty", "", fs + `{"workingDirectory":"empty"}`, "", func(a *Authority) { a.Work.Mode = Empty }},

		{"grants are sorted and joined", "", fs + `{"read":["/b","/a/x",{"path":"/h","at":"/c"}],"write":["/a/x","/a-x"],"exec":["/a",{"path":"/h","at":"/c"}]}`, "", func(a *Authority) {
			a.Files = Grants{
				{"/a", "/a", CanRead | CanExec, "spec.authority.filesystem.exec[0]"},
				{"/a-x", "/a-x", CanRead | CanWrite, "spec.authority.filesystem.write[1]"},
				{"/a/x", "/a/x", CanRead | CanWrite, "spec.authority.filesystem.read[1]"},
				{"/b", "/b", CanRead, "spec.authority.filesystem.read[0]"},
				{"/h", "/c", CanRead | CanExec, "spec.authority.filesystem.exec[1]"},
			}
		}},
		{"network", "", `"egressRules":[{"host":"a.example","port":443,"protocol":"tls"},{"host":"b.example","port":53}]`, "", func(a *Authority) {
			a.Network = []Rule{{Host: "a.example", Port: 443, Protocol: "tls", From: "spec.authority.egressRules[0]"}, {Host: "b.example", Port: 53, From: "spec.authority.egressRules[1]"}}
		}},
		{"secrets", "", `"secretRefs":["one","two"]`, "", func(a *Authority) { a.Secrets = []string{"one", "two"} }},
		{"delivery", "", `"secretRefs":["one"]`, `,"secretDelivery":"env"`, func(a *Authority) { a.Secrets, a.Delivery = []string{"one"}, "env" }},
		{"identity for a while", `,"identity":{"kind":"federatedOidc","provider":"p","audience":"a","secretRef":"s","ttlSeconds":9}`, `"secretRefs":["s"]`, "", func(a *Authority) {
			a.Secrets, a.Identity = []string{"s"}, &Identity{"a", "s", 9 * time.Second}
		}},
		{"exports", `,"export":{"artifacts":[{"name":"n","path":"out/x"},{"name":"m","path":"/y","target":"t"}],"targets":[{"kind":"s3","name":"t","bucket":"b"}]}`, "", "", func(a *Authority) {
			a.Exports = []Artifact{{"n", "out/x", "", "spec.export.artifacts[0]", "/w/out/x"}, {"m", "/y", "t", "spec.export.artifacts[1]", "/y"}}
		}},
		{"what grants nothing", `,"correlation":{"platform":"p"},"placement":{"poolId":"p"},"policy":{"packId":"p"},"ingress":{},` +
			`"telemetry":{"channel":"vsock-cbor","events":["proc.x"],"agentVersion":"1.0.0"}`, `"network":{}`, "", func(*Authority) {}},
		{"demands", `,"ingress":{"git":{"url":"u"}},"environment":{"imageReference":"i"},"identity":{"kind":"federatedOidc","provider":"p","audience":"a","secretRef":"s"}`,
			`"secretRefs":["s"]`, "", func(a *Authority) {
				a.Secrets, a.Identity = []string{"s"}, &Identity{"a", "s", time.Minute}
				a.Demands, a.Image = []Demand{{"spec.ingress", "fetching inputs"}}, &Image{Ref: "i", From: "spec.environment"}
			}},
		{"an image by its digest", `,"environment":{"imageReference":"i","imageDigest":"sha256:` + strings.Repeat("0", 64) + `"}`, "", "", func(a *Authority) {
			a.Image = &Image{"i", "sha256:" + strings.Repeat("0", 64), "spec.environment"}
		}},
		{"an image as input", `,"ingress":{"ociImage":{"reference":"r"}}`, "", "", func(a *Authority) { a.Demands = []Demand{{"spec.ingress", "fetching inputs"}} }},
		{"no names", "", `"dnsAuthority":{"resolvers":[],"hostnameAllowlist":[],"blockUdpDoq":true},"cdnAuthority":{"providers":[]}`, "", func(a *Authority) { a.Names.NoDoQ = true }},
		{"names", "", `"dnsAuthority":{"resolvers":[{"resolverId":"r","endpoint":"192.0.2.1:53","protocol":"do53-udp"},{"resolverId":"q","endpoint":"dns.example:853","protocol":"doq","dnssec":{}}],` +
			`"hostnameAllowlist":["*.Example.com"],"allowedQueryTypes":["TXT"],"refreshPolicy":{"minTtlSeconds":5,"maxStaleSeconds":60},` +
			`"rebindingPolicy":{"responseIpAllowlist":["A.example:10.0.0.0/8","b.example:::1"],"rejectOnRebind":true},"blockUdpDoq":true},` +
			`"cdnAuthority":{"providers":[{"providerId":"p","hostnamePattern":"*.cdn.example","acceptFronting":true},{"providerId":"q","hostnamePattern":"x.example"}]}`, "", func(a *Authority) {
			a.Names = Names{Allow: []string{"*.example.com"}, Types: []string{"TXT"}, Fronting: []string{"*.cdn.example"}, MinTTL: 5 * time.Second, MaxStale: time.Minute, Novel: 4, RejectNovel: true, NoDoQ: true, Policy: true,
				Resolvers: []Resolver{{"r", "192.0.2.1:53", "do53-udp", "spec.authority.dnsAuthority.resolvers[0]"}, {"q", "dns.example:853", "doq", "spec.authority.dnsAuthority.resolvers[1]"}},
				Addresses: []NameAddress{{"a.example", netip.MustParsePrefix("10.0.0.0/8")}, {"b.example", netip.MustParsePrefix("::1/128")}}}
			a.Demands = []Demand{{"spec.authority.dnsAuthority.resolvers[1].dnssec.validate", "validating DNSSEC"}, {"spec.authority.dnsAuthority.resolvers[1].protocol", "asking over QUIC"}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := plain()
			c.change(&want)
			got, err := Of(spec(t, c.members, c.grants, c.run), Place{WorkingDirectory: "/w"})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, want) {
				t.Errorf("got  %+v\nwant %+v", *got, want)
			}
		})
	}
}

func TestOfDoesNotShareTheDocument(t *testing.T) {
	doc := spec(t, "", `"secretRefs":["one"]`, "")
	a, err := Of(doc, Place{WorkingDirectory: "/w"})
	if err != nil {
		t.Fatal(err)
	}
	doc.Spec.Run.Argv[0], doc.Spec.Authority.SecretRefs[0] = "changed", "changed"
	if a.Command.Argv[0] != "/bin/true" || a.Secrets[0] != "one" {
		t.Errorf("the authority changed with its document: %v, %v", a.Command.Argv, a.Secrets)
	}
}

func TestWorkingDirectoryThatLeadsElsewhere(t *testing.T) {
	for _, c := range []struct{ asked, at, want string }{
		{"/a/../b", "/w", `spec.run.workingDirectory: "/a/../b" contains ..; name the folder itself`},
		{"..", "/w", `spec.run.workingDirectory: ".." contains ..; name the folder itself`},
		{"../x", "/w", `spec.run.workingDirectory: "../x" contains ..; name the folder itself`},
		{"a/../../x", "/w", `spec.run.workingDirectory: "a/../../x" contains ..; name the folder itself`},
		{"x", "", `spec.run.workingDirectory: "x" is not absolute, and neither is the place it is relative to`},
		{"x", "y", `spec.run.workingDirectory: "y/x" is not absolute, and neither is the place it is relative to`},
	} {
		_, err := Of(spec(t, "", "", `,"workingDirectory":"`+c.asked+`"`), Place{WorkingDirectory: c.at})
		if err == nil || err.Error() != c.want {
			t.Errorf("%q in %q: %v, want %s", c.asked, c.at, err, c.want)
		}
	}
	if _, err := Of(spec(t, "", "", ""), Place{}); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("no working directory at all: %v", err)
	}
}

// A document that was parsed has no conflicts; one that a program made may have.
func TestConflictsAreAllReported(t *testing.T) {
	doc := spec(t, "", "", `,"workingDirectory":"/a/../b"`)
	at := func(s string) *string { return &s }
	doc.Spec.Authority.Filesystem = &document.Filesystem{
		Read:  []document.Grant{{Path: "/x", At: at("/p")}, {Path: "/x", At: at("/q")}},
		Write: []document.Grant{{Path: "/y", At: at("/p")}, {Path: "/z", At: at("/q")}},
		Exec:  []document.Grant{{Path: "/x", At: at("/p")}},
	}
	_, err := Of(doc, Place{WorkingDirectory: "/w"})
	want := `spec.run.workingDirectory: "/a/../b" contains ..; name the folder itself
spec.authority.filesystem.write[0]: /p already shows /x, granted by spec.authority.filesystem.exec[0]
spec.authority.filesystem.write[1]: /q already shows /x, granted by spec.authority.filesystem.read[1]`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestLookup(t *testing.T) {
	c := Command{Env: []Variable{{"A", "1"}, {"EMPTY", ""}}}
	for _, x := range []struct {
		name, value string
		ok          bool
	}{{"A", "1", true}, {"EMPTY", "", true}, {"a", "", false}, {"", "", false}} {
		if v, ok := c.Lookup(x.name); v != x.value || ok != x.ok {
			t.Errorf("Lookup(%q) = %q, %v", x.name, v, ok)
		}
	}
}

// TestEveryFieldIsHonouredOrListed finds a field of a document's authority, run or limits that Of passes over: each, set alone, must
// change the authority, or be one of those that grant nothing.
func TestEveryFieldIsHonouredOrListed(t *testing.T) {
	nothing := map[string]bool{
		"Authority.Network": true, // reserved: it has no fields (document.Network)
	}
	base, err := Of(spec(t, "", "", ""), Place{WorkingDirectory: "/w"})
	if err != nil {
		t.Fatal(err)
	}
	try := func(name string, pick func(*document.Document) reflect.Value) {
		doc := spec(t, "", "", `,"limits":{},"timeoutMs":1`)
		doc.Spec.Run.TimeoutMs = nil
		doc.Spec.Authority.Filesystem = &document.Filesystem{}
		v := pick(doc)
		fill(v)
		a, err := Of(doc, Place{WorkingDirectory: "/w"})
		if same := err == nil && reflect.DeepEqual(a, base); same != nothing[name] {
			t.Errorf("%s: the authority is the same: %v; %v", name, same, err)
		}
	}
	for _, s := range []struct {
		name string
		pick func(*document.Document) reflect.Value
	}{
		{"Run", func(d *document.Document) reflect.Value { return reflect.ValueOf(d.Spec.Run).Elem() }},
		{"Limits", func(d *document.Document) reflect.Value { return reflect.ValueOf(d.Spec.Run.Limits).Elem() }},
		{"Authority", func(d *document.Document) reflect.Value { return reflect.ValueOf(&d.Spec.Authority).Elem() }},
		{"Filesystem", func(d *document.Document) reflect.Value { return reflect.ValueOf(d.Spec.Authority.Filesystem).Elem() }},
	} {
		typ := s.pick(spec(t, "", `"filesystem":{}`, `,"limits":{}`)).Type()
		for i := range typ.NumField() {
			if f := typ.Field(i).Name; f != "Limits" && f != "Filesystem" {
				try(s.name+"."+f, func(d *document.Document) reflect.Value { return s.pick(d).Field(i) })
			}
		}
	}
}

// fill gives a field a value that is not its default.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"K": "v"}))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.String:
		v.SetString("/other")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(7)
	case reflect.Uint16:
		v.SetUint(7)
	default:
		panic(fmt.Sprint("a field of kind ", v.Kind()))
	}
}
