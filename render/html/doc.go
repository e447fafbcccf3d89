// Package html draws pages: the report of a capture as one file that needs no network, a single ladder as such a file,
// and the pages that web serves live.
//
//	calls, texts ─▶ AppendCall: JSON of a call (ladder as SVG, messages as styled lines)
//	                  │ report: deflated, in chunks, inside the page     │ live: fetched
//	                  ▼                                                  ▼
//	                page: one HTML template, one style sheet, one script for both
//
// It does not read captures, choose calls or know the time. What a page says in English is in assets/words.json, for
// templates and scripts alike.
//
// Texts of the wire are hostile. They pass text.Clean, then html/template or the encoder of this package, which escapes
// "<" too, so that JSON may stand inside a script element. The scripts put them into the page as text nodes only. The
// pages' Content-Security-Policy allows no script or style but those whose hashes it names, and no request.
package html
