package inject

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// around is how much longer than the run the certificates are valid, before and after: clocks of virtual machines differ from the host's.
const around = time.Hour

// A ca vouches for the names of one run. Its key is made here and leaves the process in no form.
type ca struct {
	names map[string]bool
	key   crypto.Signer
	cert  *x509.Certificate

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

// newCA makes an authority that can vouch for these names and those below them (RFC 5280 section 4.2.1.10 has no narrower constraint), for no
// address, and for no other authority.
func newCA(names []string, lifetime time.Duration) (*ca, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of the cell's authority: %w", err)
	}
	now := time.Now()
	serial := newSerial()
	all4, all6 := net.IPNet{IP: make(net.IP, 4), Mask: make(net.IPMask, 4)}, net.IPNet{IP: make(net.IP, 16), Mask: make(net.IPMask, 16)}
	form := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: fmt.Sprintf("CellOS run %x", serial.Bytes()[:4])},
		NotBefore: now.Add(-around), NotAfter: now.Add(lifetime + around),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: names, ExcludedIPRanges: []*net.IPNet{&all4, &all6},
	}
	a := &ca{names: map[string]bool{}, key: key, leaves: map[string]*tls.Certificate{}}
	for _, n := range names {
		a.names[n] = true
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		return nil, fmt.Errorf("making the certificate of the cell's authority: %w", err)
	}
	return a, nil
}

// newSerial is a positive number of 127 bits, RFC 5280 section 4.1.2.2. Its first byte is not zero.
func newSerial() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}

// leaf is the certificate of one name, made when it is asked for first.
func (a *ca) leaf(name string) (*tls.Certificate, error) {
	if !a.names[name] {
		return nil, fmt.Errorf("%s is none of the names of the cell's authority", name)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.leaves[name]; c != nil {
		return c, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	form := &x509.Certificate{SerialNumber: newSerial(), Subject: pkix.Name{CommonName: "CellOS cell"}, DNSNames: []string{name}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, form, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate of %s: %w", name, err)
	}
	c := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	a.leaves[name] = c
	return c, nil
}
