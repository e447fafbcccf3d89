// Package scenario plays call flows with the elements of this program: those of the SIP textbook, which come with it, or
// one from a file.
//
// A Flow is a script and its expectation at once: hosts and what they do, the messages that must then be seen, in order,
// each with an explanation, and the counts of transactions and dialogs. The same Flow runs in virtual time, where it
// gives the same bytes every time, or on loopback sockets.
//
//	flow file ─▶ Parse ─▶ Flow ─▶ cast: an element a host ─▶ Stage (virtual net, or sockets) ─▶ tap: packets
//	                       └────────── steps ◀── Compare ◀──────────────────────────────────────┘
//
// The grammar of flow files is in docs/scenarios.md.
package scenario
