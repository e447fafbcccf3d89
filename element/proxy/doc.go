// Package proxy forwards SIP requests and their responses (RFC 3261 16).
//
//	request ─▶ validate (16.3) ─▶ preprocess routes (16.4) ─▶ targets (16.5) ─▶ forward (16.6), a branch each
//	response ◀─ the best, or every 2xx (16.7) ◀─ context ◀─ branches
//
// Proxy is transaction stateful: a txn.User over a *txn.Layer. Stateless (16.11) is a transport.Handler that remembers
// nothing. Both copy a message byte for byte but for what RFC 3261 16.6 tells to change; header fields and methods that
// they do not know pass untouched.
//
// Who runs it: one goroutine, the loop of the link. There is no lock, no clock and no socket in here. What a Locator or
// a Resolver answers later, it answers in the same loop. A context (one received request and its branches) lives in
// slabs without pointers; what only a forked request needs beside it is made when it forks.
//
// The package does not decide who a user is (Locator), where a name leads (Resolver), or what a password is
// (Authenticator).
package proxy
