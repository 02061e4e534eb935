package e2e

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tool runs a program of the host as the bench's user in its working directory.
func (b *bench) tool(name string, args ...string) string {
	b.t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		b.t.Skipf("needs %s", name)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = b.dir, b.env
	if b.user.uid != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(b.user.uid), Gid: uint32(b.user.uid)}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// TestKeys: the first run makes a key and says so once; public halves come in three forms, and each verifies.
func TestKeys(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		if r := b.cell(nil, "true"); r.code != 0 || strings.Count(r.err, "made a key") != 1 {
			t.Errorf("the first run: %+v", r)
		}
		if r := b.cell(nil, "true"); r.code != 0 || strings.Contains(r.err, "made a key") {
			t.Errorf("the second run: %+v", r)
		}
		var list []struct {
			ID, Path         string
			Current, Private bool
		}
		if err := json.Unmarshal([]byte(b.cellos("keys", "list", "--json").ok(t)), &list); err != nil || len(list) != 1 || !list[0].Current || !list[0].Private {
			t.Fatalf("keys: %+v, %v", list, err)
		}
		first := list[0].ID
		if got := b.cellos("keys", "new").ok(t); strings.TrimSpace(got) != first {
			t.Errorf("keys new made another key: %s", got)
		}
		for _, form := range []string{"pem", "jwk", "ssh"} {
			b.write("key."+form, b.cellos("keys", "show", "--format", form).ok(t), 0o644)
			b.cellos("verify", "--key", "key."+form, "last").ok(t)
		}
		// What other programs make of them.
		if out := b.tool("openssl", "pkey", "-pubin", "-in", "key.pem", "-noout", "-text"); !strings.Contains(strings.ToUpper(out), "ED25519") {
			t.Errorf("openssl reads %s", out)
		}
		if out := b.tool("ssh-keygen", "-l", "-f", "key.ssh"); !strings.Contains(out, "ED25519") || !strings.Contains(out, first) {
			t.Errorf("ssh-keygen reads %s", out)
		}
		if v := parsed(t, b.cellos("keys", "show", "--format", "jwk", first[len("sha256:"):len("sha256:")+6]).ok(t)); v["kty"] != "OKP" || v["kid"] != first || v["d"] != nil {
			t.Errorf("JWK: %v", v)
		}
		second := strings.TrimSpace(b.cellos("keys", "rotate").ok(t))
		b.cell(nil, "true").ok(t)
		if out := b.cellos("verify", "last").ok(t); !strings.Contains(out, second) {
			t.Errorf("after rotation: %s", out)
		}
		b.cellos("verify", "--key", "key.pem", "last").fails(t, 5)
		runs := runsOf(t, b)
		if out := b.cellos("verify", runs[len(runs)-1].ID).ok(t); !strings.Contains(out, first) {
			t.Errorf("what the old key signed: %s", out)
		}
		for _, c := range []struct {
			args []string
			code int
			text string
		}{
			{[]string{"keys", "wat"}, 2, "unknown word"}, {[]string{"keys", "list", "x"}, 2, "unexpected argument"}, {[]string{"keys", "show", "--format", "der"}, 2, "unknown form"},
			{[]string{"keys", "show", "0000"}, 1, "no such key"}, {[]string{"keys", "show", "sha256:"}, 1, "beginning of 2 keys"}, {[]string{"keys", "rotate", "--json"}, 2, "unknown flag"},
		} {
			r := b.cellos(c.args...)
			r.fails(t, c.code, c.text)
			oneError(t, r)
		}
	})
}

