package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// repository makes a git repository that plain files can be cloned from; the folder above it.
func (s *site) repository() string {
	dir := s.t.TempDir()
	if _, err := exec.LookPath("git"); err != nil {
		return dir
	}
	script := `cd "$1" && git init -q work && cd work && git config user.email a@a.test && git config user.name a && echo content > file && git add file && git commit -qm one &&
	cd .. && git clone -q --bare work repo.git && cd repo.git && git update-server-info`
	cmd := exec.Command("sh", "-c", script, "sh", dir)
	cmd.Env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("making a repository: %v\n%s", err, out)
	}
	return dir
}

// TestGrantedNames: real programs reach what was granted with nothing set up in the cell, and nothing else.
func TestGrantedNames(t *testing.T) {
	s := newSite(t)
	client, musl := staticClient(t), muslClient(t)
	everywhere(t, func(t *testing.T, u user) {
		for _, c := range []struct{ name, needs, script, out string }{
			{"curl", "curl", `curl -s http://a.test:$HTTP/; curl -s --cacert $CA https://a.test:$TLS/; curl -s -m 20 http://b.test:$HTTP/ || echo refused $?`, "GET a.test 0\nGET a.test 0\nrefused 7\n"},
			{"curl posts", "curl", `curl -s -d 12345 http://a.test:$HTTP/; head -c 100000 /dev/zero | curl -s -H 'Transfer-Encoding: chunked' --data-binary @- http://a.test:$HTTP/`, "POST a.test 5\nPOST a.test 100000\n"},
			{"curl loads", "curl", `curl -s http://a.test:$HTTP/big | wc -c; curl -s --cacert $CA https://a.test:$TLS/big | wc -c`, "20971520\n20971520\n"},
			{"wget", "wget", `wget -qO- http://a.test:$HTTP/; wget -qO- --ca-certificate=$CA https://a.test:$TLS/; wget -q -t1 -T20 -O- http://nowhere.test/ || echo refused $?`, "GET a.test 0\nGET a.test 0\nrefused 4\n"},
			{"git", "git", `git -c http.sslCAInfo=$CA clone -q https://a.test:$TLS/repo.git x && cat x/file`, "content\n"},
			{"openssl", "openssl", `printf 'GET / HTTP/1.0\r\nHost: a.test\r\n\r\n' | openssl s_client -quiet -CAfile $CA -verify_return_error -servername a.test -connect a.test:$TLS 2>/dev/null | tail -1`, "GET a.test 0\n"},
			{"python", "python3", `python3 -c "import urllib.request,ssl,os
print(urllib.request.urlopen('http://a.test:'+os.environ['HTTP']).read().decode().strip())
print(urllib.request.urlopen('https://a.test:'+os.environ['TLS'],context=ssl.create_default_context(cafile=os.environ['CA'])).read().decode().strip())"`, "GET a.test 0\nGET a.test 0\n"},
			{"node", "node", `NODE_EXTRA_CA_CERTS=$CA node -e "fetch('https://a.test:'+process.env.TLS).then(r=>r.text()).then(t=>process.stdout.write(t))"`, "GET a.test 0\n"},
			{"perl", "perl", `perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(PeerAddr=>"a.test:$ENV{HTTP}") or die; print $s "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n"; @l=<$s>; print $l[-1]'`, "GET a.test 0\n"},
			{"requests and aiohttp", "../lib/python3/dist-packages/requests ../lib/python3/dist-packages/aiohttp", `/usr/bin/python3 -c "import requests,aiohttp,asyncio,ssl,os
h,t,ca='http://a.test:'+os.environ['HTTP'],'https://a.test:'+os.environ['TLS'],os.environ['CA']
with requests.Session() as s:
    s.verify=ca; print([s.get(u).text.strip() for u in (h,h,t,t)], s.post(t,data=b'12345').text.strip())
    try: s.get('https://nowhere.test')
    except requests.ConnectionError: print('refused')
async def main():
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca))) as s:
        async def get(u):
            async with s.get(u) as r: return (await r.text()).strip()
        print(await asyncio.gather(*map(get,(h,t,h,t))))
        try: await get('https://nowhere.test')
        except aiohttp.ClientConnectorError: print('refused')
asyncio.run(main())"`, `['GET a.test 0', 'GET a.test 0', 'GET a.test 0', 'GET a.test 0'] POST a.test 5
refused
['GET a.test 0', 'GET a.test 0', 'GET a.test 0', 'GET a.test 0']
refused
`},
			{"pip", "pip3", `pip3 install -q --no-cache-dir --disable-pip-version-check --index-url https://a.test:$TLS/files/simple/ --cert $CA --target lib hello-cell 2>&1 | grep -v WARNING
PYTHONPATH=lib python3 -c "import hello_cell"`, "hello from a wheel\n"},
			{"go mod download", "../local/go/bin/go", `PATH=/usr/local/go/bin:$PATH; mkdir m && cd m && printf 'module m\n\ngo 1.21\n\nrequire example.test/x v1.0.0\n' >go.mod && export HOME=/tmp GOCACHE=/tmp/c GOTOOLCHAIN=local GOSUMDB=off GOFLAGS=-mod=mod SSL_CERT_FILE=$CA
for p in http://a.test:$HTTP https://a.test:$TLS; do GOPATH=/tmp/p$n GOPROXY=$p/files/proxy go mod download -x example.test/x 2>/dev/null; cat /tmp/p$n/pkg/mod/example.test/x@v1.0.0/x.txt; n=2; done
GOPATH=/tmp/p GOPROXY=http://nowhere.test go mod download example.test/y@v1.0.0 2>/dev/null || echo refused`, "content\ncontent\nrefused\n"},
			{"npm ci", "npm", `mkdir n && cd n && echo '{"name":"n","version":"1.0.0","dependencies":{"hello-cell":"1.0.0"}}' >package.json
echo '{"name":"n","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"n","version":"1.0.0","dependencies":{"hello-cell":"1.0.0"}},"node_modules/hello-cell":{"version":"1.0.0","resolved":"https://a.test:'$TLS'/files/npm/hello-cell-1.0.0.tgz"}}}' >package-lock.json
HOME=/tmp npm ci --no-audit --no-fund --no-update-notifier --loglevel=error --cafile $CA --fetch-retries=0 --cache /tmp/npm >/dev/null && node -e 'require("hello-cell")'`, "hello from npm\n"},
			{"Java", "java", `cat >H.java <<'END'
import java.io.*; import java.net.URI; import java.net.http.*; import java.security.KeyStore; import java.security.cert.CertificateFactory; import javax.net.ssl.*;
class H {
  static void get(HttpClient c, String uri) throws Exception { System.out.print(c.send(HttpRequest.newBuilder(URI.create(uri)).build(), HttpResponse.BodyHandlers.ofString()).body()); }
  public static void main(String[] a) throws Exception {
    var k = KeyStore.getInstance(KeyStore.getDefaultType()); k.load(null);
    k.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(new FileInputStream(System.getenv("CA"))));
    var m = TrustManagerFactory.getInstance("PKIX"); m.init(k);
    var t = SSLContext.getInstance("TLS"); t.init(null, m.getTrustManagers(), null);
    get(HttpClient.newBuilder().sslContext(t).build(), "https://a.test:" + System.getenv("TLS") + "/");
    var c = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build(); // by itself it asks for an upgrade to HTTP/2 without TLS, which is refused
    get(c, "http://a.test:" + System.getenv("HTTP") + "/");
    try { get(c, "http://nowhere.test/"); } catch (java.net.ConnectException e) { System.out.println("refused"); }
} }
END
java -Xshare:auto H.java`, "GET a.test 0\nGET a.test 0\nrefused\n"},
			{"apt-get update", "apt-get", `for from in http://a.test:$HTTP https://a.test:$TLS; do d=/tmp/a$n; n=2; mkdir -p $d/state/lists/partial $d/cache/archives/partial; echo "deb [trusted=yes] $from/files/apt ./" >$d/list
o="-q -o Dir::State=$d/state -o Dir::Cache=$d/cache -o Dir::Etc::sourcelist=$d/list -o Dir::Etc::sourceparts=- -o Dir::Etc::main=- -o Dir::Etc::parts=- -o Dir::State::status=/dev/null -o Acquire::Languages=none -o Acquire::https::CAInfo=$CA"
apt-get $o update >$d/out 2>&1 || cat $d/out; apt-cache $o show hello-cell | grep ^Version; done`, "Version: 1.0\nVersion: 1.0\n"},
			{"static Go", "true", `./client a.test:$HTTP; ./client nowhere.test:80`, "GET a.test 0\nrefused\n"},
			{"static musl", "musl-gcc", `./muslclient a.test $HTTP; ./muslclient a.test 9`, "GET a.test 0\nrefused\n"},
			{"server speaks first", "python3", `python3 -c "import socket,os
s=socket.create_connection(('echo.test',int(os.environ['ECHO'])))
print(s.recv(100)); s.sendall(b'x'*200000); s.shutdown(1)
n=0
while True:
  b=s.recv(65536)
  if not b: break
  n+=len(b)
print(n)"`, "b'hello\\n'\n200000\n"},
			{"UDP", "python3", `python3 -c "import socket,os
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(20); s.connect(('echo.test',int(os.environ['UDP'])))
for n in (1,1400,9000): s.send(b'x'*n); print(len(s.recv(65535)))"`, "1\n1400\n9000\n"},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				needs(t, strings.Fields(c.needs)...)
				b := online(t, u)
				b.copyIn(client, "client")
				if musl != "" {
					b.copyIn(musl, "muslclient")
				}
				flags := append(s.grant("a.test:"+s.http+"/http", "a.test:"+s.tls+"/https", "echo.test:"+s.echo, "echo.test:"+s.udp+"/udp", "b.test:1"), s.variables()...)
				r, events := b.gated(flags, "sh", "-c", c.script)
				if out := r.ok(t); out != c.out {
					t.Errorf("printed %q, want %q\n%s", out, c.out, r.err)
				}
				if use(t, events)["peakConnections"] == 0.0 {
					t.Error("the account knows no connection")
				}
				if !reasons(events)["allow nft_egress_rule_match"] {
					t.Errorf("no decision was written: %v", reasons(events))
				}
			})
		}
	})
	s.onlyGranted()
}

