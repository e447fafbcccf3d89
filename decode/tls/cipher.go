package tls

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // to read what others encrypted with it
	"crypto/hmac"
	"crypto/rc4" //nolint:gosec // likewise
	"encoding/binary"
	"errors"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"
)

// record is a TLSCiphertext (RFC 5246 6.2.3, RFC 8446 5.2).
type record struct {
	from    Side
	kind    uint8
	version uint16 // of its header
	body    []byte
	off     int // of the header in the bytes offered
}

// opener takes the protection of one direction's records off.
type opener interface {
	// open gives the content of a record if seq is its sequence number. The content is in dst's memory or r's. It changes
	// nothing, so that a sequence number can be searched.
	open(dst []byte, seq uint64, r *record) ([]byte, bool)
	// pass says that r is done with, decrypted or not: some ciphers go on where the last record ended.
	pass(r *record)
}

// aead is cipher.AEAD without its other half.
type aead interface {
	Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error)
	Overhead() int
}

// newAEAD makes the AEAD of a suite.
func newAEAD(k kind, key []byte) (aead, error) {
	if k == chacha {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	switch k {
	case aesGCM:
		return cipher.NewGCM(block)
	case aesCCM:
		return &ccm{block, 16}, nil
	case aesCCM8:
		return &ccm{block, 8}, nil
	default:
		return nil, errNoAEAD
	}
}

var errNoAEAD = errors.New("no AEAD")

// aead12 opens the records of TLS 1.2's AEAD suites (RFC 5288 3, RFC 7905 2).
//
//	nonce: salt (4) | explicit, in the record (8)      additional data: seq (8) | type (1) | version (2) | length (2)
type aead12 struct {
	aead
	iv       [12]byte
	explicit bool // the record begins with 8 bytes of the nonce; else the nonce is iv XOR seq
}

func (o *aead12) open(dst []byte, seq uint64, r *record) ([]byte, bool) {
	nonce, body := o.iv, r.body
	if o.explicit {
		if len(body) < 8 {
			return nil, false
		}
		copy(nonce[4:], body)
		body = body[8:]
	} else {
		xorSeq(&nonce, seq)
	}
	size := len(body) - o.Overhead()
	if size < 0 {
		return nil, false
	}
	extra := pseudoHeader(seq, r, size)
	out, err := o.Open(dst[:0], nonce[:], body, extra[:])
	return out, err == nil
}

func (*aead12) pass(*record) {}

// pseudoHeader is what MACs and AEADs of TLS 1.2 and below cover besides the content.
func pseudoHeader(seq uint64, r *record, size int) (b [13]byte) {
	binary.BigEndian.PutUint64(b[:], seq)
	b[8] = r.kind
	binary.BigEndian.PutUint16(b[9:], r.version)
	binary.BigEndian.PutUint16(b[11:], uint16(size)) //nolint:gosec // within a record
	return b
}

func xorSeq(nonce *[12]byte, seq uint64) {
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^seq)
}

// aead13 opens the records of TLS 1.3 (RFC 8446 5.2, 5.3). The content still has its type and padding behind it.
type aead13 struct {
	aead
	iv [12]byte
}

func (o *aead13) open(dst []byte, seq uint64, r *record) ([]byte, bool) {
	if len(r.body) < o.Overhead()+1 {
		return nil, false
	}
	nonce := o.iv
	xorSeq(&nonce, seq)
	var header [headerSize]byte
	header[0] = r.kind
	binary.BigEndian.PutUint16(header[1:], r.version)
	binary.BigEndian.PutUint16(header[3:], uint16(len(r.body))) //nolint:gosec // within a record
	out, err := o.Open(dst[:0], nonce[:], r.body, header[:])
	return out, err == nil
}

func (*aead13) pass(*record) {}

// macOpener has the record MAC of RFC 5246 6.2.3.1.
type macOpener struct {
	mac hash.Hash
	sum []byte // scratch
}

// fits reports whether the MAC of content is tag.
func (m *macOpener) fits(seq uint64, r *record, content, tag []byte) bool {
	head := pseudoHeader(seq, r, len(content))
	m.mac.Reset()
	m.mac.Write(head[:])
	m.mac.Write(content)
	m.sum = m.mac.Sum(m.sum[:0])
	return hmac.Equal(m.sum, tag)
}

// split takes the MAC off the end of b and checks it.
func (m *macOpener) split(seq uint64, r *record, b []byte) ([]byte, bool) {
	n := len(b) - m.mac.Size()
	if n < 0 || !m.fits(seq, r, b[:n], b[n:]) {
		return nil, false
	}
	return b[:n], true
}

// plainOpener opens records that are only authenticated.
type plainOpener struct{ macOpener }

