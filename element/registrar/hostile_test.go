package registrar

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// tortureAnswers are the answers to the requests of RFC 4475, of a registrar and of a redirect server that knows nobody,
// both behind the transaction layer. Where the RFC leaves a choice, it is the layer's, and both are right. None: no answer. Each
// has its reason in the RFC.
var tortureAnswers = map[string][2][]uint16{
	"wsinv":      {{405}, {404}},           // 3.1.1.1
	"intmeth":    {{501}, {404}},           // 3.1.1.2
	"esc01":      {{405}, {404}},           // 3.1.1.3
	"escnull":    {{200}, {405}},           // 3.1.1.4
	"esc02":      {{501}, {404}},           // 3.1.1.5: "RE%47IST%45R" is not REGISTER
	"lwsdisp":    {{200}, {404}},           // 3.1.1.6: an OPTIONS, for a user
	"longreq":    {{405}, {404}},           // 3.1.1.7
	"dblreq":     {{200}, {405}},           // 3.1.1.8
	"semiuri":    {{200}, {404}},           // 3.1.1.9
	"transports": {{200}, {404}},           // 3.1.1.10
	"mpart01":    {{405}, {404}},           // 3.1.1.11
	"badinv01":   {{400}, {400}},           // 3.1.2.1
	"clerr":      {{400}, {400}},           // 3.1.2.2
	"ncl":        {{400}, {400}},           // 3.1.2.3
	"scalar02":   {{400}, {400}},           // 3.1.2.4
	"quotbal":    {{400}, {400}},           // 3.1.2.6
	"ltgtruri":   {{400}, {400}},           // 3.1.2.7
	"lwsruri":    {{400}, {400}},           // 3.1.2.8
	"lwsstart":   {{400}, {400}},           // 3.1.2.9
	"trws":       {{400}, {400}},           // 3.1.2.10
	"escruri":    {{400}, {400}},           // 3.1.2.11
	"baddate":    {{405}, {404}},           // 3.1.2.12: may be overlooked
	"regbadct":   {{400}, {405}},           // 3.1.2.13: nobody knows whether "?" begins headers of the URI
	"badaspec":   {{400}, {400}},           // 3.1.2.14
	"baddn":      {{200, 400}, {404, 400}}, // 3.1.2.15: may be overlooked
	"badvers":    {{505}, {505}},           // 3.1.2.16
	"mismatch01": {{400}, {400}},           // 3.1.2.17
	"mismatch02": {{400, 501}, {400, 501}}, // 3.1.2.18
	"badbranch":  {{200}, {404}},           // 3.2.1
	"insuf":      {{400}, {400}},           // 3.3.1
	"unkscm":     {{416}, {416}},           // 3.3.2
	"novelsc":    {{416}, {416}},           // 3.3.3
	"unksm2":     {{404}, {405}},           // 3.3.4: the address is of no domain here (RFC 3261 10.3 step 5)
	"bext01":     {{420}, {420}},           // 3.3.5
	"invut":      {{405}, {404}},           // 3.3.6
	"regaut01":   {{200}, {405}},           // 3.3.7: an Authorization of an unknown scheme is overlooked
	"multi01":    {{400}, {400}},           // 3.3.8
	"mcl01":      {{400}, {400}},           // 3.3.9
	"zeromf":     {{200}, {404}},           // 3.3.11: Max-Forwards 0 is for proxies
	"cparam01":   {{200}, {405}},           // 3.3.12
	"cparam02":   {{200}, {405}},           // 3.3.13
	"regescrt":   {{200}, {405}},           // 3.3.14
	"sdp01":      {{405}, {404}},           // 3.3.15
	"inv2543":    {{405}, {404}},           // 3.4.1
	// responses
	"unreason": {}, "noreason": {}, "scalarlg": {}, "bigcode": {}, "bcast": {},
}

// TestTorture throws all messages of RFC 4475 at both servers: the answer that the RFC asks for, and they still serve.
func TestTorture(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("../../../shared/pcaps/rfc4475/*.dat")
	if len(files) == 0 {
		t.Skip("the messages of RFC 4475 (../shared/pcaps/rfc4475) are not here")
	}
	store := NewStore(StoreConfig{})
	reg, _ := newRegistrar(t, Config{Store: store})
	red, _ := newRedirect(t, RedirectConfig{})
	seen := 0
	for _, file := range files {
		name := filepath.Base(file[:len(file)-len(".dat")])
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !sip.IsStart(raw) {
			continue // a note beside the messages
		}
		want, ok := tortureAnswers[name]
		if !ok {
			t.Errorf("%s has no verdict", name)
		}
		seen++
		for _, c := range []struct {
			who  string
			w    *world
			want []uint16
		}{{"registrar", reg, want[0]}, {"redirect", red, want[1]}} {
			sent := c.w.raw(string(raw))
			switch {
			case len(sent) != min(1, len(c.want)):
				t.Errorf("%s: the %s sends %d messages, want %v", name, c.who, len(sent), c.want)
			case len(sent) > 0 && !slices.Contains(c.want, sent[0].Status):
				t.Errorf("%s: the %s answers %d, want %v", name, c.who, sent[0].Status, c.want)
			}
			if m := c.w.one(c.w.request("OPTIONS", "sip:b.com", "sip:b.com")); m.Status != 200 {
				t.Fatalf("after %s the %s answers OPTIONS with %d", name, c.who, m.Status)
			}
			c.w.now += 40 * second // the transactions end
			c.w.handler.Wake(c.w.now)
		}
	}
	if seen != len(tortureAnswers) {
		t.Errorf("%d messages of %d", seen, len(tortureAnswers))
	}
	s := map[string]int{}
	for aor := range store.All(start) {
		s[aor]++
	}
	if s["sip:null-%00-null@example.com"] != 2 {
		t.Errorf("bindings: %v", s)
	}
}

