// Package media finds RTP streams and measures them: loss, jitter, gaps, clocks and what RTCP says (RFC 3550, RFC 3611).
//
// The Tracker is a plain value without goroutine, clock or lock: the same packets and descriptions in the same order
// always give the same streams. Time is packet time. It keeps no packet and no payload, only figures; a packet of a
// known stream costs one look-up and no allocation. Streams lie in slabs without pointers. It knows calls by number
// only; the engine of correlate feeds it. What it gives out are copies.
package media
