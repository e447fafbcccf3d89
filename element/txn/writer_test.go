package txn

import (
	"strings"
	"testing"

	"sipscope/element/compose"
	"sipscope/element/transport"
)

// author is a Writer with fixed texts.
type author struct {
	ack, confirmation string
	own               bool
	asked             int
}

func (a *author) AppendAck(dst []byte, _ uint64, _ transport.Hop, _ *transport.Received) ([]byte, bool) {
	a.asked++
	return append(dst, a.ack...), a.own
}

func (a *author) AppendConfirmation(dst []byte, _ uint64, _ *transport.Received) []byte {
	a.asked++
	return append(dst, a.confirmation...)
}

// TestWriterAck holds that the user's ACK is sent, each time, when it is one of this response, and the layer's otherwise.
func TestWriterAck(t *testing.T) {
	t.Parallel()
	invite := ours("INVITE", "z9hG4bKa1")
	good := strings.Replace(invite, "INVITE sip", "ACK sip", 1)
	good = strings.Replace(good, "1 INVITE", "1 ACK", 1)
	good = strings.Replace(good, "<sip:bob@192.0.2.1>\r\n", "<sip:bob@192.0.2.1>;tag=busy\r\nX-Own: yes\r\n", 1)
	for _, c := range []struct {
		name, ack string
		own       bool
	}{
		{"as it should be", good, true},
		{"none", "", false},
		{"no message", "ACK", false},
		{"another branch", strings.Replace(good, "z9hG4bKa1;", "z9hG4bKa2;", 1), false},
		{"another number", strings.Replace(good, "1 ACK", "2 ACK", 1), false},
		{"another tag", strings.Replace(good, "tag=busy", "tag=free", 1), false},
		{"another method", strings.Replace(strings.Replace(good, "ACK sip", "BYE sip", 1), "1 ACK", "1 BYE", 1), false},
	} {
		a := &author{ack: c.ack}
		w := newWorld(t, Config{Writer: a})
		w.mustSend(transport.UDP, invite, 0)
		busy := reply(t, invite, 486, compose.Reply{ToTag: "busy"})
		w.receive(transport.UDP, busy)
		w.receive(transport.UDP, busy)
		if len(w.sent) != 3 || a.asked != 1 {
			t.Fatalf("%s: %d messages, asked %d times; want INVITE and two ACKs, once", c.name, len(w.sent), a.asked)
		}
		for _, s := range w.sent[1:] {
			if got := s.raw == good; got != c.own || !strings.HasPrefix(s.raw, "ACK ") {
				t.Errorf("%s: sent %q", c.name, s.raw)
			}
		}
	}
}

// TestWriterOwn holds that a user that sends its ACK itself is left to do so.
func TestWriterOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{Writer: &author{own: true}})
	invite := ours("INVITE", "z9hG4bKa1")
	w.mustSend(transport.UDP, invite, 0)
	busy := reply(t, invite, 486, compose.Reply{ToTag: "busy"})
	w.receive(transport.UDP, busy)
	w.receive(transport.UDP, busy)
	if len(w.sent) != 1 {
		t.Errorf("the layer sends %q", w.sent[1].raw)
	}
}

// TestWriterConfirmation is the same of the answer to a CANCEL.
func TestWriterConfirmation(t *testing.T) {
	t.Parallel()
	invite, cancel := request("INVITE", "z9hG4bKa1"), strings.Replace(request("CANCEL", "z9hG4bKa1"), "Contact", "X", 1)
	good := strings.Replace(reply(t, cancel, 200, compose.Reply{ToTag: "b"}), "Content-Length", "X-Own: yes\r\nContent-Length", 1)
	for _, c := range []struct {
		name, text string
		own        bool
	}{
		{"as it should be", good, true},
		{"481, as recorded", strings.Replace(good, " 200 OK", " 481 Gone", 1), true},
		{"none", "", false},
		{"provisional", strings.Replace(good, " 200 OK", " 180 OK", 1), false},
		{"a request", cancel, false},
		{"of the INVITE", strings.Replace(good, "1 CANCEL", "1 INVITE", 1), false},
		{"another branch", strings.Replace(good, "z9hG4bKa1;", "z9hG4bKa2;", 1), false},
	} {
		w := newWorld(t, Config{Writer: &author{confirmation: c.text}})
		w.receive(transport.UDP, invite)
		w.receive(transport.UDP, cancel)
		w.receive(transport.UDP, cancel)
		if len(w.sent) != 2 {
			t.Fatalf("%s: %d messages, want two answers", c.name, len(w.sent))
		}
		for _, s := range w.sent {
			if got := s.raw == c.text; got != c.own || !strings.HasPrefix(s.raw, "SIP/2.0 ") {
				t.Errorf("%s: sent %q", c.name, s.raw)
			}
		}
	}
}

// TestMalformed holds that Config.Malformed passes on what is wrong, as long as a transaction can have it.
func TestMalformed(t *testing.T) {
	t.Parallel()
	good := request("MESSAGE", "z9hG4bKg")
	for _, c := range []struct{ name, old, new, want string }{
		{"From", "<sip:alice@192.0.2.2>", "<sip:alice@192.0.2.2", "0 request MESSAGE"},
		{"no To", "To:", "Tp:", "0 request MESSAGE"},
		{"version", "SIP/2.0\r\nVia", "SIP/3.0\r\nVia", "0 request MESSAGE"},
		{"body cut", "Content-Length: 0", "Content-Length: 1", "0 request MESSAGE"},
		{"no CSeq", "CSeq:", "X:", "0 > 400"},
		{"no Call-ID", "Call-ID:", "X:", "0 > 400"},
		{"no Via", "Via:", "X:", ""},
	} {
		w := newWorld(t, Config{Malformed: true})
		w.receive(transport.UDP, strings.Replace(good, c.old, c.new, 1))
		if got := w.take(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	w := newWorld(t, Config{Malformed: true})
	invite := request("INVITE", "z9hG4bKi")
	w.receive(transport.UDP, invite)
	odd := strings.Replace(reply(t, invite, 486, compose.Reply{}), "SIP/2.0 486", "SIP/2.0  486", 1)
	if err := w.l.Respond(w.last, []byte(odd)); err != nil {
		t.Errorf("a status line with a blank: %v", err)
	}
	w = newWorld(t, Config{Malformed: true})
	asked := ours("OPTIONS", "z9hG4bKm")
	w.mustSend(transport.UDP, asked, 7)
	w.take()
	w.receive(transport.UDP, strings.Replace(reply(t, asked, 200, compose.Reply{}), "Content-Length: 0", "Content-Length: 9", 1))
	if got := w.take(); got != "0 response 200 data=7" {
		t.Errorf("a response with a body that is cut: %q", got)
	}
}
