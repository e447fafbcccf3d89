// Package txn is the transaction layer of an element (RFC 3261 17, with the corrections of RFC 6026 and RFC
// 4320): it matches responses to requests, sends again what may be lost, absorbs what comes twice, acknowledges
// final responses other than 2xx, and tells its user, the core of a user agent, proxy or registrar, what is new.
//
//	link ── Receive, Failed, Wake ──► Layer ── Request, Response, Cancel, Failed, Ended ──► User
//	link ◄── Send ─────────────────── Layer ◄── Send, Respond, Cancel ──────────────────── User
//
// machine.go has the four machines as tables: (state, event) gives the next state and what to do. The Layer does it. It
// has no goroutine, lock, clock or socket: all calls come from the goroutine of the link, and time is the link's.
//
// What a transaction keeps lies in slabs without pointers (slab.go, arena.go), so that a million of them cost the garbage
// collector nothing. A finished one keeps its key, where its answer goes, and the answer as what it does not share with
// the message that asks for it again (delta.go): 150 to 300 bytes in all. Only the final response to an INVITE is kept
// whole, until its ACK comes, since timer G sends it unasked.
//
// # Requests that the layer answers itself
//
// Refusal says which requests no core can use. They are answered without state, and never when they are an ACK:
//
//   - 505: the version is not SIP/2.0 (RFC 4475 3.1.2.16 badvers).
//   - 501: the method of CSeq is another, and that of the request is unknown (3.1.2.18 mismatch02).
//   - 400: From, To, Call-ID or CSeq is missing (3.3.1 insuf), is there twice, as are Max-Forwards and Content-Length
//     (3.3.8 multi01, 3.3.9 mcl01), or cannot be read (3.1.2.4 scalar02, 3.1.2.6 quotbal, 3.1.2.14 badaspec, 3.1.2.15
//     baddn); the method of CSeq is another (3.1.2.17 mismatch01); Content-Length is no number (3.1.2.3 ncl) or more than
//     what is there (3.1.2.2 clerr); the request line is not as RFC 3261 7.1 has it (3.1.2.7 ltgtruri, 3.1.2.8 lwsruri,
//     3.1.2.9 lwsstart, 3.1.2.10 trws, 3.1.2.11 escruri); the top Via has empty parameters (3.1.2.1 badinv01).
//   - 482: the request came before by another way, and has no final response yet or a 2xx (RFC 3261 8.2.2.2), unless
//     Config.Merged allows it.
//   - 503 with Retry-After: a limit is reached.
//
// A request without a readable top Via cannot be answered and is dropped. So are responses that break these rules
// (3.1.2.5 scalarlg, 3.1.2.19 bigcode; RFC 3261 18.1.2, 18.3). All of them are counted in Stats.
//
// With Config.Malformed such messages are the user's, as long as a transaction can have them. Config.Writer writes what the
// layer else writes of its own accord: the ACK of a failure, the answer to a CANCEL.
//
// The rest is the core's: 416 for a scheme (3.3.2 unkscm, 3.3.3 novelsc), 420 (3.3.5 bext01), 415 (3.3.6 invut), 483
// (3.3.11 zeromf), 405 and 501, 400 of a registrar for a Contact (3.1.2.13 regbadct), a Date that is wrong (3.1.2.12
// baddate, which an element may overlook).
package txn
