package web

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/decode/sip"
)

// The pipeline collects headers while it reads, when it was told to. What a reader's filter asks for later is read again
// from the captures, message by message, as the terminal UI does.

// matcher is a filter on its way over the calls. It belongs to one goroutine.
type matcher struct {
	data    *Data
	q       *query.Query
	again   bool     // messages must be read
	words   [][]byte // of q, in lower case
	headers []string
}

func (s *site) matcher(filter string) (*matcher, error) {
	q, err := compile(filter)
	if err != nil {
		return nil, err
	}
	m := &matcher{data: &s.data, q: q, headers: q.Headers()}
	for _, w := range q.Words() {
		m.words = append(m.words, bytes.ToLower([]byte(w)))
	}
	m.again = len(m.words) > 0 || slices.ContainsFunc(m.headers, func(h string) bool {
		return collected(s.data.Headers, h) < 0
	})
	if m.again {
		q.Bind(m.headers)
	} else {
		q.Bind(s.data.Headers)
	}
	return m, nil
}

// collected gives the place of a header in Summary.Columns, -1 when the pipeline does not collect it.
func collected(headers []string, header string) int {
	return slices.IndexFunc(headers, func(h string) bool { return strings.EqualFold(h, header) })
}

// match reports whether the filter holds for a call, and reads its messages for that where it must.
func (m *matcher) match(ctx context.Context, c *correlate.Summary) (bool, error) {
	if !m.again {
		return m.q.Match(c), nil
	}
	if err := ctx.Err(); err != nil {
		return false, context.Cause(ctx)
	}
	call, ok := m.data.Board.Call(c.Num)
	if !ok {
		return false, nil
	}
	s := *c
	if err := m.read(ctx, &call, &s); err != nil {
		return false, err
	}
	return m.q.Match(&s), nil
}

// maxLook is in how many messages of a call a header is looked for: a call that keeps a hundred thousand must not be read
// to its end for a header that it does not have.
const maxLook = 64

// read sets what the filter asks of a call's messages.
func (m *matcher) read(ctx context.Context, call *correlate.Call, s *correlate.Summary) error {
	s.Words, s.Columns = 0, make([]string, len(m.headers))
	missing := len(m.headers)
	all := uint64(1)<<len(m.words) - 1
	text := m.data.text(call)
	var parsed sip.Message
	for i := range call.Messages {
		look := missing > 0 && i < maxLook
		if !look && s.Words == all {
			return nil
		}
		if i%64 == 63 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		raw := text(i)
		if raw == nil {
			continue
		}
		if s.Words != all {
			s.Words |= wordsIn(bytes.ToLower(raw), m.words)
		}
		if look && sip.Parse(raw, &parsed) == nil {
			missing -= fill(s.Columns, m.headers, &parsed)
		}
	}
	return nil
}

// wordsIn has a bit for each word that a text holds; both are in lower case.
func wordsIn(text []byte, words [][]byte) (bits uint64) {
	for i, w := range words {
		if bytes.Contains(text, w) {
			bits |= 1 << i
		}
	}
	return bits
}

// fill sets the values that are still empty, and counts them.
func fill(values, headers []string, m *sip.Message) (n int) {
	for i, h := range headers {
		if values[i] != "" {
			continue
		}
		if values[i] = valueOf(m, h); values[i] != "" {
			n++
		}
	}
	return n
}

// valueOf finds a header by name, whatever its case and form (RFC 3261 7.3.1, 7.3.3).
func valueOf(m *sip.Message, header string) string {
	id := sip.LookupHeader([]byte(header))
	for i := range m.Headers {
		h := &m.Headers[i]
		if id != sip.HeaderOther && h.ID == id ||
			h.ID == sip.HeaderOther && strings.EqualFold(string(h.Name.Of(m.Raw)), header) {
			return string(h.Value.Of(m.Raw))
		}
	}
	return ""
}
