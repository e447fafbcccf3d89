// Package media is the sound of a call: the RTP that follows an offer and its answer (RFC 3550), in G.711 with
// telephone-events (RFC 4733). The descriptions themselves are the user agent's.
//
//	Agreed      what an offer and its answer agree on
//	Sound, Tone what is said: a WAV file, tones, silence
//	Sender      sound → RTP packets, every 20 ms
//	Receiver    RTP packets → sound, digits, loss and jitter
//	Stream      both on a Port, with RTCP; or an echo
//	Streams     many of them, and which is due
//	Sockets     Ports on real sockets; package virtual has others
//
// All but Sockets are functions of (state, input, now): no goroutine, clock or socket, so that they run in virtual time.
// They belong to one goroutine. Time is in nanoseconds since 1970. What comes from the wire is read without trust: what
// is kept does not grow with it.
package media
