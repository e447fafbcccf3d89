// Package sip reads and writes the text of SIP messages (RFC 3261).
//
// Parse makes a Message of spans, byte offsets into the text that it was given: nothing is copied, and a Message that
// is parsed into again does not allocate. It is tolerant: a person's reading of a wrong message is the result, and
// each departure a Diag with the section that it departs from. StartLine and Extent find messages in a stream, IsStart
// in a datagram. The values of headers that few ask for are taken apart on demand: ParseReason, ParseChallenge,
// Message.AllVias and the like. Builder writes messages.
//
// The package knows neither sockets nor packets, keeps no state, resolves no names, and does not decide what belongs
// together: TxnKey and DialogKey say what identifies, and nothing more. Whoever parses keeps the text unchanged as
// long as the Message, or a slice of one of its values, is in use. A Message is for one goroutine at a time; the
// functions are for any.
package sip
