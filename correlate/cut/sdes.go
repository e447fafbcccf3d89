package cut

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strconv"

	"github.com/pion/srtp/v3"
)

// ErrCrypto says that an a=crypto attribute cannot be read, or asks for what cannot be decrypted. No such error holds a
// key, or a part of one.
var ErrCrypto = errors.New("a=crypto cannot be used")

// Bounds of an a=crypto attribute.
const (
	maxCryptoBytes = 2048
	maxKeyParams   = 8   // keys of one attribute, told apart by their MKI
	maxMKI         = 128 // bytes (RFC 4568 6.1)
	maxKDR         = 24  // RFC 4568 6.3.1
	maxTagDigits   = 9   // RFC 4568 4.1
)

// Crypto is an a=crypto attribute (RFC 4568 9.1): how its author encrypts what it sends. Its keys can be used and not be
// seen: no form of printing shows them.
type Crypto struct { //nolint:recvcheck // Values must hide their keys as pointers do; reading fills one.
	Tag   uint32
	Suite string // as registered, such as "AES_CM_128_HMAC_SHA1_80"

	profile srtp.ProtectionProfile
	keys    []masterKey
	open    bool // UNENCRYPTED_SRTP
	untried bool // UNAUTHENTICATED_SRTP: no packet can show that the key is right
}

// masterKey is a key with its salt (RFC 3711 3.2.1). The lifetime is the sender's business: a packet that came was sent.
type masterKey struct {
	key, salt []byte
	mki       []byte // nil: the packets carry none
}

// Format writes tag and suite for every verb, so that no key is ever printed.
func (c Crypto) Format(w fmt.State, _ rune) {
	fmt.Fprintf(w, "%d %s (keys not shown)", c.Tag, c.Suite)
}

// suites are the crypto suites (RFC 4568 6.2, RFC 6188 4, RFC 7714 14.2), and names that others used for them before.
var suites = map[string]srtp.ProtectionProfile{ //nolint:gochecknoglobals // A table that is only read.
	"AES_CM_128_HMAC_SHA1_80": srtp.ProtectionProfileAes128CmHmacSha1_80,
	"AES_CM_128_HMAC_SHA1_32": srtp.ProtectionProfileAes128CmHmacSha1_32,
	"AES_256_CM_HMAC_SHA1_80": srtp.ProtectionProfileAes256CmHmacSha1_80,
	"AES_256_CM_HMAC_SHA1_32": srtp.ProtectionProfileAes256CmHmacSha1_32,
	"AES_CM_256_HMAC_SHA1_80": srtp.ProtectionProfileAes256CmHmacSha1_80,
	"AES_CM_256_HMAC_SHA1_32": srtp.ProtectionProfileAes256CmHmacSha1_32,
	"AEAD_AES_128_GCM":        srtp.ProtectionProfileAeadAes128Gcm,
	"AEAD_AES_256_GCM":        srtp.ProtectionProfileAeadAes256Gcm,
}

// ParseCrypto reads the value of an a=crypto attribute: tag, suite, "inline:" keys with lifetime and MKI, session
// parameters (RFC 4568 9.2). It fails with ErrCrypto for what is malformed, and for suites and parameters that cannot be
// decrypted: those outside of RFC 4568's AES_CM, RFC 6188's AES_256_CM and RFC 7714, key derivation rates, and separate
// keys for error correction are passed over.
func ParseCrypto(value []byte) (Crypto, error) {
	var c Crypto
	if len(value) > maxCryptoBytes {
		return c, fmt.Errorf("%w: %d bytes are more than %d", ErrCrypto, len(value), maxCryptoBytes)
	}
	words := bytes.Fields(value)
	if len(words) < 3 {
		return c, fmt.Errorf("%w: expected tag, suite and key, got %d words", ErrCrypto, len(words))
	}
	tag, err := strconv.ParseUint(string(words[0][:min(len(words[0]), maxTagDigits+1)]), 10, 32)
	if err != nil || len(words[0]) > maxTagDigits {
		return c, fmt.Errorf("%w: the tag is no number of up to %d digits", ErrCrypto, maxTagDigits)
	}
	c.Tag = uint32(tag)
	profile, known := suites[string(bytes.ToUpper(words[1]))]
	if !known {
		return c, fmt.Errorf("%w: no decryption for the suite %.40q", ErrCrypto, words[1])
	}
	c.Suite, c.profile = string(bytes.ToUpper(words[1])), profile
	if err := c.readKeys(words[2]); err != nil {
		return c, err
	}
	return c, c.readParams(words[3:])
}

// readKeys reads "inline:" key, lifetime, MKI; and more of them after semicolons (RFC 4568 6.1).
func (c *Crypto) readKeys(text []byte) error {
	for param := range bytes.SplitSeq(text, []byte(";")) {
		if len(param) == 0 {
			continue
		}
		if len(c.keys) == maxKeyParams {
			return fmt.Errorf("%w: more than %d keys", ErrCrypto, maxKeyParams)
		}
		k, err := c.readKey(param)
		if err != nil {
			return err
		}
		c.keys = append(c.keys, k)
	}
	if len(c.keys) == 0 {
		return fmt.Errorf("%w: no key", ErrCrypto)
	}
	for i := range c.keys {
		// RFC 4568 6.1: with several keys each has an MKI, all of one length.
		if len(c.keys) > 1 && (c.keys[i].mki == nil || len(c.keys[i].mki) != len(c.keys[0].mki)) {
			return fmt.Errorf("%w: %d keys, and not all have an MKI of one length", ErrCrypto, len(c.keys))
		}
	}
	return nil
}

