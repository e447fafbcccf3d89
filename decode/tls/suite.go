package tls

import (
	"crypto"
	"slices"
)

// kind is how a suite protects records.
type kind uint8

const (
	none kind = iota // integrity only (RFC 5246 appendix A.5)
	rc4Stream
	tripleDES
	aesCBC
	aesGCM
	aesCCM
	aesCCM8 // with a tag of 8 bytes (RFC 6655)
	chacha
)

// suite is what an onlooker needs to know of a cipher suite.
type suite struct {
	kind kind
	key  int         // bytes
	mac  crypto.Hash // of the record MAC, 0 for an AEAD
	prf  crypto.Hash // of TLS 1.2's PRF and TLS 1.3's key schedule; below TLS 1.2 it is MD5 and SHA-1
	rsa  bool        // the client encrypts the premaster secret for the server's RSA key
}

// group is suites that protect records alike: rsaIDs are those with RSA key exchange.
type group struct {
	suite
	rsaIDs []uint16
	ids    []uint16
}

// suites are the cipher suites of the IANA registry that this package reads: all but ARIA, Camellia, SEED, IDEA, GOST and
// exported ones.
//
//nolint:gochecknoglobals // a read-only table
var suites = []group{
	{suite{kind: aesGCM, key: 16, prf: crypto.SHA256}, nil, []uint16{0x1301}},
	{suite{kind: aesGCM, key: 32, prf: crypto.SHA384}, nil, []uint16{0x1302}},
	{suite{kind: chacha, key: 32, prf: crypto.SHA256}, nil, []uint16{
		0x1303, 0xcca8, 0xcca9, 0xccaa, 0xccab, 0xccac, 0xccad, 0xccae,
	}},
	{suite{kind: aesGCM, key: 16, prf: crypto.SHA256}, []uint16{0x009c}, []uint16{
		0xc02b, 0xc02d, 0xc02f, 0xc031, 0x009e, 0x00a0, 0x00a2, 0x00a4, 0x00a6, 0x00a8, 0x00aa, 0x00ac, 0xd001,
	}},
	{suite{kind: aesGCM, key: 32, prf: crypto.SHA384}, []uint16{0x009d}, []uint16{
		0xc02c, 0xc02e, 0xc030, 0xc032, 0x009f, 0x00a1, 0x00a3, 0x00a5, 0x00a7, 0x00a9, 0x00ab, 0x00ad, 0xd002,
	}},
	{suite{kind: aesCBC, key: 16, mac: crypto.SHA1, prf: crypto.SHA256}, []uint16{0x002f}, []uint16{
		0x0030, 0x0031, 0x0032, 0x0033, 0x0034, 0x008c, 0x0090, 0x0094, 0xc004, 0xc009, 0xc00e, 0xc013, 0xc018, 0xc01d,
		0xc01e, 0xc01f, 0xc035,
	}},
	{suite{kind: aesCBC, key: 32, mac: crypto.SHA1, prf: crypto.SHA256}, []uint16{0x0035}, []uint16{
		0x0036, 0x0037, 0x0038, 0x0039, 0x003a, 0x008d, 0x0091, 0x0095, 0xc005, 0xc00a, 0xc00f, 0xc014, 0xc019, 0xc020,
		0xc021, 0xc022, 0xc036,
	}},
	{suite{kind: aesCBC, key: 16, mac: crypto.SHA256, prf: crypto.SHA256}, []uint16{0x003c}, []uint16{
		0x003e, 0x003f, 0x0040, 0x0067, 0x006c, 0x00ae, 0x00b2, 0x00b6, 0xc023, 0xc025, 0xc027, 0xc029, 0xc037,
	}},
	{suite{kind: aesCBC, key: 32, mac: crypto.SHA256, prf: crypto.SHA256}, []uint16{0x003d}, []uint16{
		0x0068, 0x0069, 0x006a, 0x006b, 0x006d,
	}},
	{suite{kind: aesCBC, key: 32, mac: crypto.SHA384, prf: crypto.SHA384}, nil, []uint16{
		0xc024, 0xc026, 0xc028, 0xc02a, 0x00af, 0x00b3, 0x00b7, 0xc038,
	}},
	{suite{kind: aesCCM, key: 16, prf: crypto.SHA256}, []uint16{0xc09c}, []uint16{
		0x1304, 0xc09e, 0xc0a4, 0xc0a6, 0xc0ac, 0xd005,
	}},
	{suite{kind: aesCCM, key: 32, prf: crypto.SHA256}, []uint16{0xc09d}, []uint16{0xc09f, 0xc0a5, 0xc0a7, 0xc0ad}},
	{suite{kind: aesCCM8, key: 16, prf: crypto.SHA256}, []uint16{0xc0a0}, []uint16{
		0x1305, 0xc0a2, 0xc0a8, 0xc0aa, 0xc0ae, 0xd003,
	}},
	{suite{kind: aesCCM8, key: 32, prf: crypto.SHA256}, []uint16{0xc0a1}, []uint16{0xc0a3, 0xc0a9, 0xc0ab, 0xc0af}},
	{suite{kind: tripleDES, key: 24, mac: crypto.SHA1, prf: crypto.SHA256}, []uint16{0x000a}, []uint16{
		0x000d, 0x0010, 0x0013, 0x0016, 0x001b, 0x008b, 0x008f, 0x0093, 0xc003, 0xc008, 0xc00d, 0xc012, 0xc017, 0xc01a,
		0xc01b, 0xc01c, 0xc034,
	}},
	{suite{kind: rc4Stream, key: 16, mac: crypto.SHA1, prf: crypto.SHA256}, []uint16{0x0005}, []uint16{
		0x008a, 0x008e, 0x0092, 0xc002, 0xc007, 0xc00c, 0xc011, 0xc016, 0xc033,
	}},
	{suite{kind: rc4Stream, key: 16, mac: crypto.MD5, prf: crypto.SHA256}, []uint16{0x0004}, []uint16{0x0018}},
	{suite{kind: none, mac: crypto.MD5, prf: crypto.SHA256}, []uint16{0x0001}, nil},
	{suite{kind: none, mac: crypto.SHA1, prf: crypto.SHA256}, []uint16{0x0002}, []uint16{
		0x002c, 0x002d, 0x002e, 0xc001, 0xc006, 0xc00b, 0xc010, 0xc015, 0xc039,
	}},
	{suite{kind: none, mac: crypto.SHA256, prf: crypto.SHA256}, []uint16{0x003b}, []uint16{0x00b0, 0x00b4, 0x00b8, 0xc03a}},
	{suite{kind: none, mac: crypto.SHA384, prf: crypto.SHA384}, nil, []uint16{0x00b1, 0x00b5, 0x00b9, 0xc03b}},
}

// lookupSuite finds a cipher suite. It runs once a handshake.
func lookupSuite(id uint16) (s suite, ok bool) {
	for i := range suites {
		g := &suites[i]
		if slices.Contains(g.rsaIDs, id) {
			s = g.suite
			s.rsa = true
			return s, true
		}
		if slices.Contains(g.ids, id) {
			return g.suite, true
		}
	}
	return suite{}, false
}

// of13 reports whether a suite id is one of TLS 1.3, which no other version uses (RFC 8446 B.4).
func of13(id uint16) bool { return id>>8 == 0x13 }
