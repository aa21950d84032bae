package secrets

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"slices"
	"time"
)

// lifetime is how long certificates are good for.
const lifetime = 366 * 24 * time.Hour

// holder is a Secret with a certificate.
type holder struct {
	namespace, name string
	joined          bool // key and certificate in one text, tls.pem, as MongoDB reads it
	client          bool // the server calls others of its kind with it too
	names           []string
	here            bool // it is called by its own host too
}

func (m *maker) holders() []holder {
	own, kafka := m.plan.Namespace+".svc.cluster.local", m.plan.Kafka+".svc"
	return []holder{
		{namespace: m.plan.Namespace, name: "redis-tls", client: true, here: true,
			names: []string{"*.redis." + own, "redis." + own}},
		{namespace: m.plan.Namespace, name: "mongodb-tls", joined: true, client: true, here: true,
			names: []string{"*.mongodb." + own, "mongodb." + own}},
		{namespace: m.plan.Kafka, name: "marimba-kafka-listener",
			names: []string{
				"marimba-kafka-bootstrap." + kafka + ".cluster.local", "marimba-kafka-bootstrap." + kafka,
				"*.marimba-kafka-brokers." + kafka + ".cluster.local", "*.marimba-kafka-brokers." + kafka,
			}},
	}
}

// certificates returns the Secrets with certificates, the authority's first. The
// authority's key is kept nowhere, so they are kept all or renewed all.
func (m *maker) certificates() ([]Secret, time.Time, error) {
	held := []Secret{{m.plan.Namespace, "marimba-ca", map[string]string{"ca.crt": ""}}}
	for _, h := range m.holders() {
		data := map[string]string{"tls.crt": "", "tls.key": ""}
		if h.joined {
			data = map[string]string{"tls.pem": ""}
		}
		held = append(held, Secret{h.namespace, h.name, data})
	}
	if expires, ok := m.keep(held); ok {
		return held, expires, nil
	}
	for _, s := range held {
		for _, key := range slices.Sorted(maps.Keys(s.Data)) {
			m.made.New = append(m.made.New, s.Namespace+"/"+s.Name+":"+key)
		}
	}
	expires, err := m.sign(held)
	return held, expires, err
}

// keep fills in the certificates that are kept, if that is all of them.
func (m *maker) keep(held []Secret) (expires time.Time, ok bool) {
	if m.plan.Renew {
		return time.Time{}, false
	}
	var told []string
	for _, s := range held {
		for _, key := range slices.Sorted(maps.Keys(s.Data)) {
			value, ok := m.plan.Kept.Value(s.Namespace, s.Name, key)
			if !ok {
				return time.Time{}, false
			}
			s.Data[key] = value
			told = append(told, s.Namespace+"/"+s.Name+":"+key)
		}
	}
	block, _ := pem.Decode([]byte(held[0].Data["ca.crt"]))
	if block == nil {
		return time.Time{}, false
	}
	authority, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !m.plan.Now.Before(authority.NotAfter) {
		return time.Time{}, false
	}
	m.made.Kept = append(m.made.Kept, told...)
	return authority.NotAfter, true
}

// sign makes an authority and has it sign a certificate for each holder.
func (m *maker) sign(held []Secret) (time.Time, error) {
	from, to := m.plan.Now.Add(-time.Hour), m.plan.Now.Add(lifetime).Truncate(time.Second)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return time.Time{}, fmt.Errorf("make authority: %w", err)
	}
	authority := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "marimba"}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if held[0].Data["ca.crt"], err = certificate(authority, authority, key, key); err != nil {
		return time.Time{}, fmt.Errorf("make authority: %w", err)
	}
	for i, h := range m.holders() {
		leaf := &x509.Certificate{
			SerialNumber: serial(), Subject: pkix.Name{CommonName: h.name}, NotBefore: from, NotAfter: to,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			BasicConstraintsValid: true, DNSNames: h.names,
		}
		if h.client {
			leaf.ExtKeyUsage = append(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		}
		if h.here {
			leaf.DNSNames = append(leaf.DNSNames, "localhost")
			leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		}
		data := held[i+1].Data
		if err := issue(data, h.joined, leaf, authority, key); err != nil {
			return time.Time{}, fmt.Errorf("make certificate %s: %w", h.name, err)
		}
	}
	return to, nil
}

// issue puts a new key and its certificate into a Secret.
func issue(data map[string]string, joined bool, leaf, authority *x509.Certificate, by *ecdsa.PrivateKey) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	signed, err := certificate(leaf, authority, key, by)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if joined {
		data["tls.pem"] = signed + text
		return nil
	}
	data["tls.crt"], data["tls.key"] = signed, text
	return nil
}

func certificate(of, by *x509.Certificate, key, signer *ecdsa.PrivateKey) (string, error) {
	der, err := x509.CreateCertificate(rand.Reader, of, by, key.Public(), signer)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}

// serial is a number that no other certificate has.
func serial() *big.Int {
	var bits [16]byte
	_, _ = rand.Read(bits[:]) // it never fails
	bits[0] &= 0x7f
	return new(big.Int).SetBytes(bits[:])
}
