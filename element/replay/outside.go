package replay

import (
	"sipscope/decode/sip"
	"sipscope/element/dialog"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
)

// outsiders finds the requests that did not go where their dialog said, but to somebody else, such as an outbound proxy
// (RFC 3261 8.1.2). They keep doing so: their Route stays as recorded, and the operator's target is their next hop.
func (c *compiler) outsiders() {
	known := make([]*dialog.Dialog, len(c.dialogs))
	for i := range c.steps {
		s := &c.steps[i]
		if !s.message() || s.broken {
			continue
		}
		if s.request && s.local >= 0 && s.origin < 0 {
			s.outside = c.wentOutside(s, known[s.local])
			s.keepsURI = c.keepsItsURI(s, known[s.local])
		}
		for _, d := range [...]int32{s.local, s.remote} {
			if d >= 0 {
				known[d] = c.recorded(s, d, known[d])
			}
		}
	}
}

// keepsItsURI reports whether a request to one that we play has another Request-URI than its dialog asked for (RFC 3261
// 12.2.1.1): a mistake of who sent it, such as an ACK with the URI of the INVITE, which is played too. A live server
// gets the URI that it asked for.
func (c *compiler) keepsItsURI(s *step, d *dialog.Dialog) bool {
	if d == nil || s.to < 0 || c.hosts[s.to].part != plan.Played || s.method == "CANCEL" {
		return false
	}
	uri, _ := d.Path()
	return uri != s.text(s.msg.URI)
}

// recorded is a dialog after a message of it.
func (c *compiler) recorded(s *step, spec int32, d *dialog.Dialog) *dialog.Dialog {
	if d != nil {
		d.Refresh(&s.msg)
		return d
	}
	if s.request || s.asked < 0 || c.steps[s.asked].toTag >= 0 {
		return nil
	}
	q := &c.steps[s.asked]
	var err error
	if spec == s.local {
		d, err = dialog.FromResponse(&q.msg, &s.msg)
	} else if s.status > 100 && s.status < 300 {
		d, err = dialog.FromRequest(&q.msg, s.text(s.msg.To.Tag))
	}
	if err != nil {
		return nil
	}
	return d
}

// wentOutside reports whether a request went to another participant than its dialog named; d is nil for one whose begin
// was not recorded.
func (c *compiler) wentOutside(s *step, d *dialog.Dialog) bool {
	next := s.text(s.msg.URI)
	switch {
	case d != nil:
		next = d.Next()
	default:
		for a := range s.msg.Addresses(sip.HeaderRoute) {
			uri := s.text(a.URI)
			if u, _ := sip.ParseURI([]byte(uri)); hasParam(u.Params, "lr") {
				next = uri
			}
			break
		}
	}
	hop, ok := hopOf(next, transport.Hop{Proto: c.plan.Hosts[s.to].Proto})
	if !ok {
		return false
	}
	h, known := c.atHost[hop.Remote]
	return known && h != s.to && h != s.from
}

func hasParam(params []byte, name string) bool {
	_, ok := sip.Param(params, name)
	return ok
}
