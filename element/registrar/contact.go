package registrar

import (
	"bytes"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

const (
	second = int64(1e9)
	// malformedExpires is what an interval that cannot be read counts as (RFC 3261 20.19).
	malformedExpires = 3600
	// noMinimum is the interval that a registrar may not call too brief (RFC 3261 10.3 step 7).
	noMinimum = 3600
	// maxPath bounds the Path values of a binding: what leads through more elements is a loop.
	maxPath = 32
)

// contacts reads the Contact and Path headers of a REGISTER into r.reg.
func (r *Registrar) contacts(m *sip.Message, now int64) *refusal {
	reg := &r.reg
	reg.Contacts, reg.RemoveAll = reg.Contacts[:0], false
	reg.CallID, reg.CSeq = m.CallID.Of(m.Raw), m.CSeq
	r.params = r.params[:0]
	if m.ContactStar {
		if m.Contacts != 1 || m.Expires != 0 {
			return refuse(BadContact, 400).because("Bad Wildcard Contact")
		}
		reg.RemoveAll = true
		return nil
	}
	if int(m.Contacts) > r.cfg.Store.cfg.perRequest() {
		return refuse(ManyContacts, 403).because("Too Many Contacts")
	}
	n := 0
	for a := range m.Addresses(sip.HeaderContact) {
		if n++; n > int(m.Contacts) {
			break
		}
		if f := r.contact(m, &a, now); f != nil {
			return f
		}
	}
	if n != int(m.Contacts) {
		return badContact()
	}
	return r.path(m)
}

func badContact() *refusal { return refuse(BadContact, 400).because("Bad Contact") }

// contact reads one Contact value.
func (r *Registrar) contact(m *sip.Message, a *sip.Address, now int64) *refusal {
	uri := a.URI.Of(m.Raw)
	if !contactURI(uri) || !bracketed(m.Raw, a) {
		return badContact()
	}
	params := a.Params.Of(m.Raw)
	interval := r.interval(m, params)
	if interval > 0 && interval < noMinimum && interval < r.cfg.MinExpires {
		return refuse(TooBrief, 423, compose.Header{ID: sip.HeaderMinExpires, Value: itoa(r.cfg.MinExpires)})
	}
	c := Contact{URI: uri, Q: sip.ContactQ(params)}
	if interval > 0 {
		c.Ends = now + min(interval, r.cfg.MaxExpires)*second
	}
	from := len(r.params)
	r.params = appendOtherParams(r.params, params)
	c.Params = r.params[from:len(r.params):len(r.params)]
	r.reg.Contacts = append(r.reg.Contacts, c)
	return nil
}

// contactURI reports whether a URI can be bound: one of any scheme (RFC 3261 10.2.1), that can be written in a Contact.
func contactURI(uri []byte) bool {
	for _, c := range uri {
		if c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '"' {
			return false
		}
	}
	u, ok := sip.ParseURI(uri)
	return ok && len(u.Scheme) > 0 && (!isSIP(u.Scheme) || plainHost(u.Host))
}

// bracketed reports whether a URI that must stand in angle brackets does (RFC 3261 20.10, RFC 4475 3.1.2.13): nobody can
// tell what belongs to the URI otherwise.
func bracketed(raw []byte, a *sip.Address) bool {
	if bytes.IndexByte(a.URI.Of(raw), '?') < 0 {
		return true
	}
	before := bytes.TrimRight(raw[:a.URI.Off], " \t\r\n")
	return len(before) > 0 && before[len(before)-1] == '<'
}

// interval is how long a contact wants to be bound, in seconds: its expires, else Expires, else the default.
func (r *Registrar) interval(m *sip.Message, params []byte) int64 {
	readable := func(n int64) int64 {
		if n < 0 {
			return malformedExpires
		}
		return n
	}
	if _, ok := sip.Param(params, "expires"); ok {
		return readable(sip.ContactExpires(params))
	}
	if _, ok := m.Value(sip.HeaderExpires); ok {
		return readable(m.Expires)
	}
	return r.cfg.DefaultExpires
}

// appendOtherParams appends the parameters of a Contact but q and expires, as they came, without the blanks between them.
func appendOtherParams(dst, params []byte) []byte {
	for len(params) > 0 {
		if params[0] == ';' {
			params = params[1:]
		}
		end := paramEnd(params)
		param := bytes.TrimSpace(params[:end])
		params = params[end:]
		name, _, _ := bytes.Cut(param, []byte("="))
		name = bytes.TrimSpace(name)
		if len(param) == 0 || foldEqual(name, "q") || foldEqual(name, "expires") {
			continue
		}
		dst = append(dst, ';')
		dst = append(dst, clean(param)...)
	}
	return dst
}

// paramEnd finds the next semicolon outside quotes, or the end.
func paramEnd(b []byte) int {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch {
		case quoted && b[i] == '\\':
			i++
		case b[i] == '"':
			quoted = !quoted
		case b[i] == ';' && !quoted:
			return i
		}
	}
	return len(b)
}

// path reads Path (RFC 3327 5.3).
func (r *Registrar) path(m *sip.Message) *refusal {
	r.pathBuf = r.pathBuf[:0]
	r.reg.Path = nil
	n := 0
	for v := range m.List(sip.HeaderPath) {
		a := sip.ParseAddress(v)
		if n++; n > maxPath || !contactURI(a.URI.Of(v)) {
			return refuse(BadContact, 400).because("Bad Path")
		}
		if n > 1 {
			r.pathBuf = append(r.pathBuf, ", "...)
		}
		r.pathBuf = append(r.pathBuf, clean(v)...)
	}
	if n == 0 {
		return nil
	}
	if r.cfg.StrictPath && !m.HasOption(sip.HeaderSupported, optionPath) {
		return refuse(Extension, 420, compose.Header{ID: sip.HeaderUnsupported, Value: optionPath})
	}
	r.reg.Path = r.pathBuf
	return nil
}

// Routes gives the values of Path one by one, as Route values towards the contact.
func (b *Binding) Routes() []string {
	if b.Path == "" {
		return nil
	}
	var routes []string
	rest := []byte(b.Path)
	for len(rest) > 0 {
		end := valueEnd(rest)
		if v := bytes.TrimSpace(rest[:end]); len(v) > 0 {
			routes = append(routes, string(v))
		}
		rest = rest[min(end+1, len(rest)):]
	}
	return routes
}

// valueEnd finds the next comma outside quotes and angle brackets, or the end.
func valueEnd(b []byte) int {
	quoted, inside := false, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && !inside:
			quoted = !quoted
		case quoted:
		case c == '<':
			inside = true
		case c == '>':
			inside = false
		case c == ',' && !inside:
			return i
		}
	}
	return len(b)
}

// Instance is the value of +sip.instance, without quotes (RFC 5626 4.1); "" for none.
func (b *Binding) Instance() string { return b.param("+sip.instance") }

// RegID is the value of reg-id (RFC 5626 4.2); "" for none.
func (b *Binding) RegID() string { return b.param("reg-id") }

func (b *Binding) param(name string) string {
	if !strings.Contains(b.Params, "=") {
		return ""
	}
	v, _ := sip.Param([]byte(b.Params), name)
	return string(sip.Unquote(v))
}
