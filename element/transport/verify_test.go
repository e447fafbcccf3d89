package transport

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// signed makes a certificate for DNS names, and SIP URIs of the given domains or users.
func signed(tb testing.TB, names, uris []string) (tls.Certificate, *x509.CertPool) {
	tb.Helper()
	made, _, err := SelfSigned(names...)
	if err != nil {
		tb.Fatal(err)
	}
	t := *made.Leaf
	for _, u := range uris {
		t.URIs = append(t.URIs, &url.URL{Scheme: "sip", Opaque: u})
	}
	key, _ := made.PrivateKey.(*ecdsa.PrivateKey)
	t.ExtraExtensions, t.SignatureAlgorithm = nil, 0
	made.Certificate[0], err = x509.CreateCertificate(rand.Reader, &t, &t, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	made.Leaf, err = x509.ParseCertificate(made.Certificate[0])
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(made.Leaf)
	return made, pool
}

// TestTLSIdentity compares names as RFC 5922 7 says over TLS, and as HTTPS does over WSS.
func TestTLSIdentity(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		dns, uris   []string
		want        string
		sips, https bool
	}{
		{"DNS", []string{"bob.example.com"}, nil, "bob.example.com", true, true},
		{"case and dot", []string{"Bob.Example.COM"}, nil, "bob.example.com.", true, true},
		{"wildcard", []string{"*.example.com"}, nil, "bob.example.com", false, true},
		{"URI", nil, []string{"bob.example.com"}, "bob.example.com", true, false},
		{"URI with more", nil, []string{"bob.example.com:5061;transport=tls"}, "BOB.example.com", true, false},
		{"one of two URIs", nil, []string{"other.com", "bob.example.com"}, "bob.example.com", true, false},
		{"URI of another, DNS", []string{"bob.example.com"}, []string{"other.com"}, "bob.example.com", false, true},
		{"URI of a user, DNS", []string{"bob.example.com"}, []string{"x@other.com"}, "bob.example.com", true, true},
		{"URI of a user", nil, []string{"x@bob.example.com"}, "bob.example.com", false, false},
		{"parent", []string{"example.com"}, nil, "bob.example.com", false, false},
		{"address", []string{"127.0.0.1"}, nil, "", true, true},
		{"address beside a URI", []string{"127.0.0.1"}, []string{"other.com"}, "", true, true},
		{"other address", []string{"127.0.0.2"}, nil, "", false, false},
		{"address as a name", []string{"127.0.0.1"}, nil, "127.0.0.1", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cert, pool := signed(t, tt.dns, tt.uris)
			bob := start(t, Config{Listen: listen(t, "tls:127.0.0.1:0", "wss:127.0.0.1:0"), Certificates: []tls.Certificate{cert}}, nil)
			for i, good := range []bool{tt.sips, tt.https} {
				alice := start(t, Config{Listen: listen(t, "udp:127.0.0.1:0"), RootCAs: pool}, nil)
				proto := bob.Listeners()[i].Proto
				alice.send(Hop{Proto: proto, Remote: bob.at(i), Name: tt.want}, request(proto, alice.at(0), 1, 0), 7)
				if good {
					select {
					case <-bob.got:
					case g := <-alice.lost:
						t.Errorf("%s: refused: %v", proto, g.err)
					}
					continue
				}
				var verify *tls.CertificateVerificationError
				if g := alice.nextLost(); !errors.As(g.err, &verify) {
					t.Errorf("%s: %v", proto, g.err)
				}
			}
		})
	}
}

