package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// exportDocument writes a document that runs a script and exports artifacts.
func exportDocument(b *bench, script, export string) string {
	b.t.Helper()
	argv, _ := json.Marshal([]string{"/bin/sh", "-c", script})
	return b.write("d.json", fmt.Sprintf(`{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"cell-1","authority":{},"lifetime":{"ttlSeconds":60},
"run":{"secretDelivery":"env","argv":%s},"export":%s}}`, argv, export), 0o644)
}

func artifact(name, path string) string {
	return fmt.Sprintf(`{"artifacts":[{"name":%q,"path":%q}]}`, name, path)
}

func TestExportToAFolder(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		out := filepath.Join(filepath.Dir(b.dir), "out")
		b.env = append(b.env, "CELLOS_EXPORT_DIR="+out)
		d := exportDocument(b, "mkdir sub; printf hello >sub/x; printf big >/tmp/y", `{"artifacts":[{"name":"a","path":"sub/x"},{"name":"b","path":"/tmp/y"},{"name":"c","path":`+quoted(b.dir+"/sub/x")+`}]}`)
		b.cellos("run", d).ok(t)
		for name, want := range map[string]string{"a": "hello", "b": "big", "c": "hello"} {
			if got, err := os.ReadFile(filepath.Join(out, "cell-1", name)); string(got) != want {
				t.Errorf("%s is %q, %v", name, got, err)
			}
		}
		if i, err := os.Stat(filepath.Join(b.dir, "sub")); err == nil {
			t.Errorf("the host's folder changed: %v", i.Name())
		}
		sum := sha256.Sum256([]byte("hello"))
		events := b.cellos("show", "--events", "last").ok(t)
		for _, s := range []string{`"receipt":{"bytesWritten":5,"destination":"cell-1/a","targetKind":"local","targetName":null}`, `"sha256":"` + hex.EncodeToString(sum[:]) + `"`, `"purpose":"export"`} {
			if !strings.Contains(events, s) {
				t.Errorf("the events do not say %s", s)
			}
		}
		b.cellos("verify", "last").ok(t)
		// Nothing is overwritten, and the first failure ends the phase.
		b.cellos("run", exportDocument(b, "printf new >x; printf z >z", `{"artifacts":[{"name":"a","path":"x"},{"name":"z","path":"z"}]}`)).fails(t, 123, "export copy -> "+out+"/cell-1/a: File exists")
		if got, _ := os.ReadFile(filepath.Join(out, "cell-1", "a")); string(got) != "hello" {
			t.Errorf("overwritten: %q", got)
		}
		if _, err := os.Stat(filepath.Join(out, "cell-1", "z")); err == nil {
			t.Error("it went on after a failure")
		}
		// Of a command that failed nothing leaves.
		b.cellos("run", exportDocument(b, "printf new >n; exit 3", artifact("n", "n"))).fails(t, 3)
		if _, err := os.Stat(filepath.Join(out, "cell-1", "n")); err == nil {
			t.Error("the file of a command that failed was exported")
		}
	})
}

func quoted(s string) string { b, _ := json.Marshal(s); return string(b) }

