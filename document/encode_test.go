package document

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func ptr[T any](v T) *T { return &v }

// adHoc is a document as a command line makes it.
func adHoc() *Document {
	return &Document{APIVersion: APIVersion, Kind: Kind, Spec: Spec{
		ID:       "run-1",
		Lifetime: Lifetime{TTLSeconds: 60},
		Run: &Run{
			Argv:           []string{"/bin/echo", "<&> \u2028\x00é"[:4], "\"\\\x01"},
			SecretDelivery: DeliverEnv,
			Environment:    map[string]string{"B": "", "A": "x=y"},
			Seccomp:        &Seccomp{Profile: "hardened+net-none"},
			Terminal:       true,
			User:           &User{UID: 1000, GID: 0},
			Limits:         &Limits{Processes: ptr(int64(10))},
		},
		Authority: Authority{
			Filesystem:  &Filesystem{Read: []Grant{{Path: "/a"}, {Path: "/b", At: ptr("/c")}}, WorkingDirectory: ptr(WorkingDirectoryWrite)},
			EgressRules: []EgressRule{{Host: "a.example", Port: 443}},
		},
	}}
}

func TestJSON(t *testing.T) {
	got, err := adHoc().JSON()
	want := `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"run-1","run":{"argv":["/bin/echo","<&> ","\"\\\u0001"],` +
		`"limits":{"processes":10},"secretDelivery":"env","environment":{"A":"x=y","B":""},"seccomp":{"profile":"hardened+net-none"},"terminal":true,` +
		`"user":{"uid":1000,"gid":0}},"authority":{"filesystem":{"read":["/a",{"at":"/c","path":"/b"}],"workingDirectory":"write"},` +
		`"egressRules":[{"host":"a.example","port":443}]},"lifetime":{"ttlSeconds":60}}}` + "\n"
	if err != nil || string(got) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
	back, err := Parse("document.json", got)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, adHoc()) {
		t.Errorf("read back as %+v", back)
	}
}

func TestJSONRefusesWhatItCannotHold(t *testing.T) {
	d := adHoc()
	d.Spec.Run.Argv[1] = "a\xff"
	if _, err := d.JSON(); err == nil || err.Error() != `writing spec.run.argv[1]: "a\xff" is not UTF-8` {
		t.Errorf("got %v", err)
	}
}

func TestCanonicalOfOurFields(t *testing.T) {
	want := `{"id":"run-1","correlation":null,"ingress":null,"environment":null,"policy":null,"identity":null,` +
		`"run":{"argv":["/bin/echo","<&> ","\"\\\u0001"],"workingDirectory":null,"timeoutMs":null,` +
		`"limits":{"memoryMaxBytes":null,"cpuMax":null,"processes":10},"secretDelivery":"env",` +
		`"environment":{"A":"x=y","B":""},"seccomp":{"profile":"hardened+net-none"},"terminal":true,"user":{"uid":1000,"gid":0}},` +
		`"authority":{"filesystem":{"read":["/a",{"at":"/c","path":"/b"}],"workingDirectory":"write"},"network":null,` +
		`"egressRules":[{"host":"a.example","port":443,"protocol":null}],"secretRefs":null,"authorityDerivation":null},` +
		`"lifetime":{"ttlSeconds":60},"export":null}`
	if got := string(adHoc().CanonicalSpec()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestCanonicalOfDocumentedExample is the example of the format's description.
func TestCanonicalOfDocumentedExample(t *testing.T) {
	d := Document{Spec: Spec{ID: "m", Lifetime: Lifetime{TTLSeconds: 1}}}
	if got, want := d.CanonicalDigest(), "sha256:bafe71cdce55a36161bbb2e998c5180eea28bfebe662bc20a87a6110fbfaa105"; got != want {
		t.Errorf("got %s, want %s: %s", got, want, d.CanonicalSpec())
	}
}

func TestCanonicalDoesNotDependOnWriting(t *testing.T) {
	digests := map[string]string{}
	for name, text := range map[string]string{
		"a.json": `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"a","correlation":{"labels":{"b":"1","a":"2"}},"lifetime":{"ttlSeconds":1},"authority":{"filesystem":{"read":["/x"]}},"run":{"argv":["\u0078"]}}}`,
		"b.json": `{"spec":{"authority":{"filesystem":{"write":null,"read":[{"path":"/x"}]},"network":null},"run":{"secretDelivery":"runtimeLeasedBroker","argv":["x"],"limits":null},"lifetime":{"ttlSeconds":1},"correlation":{"labels":{"a":"2","b":"1"}},"id":"a"},"kind":"ExecutionCell","apiVersion":"cellos.io/v1"}`,
		"c.yaml": "apiVersion: cellos.io/v1\nkind: ExecutionCell\nspec:\n  id: a\n  lifetime: {ttlSeconds: 1}\n  correlation: {labels: {b: '1', a: '2'}}\n  authority:\n    filesystem: {read: [/x]}\n  run:\n    argv: [x]\n    terminal: false\n",
	} {
		d, err := Parse(name, []byte(text))
		if err != nil {
			t.Fatal(name, err)
		}
		digests[d.CanonicalDigest()] += name + ": " + string(d.CanonicalSpec()) + "\n"
	}
	if len(digests) != 1 {
		t.Errorf("%d digests: %v", len(digests), digests)
	}
}

// TestEveryFieldIsInTheDigest changes the fields of a full document one by one.
func TestEveryFieldIsInTheDigest(t *testing.T) {
	full := func(kind string) *Document {
		d := new(Document)
		fill(reflect.ValueOf(d).Elem(), kind)
		return d
	}
	changed := 0
	for _, kind := range []string{TargetHTTP, TargetS3} {
		n := leaves(reflect.ValueOf(&full(kind).Spec).Elem(), func(reflect.Value, string) {})
		for i := range n {
			d, seen, name := full(kind), 0, ""
			before := d.CanonicalDigest()
			leaves(reflect.ValueOf(&d.Spec).Elem(), func(v reflect.Value, path string) {
				if seen == i {
					name = path
					change(v)
				}
				seen++
			})
			other := kind == TargetHTTP && (strings.HasSuffix(name, ".Bucket") || strings.HasSuffix(name, ".KeyPrefix") || strings.HasSuffix(name, ".Region")) ||
				kind == TargetS3 && strings.HasSuffix(name, ".BaseURL") || strings.HasSuffix(name, ".Kind")
			if changed++; !other && d.CanonicalDigest() == before {
				t.Errorf("%s is not in the digest", name)
			}
		}
	}
	if changed < 200 {
		t.Errorf("only %d fields were changed", changed)
	}
}

// fill gives every field of v a value.
func fill(v reflect.Value, kind string) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), kind)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), kind)
			if v.Type().Field(i).Name == "Kind" {
				v.Field(i).SetString(kind)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), kind)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"a": "b"}))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(7)
	case reflect.Uint16:
		v.SetUint(7)
	}
}

