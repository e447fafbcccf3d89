package sip

import (
	"bytes"
	"iter"
)

// Get gives the first value of a header by name: in any case, in its full or its compact form.
func (m *Message) Get(name string) (value []byte, ok bool) {
	for v := range m.Named(name) {
		return v, true
	}
	return nil, false
}

// Named gives the values of the headers of that name in wire order. A comma-separated list is one value.
func (m *Message) Named(name string) iter.Seq[[]byte] {
	var short [32]byte
	id := LookupHeader(append(short[:0], name...))
	if id != HeaderOther {
		return m.Values(id)
	}
	return func(yield func([]byte) bool) {
		for i := range m.Headers {
			h := &m.Headers[i]
			if h.ID == HeaderOther && equalFold(h.Name.Of(m.Raw), name) && !yield(h.Value.Of(m.Raw)) {
				return
			}
		}
	}
}

// Values gives the values of the headers of that id in wire order. A comma-separated list is one value: see List.
func (m *Message) Values(id HeaderID) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range m.Headers {
			h := &m.Headers[i]
			if h.ID == id && !yield(h.Value.Of(m.Raw)) {
				return
			}
		}
	}
}

// Value gives the first value of a header.
func (m *Message) Value(id HeaderID) (value []byte, ok bool) {
	for i := range m.Headers {
		if h := &m.Headers[i]; h.ID == id {
			return h.Value.Of(m.Raw), true
		}
	}
	return nil, false
}

// List gives the values of the headers of that id one by one, those that commas separate too (RFC 3261 7.3.1), such as
// those of Allow, Supported, Reason or P-Asserted-Identity. Empty ones are left out.
func (m *Message) List(id HeaderID) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for s := range m.spans(id) {
			if !yield(s.Of(m.Raw)) {
				return
			}
		}
	}
}

// spans is List as spans.
func (m *Message) spans(id HeaderID) iter.Seq[Span] {
	return func(yield func(Span) bool) {
		for i := range m.Headers {
			h := &m.Headers[i]
			if h.ID != id {
				continue
			}
			from, to := int(h.Value.Off), int(h.Value.Off+h.Value.Len)
			for from < to {
				end := nextComma(m.Raw, from, to)
				at := skipBlanks(m.Raw, from, end)
				if s := sp(at, backBlanks(m.Raw, at, end)); !s.Empty() && !yield(s) {
					return
				}
				from = end + 1
			}
		}
	}
}

// AllVias gives the Via values from the top one on, across headers and commas. A value that cannot be read comes with
// what could.
func (m *Message) AllVias() iter.Seq[Via] {
	return func(yield func(Via) bool) {
		var params paramScan
		for s := range m.spans(HeaderVia) {
			var v Via
			parseVia(m.Raw, s, &v, &params)
			if !yield(v) {
				return
			}
		}
	}
}

// NthVia gives one Via value, 0 for the top one.
func (m *Message) NthVia(n int) (v Via, ok bool) {
	for v := range m.AllVias() {
		if n == 0 {
			return v, true
		}
		n--
	}
	return Via{}, false
}

// Addresses gives the values of the headers of that id as addresses: Route, Record-Route, Contact, Path,
// Service-Route, P-Asserted-Identity, Diversion, History-Info and the like. The spans are into m.Raw. The "*" of a
// Contact is left out.
func (m *Message) Addresses(id HeaderID) iter.Seq[Address] {
	return func(yield func(Address) bool) {
		p := parser{m: m, raw: m.Raw, quiet: true}
		for i := range m.Headers {
			h := &m.Headers[i]
			if h.ID != id || string(h.Value.Of(m.Raw)) == "*" {
				continue
			}
			from, to := int(h.Value.Off), int(h.Value.Off+h.Value.Len)
			for from < to {
				var a Address
				end := p.address(&a, from, to, true)
				if !a.URI.Empty() && !yield(a) {
					return
				}
				from = end + 1
			}
		}
	}
}

// HasOption reports whether a list of option tags, such as Supported or Require, has tag (RFC 3261 19.2).
func (m *Message) HasOption(id HeaderID, tag string) bool {
	for v := range m.List(id) {
		if bytes.EqualFold(v, []byte(tag)) {
			return true
		}
	}
	return false
}
