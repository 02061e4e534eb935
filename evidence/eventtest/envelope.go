package eventtest

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"cellos.io/cellos/evidence/canon"
)

// envelope checks a signed_envelope.v1 with the key in o: identity of id and time, and the signature over the inner
// event's eight documented members in envelope order.
func envelope(at string, e object, o Options) []string {
	data, _ := e["data"].(object)
	in, ok := data["event"].(object)
	if e["type"] != signed || o.Key == "" {
		return nil
	}
	if !ok {
		return []string{at + ": signed envelope without an event"}
	}
	var diffs []string
	for _, k := range []string{"id", "time"} {
		if e[k] != in[k] {
			diffs = append(diffs, fmt.Sprintf("%s: outer %s %v, inner %v", at, k, e[k], in[k]))
		}
	}
	if data["signerKid"] != strings.TrimSpace(o.KeyID) {
		diffs = append(diffs, fmt.Sprintf("%s: signerKid %v", at, data["signerKid"]))
	}
	key, err := base64URL(o.Key)
	if err != nil {
		return append(diffs, at+": signing key: "+err.Error())
	}
	sigText, _ := data["signature"].(string)
	sig, err := base64URL(sigText)
	if err != nil {
		return append(diffs, at+": signature: "+err.Error())
	}
	message, err := innerLine(in)
	if err != nil {
		return append(diffs, at+": "+err.Error())
	}
	good := false
	switch data["algorithm"] {
	case "ed25519":
		if len(key) == ed25519.SeedSize {
			good = ed25519.Verify(ed25519.NewKeyFromSeed(key).Public().(ed25519.PublicKey), message, sig)
		}
	case "hmac-sha256":
		h := hmac.New(sha256.New, key)
		h.Write(message)
		good = hmac.Equal(h.Sum(nil), sig)
	}
	if !good {
		diffs = append(diffs, fmt.Sprintf("%s: the %v signature does not verify", at, data["algorithm"]))
	}
	return diffs
}

// innerLine writes the signed bytes: eight members in their order, nulls included, data ascending.
func innerLine(in object) ([]byte, error) {
	out := []byte{'{'}
	for i, k := range documented() {
		if i > 0 {
			out = append(out, ',')
		}
		v, err := json.Marshal(in[k])
		if err != nil {
			return nil, err
		}
		out = append(out, `"`+k+`":`...)
		if out, err = canon.Append(out, v); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

// base64URL reads base64url with or without padding.
func base64URL(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}
