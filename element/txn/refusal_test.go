package txn

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// torture has what the layer does with each message of RFC 4475: "request" and "response" go to the user, "drop" is dropped, all
// else is the status and the reason of the layer's answer.
var torture = map[string]string{
	// 3.1.1 valid messages
	"wsinv": "request", "intmeth": "request", "esc01": "request", "escnull": "request", "esc02": "request",
	"lwsdisp": "request", "longreq": "request", "dblreq": "request", "semiuri": "request", "transports": "request",
	"mpart01": "request", "unreason": "response", "noreason": "response",
	// 3.1.2 invalid messages
	"badinv01":   "400 Bad Via",
	"clerr":      "400 Body Shorter Than Content-Length",
	"ncl":        "400 Bad Content-Length",
	"scalar02":   "400 Bad CSeq",
	"scalarlg":   "drop",
	"quotbal":    "400 Bad To",
	"ltgtruri":   "400 Bad Request-URI",
	"lwsruri":    "400 Bad Request-URI",
	"lwsstart":   "400 Bad Request Line",
	"trws":       "400 Bad Request Line",
	"escruri":    "400 Bad Request-URI",
	"baddate":    "request", // "may ignore", and so we do
	"regbadct":   "request", // the registrar's
	"badaspec":   "400 Bad To",
	"baddn":      "400 Bad From", // "reasonable always to reject"; a proxy "must not propagate the error"
	"badvers":    "505 Version Not Supported",
	"mismatch01": "400 CSeq Method Mismatch",
	"mismatch02": "501 Not Implemented",
	"bigcode":    "drop",
	// 3.2 transaction layer semantics: the branch is no more than the cookie
	"badbranch": "request",
	// 3.3 application-layer semantics
	"insuf": "400 Missing From", "unkscm": "request", "novelsc": "request", "unksm2": "request", "bext01": "request",
	"invut": "request", "regaut01": "request", "multi01": "400 Repeated CSeq", "mcl01": "400 Repeated Content-Length",
	"bcast": "response", "zeromf": "request", "cparam01": "request", "cparam02": "request", "regescrt": "request",
	"sdp01": "request",
	// 3.4 backward compatibility
	"inv2543": "request",
}

func TestTorture(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/pcaps/rfc4475/*.dat")
	if err != nil || len(files) == 0 {
		t.Skip("no RFC 4475 messages: ../shared/pcaps is not there")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".dat")
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var m sip.Message
		if sip.Parse(raw, &m) != nil {
			continue // not SIP: no link gives it to the layer
		}
		w := newWorld(t, Config{})
		w.l.Receive(&transport.Received{Msg: &m, Hop: hop(transport.UDP)})
		got := "drop"
		switch {
		case len(w.sent) > 0:
			line, _, _ := strings.Cut(w.sent[0].raw, "\r\n")
			got = strings.TrimPrefix(line, "SIP/2.0 ")
		case len(w.log) > 0:
			_, word, _ := strings.Cut(w.log[0], " ")
			got, _, _ = strings.Cut(word, " ")
		}
		if want := torture[name]; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		s := w.l.Stats()
		if n := s.Dropped + s.Malformed; (n == 1) != (got == "drop" || got[0] == '4' || got[0] == '5') {
			t.Errorf("%s: %s, and %d counted", name, got, n)
		}
		// The element still serves.
		w.receive(transport.UDP, request("OPTIONS", "z9hG4bKafter"))
		if last := w.log[len(w.log)-1]; last != "0 request OPTIONS" {
			t.Errorf("%s: then %s", name, last)
		}
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	good := request("MESSAGE", "z9hG4bKg")
	for _, c := range []struct {
		name, old, new string
		want           string
	}{
		{"good", "\r\n\r\n", "\r\n\r\n", "0 "},
		{"no Via", "Via:", "Vjb:", "-1 "},
		{"no sent-by", "192.0.2.2:5062;branch", ";branch", "-1 "},
		{"no To", "To:", "Tp:", "400 Missing To"},
		{"no CSeq", "CSeq:", "X:", "400 Missing CSeq"},
		{"CSeq is no number", "CSeq: 1 ", "CSeq: one ", "400 Bad CSeq"},
		{"version", "SIP/2.0\r\nVia", "SIP/3.0\r\nVia", "505 "},
		{"version comes first", "SIP/2.0\r\nVia: ", "SIP/3.0\r\nX: ", "-1 "},
		{"Max-Forwards twice", "Max-Forwards: 70", "Max-Forwards: 70\r\nMax-Forwards: 70", "400 Repeated Max-Forwards"},
		{"Max-Forwards is no number", "Max-Forwards: 70", "Max-Forwards: x", "0 "}, // the core's
		{"Contact twice", "Contact:", "Contact: <sip:x@y>\r\nContact:", "0 "},
		{"Contact with an open quote", "<sip:alice@192.0.2.2:5062>", `"x <sip:a@b>`, "0 "},
		{"From with an open bracket", "<sip:alice@192.0.2.2>", "<sip:alice@192.0.2.2", "400 Bad From"},
		{"From without quotes, not ASCII", "Alice <", "Zoë <", "0 "},
		{"From without quotes, a comma", "Alice <", "Bell, Alice <", "400 Bad From"},
		{"From with a host that cannot be read", "alice@192.0.2.2>;", "alice@1:2:3>;", "0 "}, // it is copied, no more
		{"unknown method, another in CSeq", "CSeq: 1 MESSAGE", "CSeq: 1 FOO", "400 CSeq Method Mismatch"},
		{"no colon", "Max-Forwards: 70", "Max-Forwards 70", "0 "},
		{"To twice", "Max-Forwards: 70", "To: <sip:x@y>", "400 Repeated To"},
		{"Request-URI without a scheme", "sip:bob@192.0.2.1 ", "bob ", "400 Bad Request-URI"},
		{"body cut", "Content-Length: 0", "Content-Length: 1", "400 Body Shorter Than Content-Length"},
		{"host", "sip:bob@192.0.2.1 ", "sip:bob@2001:db8::1 ", "400 Bad Request-URI"},
	} {
		raw := strings.Replace(good, c.old, c.new, 1)
		if raw == good && c.name != "good" {
			t.Fatalf("%s: %q is not there", c.name, c.old)
		}
		var m sip.Message
		if err := sip.Parse([]byte(raw), &m); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		status, reason := Refusal(&m)
		if got := fmt.Sprint(status, " ", reason); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	// An ACK is never answered.
	w := newWorld(t, Config{})
	w.receive(transport.UDP, strings.Replace(ackOf("z9hG4bKg", "b"), "CSeq: 1 ACK", "CSeq: 1 BYE", 1))
	if got := w.take(); got != "" || w.l.Stats().Dropped != 1 {
		t.Errorf("a bad ACK gives %q", got)
	}
}
