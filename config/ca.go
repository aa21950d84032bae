package config

import (
	"crypto/x509"
	"fmt"
)

// CA is the certificates, in PEM, of those who may have signed a server's. Empty
// it is those that the system trusts.
type CA string

// Pool returns the certificates for crypto/tls; nil is the system's.
func (c CA) Pool() *x509.CertPool {
	if c == "" {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(c)) // that it holds one was checked when it was loaded
	return pool
}

func (c CA) check(name string) []error {
	if c != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c)) {
		return []error{fmt.Errorf("%s: holds no certificate in PEM", name)}
	}
	return nil
}
