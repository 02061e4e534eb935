package publickey

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"

	jose "github.com/go-jose/go-jose/v4"
)

// PEM returns the key as PEM ("PUBLIC KEY").
func PEM(k Key) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.Public)
	if err != nil {
		return nil, fmt.Errorf("writing key %s: %v", k.ID, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// JWK returns the key as a JSON Web Key (RFC 7517, RFC 8037) whose kid is its name, or else its id.
func JWK(k Key) ([]byte, error) {
	name := k.Name
	if name == "" {
		name = k.ID
	}
	text, err := jose.JSONWebKey{Key: k.Public, KeyID: name, Use: "sig"}.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("writing key %s: %v", k.ID, err)
	}
	return append(text, '\n'), nil
}
