package main

import (
	"encoding/json"
	"io"

	"sipscope/render/export"
)

// event is what an element tells, as a line of JSON. docs/elements.md describes the fields.
type event struct {
	At      int64  `json:"time_ns,omitempty"`
	Event   string `json:"event"`
	CallID  string `json:"call_id,omitempty"`
	Method  string `json:"method,omitempty"`
	Status  int    `json:"status,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Cause   string `json:"cause,omitempty"`
	By      string `json:"by,omitempty"` // "us" or "them"
	AOR     string `json:"aor,omitempty"`
	Contact string `json:"contact,omitempty"`
	URI     string `json:"uri,omitempty"`
	Expires int    `json:"expires,omitempty"` // seconds
	State   string `json:"state,omitempty"`   // of a subscription
	Type    string `json:"content_type,omitempty"`
	Body    string `json:"body,omitempty"`
	Count   int    `json:"count,omitempty"`
	Error   string `json:"error,omitempty"`
}

// eventWriter writes what an element tells, an object a line; to nobody without a writer. It belongs to the loop.
type eventWriter struct {
	w   io.Writer
	err error
}

func (e *eventWriter) write(v any) {
	if e.w == nil || e.err != nil {
		return
	}
	b, err := json.Marshal(v)
	if err == nil {
		_, err = e.w.Write(append(export.Shown(b), '\n'))
	}
	e.err = err
}
