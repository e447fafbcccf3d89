package stream

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/decode/frame"
)

// dialogue gives a stream of n messages of all kinds, and where each begins.
func dialogue(n int) (stream string, starts []int) {
	kinds := []string{
		inviteText(), okText(), optionsText(), byeText(),
		withBody("NOTIFY sip:a SIP/2.0", "application/pidf+xml", xml, len(xml)),
		withBody("NOTIFY sip:a SIP/2.0", "message/sipfrag", "SIP/2.0 200 OK\r\n", 16),
	}
	var b strings.Builder
	for i := range n {
		starts = append(starts, b.Len())
		b.WriteString(strings.Replace(kinds[i*5%len(kinds)], "branch=z9hG4bK1", fmt.Sprintf("branch=z9hG4bK%04d", i), 1))
	}
	return b.String(), starts
}

// TestStartAnywhere begins to look at every byte of a stream: all messages that begin from there on are found.
func TestStartAnywhere(t *testing.T) {
	t.Parallel()
	stream, starts := dialogue(12)
	for at := range len(stream) - 300 {
		w := newWire(t)
		w.stream(uint32(at), false, stream[at:], 548)
		w.a.Flush(w.frame, w.now)
		var want []string
		for i, s := range starts {
			if s >= at {
				want = append(want, stream[s:append(starts, len(stream))[i+1]])
			}
		}
		if d := cmp.Diff(want, w.texts); d != "" {
			t.Fatalf("from %d on (-want +got):\n%s", at, d)
		}
	}
}

// TestLoseAnything loses one segment after the other: all messages that it is no part of are found, and the gap is told.
func TestLoseAnything(t *testing.T) {
	t.Parallel()
	stream, starts := dialogue(40)
	const size = 333
	for lost := size; lost+size < len(stream); lost += size {
		w := newWire(t)
		w.send(alice, bob, 0xffffff00-1, 0, frame.SYN, nil, false)
		for at := 0; at < len(stream); at += size {
			if at != lost {
				seq := uint32(0xffffff00) + uint32(at)
				w.send(alice, bob, seq, 0, frame.ACK, []byte(stream[at:min(at+size, len(stream))]), false)
			}
		}
		w.a.Flush(w.frame, w.now)
		found := map[string]bool{}
		for _, text := range w.texts {
			found[text] = true
		}
		for i, s := range starts {
			end := append(starts, len(stream))[i+1]
			if touched := s < lost+size && end > lost; !touched && !found[stream[s:end]] {
				t.Errorf("without %d to %d: message %d at %d is lost", lost, lost+size, i, s)
			}
		}
		if w.a.Counters.Gaps != 1 || w.a.Counters.GapBytes != size {
			t.Errorf("without %d: %+v", lost, w.a.Counters)
		}
	}
}

func TestFlowLimit(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	l := DefaultLimits()
	l.Flows = 100
	w.a = NewLimited(w, l)
	for i := range uint32(1000) {
		ip := binary.BigEndian.AppendUint32(nil, 10<<24+i)
		w.send(frame.Endpoint4(ip, 1), bob, 10, 0, 0, []byte(inviteText()[:len(inviteText())-1]), false)
		if w.a.Flows() > 100 {
			t.Fatalf("%d flows", w.a.Flows())
		}
	}
	if w.a.Counters.Evicted != 900 || len(w.texts) != 900 {
		t.Errorf("%d evicted, %d messages", w.a.Counters.Evicted, len(w.texts))
	}
}

func TestByteLimit(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	l := DefaultLimits()
	l.Total = 1 << 20
	w.a = NewLimited(w, l)
	part := []byte(withBody(invite, "application/sdp", strings.Repeat("x", 50_000), 60_000))
	for i := range uint32(100) {
		ip := binary.BigEndian.AppendUint32(nil, 10<<24+i)
		w.send(frame.Endpoint4(ip, 1), bob, 10, 0, 0, part, false)
		w.send(frame.Endpoint4(ip, 2), bob, 10, 0, 0, []byte(optionsText()), false)
		w.send(frame.Endpoint4(ip, 2), bob, 10_000, 0, 0, part, false) // behind a hole
		if w.a.Bytes() > l.Total {
			t.Fatalf("%d bytes", w.a.Bytes())
		}
	}
	if w.a.Counters.Evicted == 0 {
		t.Error("nothing was evicted")
	}
}

func TestIdleFlowsAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.send(alice, bob, 10, 0, 0, []byte(optionsText()), false)
	w.a.Advance(w.now + 3601*sec)
	if w.a.Flows() != 1 {
		t.Errorf("%d flows, and nothing has confirmed the time", w.a.Flows())
	}
	w.a.Advance(w.now + 3602*sec)
	if w.a.Flows() != 0 {
		t.Errorf("%d flows", w.a.Flows())
	}
}

