//go:build linux && (amd64 || arm64)

package backends

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/cmd/cellos/internal/records"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/variable"
)

// readManifest reads the manifest of what may boot. Where keys are configured it has to be signed by one of them: the file of its name and
// .sig has the signature of its bytes, as openssl pkeyutl -sign -rawin writes it, or that in base64.
func readManifest(vars variable.Env, name string) (*microvm.Manifest, error) {
	data, _, err := cli.ReadSmall(name)
	if err != nil {
		return nil, fmt.Errorf("the manifest %s: %w", name, err)
	}
	file, err := absolute(vars, variable.ManifestKeys)
	if err != nil {
		return nil, err
	}
	if file != "" {
		if err := signedManifest(file, name, data); err != nil {
			return nil, cli.NewMistake("the manifest "+name+": "+err.Error(), "sign it: openssl pkeyutl -sign -rawin -inkey KEY -in "+name+" -out "+name+".sig")
		}
	}
	m, err := microvm.ParseManifest(data)
	if err != nil {
		return nil, fmt.Errorf("the manifest %s: %w", name, err)
	}
	return m, nil
}

func signedManifest(file, name string, data []byte) error {
	trusted, err := records.PublicKeys(file)
	if err != nil {
		return err
	}
	sig, _, err := cli.ReadSmall(name + ".sig")
	if err != nil {
		return fmt.Errorf("%s.sig: %w", name, err)
	}
	forms := [][]byte{sig}
	if raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(sig))); err == nil {
		forms = append(forms, raw)
	}
	for _, k := range trusted {
		for _, s := range forms {
			if keys.Verify(k.Public, data, s) {
				return nil
			}
		}
	}
	return errors.New("its signature in " + name + ".sig is by none of the keys in " + file)
}
