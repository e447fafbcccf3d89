// Package registrar is a SIP registrar, a redirect server, and the location service that they and a proxy share
// (RFC 3261 10.3, 8.3).
//
//	REGISTER ─▶ Registrar ─▶ Store ─▶ journal (optional file)
//	other    ─▶ Redirect, proxy ──▶ Store.Lookup
//
// The Store keeps bindings: which contacts an address-of-record has at the moment, until when, and in which order to try
// them. It has no pointers for the garbage collector to follow, so a million bindings cost memory and nothing else.
// Registrar and Redirect are users of a txn.Layer that answer each request at once and keep no state about it; Mux
// chooses between them, and a proxy, by method. Nothing here knows sockets, goroutines, locks or clocks: one goroutine,
// the loop of a link, makes all calls to what shares a Store, and gives the time.
//
// Not here: the rules of GRUU (RFC 5627) and of outbound flows (RFC 5626), whose parameters are kept and given back as
// they came; the choice of targets, which is the proxy's.
package registrar
