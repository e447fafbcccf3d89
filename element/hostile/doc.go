// Package hostile holds no code, only tests: what happens to the elements (package element's user agent, registrar,
// redirect server and proxies, each on its transaction layer and its link) in a bad network, under floods, among peers
// that break the rules, and when they are told to stop. A package's own tests ask whether it does right; these ask whether
// a whole element still stands, serves, and forgets in time.
//
//	loss     calls over losing, duplicating, reordering paths: both ends agree, nothing is left
//	timers   the times of RFC 3261 table 4, seen on the wire
//	flood    more than the limits allow: 503, figures, memory, and a good call in between
//	stream   connections that never say anything, say too much, or say it too slowly
//	torture  the messages of RFC 4475 and RFC 5118 on real sockets
//	spoof    messages that claim to belong to others' transactions and dialogs
//	stop     what Close leaves behind
package hostile
