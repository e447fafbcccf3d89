package redact

import (
	"maps"
	"net/netip"
	"slices"

	"sipscope/correlate"
	"sipscope/correlate/stats"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// Call gives a redacted copy of a call that shares nothing with it. Frame numbers stay, but not where the frames can be
// read again: the texts are read by means of the original, and pass through Text.
func (r *Redactor) Call(c *correlate.Call) correlate.Call {
	w := r.writer(false)
	defer r.pool.Put(w)
	return w.call(c)
}

// Summary gives a redacted copy of a call's headline.
func (r *Redactor) Summary(s *correlate.Summary) correlate.Summary {
	w := r.writer(false)
	defer r.pool.Put(w)
	return w.summary(s)
}

// Result gives a redacted copy of the figures of a run: hosts, products, and methods that are not registered.
func (r *Redactor) Result(res stats.Result) stats.Result {
	w := r.writer(false)
	defer r.pool.Put(w)
	return w.result(res)
}

// Endpoint gives the pseudonym of an address; the port stays.
func (r *Redactor) Endpoint(e frame.Endpoint) frame.Endpoint {
	w := r.writer(false)
	defer r.pool.Put(w)
	return w.endpoint(e)
}

func (w *writer) call(c *correlate.Call) correlate.Call {
	out := correlate.Call{
		Summary: w.summary(&c.Summary), Messages: slices.Clone(c.Messages), Transactions: slices.Clone(c.Transactions),
		Dialogs: slices.Clone(c.Dialogs), Gaps: slices.Clone(c.Gaps),
	}
	for i := range out.Messages {
		m := &out.Messages[i]
		m.Src, m.Dst = w.endpoint(m.Src), w.endpoint(m.Dst)
		m.Method, m.CSeq = w.named(Method, m.Method), w.number(m.CSeq)
		m.Path = frame.Path{} // the numbers of its tunnels are the network's own
		m.Pieces = slices.Clone(m.Pieces)
		for j := range m.Pieces {
			m.Pieces[j] = decode.Piece{Seq: m.Pieces[j].Seq, Len: m.Pieces[j].Len}
		}
	}
	for i := range out.Transactions {
		t := &out.Transactions[i]
		t.Src, t.Dst = w.endpoint(t.Src), w.endpoint(t.Dst)
		t.Method, t.CSeq = w.named(Method, t.Method), w.number(t.CSeq)
	}
	for i := range out.Dialogs {
		d := &out.Dialogs[i]
		d.CallerTag, d.CalleeTag = w.named(Tag, d.CallerTag), w.named(Tag, d.CalleeTag)
		d.Method = w.named(Method, d.Method)
	}
	for i := range out.Gaps {
		g := &out.Gaps[i]
		g.Src, g.Dst = w.endpoint(g.Src), w.endpoint(g.Dst)
	}
	if c.Registration != nil {
		reg := *c.Registration
		reg.AOR, reg.Contact = w.alone(reg.AOR, w.uri), w.alone(reg.Contact, w.uri)
		out.Registration = &reg
	}
	return out
}

func (w *writer) summary(s *correlate.Summary) correlate.Summary {
	out := *s
	out.CallID, out.Method = w.named(CallID, s.CallID), w.named(Method, s.Method)
	out.From, out.To = w.party(&s.From), w.party(&s.To)
	out.RURI = w.alone(s.RURI, w.uri)
	out.Src, out.Dst, out.ReleasedBy = w.endpoint(s.Src), w.endpoint(s.Dst), w.endpoint(s.ReleasedBy)
	out.Reason = w.named(Phrase, s.Reason)
	out.UserAgent, out.Server = w.named(Agent, s.UserAgent), w.named(Agent, s.Server)
	out.Tunnels = nil // their numbers are the network's own
	out.Columns = slices.Clone(s.Columns)
	for i, v := range out.Columns {
		out.Columns[i] = w.column(i, v)
	}
	return out
}

// column rewrites the value of a header as Config.Headers asked for it.
func (w *writer) column(i int, value string) string {
	if i >= len(w.r.columns) || value == "" {
		return w.named(Text, value)
	}
	id := sip.LookupHeader([]byte(w.r.columns[i]))
	return w.alone(value, func(to int) {
		w.msg.Raw, w.msg.From, w.msg.To = w.raw, sip.Address{}, sip.Address{}
		w.msg.Headers = append(w.msg.Headers[:0], sip.Header{ID: id, Value: sip.Span{Len: uint32(to)}}) //nolint:gosec // short
		w.header(0)
	})
}

func (w *writer) party(p *correlate.Party) correlate.Party {
	return correlate.Party{
		Display: w.named(Display, p.Display), User: w.named(User, p.User), Host: w.named(Host, p.Host),
		URI: w.alone(p.URI, w.uri),
	}
}

// number is sequence for a number.
func (w *writer) number(n uint32) uint32 {
	if n < firstNumber {
		return n
	}
	var buf [10]byte
	b := appendNumber(buf[:0], n)
	out := uint32(0)
	for _, c := range []byte(w.name(Sequence, b)) {
		out = out*10 + uint32(c-'0')
	}
	return out
}

func appendNumber(dst []byte, n uint32) []byte {
	if n >= 10 {
		dst = appendNumber(dst, n/10)
	}
	return append(dst, byte('0'+n%10))
}

// endpoint gives the pseudonym of an address.
func (w *writer) endpoint(e frame.Endpoint) frame.Endpoint {
	if !e.IsValid() {
		return e
	}
	var buf [64]byte
	text := w.addressText(e.Addr(), e.Addr().AppendTo(buf[:0]))
	if w.learn {
		return e
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return frame.Endpoint{Port: e.Port, V4: e.V4}
	}
	return frame.FromAddrPort(netip.AddrPortFrom(a, e.Port))
}

func (w *writer) result(res stats.Result) stats.Result {
	out := res
	out.Requests = w.keys(res.Requests)
	out.Transactions = w.keys(res.Transactions)
	out.Hosts = w.ranked(Host, res.Hosts)
	out.UserAgents, out.Servers = w.ranked(Agent, res.UserAgents), w.ranked(Agent, res.Servers)
	return out
}

func (w *writer) ranked(kind Kind, list []stats.Ranked) []stats.Ranked {
	out := slices.Clone(list)
	for i := range out {
		out[i].Name = w.named(kind, out[i].Name)
	}
	return out
}

// keys rewrites the methods of a table; those that get one pseudonym are added up.
func (w *writer) keys(m map[string]uint64) map[string]uint64 {
	out := make(map[string]uint64, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out[w.named(Method, k)] += m[k]
	}
	return out
}
