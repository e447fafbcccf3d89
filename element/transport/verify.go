package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

var (
	// errIdentity says that a certificate is believed and is another's.
	errIdentity = errors.New("certificate of another domain")
	// errNotOwn says that somebody else is at an address where we should be.
	errNotOwn = errors.New("not our own certificate")
)

// clientTLS is how a server that is called name is met. WSS follows the rules of HTTPS (RFC 7118 10). TLS follows those of
// SIP domains (RFC 5922 7), which crypto/tls does not know: it is left to verify nothing, and verifyDomain does.
func (e *Endpoint) clientTLS(proto Proto, name string) *tls.Config {
	cfg := &tls.Config{
		ServerName: name, RootCAs: e.cfg.RootCAs, MinVersion: tls.VersionTLS12, Certificates: e.cfg.Certificates,
		KeyLogWriter: e.cfg.KeyLog,
	}
	switch {
	case e.cfg.OwnOnly:
		cfg.InsecureSkipVerify = true
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			if !e.isOwn(s.PeerCertificates) {
				return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: errNotOwn}
			}
			return nil
		}
	case e.cfg.Insecure:
		cfg.InsecureSkipVerify = true
	case proto == TLS:
		cfg.InsecureSkipVerify = true
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			if err := verifyDomain(s.PeerCertificates, e.cfg.RootCAs, name); err != nil {
				return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
			}
			return nil
		}
	}
	return cfg
}

// isOwn reports whether a server showed one of the endpoint's own certificates.
func (e *Endpoint) isOwn(certs []*x509.Certificate) bool {
	return len(certs) > 0 && slices.ContainsFunc(e.cfg.Certificates, func(own tls.Certificate) bool {
		return len(own.Certificate) > 0 && bytes.Equal(own.Certificate[0], certs[0].Raw)
	})
}

// verifyDomain checks that certs, the server's own first, lead to roots and name the domain or IP address that was asked
// for (RFC 5922 7).
func verifyDomain(certs []*x509.Certificate, roots *x509.CertPool, name string) error {
	if len(certs) == 0 {
		return errors.New("no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	if _, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between}); err != nil {
		return err
	}
	if !isOf(certs[0], name) {
		return fmt.Errorf("%w: want %s", errIdentity, name)
	}
	return nil
}

// isOf reports whether name is an identity of cert (RFC 5922 7.1): an address among its addresses; a domain among its URIs
// "sip:domain", and only when it has none of these, among its DNS names. A domain is compared as a whole: a wildcard
// stands for itself (7.2). The common name is nobody's identity.
func isOf(cert *x509.Certificate, name string) bool {
	if addr, err := netip.ParseAddr(name); err == nil {
		for _, ip := range cert.IPAddresses {
			if ip.Equal(net.IP(addr.AsSlice())) {
				return true
			}
		}
		return false
	}
	names := sipDomains(cert)
	if len(names) == 0 {
		names = cert.DNSNames
	}
	for _, n := range names {
		if strings.EqualFold(strings.TrimSuffix(n, "."), strings.TrimSuffix(name, ".")) {
			return name != ""
		}
	}
	return false
}

// sipDomains are the domains of the URIs of a certificate. A URI with a user part is a user's, not a domain's.
func sipDomains(cert *x509.Certificate) (domains []string) {
	for _, u := range cert.URIs {
		if !strings.EqualFold(u.Scheme, "sip") || u.Opaque == "" || strings.Contains(u.Opaque, "@") {
			continue
		}
		host, _, _ := strings.Cut(u.Opaque, ";")
		if bare, _, ok := strings.Cut(host, ":"); ok {
			host = bare
		}
		domains = append(domains, host)
	}
	return domains
}
