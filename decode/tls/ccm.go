package tls

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// ccm is AES-CCM (RFC 3610) as TLS uses it (RFC 6655 3): nonces of 12 bytes, so lengths of 3.
type ccm struct {
	block cipher.Block
	tag   int // bytes: 16 or 8
}

const ccmBlock = 16

// Overhead is the size of the tag.
func (c *ccm) Overhead() int { return c.tag }

// Open decrypts and authenticates; it may be given the memory of an earlier result as dst.
func (c *ccm) Open(dst, nonce, ciphertext, extra []byte) ([]byte, error) {
	n := len(ciphertext) - c.tag
	if n < 0 || n >= 1<<24 || len(nonce) != 12 || len(extra) >= 0xff00 {
		return nil, errNoAEAD
	}
	var counter, s0 [ccmBlock]byte
	counter[0] = 2 // the length of the length, minus one
	copy(counter[1:], nonce)
	stream := cipher.NewCTR(c.block, counter[:])
	stream.XORKeyStream(s0[:], s0[:]) // block 0 is for the tag
	dst = append(dst[:0], ciphertext[:n]...)
	stream.XORKeyStream(dst, dst)
	mac := c.authenticate(nonce, dst, extra)
	subtle.XORBytes(mac[:], mac[:], s0[:])
	if subtle.ConstantTimeCompare(mac[:c.tag], ciphertext[n:]) != 1 {
		return nil, errNoAEAD
	}
	return dst, nil
}

// authenticate is the CBC-MAC over what RFC 3610 2.2 says.
//
//	B0: flags | nonce (12) | length of the text (3)      then: length of the extra data (2) | extra data | 0…   text | 0…
func (c *ccm) authenticate(nonce, text, extra []byte) (mac [ccmBlock]byte) {
	mac[0] = byte((c.tag-2)/2<<3 | 2) //nolint:gosec // a tag is 16 at most
	if len(extra) > 0 {
		mac[0] |= 1 << 6
	}
	copy(mac[1:13], nonce)
	mac[13], mac[14], mac[15] = byte(len(text)>>16), byte(len(text)>>8), byte(len(text)) //nolint:gosec // 3 bytes
	c.block.Encrypt(mac[:], mac[:])
	if len(extra) > 0 {
		var head [2]byte
		binary.BigEndian.PutUint16(head[:], uint16(len(extra))) //nolint:gosec // checked above
		c.absorb(&mac, append(head[:], extra...))
	}
	c.absorb(&mac, text)
	return mac
}

// absorb takes b, filled up with zeros, into the MAC.
func (c *ccm) absorb(mac *[ccmBlock]byte, b []byte) {
	for len(b) > 0 {
		n := subtle.XORBytes(mac[:], mac[:], b[:min(len(b), ccmBlock)])
		b = b[n:]
		c.block.Encrypt(mac[:], mac[:])
	}
}
