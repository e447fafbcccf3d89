// Package web serves the live pages: `sipscope serve`. It answers HTTP over the board of a run, says what has changed by
// server-sent events, and hands out files, figures for Prometheus and a JSON API (openapi.json).
//
//	Board ──▶ hub (1 goroutine a capture, while somebody listens) ──▶ the same bytes to every stream
//	  │
//	  └─────▶ shared: lists, pages, overview, figures; each made once for all that ask for it at the same time
//	                  ▼
//	request ─▶ headers ─▶ host, origin, who it is ─▶ route ─▶ answer (whole, perhaps gzip) or stream (deadline a write)
//
// It does not draw: Pages does, which render/html implements. It does not read captures: Data says where the bytes of
// calls are read again. It makes the pipeline wait only for the board's bounded copies: readers poll, and share what they
// get.
//
// The package owns every goroutine that it starts: they have ended when Serve, or Close, returns.
//
// What it serves is private: every message of every call. So it listens on loopback unless readers must say who they are,
// believes no Host header that a rebound name could bring, takes nothing that another site's page sends, and answers
// under a policy that lets no script but its own run. What it writes of the wire is JSON, or drawn by Pages, which
// escape it.
package web
