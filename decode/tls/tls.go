// Package tls decrypts TLS 1.0 to 1.3 (RFC 2246, 4346, 5246, 8446) for an onlooker who has the secrets: a key log in NSS
// format, as browsers, OpenSSL, Kamailio and Asterisk can write it.
//
//	bytes of both directions ─▶ records ─▶ handshake: who, which suite ─▶ keys of the log ─▶ plaintext
//
// An onlooker must see the handshake from its ClientHello on: it holds the random value that a key log is ordered by,
// and the choice of a cipher suite. A connection that began before the capture cannot be decrypted, whatever keys there
// are. Bytes that are missing later can be survived: the next record is one whose authentication tag fits at a place in
// the stream and at a sequence number that are searched for within bounds, so nothing wrong is ever given out.
//
// The package does not reassemble TCP, judge certificates or check handshakes. A Conn has one owner, no goroutine and no
// clock. It keeps no bytes, what it hands out is valid during the call. Everything that it reads is hostile: no
// length sizes an allocation before the bytes are there, what waits for keys is bounded, and so is the work for records
// that do not decrypt. It is passive, so nothing in it needs constant time.
package tls

// Side is a side of a connection by its place in the capture, not by its role: the other one is 1-s.
type Side uint8

// Text is the application data of one record.
type Text struct {
	From      Side
	Off, Size int    // of the record in the bytes that were offered
	Data      []byte // valid during the call
	AfterGap  bool   // records of this direction before it are missing, or were not decrypted
}

// Receiver takes application data, in the order in which it was sent.
type Receiver interface {
	Plain(t *Text)
}

// State is how far a connection could be read.
type State uint8

// States.
const (
	Opening   State = iota // no encrypted record so far
	NoKey                  // encrypted, and the key log has no secret for it
	Readable               // records were decrypted
	Midway                 // the handshake was not seen: keys are of no use
	Unknown                // a cipher suite, version or compression that this package cannot read
	Unfitting              // there were secrets, and no record could be decrypted with them
)

// String is the state in words, as "encrypted, no key".
func (s State) String() string {
	return [...]string{
		"opening", "encrypted, no key", "decrypted", "encrypted, handshake not seen", "encrypted, cipher suite not supported",
		"encrypted, key does not fit", "?",
	}[min(int(s), 6)]
}

// Info is what a connection tells about itself. Its texts are as they came: hostile.
type Info struct {
	State      State
	Version    uint16 // 0x0301 to 0x0304, 0 before the ServerHello
	Suite      uint16 // 0 before the ServerHello
	ServerName string // of the ClientHello (RFC 6066 3), at most 255 bytes
	ALPN       string // the first that the ClientHello offers, or what the ServerHello chose in clear (RFC 7301)
	Client     Side   // who sent the ClientHello
	HasClient  bool
	Resumed    bool   // an abbreviated handshake (RFC 5246 7.3, RFC 5077) of TLS 1.2 and below
	Records    uint64 // protected records that were decrypted
	Lost       uint64 // protected records that were not: no key, does not fit, given up for a limit
}

// Bounds of one connection, in bytes.
const (
	headerSize  = 5            // RFC 8446 5.1
	maxBody     = 1<<14 + 2048 // of a record: RFC 5246 6.2.3, the largest of all versions
	maxMessage  = 32 << 10     // of a handshake message that is of interest; others are passed over
	maxWaiting  = 128 << 10    // records of a direction that wait for keys
	maxHeader   = 255          // of texts that a hello holds
	maxSlack    = 1024         // sequence numbers that are searched
	maxTrials   = 8 << 20      // bytes decrypted in vain before a direction is given up
	maxTranscri = 48 << 10     // handshake kept for an extended master secret
)

// Record content types, RFC 8446 5.1.
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeApplicationData  = 23
	typeHeartbeat        = 24
)

// Versions.
const (
	version10 = 0x0301
	version11 = 0x0302
	version12 = 0x0303
	version13 = 0x0304
)

// IsRecord reports whether b begins with the header of a TLS record (RFC 8446 5.1).
func IsRecord(b []byte) bool {
	return len(b) >= headerSize && b[0] >= typeChangeCipherSpec && b[0] <= typeHeartbeat && b[1] == 3 && b[2] <= 4 &&
		bodyLen(b) <= maxBody
}

// IsHello reports whether b begins with a record that begins with a ClientHello: where a connection begins.
func IsHello(b []byte) bool {
	return len(b) > headerSize && IsRecord(b) && b[0] == typeHandshake && b[headerSize] == messageClientHello && bodyLen(b) > 0
}

// bodyLen is the length that a record header states.
func bodyLen(b []byte) int { return int(b[3])<<8 | int(b[4]) }
