package flow

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	"sipscope/correlate"
	"sipscope/render/ladder/laddertest"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// fakeBoard is a board that a test fills as it likes.
type fakeBoard struct {
	calls []correlate.Call
	texts map[messageKey][]byte
	asked int // calls that were copied
}

func (b *fakeBoard) at(num uint32) *correlate.Call {
	for i := range b.calls {
		if b.calls[i].Num == num {
			return &b.calls[i]
		}
	}
	return nil
}

func (b *fakeBoard) Call(num uint32) (correlate.Call, bool) {
	b.asked++
	if c := b.at(num); c != nil {
		out := *c
		out.Messages = slices.Clone(c.Messages)
		return out, true
	}
	return correlate.Call{}, false
}

func (b *fakeBoard) Summaries(nums []uint32, dst []correlate.Summary) []correlate.Summary {
	for _, n := range nums {
		if c := b.at(n); c != nil {
			s := c.Summary
			s.Messages = uint32(len(c.Messages))
			dst = append(dst, s)
		}
	}
	return dst
}

func (b *fakeBoard) Calls() iter.Seq[*correlate.Summary] {
	return func(yield func(*correlate.Summary) bool) {
		for i := range b.calls {
			if !yield(&b.calls[i].Summary) {
				return
			}
		}
	}
}

func (b *fakeBoard) Changes(since uint64, dst []correlate.Summary) ([]correlate.Summary, uint64) {
	last := since
	for i := range b.calls {
		if s := b.calls[i].Summary; s.Rev > since {
			dst, last = append(dst, s), max(last, s.Rev)
		}
	}
	return dst, last
}

func (b *fakeBoard) Totals() correlate.Totals { return correlate.Totals{Calls: uint64(len(b.calls))} }

// boardOf numbers calls and keeps their texts.
func boardOf(made ...laddertest.Made) *fakeBoard {
	b := &fakeBoard{texts: map[messageKey][]byte{}}
	for i, m := range made {
		m.Call.Num, m.Call.Rev = uint32(i+1), uint64(i+1)
		b.calls = append(b.calls, m.Call)
		for k, t := range m.Texts {
			b.texts[messageKey{num: m.Call.Num, message: k}] = t
		}
	}
	return b
}

// host shows the board.
func (b *fakeBoard) host() *termtest.Host {
	return termtest.NewHost(term.Data{
		Source: "made.pcap", Live: func() string { return "live" },
		Text: func(call *correlate.Call, message int) []byte {
			return b.texts[messageKey{num: call.Num, message: message}]
		},
	})
}

// testPane remembers what it is asked to show.
type testPane struct {
	raw      []byte
	head     string
	shown    int
	scrolled int
	searched string
	diags    int
}

func (p *testPane) Show(raw []byte, head string) { p.raw, p.head, p.shown = raw, head, p.shown+1 }

func (p *testPane) Draw(c *term.Canvas) {
	w, h := c.Size()
	c.Fill(0, 0, w, h, term.Field)
	c.PutMax(0, 0, w, p.head, term.Head)
	c.PutMax(0, 1, w, string(p.raw), term.Normal)
}

func (p *testPane) Scroll(lines int) { p.scrolled += lines }

func (p *testPane) Search(text string, _, _ bool) bool {
	p.searched = text
	return true
}

func (p *testPane) NextDiag(bool) bool {
	p.diags++
	return true
}

// scene shows calls that were made up.
func scene(tb testing.TB, made ...laddertest.Made) (*View, *termtest.Host, *fakeBoard) {
	tb.Helper()
	b := boardOf(made...)
	h := b.host()
	var nums []uint32
	for i := range made {
		nums = append(nums, uint32(i+1))
	}
	return newView(h, b, &testPane{}, nums, false), h, b
}

// long is a call of n messages: re-INVITEs and their responses between three elements.
func long(n int) laddertest.Made {
	m := laddertest.TwoProxies()
	msgs, texts := m.Call.Messages, m.Texts
	m.Call.Messages, m.Texts = nil, nil
	for i := range n {
		k := i % len(msgs)
		msg := msgs[k]
		msg.Seq, msg.Time, msg.Repeats = uint64(i+1), laddertest.Start+int64(i)*1e6, -1
		msg.Txn = i / 4
		m.Call.Messages = append(m.Call.Messages, msg)
		m.Texts = append(m.Texts, fmt.Appendf(slices.Clip(texts[k]), "note: number %d.\r\n", i))
	}
	for i := 0; i*4 < n; i++ {
		m.Call.Transactions = append(m.Call.Transactions, correlate.Transaction{Method: "INVITE", Request: i * 4, Final: -1, Ack: -1, Cancel: -1})
	}
	m.Call.Transactions = m.Call.Transactions[len(m.Call.Transactions)-(n+3)/4:]
	return m
}