// One segment with a time of years ahead costs no connection what it holds, and what began in such a time does not wait,
// and is not looked at, until that time comes.
func TestWrongTime(t *testing.T) {
	t.Parallel()
	const years = 70 * 365 * 24 * 3600 * sec
	w := newWire(t)
	text := []byte(inviteText())
	w.send(alice, bob, 10, 0, 0, text[:50], false)
	w.now += years
	w.send(bob, frame.Endpoint4([]byte{192, 0, 2, 3}, 7), 1, 0, 0, []byte(optionsText()), false)
	w.now -= years
	w.send(alice, bob, 60, 0, 0, text[50:], false)
	if len(w.texts) != 2 || w.texts[1] != inviteText() {
		t.Fatalf("%q", w.log)
	}
	w.now += years
	for i := range uint32(500) {
		ip := binary.BigEndian.AppendUint32(nil, 10<<24+i)
		w.send(frame.Endpoint4(ip, 1), bob, 10, 0, 0, text[:50], false)
		w.sctp(7+i, data(all, 1, 0, okText())+data(dataBegin, 3, 0, "x"))
	}
	w.now -= years
	for i := range uint32(100) {
		ip := binary.BigEndian.AppendUint32(nil, 11<<24+i)
		w.send(frame.Endpoint4(ip, 1), bob, 10, 0, 0, text[:50], false)
		w.sctp(1000+i, data(all, 1, 0, okText())+data(dataBegin, 3, 0, "x"))
		w.now += sec
	}
	n := 0
	for f := w.a.timed; f != nil; f = f.later {
		n++
	}
	if n > 40 || len(w.a.sctp.waiting) > 40 { // those of the last 32 s
		t.Errorf("%d connections and %d associations wait", n, len(w.a.sctp.waiting))
	}
}

func TestHeldLimits(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.send(alice, bob, 10, 0, 0, []byte(optionsText()), false)
	seq := uint32(10 + len(optionsText()) + 100)
	for range 65 {
		w.send(alice, bob, seq, 0, 0, []byte(okText()), false)
		seq += uint32(len(okText()))
	}
	if len(w.texts) != 66 || w.a.Counters.Gaps != 1 || w.a.Counters.GapBytes != 100 {
		t.Errorf("%d messages, %+v", len(w.texts), w.a.Counters)
	}
	if last := w.fates[len(w.fates)-1]; last != Completed {
		t.Errorf("fate is %v", last)
	}
}

func TestOversize(t *testing.T) {
	t.Parallel()
	l := DefaultLimits()
	l.Message, l.Head = 5000, 3000
	big := withBody("MESSAGE sip:b SIP/2.0", "text/plain", strings.Repeat("x", 8000), 8000)
	open := "OPTIONS sip:b SIP/2.0\r\nVia: " + strings.Repeat("y", 3500)
	stream := big + okText() + open + "\r\n\r\n" + byeText()
	for _, size := range []int{len(stream), 1000, 99} {
		w := newWire(t)
		w.a = NewLimited(w, l)
		w.stream(10, true, stream, size)
		w.a.Flush(w.frame, w.now)
		want := []string{
			"MESSAGE sip:b SIP/2.0 (5000) truncated", fmt.Sprintf("%s (%d) skipped=%d", ok200, len(okText()), len(big)-5000),
			fmt.Sprintf("%s (%d) skipped=%d", bye, len(byeText()), len(open)+4),
		}
		if d := cmp.Diff(want, w.log); d != "" {
			t.Errorf("segments of %d (-want +got):\n%s", size, d)
		}
		if c := w.a.Counters; c.Oversize != 1 || c.Heads != 1 {
			t.Errorf("%+v", c)
		}
	}
}

func TestMegabyte(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("m", 1_000_000)
	big := withBody("MESSAGE sip:b SIP/2.0", "text/plain", body, len(body))
	w := newWire(t)
	w.stream(10, true, big+okText(), 1460)
	if len(w.texts) != 2 || w.texts[0] != big {
		t.Errorf("%d messages", len(w.texts))
	}
	// a message in segments of a byte ends where its bookkeeping would outgrow it
	w = newWire(t)
	w.stream(10, true, big[:20_000], 1)
	if w.a.Bytes() > 2<<20 || w.a.Counters.Oversize == 0 {
		t.Errorf("%d bytes, %+v", w.a.Bytes(), w.a.Counters)
	}
}

// TestOtherProtocols checks that a connection that is not SIP is given up, and found again when SIP begins in it.
func TestOtherProtocols(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	for name, payload := range map[string][]byte{
		"text": []byte(strings.Repeat("<p>some text, in lines</p>\r\n", 50)), "one line": []byte(strings.Repeat("word ", 280)),
		"binary": random(1400),
	} {
		w := newWire(t)
		seq := uint32(1)
		for range 100 {
			if fate := w.send(alice, bob, seq, 0, 0, payload, false); fate != NotSIP && fate != Partial {
				t.Fatalf("%s: %v", name, fate)
			}
			seq += uint32(len(payload))
		}
		if w.fates[99] != NotSIP || w.a.Bytes() > 4096 || !w.a.newest.ignored {
			t.Errorf("%s: %v, %d bytes", name, w.fates[99], w.a.Bytes())
		}
		w.send(alice, bob, seq+5000, 0, 0, []byte(inviteText()[:90]), false)
		w.send(alice, bob, seq+5090, 0, 0, []byte(inviteText()[90:]), false)
		if len(w.texts) != 1 || w.texts[0] != inviteText() {
			t.Errorf("%s: SIP behind it is not found", name)
		}
	}
}

func TestPeerIsFoundAgain(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.send(alice, bob, 10, 0, 0, []byte(optionsText()), false)
	w.send(bob, alice, 10, 0, 0, []byte(okText()), false)
	w.a.remove(w.a.oldest)
	w.send(alice, bob, 10, 0, 0, []byte(optionsText()), false)
	if f := w.a.newest; f.peer == nil || f.peer.peer != f {
		t.Error("the directions do not know each other")
	}
	w.a.Flush(w.frame, w.now)
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for f := Empty; f <= NotSIP; f++ {
		if s := f.String(); s == "?" || seen[s] {
			t.Errorf("fate %d is %q", f, s)
		}
		seen[f.String()] = true
	}
}