// TestSigners: keys that cellos does not hold.
func TestSigners(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "id")
		b.tool("ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-f", "ec")
		// The agent takes the socket's path from the environment or from us; it goes with the test.
		dir, err := os.MkdirTemp("", "a")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		b.own(dir)
		socket := filepath.Join(dir, "s")
		agent := exec.Command("ssh-agent", "-D", "-a", socket)
		agent.Env = b.env
		if b.user.uid != os.Getuid() {
			agent.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(b.user.uid), Gid: uint32(b.user.uid)}}
		}
		if err := agent.Start(); err != nil {
			t.Skip("needs ssh-agent")
		}
		t.Cleanup(func() { agent.Process.Kill(); agent.Wait() })
		for n := 0; n < 1000 && exec.Command("test", "-S", socket).Run() != nil; n++ {
			time.Sleep(10 * time.Millisecond)
		}
		b.env = append(b.env, "SSH_AUTH_SOCK="+socket)
		b.tool("ssh-add", "-q", "id")
		b.cell([]string{"--signer", "agent"}, "true").ok(t) // the only key
		b.cellos("verify", "--key", "id.pub", "last").ok(t)
		b.cellos("verify", "last").fails(t, 5)
		b.tool("ssh-add", "-q", "ec")
		b.cell([]string{"--signer", "agent"}, "true").fails(t, 125, "2 keys that could sign")
		for _, key := range []string{"id.pub", "ec.pub"} {
			b.cell([]string{"--signer", "agent:" + socket, "--signer-key", key}, "true").ok(t)
			b.cellos("verify", "--key", key, "last").ok(t)
		}
		b.tool("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "p256.pem")
		b.tool("openssl", "ec", "-in", "p256.pem", "-pubout", "-out", "p256.pub")
		b.cell([]string{"--signer", "command:openssl dgst -sha256 -sign " + b.dir + "/p256.pem", "--signer-key", "p256.pub"}, "true").ok(t)
		b.cellos("verify", "--key", "p256.pub", "last").ok(t)
		// Files, which lie where the command does not see them.
		b.tool("openssl", "genpkey", "-algorithm", "ed25519", "-out", "../own.pem")
		b.tool("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", "../sec1.pem") // parameters and key
		b.tool("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "../pkcs8.pem")
		for _, name := range []string{"own", "sec1", "pkcs8"} {
			b.tool("openssl", "pkey", "-in", "../"+name+".pem", "-pubout", "-out", name+".pub")
			os.Chmod(b.dir+"/../"+name+".pem", 0o600)
			b.cell([]string{"--signer", "file:../" + name + ".pem"}, "true").ok(t)
			b.cellos("verify", "--key", name+".pub", "last").ok(t)
			b.cellos("verify", "--key", "p256.pub", "last").fails(t, 5)
			b.cellos("attest", "--key", name+".pub", "--signer", "file:../"+name+".pem", "last").ok(t)
		}
		b.write("own.pem", string(read(t, b.dir+"/../own.pem")), 0o600)
		r := b.cell([]string{"--signer", "file:own.pem"}, "cat", "own.pem")
		r.fails(t, 125, "own.pem, which is cellos' to use and not the command's to read")
		if r.out != "" {
			t.Errorf("the command read the key that signs its record: %s", r.out)
		}
		b.cell([]string{"--sink", "best-effort http://127.0.0.1:9 token-file=own.pem"}, "cat", "own.pem").fails(t, 125, "own.pem, which is cellos' to use")
		if n := len(runsOf(t, b)); n != 7 {
			t.Errorf("%d runs", n)
		}
		// Keys that do not do. Nothing runs, and there is no record.
		b.tool("openssl", "genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x", "-out", "locked.pem")
		b.tool("openssl", "genpkey", "-algorithm", "RSA", "-out", "rsa.pem")
		b.tool("openssl", "pkey", "-in", "rsa.pem", "-pubout", "-out", "rsa.pub")
		b.write("empty.pem", "", 0o600)
		b.write("open.pem", b.tool("cat", "own.pem"), 0o644)
		for _, f := range []string{"locked.pem", "rsa.pem", "id"} {
			os.Chmod(b.dir+"/"+f, 0o600)
		}
		for _, c := range []struct {
			flags []string
			code  int
			text  string
		}{
			{[]string{"--signer", "file:" + b.dir + "/open.pem"}, 125, "mode 0644 lets others read it"},
			{[]string{"--signer", "file:" + b.dir + "/empty.pem"}, 125, "the key file is empty"},
			{[]string{"--signer", "file:" + b.dir + "/locked.pem"}, 125, "the key is encrypted"},
			{[]string{"--signer", "file:" + b.dir + "/rsa.pem"}, 125, "a key of another kind; want Ed25519 or ECDSA on P-256"},
			{[]string{"--signer", "file:" + b.dir + "/id"}, 125, "use it through ssh-agent"},
			{[]string{"--signer", "file:" + b.dir + "/own.pub"}, 125, "mode"},
			{[]string{"--signer", "file:" + b.dir + "/none"}, 125, "no such file"},
			{[]string{"--signer", "agent:/nonexistent"}, 125, "connecting to the ssh agent"},
			{[]string{"--signer", "agent", "--signer-key", "p256.pub"}, 125, "does not have the key"},
			{[]string{"--signer", "agent", "--signer-key", "rsa.pub"}, 125, "wrong kind"},
			{[]string{"--signer", "command:no-such-program", "--signer-key", "id.pub"}, 125, "no-such-program"},
			{[]string{"--signer", "command:false", "--signer-key", "id.pub"}, 125, "exit status 1"},
			{[]string{"--signer", "command:true"}, 2, "whose key"},
			{[]string{"--signer", "command:"}, 2, "names no program"},
			{[]string{"--signer", "wat"}, 2, "unknown kind"},
			{[]string{"--signer-key", "id.pub"}, 2, "there is none"},
		} {
			r := b.cell(c.flags, "touch", "ran")
			r.fails(t, c.code, c.text)
			oneError(t, r)
		}
		for _, r := range runsOf(t, b) {
			if r.Outcome == "failed" && r.Status == "complete" {
				t.Errorf("a record of a run that could not be signed: %+v", r)
			}
		}
	})
}

