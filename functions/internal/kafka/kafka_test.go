package kafka

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/config"
	"marimba/events"
)

// certificate returns one of 127.0.0.1 and its key, in PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}))
}

// Each way of login is spoken, with and without TLS, and neither a wrong password
// nor a stranger's certificate gets through.
func TestLogin(t *testing.T) {
	cert, key := certificate(t)
	own, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM([]byte(cert))
	secure := kfake.TLS(&tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients})
	for _, mechanism := range []string{"", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		for _, withTLS := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/tls %t", cmp.Or(mechanism, "none"), withTLS), func(t *testing.T) {
				options := []kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(3, "votes.cast")}
				cfg := config.Kafka{Mechanism: mechanism}
				if mechanism != "" {
					options = append(options, kfake.EnableSASL(), kfake.Superuser(mechanism, "books", "open"))
					cfg.Username, cfg.Password = "books", "open"
				}
				if withTLS {
					options = append(options, secure)
					cfg.TLS, cfg.TLSCA, cfg.TLSCert, cfg.TLSKey = true, cert, cert, config.Secret(key)
				}
				cluster, err := kfake.NewCluster(options...)
				if err != nil {
					t.Fatal(err)
				}
				defer cluster.Close()
				cfg.Broker = cluster.ListenAddrs()[0]
				ask := func(cfg config.Kafka) (Reach, error) {
					options, err := Options(cfg, "test")
					if err != nil {
						return nil, err
					}
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
					defer cancel()
					client, err := kgo.NewClient(append(options, kgo.RequestRetries(0), kgo.RetryTimeout(time.Second))...)
					if err != nil {
						return nil, err
					}
					defer client.Close()
					return ReachOf(ctx, kadm.NewClient(client), events.VotesCast)
				}
				if r, err := ask(cfg); err != nil || !reflect.DeepEqual(r, Reach{0: {}, 1: {}, 2: {}}) {
					t.Errorf("reach is %v, %v", r, err)
				}
				if mechanism != "" {
					wrong := cfg
					wrong.Password = "wrong"
					if r, err := ask(wrong); err == nil {
						t.Errorf("with a wrong password: %v", r)
					}
				}
				if withTLS {
					stranger := cfg
					otherCert, otherKey := certificate(t)
					stranger.TLSCert, stranger.TLSKey = otherCert, config.Secret(otherKey)
					if r, err := ask(stranger); err == nil {
						t.Errorf("with a stranger's certificate: %v", r)
					}
					stranger.TLSKey = config.Secret(key)
					if _, err := Open(stranger, "test"); err == nil {
						t.Error("a certificate is taken with another's key")
					}
				}
			})
		}
	}
}