// onlyGranted: the resolver outside was asked for granted names only.
func (s *site) onlyGranted() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.asked {
		if s.zone[n] == nil {
			s.t.Errorf("the resolver was asked for %q", n)
		}
	}
}

func (s *site) variables() []string {
	return []string{"--env", "HTTP=" + s.http, "--env", "TLS=" + s.tls, "--env", "ECHO=" + s.echo, "--env", "UDP=" + s.udp, "--env", "SILENT=" + s.silent, "--env", "DEAD=" + s.dead, "--env", "RESET=" + s.reset, "--env", "CA=" + s.ca}
}

// copyIn puts a file into the working directory.
func (b *bench) copyIn(file, name string) {
	b.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(name, string(data), 0o755)
}

// TestRefusalsAreTold: one line for each, with the grant that would allow it, and nothing waits.
func TestRefusalsAreTold(t *testing.T) {
	needs(t, "curl")
	s := newSite(t)
	s.has("inside.test")
	everywhere(t, func(t *testing.T, u user) {
		b := online(t, u)
		r, _ := b.gated(s.grant("a.test:"+s.http), "sh", "-c", "curl -s http://nowhere.test/; curl -s http://192.0.2.7:81/; curl -s http://a.test:1/; true")
		r.ok(t)
		for _, want := range []string{"refused: nowhere.test: not granted", "--net nowhere.test would allow it", "--net 192.0.2.7:81 would allow it", "--net a.test:1 would allow it"} {
			if !strings.Contains(r.err, want) {
				t.Errorf("standard error does not say %q:\n%s", want, r.err)
			}
		}
		r = b.cell([]string{"--quiet", "--net", "a.test"}, "sh", "-c", "curl -s http://192.0.2.7:81/; true")
		if r.ok(t); r.err != "" {
			t.Errorf("with --quiet: %s", r.err)
		}
	})
}

