package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestManifestSigned: where keys are configured a manifest that none of them signed is not read.
func TestManifestSigned(t *testing.T) {
	onMachines(t, func(t *testing.T, b *bench) {
		manifest := b.write("manifest", "sha256:"+strings.Repeat("0", 64)+" kernel /x\n", 0o644)
		b.tool("openssl", "genpkey", "-algorithm", "ed25519", "-out", "one.pem")
		b.tool("openssl", "pkey", "-in", "one.pem", "-pubout", "-out", "one.pub")
		b.tool("openssl", "genpkey", "-algorithm", "ed25519", "-out", "two.pem")
		sign := func(key string) {
			b.tool("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", "manifest", "-out", "manifest.sig")
		}
		b.env = append(b.env, "CELLOS_FIRECRACKER_MANIFEST="+manifest, "CELLOS_MANIFEST_KEYS="+filepath.Join(b.dir, "one.pub"))
		try := func() result { return b.sh("true", "--workdir", "/tmp:empty") }
		try().fails(t, 125, "manifest.sig: no such file", "openssl pkeyutl -sign")
		sign("two.pem")
		try().fails(t, 125, "by none of the keys")
		sign("one.pem")
		try().fails(t, 125, "artifact digest mismatch for role kernel") // it is read, and compared
		b.write("manifest", "sha256:"+strings.Repeat("1", 64)+" kernel /x\n", 0o644)
		try().fails(t, 125, "by none of the keys")
	})
}

// TestManifestFailed: a file that would boot and is not the pinned one is refused before anything boots, and the record says which.
func TestManifestFailed(t *testing.T) {
	onMachines(t, func(t *testing.T, b *bench) {
		other := strings.Repeat("0", 64)
		b.env = append(b.env, "CELLOS_FIRECRACKER_MANIFEST="+filepath.Join(b.dir, "manifest"))
		for role, word := range map[string]string{"kernel": "kernel", "initrd": "initrd", "firecracker": "vmm", "rootfs": "rootfs"} {
			lines := "# what boots\n"
			if role != "kernel" {
				kernels, err := filepath.Glob("/boot/vmlinuz-*")
				if err != nil || len(kernels) == 0 {
					t.Fatal(kernels, err)
				}
				kernel := kernels[len(kernels)-1]
				data, err := os.ReadFile(kernel)
				if err != nil {
					t.Skip("needs to read the kernel: " + err.Error())
				}
				b.env = append(b.env, "CELLOS_FIRECRACKER_KERNEL_IMAGE="+kernel)
				lines += fmt.Sprintf("sha256:%x kernel %s\n", sha256.Sum256(data), kernel)
			}
			b.write("manifest", lines+"sha256:"+other+" "+word+" /x\n", 0o644)
			b.sh("true", "--workdir", "/tmp:empty").fails(t, 125, "artifact digest mismatch for role "+word)
			shown := b.cellos("show", "--events").ok(t)
			if !strings.Contains(shown, "cell.lifecycle.v1.manifest-failed") || !strings.Contains(shown, `"expectedSha256":"`+other+`"`) || !strings.Contains(shown, `"role":"`+role+`"`) ||
				strings.Contains(shown, `"actualSha256":""`) != (role == "rootfs") || strings.Contains(shown, "lifecycle.v1.started") {
				t.Errorf("%s: the record says %s", role, shown)
			}
			if text := b.cellos("show").ok(t); !strings.Contains(text, "boot artifact does not match") {
				t.Errorf("%s: it shows %s", role, text)
			}
		}
	})
}

// TestNoFirecracker: what is missing for Firecracker is named, with the way out; QEMU never takes its place unasked.
func TestNoFirecracker(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		images := "CELLOS_IMAGES=" + filepath.Join(b.dir, "images")
		for env, texts := range map[string][]string{
			"CELLOS_MICROVM_VMM=firecracker":          {"there is no firecracker in PATH", "CELLOS_MICROVM_VMM=qemu"},
			"CELLOS_FIRECRACKER_BINARY=firecracker":   {"is not absolute"},
			"CELLOS_FIRECRACKER_BINARY=/nonexistent/": {"virtual machines: "},
			"CELLOS_MICROVM_VMM=bhyve":                {"CELLOS_MICROVM_VMM"},
		} {
			b.env = append(b.env[:len(b.env):len(b.env)], images, env)
			b.sh("true", "--backend", "microvm").fails(t, 125, texts...)
			b.env = b.env[:len(b.env)-2]
		}
	})
}
