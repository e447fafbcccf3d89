package diff_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/decode"
	"sipscope/decode/frame"
)

// made is a flow of n messages, each of which the plan chooses by a byte: who sends to whom, what, and of which
// transaction. The texts are cut from one hostile text.
func made(plan []byte, text string) diff.Flow {
	methods := [...]string{"INVITE", "ACK", "BYE", "OPTIONS", "NOTIFY", "INFO", ""}
	codes := [...]uint16{0, 0, 100, 180, 183, 200, 407, 486, 699}
	var c correlate.Call
	var raw [][]byte
	at := func(n int) frame.Endpoint {
		return frame.FromAddrPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n % 5)}), uint16(5060+n%3)))
	}
	for i, b := range plan {
		n := int(b)
		m := correlate.Message{
			Seq: uint64(i + 1), Time: int64(i) * 1e7, Src: at(n), Dst: at(n / 3), Transport: decode.UDP,
			Method: methods[n%len(methods)], Status: codes[(n/7)%len(codes)], CSeq: uint32(n % 4), Txn: n%9 - 1, Repeats: -1,
			Dialog: -1,
		}
		if n > 240 && i > 0 {
			m.Repeats = i - 1
		}
		c.Messages = append(c.Messages, m)
		head := m.Method + " sip:bob@10.0.0." + strconv.Itoa(n%5) + " SIP/2.0\r\n"
		if m.Status != 0 {
			head = "SIP/2.0 " + strconv.Itoa(int(m.Status)) + " x\r\n"
		}
		piece := ""
		if len(text) > 0 {
			piece = text[n%len(text):]
		}
		raw = append(raw, []byte(head+"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK"+strconv.Itoa(n)+"\r\n"+piece))
	}
	for i := range 8 {
		c.Transactions = append(c.Transactions, correlate.Transaction{Method: methods[i%7], Request: -1, Final: -1, Ack: i - 1, Cancel: -1})
	}
	return diff.Flow{Calls: []correlate.Call{c}, Text: func(_, message int) []byte { return raw[message] }}
}

// Whatever two flows hold: every message stands in one row, the first divergence is the first, and the work ends.
func FuzzFlows(f *testing.F) {
	f.Add([]byte{0, 14, 35, 77, 200}, []byte{0, 14, 35, 250}, "From: <sip:a@b>;tag=1\r\nCall-ID: abcdefgh\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 1 RTP/AVP 0\r\n", "X: 1.2.3.4:5 [::1]:3 a%40b\r\n\r\n")
	f.Add([]byte{1, 2, 3}, []byte{3, 2, 1}, "Contact: *\r\nContent-Type: application/sdp\r\n\r\nm=audio 0 RTP/AVP 0\r\nm=", "Contact: <sip:x@[2001:db8::1]:5>;expires=1\r\nContent-Type: application/sdp\r\n\r\nm=audio 0 RTP/AVP 0 0 0\r\na=rtpmap:0 x/1/1\r\n")
	f.Fuzz(func(t *testing.T, planA, planB []byte, textA, textB string) {
		if len(planA)+len(planB) > 400 || len(textA)+len(textB) > 4096 {
			return
		}
		a, b := made(planA, textA), made(planB, textB)
		r := diff.Flows(a, b, diff.Rules{Spelling: true})
		seen := [2]map[diff.Ref]bool{{}, {}}
		for i := range r.Rows {
			row := &r.Rows[i]
			for n, ref := range [...]diff.Ref{row.A, row.B} {
				if ref.Valid() && seen[n][ref] {
					t.Fatalf("message %v of side %d is in two rows", ref, n)
				}
				seen[n][ref] = true
			}
			if diverges := r.Diverges(i); diverges && (r.First < 0 || i < r.First) || !diverges && i == r.First {
				t.Fatalf("the first divergence is not row %d:\n%s", r.First, list(r))
			}
			for _, d := range row.Differences {
				if len(d.A) > 200 || len(d.B) > 200 || len(d.Text) > 2000 || d.Text == "" {
					t.Fatalf("a difference is too long, or empty: %+v", d)
				}
			}
			if row.From >= len(r.Who) || row.To >= len(r.Who) {
				t.Fatal("no such participant")
			}
		}
		for n, flow := range [...]diff.Flow{a, b} {
			for i := range flow.Calls[0].Messages {
				if flow.Calls[0].Messages[i].Repeats < 0 && !seen[n][diff.Ref{Message: i}] {
					t.Fatalf("message %d of side %d is in no row", i, n)
				}
			}
		}
		mirrored(t, r, diff.Flows(b, a, diff.Rules{Spelling: true}))
		if same := diff.Flows(a, a, diff.Rules{Strict: true, Spelling: true}); same.Headline != "same" {
			t.Fatalf("a flow is not itself: %s", list(same))
		}
		if r.First >= 0 {
			r.Message(r.First)
		}
		diff.Hops(a.Calls[0], func(m int) []byte { return a.Text(0, m) }, diff.Rules{})
	})
}