// TestHostNetwork: only by its name, and written down.
func TestHostNetwork(t *testing.T) {
	needs(t, "curl")
	s := newSite(t)
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		r, events := b.gated([]string{"--net", "host"}, "sh", "-c", "curl -s http://127.0.0.1:"+s.http+"/")
		if r.ok(t) != "GET 127.0.0.1 0\n" {
			t.Error(r.out)
		}
		for _, e := range events {
			if e.Type == "io.cellos.evidence.v1.plan" && (e.Data["network"] != "host" || fmt.Sprint(e.Data["compatAllow"]) != "[host-network]") {
				t.Errorf("written down as %v, %v", e.Data["network"], e.Data["compatAllow"])
			}
		}
	})
}

// TestNetFlags: mistakes are told before anything starts.
func TestNetFlags(t *testing.T) {
	b := newBench(t, users()[0])
	for _, x := range []struct {
		code int
		flag string
		text string
	}{
		{2, "--net=127.1", "neither a host name"}, {2, "--net=2130706433", "neither a host name"}, {2, "--net=0x7f.1", "neither a host name"},
		{2, "--net=017700000001", "neither a host name"}, {2, "--net=*.com", "over-broad"}, {2, "--net=[::1%lo]:80", "zone"}, {2, "--net=a.test:0", "no port"},
		{2, "--net=a.test:65536", "no port"}, {2, "--net=a.test:080", "no port"}, {2, "--net=a.test:1/sctp", "not a protocol"}, {2, "--net=10.0.0.0/8", "goes with a port"},
		{125, "--net=127.0.0.1:80", "own loopback"}, {125, "--net=[::1]:80", "own loopback"}, {125, "--net=[::ffff:127.0.0.1]:80", "own loopback"}, {125, "--net=198.18.0.9:80", "own addresses"},
		{125, "--net=a.test:53", "port 53"}, {125, "--net=a.test:853", "port 853"}, {2, "--private=a.test", "NAME=ADDRESS"}, {2, "--dns=ftp://x", "tcp://"},
	} {
		r := b.cell([]string{x.flag}, "true")
		r.fails(t, x.code, x.text)
	}
	r := b.cellos("run", "--net", "none", "--net", "a.test", "--", "true")
	r.fails(t, 2, "exclude each other")
	out := b.cellos("explain", "--net", "bücher.test:8443", "--", "true")
	if !strings.Contains(out.ok(t), "reach xn--bcher-kva.test on port 8443") {
		t.Error(out.out)
	}
}
