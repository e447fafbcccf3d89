package dialog

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

func fromResponse(req, resp *sip.Message) (*Dialog, error) {
	if !req.Request || resp.Request || resp.Status <= 100 || resp.Status > 299 ||
		resp.Status < 200 && resp.To.Tag.Empty() {
		return nil, fmt.Errorf("response %d: %w", resp.Status, ErrNone)
	}
	d := &Dialog{
		CallID:    text(req, req.CallID),
		LocalTag:  text(req, req.From.Tag),
		RemoteTag: text(resp, resp.To.Tag),
		Local:     party(req, sip.HeaderFrom, &req.From),
		Remote:    party(req, sip.HeaderTo, &req.To),
		Target:    contact(resp),
		Route:     routes(resp, true),
		LocalSeq:  req.CSeq,
		Secure:    secure(req),
		Caller:    true,
		State:     Early,
	}
	if resp.Status >= 200 {
		d.State = Confirmed
	}
	if d.Target == "" {
		d.Target = word(req.URI.Of(req.Raw))
	}
	return d.complete(req)
}

func fromRequest(req *sip.Message, localTag string) (*Dialog, error) {
	if !req.Request {
		return nil, fmt.Errorf("response %d: %w", req.Status, ErrNone)
	}
	d := &Dialog{
		CallID:    text(req, req.CallID),
		LocalTag:  localTag,
		RemoteTag: text(req, req.From.Tag),
		Local:     party(req, sip.HeaderTo, &req.To),
		Remote:    party(req, sip.HeaderFrom, &req.From),
		Target:    contact(req),
		Route:     routes(req, false),
		RemoteSeq: req.CSeq,
		Secure:    secure(req),
		State:     Early,
		heard:     true,
	}
	if d.Target == "" { // from a peer that knows no Contact: From says where it is (RFC 2543 6.13)
		d.Target = word(req.From.URI.Of(req.Raw))
	}
	return d.complete(req)
}

// complete gives the dialog, unless it lacks what it cannot be without.
func (d *Dialog) complete(req *sip.Message) (*Dialog, error) {
	switch {
	case d.CallID == "":
		return nil, fmt.Errorf("Call-ID: %w", ErrMissing)
	case !req.HasCSeq:
		return nil, fmt.Errorf("CSeq: %w", ErrMissing)
	case d.Target == "":
		return nil, fmt.Errorf("remote target: %w", ErrMissing)
	}
	return d, nil
}

func text(m *sip.Message, s sip.Span) string { return string(s.Of(m.Raw)) }

// word is a URI without the blanks that a fold may have put into it.
func word(uri []byte) string {
	if !slices.ContainsFunc(uri, isBlank) {
		return string(uri)
	}
	return string(slices.DeleteFunc(slices.Clone(uri), isBlank))
}

func isBlank(c byte) bool { return c <= ' ' || c == 0x7f }

// party is the value of From or To without its tag.
func party(m *sip.Message, id sip.HeaderID, a *sip.Address) string {
	for i := range m.Headers {
		h := &m.Headers[i]
		if h.ID != id {
			continue
		}
		params := h.Value.Of(m.Raw)[:0]
		value := h.Value.Of(m.Raw)
		if at := int(a.Params.Off) - int(h.Value.Off); !a.Params.Empty() && at >= 0 && at <= len(value) {
			value, params = value[:at], value[at:]
		}
		out := compose.AppendUnfolded(nil, value)
		out = compose.AppendUnfolded(out, compose.AppendWithout(nil, params, "tag"))
		return string(out)
	}
	return ""
}

// contact is the URI of the first Contact, "" without one.
func contact(m *sip.Message) string { return word(m.Contact.URI.Of(m.Raw)) }

// secure reports whether a request that makes a dialog was for a SIPS URI (RFC 3261 12.1.1, 12.1.2).
func secure(req *sip.Message) bool {
	u, _ := sip.ParseURI(req.URI.Of(req.Raw))
	return strings.EqualFold(string(u.Scheme), "sips")
}

// routes are the URIs of Record-Route as values of Route, with all their parameters (RFC 3261 12.1.1). What lacks its
// brackets has its parameters meant for the URI.
func routes(m *sip.Message, reverse bool) []string {
	if !m.HasRecordRoute {
		return nil
	}
	var list []string
	for a := range m.Addresses(sip.HeaderRecordRoute) {
		uri := word(a.URI.Of(m.Raw))
		if before := bytes.TrimRight(m.Raw[:a.URI.Off], " \t\r\n"); before[len(before)-1] != '<' {
			uri += word(a.Params.Of(m.Raw))
		}
		list = append(list, "<"+uri+">")
	}
	if reverse {
		slices.Reverse(list)
	}
	return list
}

// loose reports whether a route value has the lr parameter (RFC 3261 19.1.1).
func loose(route string) bool {
	u, _ := sip.ParseURI([]byte(bare(route)))
	_, ok := sip.Param(u.Params, "lr")
	return ok
}

// requestURI is a URI as a request line may have it: without the method parameter and headers (RFC 3261 19.1.1).
func requestURI(uri string) string {
	u, ok := sip.ParseURI([]byte(uri))
	if !ok || len(u.Headers) == 0 && len(u.Params) == 0 {
		return uri
	}
	if n := len(u.Headers); n > 0 {
		uri = uri[:len(uri)-n-1]
	}
	if _, ok := sip.Param(u.Params, "method"); !ok {
		return uri
	}
	head := uri[:len(uri)-len(u.Params)]
	return head + string(compose.AppendWithout(nil, u.Params, "method"))
}
