// Package replay plays a recorded flow as a living one: a plan.Plan against a live server, any number of times at once.
//
//	plan.Plan ─▶ compile, once: steps, what answers what, tokens, edits of every message to send
//	                 │
//	Play ─▶ play: which steps are done; values of tokens; dialogs ─── render ─▶ txn.Layer ─▶ guard ─▶ link
//	                 ▲──────────── match, judge, bind ◀──────────────────────── txn.Layer ◀── link
//
// What identifies a message in the recording (Call-ID, tags, branches, Contact, entity tags, ...) is a token. When a live
// message is matched with a recorded one, its tokens are bound to what the live one has; what we identify ourselves by is
// made fresh when it is needed first. A recorded message is sent with the places of its tokens filled in, and with what
// the live dialog decides: Request-URI, Route, CSeq, credentials, Content-Length. All other bytes stay as recorded. The
// places are found once, when the Player is made: a play parses no recorded message.
//
// Who plays: every host of the plan that is Played has a place of its own on one link. A message between two of them goes
// over the link like any other, and its receiver matches it like any other. Transactions, with their retransmissions, are
// the layer's (element/txn). A Player judges live messages as far as it must to go on, or to end politely; what a replay
// reports is the difference of the two captures (correlate/diff).
//
// Everything that comes from the wire, and the plan, is hostile. Nothing leaves but through the guard.Guard, and where a
// message goes is the operator's target, a host that we play, or an address that the guard knows already.
//
// A Player has no goroutine, lock or clock. It belongs to the goroutine of its link.
package replay