// publicKey is a key for the other implementation.
type publicKey struct {
	id  string
	key ed25519.PublicKey
}

func (k publicKey) KeyID() (string, error)   { return k.id, nil }
func (k publicKey) Public() crypto.PublicKey { return k.key }
func (k publicKey) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(k.key, data, sig) {
		return errors.New("the signature does not verify")
	}
	return nil
}

func readPublic(text string) (publicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return publicKey{}, errors.New("no PEM")
	}
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return publicKey{}, err
	}
	sum := sha256.Sum256(block.Bytes) // docs/evidence-format.md, section 2
	return publicKey{"sha256:" + hex.EncodeToString(sum[:16]), k.(ed25519.PublicKey)}, nil
}

// TestDurable: with --durable everything that the record has is synced before the command's first instruction, every event and every name.
func TestDurable(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		if _, err := exec.LookPath("strace"); err != nil {
			t.Skip("needs strace")
		}
		b := newBench(t, u)
		mirror := filepath.Join(b.dir, "mirror")
		doc := b.documented("exit 0")
		for _, flags := range [][]string{nil, {"--durable"}, {"CELLOS_DURABLE=1"}} {
			args := append(append([]string{"run"}, flags...), "--", "true")
			if flags != nil && strings.Contains(flags[0], "=") {
				args = []string{"supervise", doc}
			}
			c := b.command(args...)
			if args[0] == "supervise" {
				c.Env = append(c.Env, flags[0], "CELLOS_DEPLOYMENT_PROFILE=portable", "CELL_OS_USE_NOOP_SINK=1", "CELL_OS_JSONL_EVENTS="+mirror)
			}
			c.Path, c.Args = "/usr/bin/strace", append([]string{"strace", "-f", "-y", "-e", "trace=fsync"}, c.Args...)
			r := b.run(c)
			if r.code != 0 {
				t.Skipf("needs a tracer that may trace: %s", r.err)
			}
			synced := func(suffix string) int { return strings.Count(r.err, suffix+">") }
			dir := runsOf(t, b)[0].Path
			for name, least := range map[string]int{dir + "/events.jsonl": 10, dir + "/document": 1, dir + "/plan.txt": 1, dir: 1, filepath.Dir(dir): 1} {
				if got := synced(name); (got >= least) != (flags != nil) {
					t.Errorf("%v: %s synced %d times\n%s", flags, name, got, r.err)
				}
			}
			if n := synced(mirror); (n >= 10) != (args[0] == "supervise") {
				t.Errorf("%v: the mirror was synced %d times", flags, n)
			}
		}
	})
}