// leaves calls f for every scalar and map in v and returns how many there are.
func leaves(v reflect.Value, f func(reflect.Value, string)) int {
	n := 0
	var walk func(reflect.Value, string)
	walk = func(v reflect.Value, path string) {
		switch v.Kind() {
		case reflect.Pointer:
			walk(v.Elem(), path)
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i), path+"."+v.Type().Field(i).Name)
			}
		case reflect.Slice:
			walk(v.Index(0), path+"[0]")
		default:
			f(v, path)
			n++
		}
	}
	walk(v, "Spec")
	return n
}

func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"a": "c"}))
	case reflect.String:
		v.SetString("y")
	case reflect.Bool:
		v.SetBool(false)
	case reflect.Int64:
		v.SetInt(8)
	case reflect.Uint16:
		v.SetUint(8)
	}
}

// sameBack checks that an accepted document means the same when it is written and read again.
func sameBack(t *testing.T, d *Document) {
	t.Helper()
	text, err := d.JSON()
	if err != nil {
		t.Fatalf("an accepted document cannot be written: %v", err)
	}
	if !json.Valid(text) {
		t.Fatalf("not JSON: %s", text)
	}
	for _, name := range []string{"document.json", "document.yaml"} {
		if name == "document.yaml" && strings.ContainsFunc(string(text), needsEscapeInYAML) {
			continue // characters that YAML wants escaped
		}
		back, err := Parse(name, text)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if !reflect.DeepEqual(back, d) {
			t.Fatalf("%s: read back differently\n%s", name, text)
		}
		if string(back.CanonicalSpec()) != string(d.CanonicalSpec()) {
			t.Fatalf("%s: another canonical form", name)
		}
	}
}

// needsEscapeInYAML: YAML 1.2.2 section 5.1 (c-printable), less the line breaks of YAML 1.1.
func needsEscapeInYAML(r rune) bool {
	return r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff
}

func TestVectorsReadBack(t *testing.T) {
	n := 0
	for _, v := range vectors(t) {
		if d, err := Parse(v.Name, v.data(t)); err == nil {
			n++
			t.Run(v.ID, func(t *testing.T) { sameBack(t, d) })
		}
	}
	if n < 200 {
		t.Errorf("only %d documents", n)
	}
}

func ExampleParse() {
	_, err := Parse("cell.yaml", []byte("apiVersion: cellos.io/v1\nkind: ExecutionCell\nspec: {id: a, authority: {egressRules: [{host: a.example, port: 70000}]}}\n"))
	for _, p := range err.(Problems) {
		fmt.Println(p.In("cell.yaml"))
	}
	// Output:
	// cell.yaml:3:7: spec.lifetime: is required
	// cell.yaml:3:65: spec.authority.egressRules[0].port: 70000 is above 65535
}