func (c *Crypto) readKey(param []byte) (k masterKey, err error) {
	const method = "inline:"
	if len(param) < len(method) || !bytes.EqualFold(param[:len(method)], []byte(method)) {
		return k, fmt.Errorf("%w: the key method is not inline", ErrCrypto)
	}
	text, rest, _ := bytes.Cut(param[len(method):], []byte("|"))
	keyLen, err := c.profile.KeyLen()
	if err != nil {
		return k, fmt.Errorf("%w: %w", ErrCrypto, err)
	}
	saltLen, err := c.profile.SaltLen()
	if err != nil {
		return k, fmt.Errorf("%w: %w", ErrCrypto, err)
	}
	// Some leave out the padding; the base64 error would tell a position only, but the text is a secret.
	raw, err := base64.RawStdEncoding.DecodeString(string(bytes.TrimRight(text, "=")))
	if err != nil || len(raw) != keyLen+saltLen {
		return k, fmt.Errorf("%w: key and salt of %s are %d bytes in base64, got %d characters",
			ErrCrypto, c.Suite, keyLen+saltLen, len(text))
	}
	k.key, k.salt = raw[:keyLen], raw[keyLen:]
	for len(rest) > 0 {
		var part []byte
		part, rest, _ = bytes.Cut(rest, []byte("|"))
		if value, length, ok := bytes.Cut(part, []byte(":")); ok {
			if k.mki, err = readMKI(value, length); err != nil {
				return k, err
			}
		} else if !lifetime(part) {
			return k, fmt.Errorf("%w: a lifetime is a number or a power of 2, got %d characters", ErrCrypto, len(part))
		}
	}
	return k, nil
}

// readMKI reads the value of a master key identifier and its length in the packets (RFC 4568 6.1).
func readMKI(value, length []byte) ([]byte, error) {
	const maxDigits = 309 // of a number of 128 bytes
	n, err := strconv.ParseUint(string(length[:min(len(length), 4)]), 10, 16)
	if err != nil || n == 0 || n > maxMKI || len(length) > 3 {
		return nil, fmt.Errorf("%w: the length of an MKI is 1 to %d bytes", ErrCrypto, maxMKI)
	}
	if len(value) == 0 || len(value) > maxDigits || len(bytes.Trim(value, "0123456789")) > 0 {
		return nil, fmt.Errorf("%w: an MKI is a number", ErrCrypto)
	}
	number, ok := new(big.Int).SetString(string(value), 10)
	if !ok || uint64(number.BitLen()) > n*8 { //nolint:gosec // BitLen is not negative.
		return nil, fmt.Errorf("%w: the MKI needs more than its %d bytes", ErrCrypto, n)
	}
	return number.FillBytes(make([]byte, n)), nil
}

// lifetime reports whether a text is a number of packets, such as "2^31" or "1000" (RFC 4568 6.1).
func lifetime(text []byte) bool {
	text = bytes.TrimPrefix(text, []byte("2^"))
	return len(text) > 0 && len(text) <= 20 && len(bytes.Trim(text, "0123456789")) == 0
}

// readParams reads session parameters (RFC 4568 6.3). An unknown one that begins with "-" may be passed over; another must
// not be (9.2), and would change what the packets look like.
func (c *Crypto) readParams(words [][]byte) error {
	for _, w := range words {
		name, value, _ := bytes.Cut(bytes.ToUpper(w), []byte("="))
		switch string(name) {
		case "UNENCRYPTED_SRTP":
			c.open = true
		case "UNAUTHENTICATED_SRTP":
			c.untried = true
		case "KDR":
			// Any other rate than 0 derives new session keys on the way, which pion/srtp does not.
			if rate, err := strconv.ParseUint(string(value[:min(len(value), 4)]), 10, 16); err != nil || rate > maxKDR {
				return fmt.Errorf("%w: KDR is a number from 0 to %d", ErrCrypto, maxKDR)
			} else if rate > 0 {
				return fmt.Errorf("%w: no decryption with a key derivation rate (KDR=%d)", ErrCrypto, rate)
			}
		case "UNENCRYPTED_SRTCP", "FEC_ORDER", "FEC_KEY", "WSH":
		default:
			if len(name) > 0 && name[0] != '-' {
				return fmt.Errorf("%w: unknown session parameter %.40q", ErrCrypto, name)
			}
		}
	}
	return nil
}

// equal reports whether two attributes say the same: copies of a message on many hops do.
func (c *Crypto) equal(o *Crypto) bool {
	if c.Suite != o.Suite || c.open != o.open || c.untried != o.untried || len(c.keys) != len(o.keys) {
		return false
	}
	for i := range c.keys {
		a, b := &c.keys[i], &o.keys[i]
		if !bytes.Equal(a.key, b.key) || !bytes.Equal(a.salt, b.salt) || !bytes.Equal(a.mki, b.mki) {
			return false
		}
	}
	return true
}

// context makes the cryptographic context of a key (RFC 3711 3.2). Replays are left to the reader of the stream.
func (c *Crypto) context(k *masterKey) (*srtp.Context, error) {
	options := []srtp.ContextOption{srtp.SRTPNoReplayProtection()}
	if k.mki != nil {
		options = append(options, srtp.MasterKeyIndicator(k.mki))
	}
	if c.open {
		options = append(options, srtp.SRTPNoEncryption())
	}
	if c.untried {
		options = append(options, srtp.SRTPAuthenticationTagLength(0))
	}
	x, err := srtp.CreateContext(k.key, k.salt, c.profile, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: no context", ErrCrypto, c.Suite) // the library's error may print the key
	}
	return x, nil
}