// TestExportSources: only a regular file with one name, on a way without links, that the command itself could read, leaves a cell.
func TestExportSources(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		out := filepath.Join(filepath.Dir(b.dir), "out")
		b.env = append(b.env, "CELLOS_EXPORT_DIR="+out)
		for name, c := range map[string]struct {
			script, path string
			code         int
			want         string
		}{
			"link":       {"ln -s /etc/passwd x", "x", 123, "it is a symbolic link"},
			"host link":  {"ln -s /etc/shadow x", "x", 123, "it is a symbolic link"},
			"way":        {"mkdir d; : >d/x; ln -s d l", "l/x", 123, "a component of the path is a symbolic link"},
			"proc":       {":", "/proc/self/environ", 123, "symbolic link"},
			"fifo":       {"mkfifo x", "x", 123, "no regular file"},
			"device":     {":", "/dev/zero", 123, "no regular file"},
			"hard link":  {": >x; ln x y", "x", 123, "2 names (hard links)"},
			"folder":     {"mkdir x", "x", 123, "it is a folder"},
			"socket":     {`python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("x")'`, "x", 123, "no regular file"},
			"vanished":   {": >x; rm x", "x", 123, "no such file"},
			"unreadable": {": >x; chmod 0 x", "x", 123, "opening "},
			"upwards":    {": >x", "../work/x", 125, "the path contains .."},
			"outside":    {":", "/etc/shadow", 123, "no such file"},
		} {
			switch name {
			case "proc", "fifo", "device", "socket":
				if u.backend == "gvisor" {
					c.want = "no such file" // gVisor's kernel has it, and no file system of the host
				}
			}
			b.cellos("run", exportDocument(b, c.script, artifact("a", c.path))).fails(t, c.code, c.want)
			if _, err := os.Stat(filepath.Join(out, "cell-1", "a")); err == nil {
				t.Fatalf("%s was exported", name)
			}
			if c.code == 123 {
				if events := b.cellos("show", "--events", "last").ok(t); !strings.Contains(events, "export.v2.failed") || strings.Contains(events, "export.v2.completed") {
					t.Errorf("%s: the events do not tell of it", name)
				}
			}
		}
		if u.uid == 0 {
			// A file of somebody else that has the artifact's name: the command may not read it, root may.
			dir := newBench(t, u).dir
			os.WriteFile(filepath.Join(dir, "a"), []byte("not for the command"), 0o600)
			os.Chown(filepath.Join(dir, "a"), 12345, 12345)
			argv := `["/bin/sh","-c","cat ` + dir + `/a; true"]`
			d := b.write("d.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"cell-1","authority":{"filesystem":{"write":["`+dir+`"]}},"lifetime":{"ttlSeconds":60},
"run":{"secretDelivery":"env","argv":`+argv+`},"export":`+artifact("a", dir+"/a")+`}}`, 0o644)
			b.cellos("run", d).fails(t, 123, "the command had no right to read it")
		}
	})
}

func TestExportToServers(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		var mu sync.Mutex
		var got []string
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			got = append(got, r.Method+" "+r.RequestURI+" "+r.Header.Get("Authorization")+" "+string(body))
			if strings.HasPrefix(r.URL.Path, "/no") {
				http.Error(w, "hunter-body", http.StatusForbidden)
			}
		}))
		defer s.Close()
		b := newBench(t, u)
		base := b.env
		run := func(export string, env ...string) result {
			b.env = append(base[:len(base):len(base)], env...)
			got = nil
			return b.cellos("run", exportDocument(b, "printf hello >x; echo ran", export))
		}
		two := `{"artifacts":[{"name":"a","path":"x","target":"artifact-bucket"},{"name":"b","path":"x","target":"api"}],
"targets":[{"kind":"s3","name":"artifact-bucket","bucket":"bkt","keyPrefix":"/p/q/"},{"kind":"http","name":"api","baseUrl":"http://declared.example/x"}]}`
		run(two, "CELLOS_EXPORT_S3_PRESIGNED_URL__ARTIFACT_BUCKET="+s.URL+"/bkt/obj?X-Amz-Signature=S", "CELLOS_EXPORT_HTTP_BASE_URL__API="+s.URL+"/api", "CELLOS_EXPORT_HTTP_BEARER_TOKEN__API=BT2").ok(t)
		if want := "[PUT /bkt/obj?X-Amz-Signature=S  hello PUT /api/cell-1/b Bearer BT2 hello]"; fmt.Sprint(got) != want {
			t.Errorf("%q, want %s", got, want)
		}
		events := b.cellos("show", "--events", "last").ok(t)
		for _, x := range []string{`"destination":"s3://bkt/p/q/a"`, `"destination":"` + s.URL + `/api/cell-1/b"`, `"targetName":"api"`} {
			if !strings.Contains(events, x) {
				t.Errorf("the events do not say %s", x)
			}
		}
		r := run(artifact("a", "x"), "CELLOS_EXPORT_HTTP_BASE_URL=http://u:hunter-pw@"+strings.TrimPrefix(s.URL, "http://")+"/no?sig=hunter-sig", "CELLOS_EXPORT_HTTP_MAX_ATTEMPTS=3")
		r.fails(t, 123, "/no returned 403 Forbidden")
		if len(got) != 1 {
			t.Errorf("%d tries", len(got))
		}
		nowhere(t, b, r, "hunter-")
		// What has nowhere to go, or goes where another one goes, is refused before anything runs.
		for _, c := range []struct {
			export, want string
			env          []string
		}{
			{artifact("a", "x"), `export requested for artifact "a" but no export sink is configured`, nil},
			{two, "artifact-bucket", []string{"CELLOS_EXPORT_HTTP_BASE_URL__API=" + s.URL}},
			{two, "CELLOS_EXPORT_HTTP_BASE_URL__API", []string{"CELLOS_EXPORT_S3_PRESIGNED_URL=" + s.URL}},
			{artifact("a", "x"), "no http or https URL", []string{"CELLOS_EXPORT_HTTP_BASE_URL=ftp://h/hunter-x"}},
			{artifact("a", "x"), "CELLOS_EXPORT_HTTP_MAX_ATTEMPTS must be >= 1", []string{"CELLOS_EXPORT_HTTP_BASE_URL=" + s.URL, "CELLOS_EXPORT_HTTP_MAX_ATTEMPTS=0"}},
			{artifact("a", "x"), "CELLOS_EXPORT_HTTP_RETRY_BACKOFF_MS", []string{"CELLOS_EXPORT_HTTP_BASE_URL=" + s.URL, "CELLOS_EXPORT_HTTP_RETRY_BACKOFF_MS=1s"}},
			{artifact("a", "x"), "CELLOS_CA_BUNDLE", []string{"CELLOS_EXPORT_HTTP_BASE_URL=" + s.URL, "CELLOS_CA_BUNDLE=/no/such/file"}},
			{`{"artifacts":[{"name":"a","path":"x"},{"name":"b","path":"x"}]}`, "both go to one place", []string{"CELLOS_EXPORT_HTTP_BASE_URL=" + s.URL + "/o?x=1"}},
		} {
			r := run(c.export, c.env...)
			r.fails(t, 125, c.want)
			if r.out != "" || len(got) > 0 {
				t.Errorf("%s: it ran: %q, %q", c.want, r.out, got)
			}
		}
	})
}

// TestExportToABucket: with credentials of AWS a target of kind s3 is the bucket itself.
func TestExportToABucket(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		backend := s3mem.New()
		if err := backend.CreateBucket("bkt"); err != nil {
			t.Fatal(err)
		}
		s := httptest.NewServer(gofakes3.New(backend).Server())
		defer s.Close()
		b := newBench(t, u)
		b.env = append(b.env, "AWS_ACCESS_KEY_ID=AKIATEST", "AWS_SECRET_ACCESS_KEY=hunter-sak", "AWS_ENDPOINT_URL="+s.URL)
		d := exportDocument(b, "head -c 20000000 /dev/zero >x", `{"artifacts":[{"name":"a","path":"x"}],"targets":[{"kind":"s3","name":"artifact-bucket","bucket":"bkt","keyPrefix":"/p/q/","region":"us-east-1"}]}`)
		r := b.cellos("run", d)
		r.ok(t)
		o, err := backend.GetObject("bkt", "p/q/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer o.Contents.Close()
		if o.Size != 20000000 {
			t.Errorf("%d bytes arrived", o.Size)
		}
		if events := b.cellos("show", "--events", "last").ok(t); !strings.Contains(events, `"destination":"s3://bkt/p/q/a"`) {
			t.Error("the events do not name the object")
		}
		nowhere(t, b, r, "hunter-")
		d = exportDocument(b, "echo >x", `{"artifacts":[{"name":"a","path":"x"}],"targets":[{"kind":"s3","name":"t","bucket":"other","region":"us-east-1"}]}`)
		b.cellos("run", d).fails(t, 123, "s3 put s3://other/a: NoSuchBucket (404 Not Found)")
		b.env[len(b.env)-1] = "AWS_ENDPOINT_URL=ftp://h"
		b.cellos("run", d).fails(t, 125, "AWS_ENDPOINT_URL is no http or https URL")
	})
}