// Texts that are long where texts are short do not make the work grow out of proportion: this ends.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{"@", ".", ":", "1.", "a@", "::", "%41", "<", "\"", ";tag=", "[", "~", ",", "a=b;", "1.2.3.4 "} {
		text := strings.Repeat(piece, 30_000/len(piece))
		a := made([]byte{0, 14, 35, 77}, "X: "+text+"\r\nFrom: <sip:a@b>;x="+text+"\r\n\r\n"+text)
		b := made([]byte{0, 14, 35, 77}, "X: y"+text+"\r\nFrom: <sip:a@c>;x="+text+"\r\n\r\nz"+text)
		if r := diff.Flows(a, b, diff.Rules{}); r.Verdict != diff.Differs {
			t.Errorf("%q: %s", piece, r.Headline)
		}
	}
}

// long is a flow of n OPTIONS and their responses on one hop, which a network cut holes into.
func long(n, hole int) diff.Flow {
	var c correlate.Call
	a := frame.FromAddrPort(netip.MustParseAddrPort("10.0.0.1:5060"))
	b := frame.FromAddrPort(netip.MustParseAddrPort("10.0.0.2:5060"))
	for i := range n / 2 {
		if hole > 0 && i%hole == hole-1 {
			continue
		}
		txn := len(c.Transactions)
		m := correlate.Message{
			Seq: uint64(2 * i), Time: int64(i) * 1e9, Src: a, Dst: b, Method: "INFO", CSeq: uint32(i), Txn: txn, Repeats: -1, Transport: decode.UDP,
		}
		answer := m
		answer.Seq, answer.Time, answer.Src, answer.Dst, answer.Status = m.Seq+1, m.Time+1e6, b, a, 200
		c.Messages = append(c.Messages, m, answer)
		c.Transactions = append(c.Transactions, correlate.Transaction{Method: "INFO", Status: 200, Request: 2 * txn, Final: 2*txn + 1, Ack: -1})
	}
	c.CallID = "long-call@10.0.0.1"
	messages := c.Messages
	text := func(_, i int) []byte {
		m := &messages[i]
		head := "INFO sip:bob@10.0.0.2 SIP/2.0\r\n"
		if m.Status != 0 {
			head = "SIP/2.0 200 OK\r\n"
		}
		return fmt.Appendf(nil, "%sVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK%d\r\nFrom: <sip:a@b.c>;tag=aaaaaaa\r\nTo: <sip:b@b.c>;tag=bbbbbbb\r\n"+
			"Call-ID: long-call@10.0.0.1\r\nCSeq: %d INFO\r\nContent-Length: 9\r\n\r\nSignal=%2d", head, m.CSeq, m.CSeq, m.CSeq%16)
	}
	return diff.Flow{Calls: []correlate.Call{c}, Text: text}
}

// Flows of ten thousand messages with holes are aligned: what is missing is missing, and all the rest is the same.
func TestLong(t *testing.T) {
	t.Parallel()
	began := time.Now()
	r := diff.Flows(long(10_000, 0), long(10_000, 101), diff.Rules{})
	if r.Counts.Missing+r.Counts.NotReached != 2*49 || r.Counts.Same != 10_000-2*49 || r.Counts.Differs != 0 {
		t.Errorf("%+v %s", r.Counts, r.Headline)
	}
	if !strings.HasPrefix(r.Headline, "INFO from 10.0.0.1 to 10.0.0.2 is missing") {
		t.Error(r.Headline)
	}
	t.Logf("10,000 messages in %s", time.Since(began))
}

func BenchmarkFlows(b *testing.B) {
	for _, n := range [...]int{20, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			x, y := long(n, 0), long(n, 7)
			b.ReportAllocs()
			for b.Loop() {
				diff.Flows(x, y, diff.Rules{})
			}
		})
	}
	a := parsed(b, base)
	other := a.flow("b")
	b.Run("call", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			diff.Flows(a.flow("a"), other, diff.Rules{})
		}
	})
}
