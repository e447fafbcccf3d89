package compose

import (
	"strconv"

	"sipscope/decode/sip"
)

// DefaultMaxForwards is where Max-Forwards starts (RFC 3261 8.1.1.6).
const DefaultMaxForwards = 70

// Request is what a new request is made of (RFC 3261 8.1.1). Append writes it.
type Request struct {
	Method      string
	URI         string // Request-URI
	Via         Via
	MaxForwards int      // 0 stands for 70; negative leaves it out, for a value of one's own in Headers
	Route       []string // values in order, a header each
	From, To    string   // values with their tags; "" leaves the header out
	CallID      string   // "" leaves the header out
	CSeq        uint32   // number; the method is Method
	Headers     []Header
	ContentType string // "" leaves the header out
	Body        []byte
	Style       sip.Style
}

// Append appends the request to dst. Content-Length is written unless Headers has it or the style leaves it out.
func (r *Request) Append(dst []byte) ([]byte, error) {
	w := newWriter(dst, r.Style)
	w.request(r.Method, r.URI)
	w.via(&r.Via)
	if n := r.MaxForwards; n >= 0 {
		if n == 0 {
			n = DefaultMaxForwards
		}
		w.number(sip.HeaderMaxForwards, int64(n))
	}
	for _, route := range r.Route {
		field(&w, sip.HeaderRoute, route)
	}
	r.identity(&w)
	w.headers(r.Headers)
	w.body(r.Style, r.ContentType, r.Body)
	return w.done(dst)
}

func (r *Request) identity(w *writer) {
	if r.From != "" {
		field(w, sip.HeaderFrom, r.From)
	}
	if r.To != "" {
		field(w, sip.HeaderTo, r.To)
	}
	if r.CallID != "" {
		field(w, sip.HeaderCallID, r.CallID)
	}
	w.name(sip.HeaderCSeq, "")
	w.buf = strconv.AppendUint(w.buf, uint64(r.CSeq), 10)
	w.buf = append(w.buf, ' ')
	w.buf = append(w.buf, r.Method...)
	w.end()
}

// Set gives the headers of that id one value: the first of them changes, or one is added at the end.
func (r *Request) Set(id sip.HeaderID, value string) {
	for i := range r.Headers {
		if r.Headers[i].ID == id {
			r.Headers[i].Value = value
			return
		}
	}
	r.Headers = append(r.Headers, Header{ID: id, Value: value})
}