// strict is a layer without a transaction: it takes exactly one answer to each request.
type strict struct {
	world
	answers [][]byte
}

func (s *strict) Link() transport.Link { return &s.world }
func (s *strict) Respond(_ txn.ID, raw []byte) error {
	s.answers = append(s.answers, bytes.Clone(raw))
	return nil
}

func FuzzRequest(f *testing.F) {
	w := &world{}
	for _, lines := range [][]string{
		{"Contact: <sip:bob@1.1.1.1>;expires=100;q=0.5, sip:al@b;x=\"y;z\"", "Path: <sip:p;lr>", "Supported: path"},
		{"Contact: *", "Expires: 0"},
		{"Require: x, y\r\n z", "Contact: \"a\\\"\" <sip:x@[::1]>"},
		{"CSeq: 1 REGISTER", "Contact: <sip:bob@1?a=b>;=;;expires=\"1\""},
	} {
		f.Add([]byte(w.request("REGISTER", "sip:b.com", bob, lines...)))
		f.Add([]byte(w.request("INVITE", bob, bob, lines...)))
	}
	files, _ := filepath.Glob("../../../shared/pcaps/rfc4475/*.dat")
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil {
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := &sip.Message{}
		if sip.Parse(raw, m) != nil || !m.Request {
			return
		}
		s := NewStore(StoreConfig{MaxContacts: 3})
		if err := s.Register([]byte(bob), bind("c1", 1, contact("sip:bob@1.1.1.1", 1, start+second)), start); err != nil {
			t.Fatal(err)
		}
		layer := &strict{world: world{t: t, now: start}}
		reg := New(Config{Store: s, Rand: rng(), KeepReceived: true})
		reg.Attach(layer)
		red := NewRedirect(RedirectConfig{Store: s, Rand: rng()})
		red.Attach(layer)
		for _, user := range []interface {
			txn.User
			Stats() Stats
		}{reg, red, reg} {
			layer.answers = nil
			before := user.Stats()
			user.Request(1, &transport.Received{Msg: m, Hop: transport.Hop{Proto: transport.UDP, Local: here, Remote: there}})
			st := user.Stats()
			n := 1
			if m.MethodID == sip.MethodAck {
				n = 0
			}
			if st.Unsent > before.Unsent {
				n = 0 // without a Via there is no way back
				if m.Vias > 0 && values(m, sip.HeaderVia) != "" {
					t.Fatalf("no answer could be written")
				}
			}
			if len(layer.answers) != n {
				t.Fatalf("%d answers, want %d", len(layer.answers), n)
			}
			checkStore(t, s)
			for _, raw := range layer.answers {
				a := &sip.Message{}
				if err := sip.Parse(raw, a); err != nil || a.Status < 200 {
					t.Fatalf("%v: %s", err, raw)
				}
				if int(a.Head)+int(a.Body.Len) != len(raw) {
					t.Fatalf("the answer ends early:\n%q", raw)
				}
				for c := range a.Addresses(sip.HeaderContact) {
					if uri := c.URI.Of(a.Raw); !contactURI(uri) {
						t.Fatalf("Contact %q in\n%s", uri, raw)
					}
				}
			}
		}
		n := 0
		for _, b := range s.Lookup(bob, start) {
			if n++; n > 3 || b.Ends <= start {
				t.Fatalf("%+v", b)
			}
		}
	})
}

// BenchmarkRequest is a refresh from the message to the answer, without and with the transaction layer.
func BenchmarkRequest(b *testing.B) {
	text := (&world{}).request("REGISTER", "sip:b.com", bob, "Contact: <sip:bob@1.1.1.1:5060;transport=udp>", "Expires: 3600")
	at := bytes.Index([]byte(text), []byte("CSeq: ")) + len("CSeq: ")
	raw := []byte(text[:at] + "10000000" + text[at+1:])
	layer := &quiet{world: world{t: b, now: start}}
	reg := New(Config{Store: NewStore(StoreConfig{}), Rand: rng()})
	reg.Attach(layer)
	rc := &transport.Received{Msg: &sip.Message{}, Hop: transport.Hop{Proto: transport.UDP, Local: here, Remote: there}}
	b.ReportAllocs()
	for b.Loop() {
		for i := at + 7; ; i-- { // the next CSeq
			if raw[i]++; raw[i] <= '9' {
				break
			}
			raw[i] = '0'
		}
		if err := sip.Parse(raw, rc.Msg); err != nil {
			b.Fatal(err)
		}
		reg.Request(1, rc)
	}
	if st := reg.Stats(); st.Accepted != st.Requests {
		b.Fatalf("%+v", st)
	}
}

type quiet struct{ world }

func (q *quiet) Link() transport.Link         { return &q.world }
func (q *quiet) Respond(txn.ID, []byte) error { return nil }

// BenchmarkHostile is a REGISTER that makes as many comparisons as one can, as slow as they can be.
func BenchmarkHostile(b *testing.B) {
	s := NewStore(StoreConfig{})
	contacts := func(from, n int) (c []Contact) {
		for i := range n {
			var uri []byte
			for k := range maxParams - 1 {
				uri = append(uri, ";a"...)
				uri = append(uri, byte('a'+k))
			}
			c = append(c, contact("sip:a@b"+string(uri)+";z="+string(rune('a'+from+i)), -1, start+second))
		}
		return c
	}
	if err := s.Register([]byte(bob), bind("c", 1, contacts(0, 10)...), start); err != nil {
		b.Fatal(err)
	}
	reg := bind("c", 1, contacts(10, s.cfg.perRequest())...)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Register([]byte(bob), reg, start); err == nil {
			b.Fatal("it fits")
		}
	}
}
