// Package compose writes SIP messages (RFC 3261): responses to a request, new requests, the ACK and CANCEL of an INVITE,
// and edited copies of a message, as proxies and replays send them.
//
// It appends to a buffer that the caller gives, and keeps nothing. A function that fails gives the buffer back as it was.
// Whatever it is told, a value cannot end its line: sip.ErrLineBreak is the error. Values that are copied out of a
// received message lose their folds instead (RFC 3261 7.3.1 calls the two forms equal), except in an Edit, which leaves
// alone what it is not told to change. Nothing here decides what to send or where: that is for txn, ua and proxy.
package compose

import (
	"errors"

	"sipscope/decode/sip"
)

// Errors of this package; sip.ErrLineBreak is the other one.
var (
	// ErrKind says that a message is a response where a request is needed, or the reverse.
	ErrKind = errors.New("wrong kind of message")
	// ErrMissing says that a message lacks a header without which the new one would mean nothing.
	ErrMissing = errors.New("header is missing")
	// ErrValue says that a part cannot stand where it was put: a URI with blanks, a method that is no token, a status
	// outside 100 to 699.
	ErrValue = errors.New("value cannot be written")
)

// Header is a header to write. Name counts for HeaderOther only.
type Header struct {
	ID    sip.HeaderID
	Name  string
	Value string
}
