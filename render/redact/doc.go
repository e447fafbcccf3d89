// Package redact gives consistent pseudonyms, so that a report can be handed to a stranger: the same name in gives the
// same pseudonym out. It works between correlate and the drawings, which draw a redacted copy of a call and redacted
// texts of its messages; nothing original can reach them.
//
//	Learn: every call and text, in order ─▶ names ─▶ (first redaction) pseudonyms, checked against all names
//	Call, Text, Result ─▶ copies with pseudonyms ─▶ render/ladder, render/html, Framer
//
// The rule is an allow-list. What is known to be technical (methods, options, codecs, ports, timers) passes; every
// other byte of the wire is replaced. A sweep looks for learnt originals in each text that is done.
//
// The structure stays: a redacted message has the same headers in the same order, and two messages have equal
// transaction and dialog keys after redaction if, and only if, they had before.
//
// It does not hide times, sizes of messages, ports, or who of the pseudonyms talks to whom, and does not touch media.
package redact