func (o *plainOpener) open(_ []byte, seq uint64, r *record) ([]byte, bool) {
	return o.split(seq, r, r.body)
}
func (*plainOpener) pass(*record) {}

// rc4Opener opens records of a stream cipher: the key stream runs on from record to record.
type rc4Opener struct {
	macOpener
	stream rc4.Cipher
}

func (o *rc4Opener) open(dst []byte, seq uint64, r *record) ([]byte, bool) {
	stream := o.stream
	dst = append(dst[:0], r.body...)
	stream.XORKeyStream(dst, dst)
	return o.split(seq, r, dst)
}

func (o *rc4Opener) pass(r *record) {
	var waste [256]byte
	for n := len(r.body); n > 0; n -= len(waste) {
		w := waste[:min(n, len(waste))]
		o.stream.XORKeyStream(w, w)
	}
}

// cbcOpener opens records of a block cipher in CBC mode (RFC 5246 6.2.3.2), also with the MAC over the ciphertext
// (RFC 7366).
//
//	MAC then encrypt:   [IV] | encrypted(content | MAC | padding | length of padding)
//	encrypt then MAC:   [IV] | encrypted(content | padding | length of padding) | MAC
type cbcOpener struct {
	macOpener
	block       cipher.Block
	iv          []byte // TLS 1.0: the last block of the record before (RFC 2246 6.2.3.2); else nil, records have their own
	encryptThen bool
}

func (o *cbcOpener) open(dst []byte, seq uint64, r *record) ([]byte, bool) {
	body, size := r.body, o.block.BlockSize()
	if o.encryptThen {
		var ok bool
		if body, ok = o.split(seq, r, body); !ok {
			return nil, false
		}
	}
	iv := o.iv
	if iv == nil {
		if len(body) < size {
			return nil, false
		}
		iv, body = body[:size], body[size:]
	}
	if len(body) < size || len(body)%size != 0 {
		return nil, false
	}
	dst = append(dst[:0], body...)
	cipher.NewCBCDecrypter(o.block, iv).CryptBlocks(dst, dst)
	pad := int(dst[len(dst)-1])
	if pad+1 > len(dst) {
		return nil, false
	}
	content := dst[:len(dst)-pad-1]
	for _, c := range dst[len(content):] {
		if int(c) != pad {
			return nil, false
		}
	}
	if o.encryptThen {
		return content, true
	}
	return o.split(seq, r, content)
}

func (o *cbcOpener) pass(r *record) {
	if o.iv == nil {
		return
	}
	body := r.body
	if o.encryptThen {
		body = body[:max(0, len(body)-o.mac.Size())]
	}
	if n := len(body); n >= len(o.iv) {
		copy(o.iv, body[n-len(o.iv):])
	}
}

// ivSize is how many bytes of IV a direction takes from the key block (RFC 5246 6.3).
func (s *suite) ivSize(version uint16) int {
	switch s.kind {
	case aesGCM, aesCCM, aesCCM8:
		return 4
	case chacha:
		return 12
	case aesCBC, tripleDES:
		if version == version10 {
			return s.blockSize()
		}
	default:
	}
	return 0
}

func (s *suite) blockSize() int {
	if s.kind == tripleDES {
		return des.BlockSize
	}
	return aes.BlockSize
}

// opener12 makes the opener of a direction from its part of the key block.
func (s *suite) opener12(mac, key, iv []byte, encryptThen bool) (opener, error) {
	switch s.kind {
	case aesGCM, aesCCM, aesCCM8, chacha:
		a, err := newAEAD(s.kind, key)
		if err != nil {
			return nil, err
		}
		o := &aead12{aead: a, explicit: s.kind != chacha}
		copy(o.iv[:], iv)
		return o, nil
	default:
	}
	m := macOpener{mac: hmac.New(newHash(s.mac), mac)}
	switch s.kind {
	case aesCBC, tripleDES:
		block, err := s.block(key)
		if err != nil {
			return nil, err
		}
		o := &cbcOpener{macOpener: m, block: block, encryptThen: encryptThen}
		if len(iv) > 0 {
			o.iv = append([]byte(nil), iv...)
		}
		return o, nil
	case rc4Stream:
		stream, err := rc4.NewCipher(key) //nolint:gosec // to read what others encrypted with it
		if err != nil {
			return nil, err
		}
		return &rc4Opener{m, *stream}, nil
	default:
		return &plainOpener{m}, nil
	}
}

func (s *suite) block(key []byte) (cipher.Block, error) {
	if s.kind == tripleDES {
		return des.NewTripleDESCipher(key) //nolint:gosec // to read what others encrypted with it
	}
	return aes.NewCipher(key)
}

// macSize is the length of a MAC key.
func (s *suite) macSize() int {
	if s.mac == 0 {
		return 0
	}
	return s.mac.Size()
}