// TestTLSVerifies trusts neither an unknown issuer nor another's name, and does not send to a peer that it does not trust.
func TestTLSVerifies(t *testing.T) {
	t.Parallel()
	certs, pool := certify(t)
	at := listen(t, "tls:127.0.0.1:0")
	bob := start(t, Config{Listen: at, Certificates: certs}, ok)
	for name, tt := range map[string]struct {
		cfg  Config
		name string
		good bool
	}{
		"name":             {Config{RootCAs: pool}, "bob.example.com", true},
		"address":          {Config{RootCAs: pool}, "", true},
		"other name":       {Config{RootCAs: pool}, "carol.example.com", false},
		"unknown issuer":   {Config{}, "bob.example.com", false},
		"insecure, others": {Config{Insecure: true}, "carol.example.com", true},
	} {
		tt.cfg.Listen, tt.cfg.Certificates = at, certs
		alice := start(t, tt.cfg, nil)
		hop := Hop{Proto: TLS, Remote: bob.at(0), Name: tt.name}
		alice.send(hop, request(TLS, alice.at(0), 1, 0), 1)
		if tt.good {
			alice.next()
			continue
		}
		var verify *tls.CertificateVerificationError
		if g := alice.nextLost(); !errors.As(g.err, &verify) || g.hop != hop {
			t.Errorf("%s: %v", name, g.err)
		}
	}
	alice := start(t, Config{Listen: at, Certificates: certs, RootCAs: pool}, nil)
	alice.send(Hop{Proto: TLS, Remote: bob.at(0), Name: "bob.example.com"}, request(TLS, alice.at(0), 1, 0), 1)
	alice.next()
	alice.send(Hop{Proto: TLS, Remote: bob.at(0), Name: "carol.example.com"}, request(TLS, alice.at(0), 1, 0), 2)
	if g := alice.nextLost(); g.tag != 2 {
		t.Error("a connection verified for another name was used")
	}
}

// TestTLSOwnOnly meets itself under any name, and nobody else, whatever else is believed.
func TestTLSOwnOnly(t *testing.T) {
	t.Parallel()
	certs, pool := certify(t)
	others, _ := certify(t)
	for _, proto := range []Proto{TLS, WSS} {
		at := listen(t, strings.ToLower(proto.String())+":127.0.0.1:0")
		self := start(t, Config{Listen: at, Certificates: certs, OwnOnly: true}, ok)
		hop := Hop{Proto: proto, Remote: self.at(0), Name: "carol.example.com"}
		self.send(hop, request(proto, self.at(0), 1, 0), 1)
		self.next()
		bob := start(t, Config{Listen: at, Certificates: others}, ok)
		for _, cfg := range []Config{{RootCAs: pool}, {Insecure: true}} {
			cfg.Listen, cfg.Certificates, cfg.OwnOnly = at, certs, true
			alice := start(t, cfg, nil)
			alice.send(Hop{Proto: proto, Remote: bob.at(0), Name: "bob.example.com"}, request(proto, alice.at(0), 1, 0), 2)
			var verify *tls.CertificateVerificationError
			if g := alice.nextLost(); !errors.As(g.err, &verify) {
				t.Errorf("%s: %v", proto, g.err)
			}
		}
	}
}

// lines collects a key log.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestTLSKeyLog has the client and the server log the same secrets.
func TestTLSKeyLog(t *testing.T) {
	t.Parallel()
	certs, pool := certify(t)
	for _, proto := range []Proto{TLS, WSS} {
		at := listen(t, strings.ToLower(proto.String())+":127.0.0.1:0")
		var client, server lines
		bob := start(t, Config{Listen: at, Certificates: certs, KeyLog: &server}, ok)
		alice := start(t, Config{Listen: at, Certificates: certs, RootCAs: pool, KeyLog: &client}, nil)
		alice.send(Hop{Proto: proto, Remote: bob.at(0), Name: "bob.example.com"}, request(proto, alice.at(0), 1, 0), 1)
		alice.next()
		ours, theirs := strings.Split(client.text(), "\n"), strings.Split(server.text(), "\n")
		slices.Sort(ours)
		slices.Sort(theirs)
		if !slices.Equal(ours, theirs) || !strings.Contains(client.text(), "CLIENT_TRAFFIC_SECRET_0 ") {
			t.Errorf("%s: client\n%s\nserver\n%s", proto, client.text(), server.text())
		}
	}
}
