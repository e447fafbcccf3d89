package hostile

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// answers are the final statuses that a message of RFC 4475 or RFC 5118 may get of each kind of element, in the order of kinds;
// 0: none, and -1: what only the next hop can say, since a proxy sends it on. docs/elements.md has the reasons.
type answers [5]any

// all is the same of every element: what the transaction layer says, or whoever comes first.
func all(status any) answers { return answers{status, status, status, status, status} }

// Of what a proxy sends on it is the failure to find the names in the messages, which nobody resolves here.
var onward = []int{404, 408, 478, 480, 482, 500, 503}

// torture has what RFC 4475 asks for. Where it leaves a choice, both are here.
var torture = map[string]answers{
	"wsinv":      {481, onward, onward, 405, 404},                                                               // 3.1.1.1: readable, but its To tag names no dialog
	"intmeth":    {501, onward, onward, 501, 404},                                                               // 3.1.1.2: a method that nobody knows, which proxies forward
	"esc01":      {200, onward, onward, 405, 404},                                                               // 3.1.1.3
	"escnull":    {405, onward, onward, 200, 405},                                                               // 3.1.1.4
	"esc02":      {501, onward, onward, 501, 404},                                                               // 3.1.1.5: "RE%47IST%45R" is not REGISTER
	"lwsdisp":    {200, onward, onward, 200, 404},                                                               // 3.1.1.6
	"longreq":    {200, onward, onward, 405, 404},                                                               // 3.1.1.7
	"dblreq":     {405, onward, onward, 200, 405},                                                               // 3.1.1.8: over UDP what follows the first is no part of it
	"semiuri":    {200, onward, onward, 200, 404},                                                               // 3.1.1.9
	"transports": {200, onward, onward, 200, 404},                                                               // 3.1.1.10
	"mpart01":    {200, onward, 0, 405, 404},                                                                    // 3.1.1.11: its Route names a place where nobody is, of which a stateless proxy says nothing
	"badinv01":   all(400),                                                                                      // 3.1.2.1
	"clerr":      all(400),                                                                                      // 3.1.2.2
	"ncl":        all(400),                                                                                      // 3.1.2.3
	"scalar02":   all(400),                                                                                      // 3.1.2.4
	"quotbal":    all(400),                                                                                      // 3.1.2.6
	"ltgtruri":   all(400),                                                                                      // 3.1.2.7
	"lwsruri":    all(400),                                                                                      // 3.1.2.8
	"lwsstart":   all(400),                                                                                      // 3.1.2.9
	"trws":       all(400),                                                                                      // 3.1.2.10
	"escruri":    all(400),                                                                                      // 3.1.2.11
	"baddate":    {200, onward, onward, 405, 404},                                                               // 3.1.2.12: the Date may be overlooked
	"regbadct":   {405, onward, onward, 400, 405},                                                               // 3.1.2.13
	"badaspec":   all(400),                                                                                      // 3.1.2.14
	"baddn":      {[]int{200, 400}, append(onward, 400), append(onward, 400), []int{200, 400}, []int{404, 400}}, // 3.1.2.15
	"badvers":    all(505),                                                                                      // 3.1.2.16
	"mismatch01": all(400),                                                                                      // 3.1.2.17
	"mismatch02": all([]int{400, 501}),                                                                          // 3.1.2.18
	"badbranch":  {200, onward, onward, 200, 404},                                                               // 3.2.1
	"insuf":      all(400),                                                                                      // 3.3.1
	"unkscm":     all(416),                                                                                      // 3.3.2
	"novelsc":    all(416),                                                                                      // 3.3.3
	"unksm2":     {405, onward, onward, 404, 405},                                                               // 3.3.4: the address is of no domain of a registrar
	"bext01":     all(420),                                                                                      // 3.3.5
	"invut":      {415, onward, onward, 405, 404},                                                               // 3.3.6
	"regaut01":   {405, onward, onward, 200, 405},                                                               // 3.3.7
	"multi01":    all(400),                                                                                      // 3.3.8
	"mcl01":      all(400),                                                                                      // 3.3.9
	"zeromf":     {200, []int{200, 483}, []int{200, 483}, 200, 404},                                             // 3.3.11: for proxies alone
	"cparam01":   {405, onward, onward, 200, 405},                                                               // 3.3.12
	"cparam02":   {405, onward, onward, 200, 405},                                                               // 3.3.13
	"regescrt":   {405, onward, onward, 200, 405},                                                               // 3.3.14
	"sdp01":      {406, onward, onward, 405, 404},                                                               // 3.3.15
	"inv2543":    {200, onward, onward, 405, 404},                                                               // 3.4.1
	// responses: nobody answers one
	"unreason": all(0), "noreason": all(0), "scalarlg": all(0), "bigcode": all(0), "bcast": all(0),
}

// accepts reports whether a status is one of those that a row allows.
func accepts(want any, got int) bool {
	switch w := want.(type) {
	case int:
		return w == got
	case []int:
		return slices.Contains(w, got)
	}
	return false
}

// corpus reads the messages of an RFC.
func corpus(t *testing.T, rfc string) map[string][]byte {
	t.Helper()
	files, _ := filepath.Glob("../../../shared/pcaps/" + rfc + "/*.dat")
	if len(files) == 0 {
		t.Skip("the messages of " + rfc + " (../shared/pcaps/" + rfc + ") are not here")
	}
	all := map[string][]byte{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if sip.IsStart(raw) {
			all[strings.TrimSuffix(filepath.Base(file), ".dat")] = raw
		}
	}
	return all
}

// viaHere has a message's top Via name the sender, so that the answer comes to it whatever the message said.
func viaHere(raw []byte, proto string, here net.Addr, branch string) []byte {
	text := string(raw)
	m := new(sip.Message)
	if sip.Parse(raw, m) != nil {
		return raw
	}
	for i := range m.Headers {
		if h := &m.Headers[i]; h.ID == sip.HeaderVia {
			return []byte(text[:h.Name.Off] + fmt.Sprintf("Via: SIP/2.0/%s %s;branch=z9hG4bK%s\r\n", proto, here, branch) + text[h.Name.Off:])
		}
	}
	return raw
}

// atVia gives a socket at the port that a message's top Via names, where the answer comes to (RFC 3261 18.2.2).
func atVia(t *testing.T, raw []byte, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	m := new(sip.Message)
	port := 5060
	if sip.Parse(raw, m) == nil && m.Via.Port != 0 {
		port = int(m.Via.Port)
	}
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 50, 5, 1), Port: port}, net.UDPAddrFromAddrPort(to))
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no socket at a usual port: ", err)
	}
	return c
}

// TestTortureOnSockets throws all messages of RFC 4475 at each element, over UDP, as they are: the answer that the RFC asks
// for, and the element still serves.
func TestTortureOnSockets(t *testing.T) {
	t.Parallel()
	messages := corpus(t, "rfc4475")
	bob := bobSite(t)
	me := newClient(t)
	for k, kind := range kinds {
		for name, raw := range messages {
			want, ok := torture[name]
			if !ok {
				t.Errorf("%s has no verdict", name)
				continue
			}
			s := live(t, kind, bob.at(transport.UDP).String(), transport.Config{}) // several have the branch of another
			c := atVia(t, raw, s.at(transport.UDP))
			_, _ = c.Write(raw)
			if got := final(c, raw, want[k] == 0); !accepts(want[k], got) {
				t.Errorf("%s: the %s answers %d, want %v", name, kind, got, want[k])
			}
			_ = c.Close()
			me.served(s, transport.UDP)
			s.close()
		}
	}
	if len(messages) != len(torture) {
		t.Errorf("%d messages of %d", len(messages), len(torture))
	}
}

// final reads answers to a message up to a final one; 0: none came. Those that must not come are not waited for long.
func final(c net.Conn, to []byte, none bool) int {
	asked := new(sip.Message)
	_ = sip.Parse(to, asked) // nil: of any
	buf := make([]byte, 65536)
	wait := 5 * time.Second
	if none {
		wait = 20 * time.Millisecond
	}
	_ = c.SetReadDeadline(time.Now().Add(wait))
	for {
		n, err := c.Read(buf)
		if err != nil {
			return 0
		}
		m := new(sip.Message)
		if sip.Parse(buf[:n], m) != nil || m.Request || m.Status < 200 {
			continue
		}
		if to == nil || string(m.CallID.Of(m.Raw)) == string(asked.CallID.Of(asked.Raw)) { // none that is sent again for another
			return int(m.Status)
		}
	}
}

// TestTortureStreams sends the same over TCP, each message on a connection of its own, all cut into pieces: the elements
// still serve. RFC 5118's come too.
func TestTortureStreams(t *testing.T) {
	t.Parallel()
	bob := bobSite(t)
	me := newClient(t)
	for _, rfc := range []string{"rfc4475", "rfc5118"} {
		messages := corpus(t, rfc)
		for _, kind := range kinds {
			s := live(t, kind, bob.at(transport.UDP).String(), transport.Config{
				Listen:         []transport.Listen{at("udp:127.50.0.1:0"), at("tcp:127.50.0.1:0")},
				MessageTimeout: 100 * time.Millisecond,
			})
			done := make(chan struct{})
			for name, raw := range messages {
				c := tcp(t, s.at(transport.TCP))
				go func() {
					defer func() { done <- struct{}{} }()
					mine := viaHere(raw, "TCP", c.LocalAddr(), rfc+name)
					for len(mine) > 0 {
						n := min(len(mine), 400)
						if _, err := c.Write(mine[:n]); err != nil {
							return
						}
						mine = mine[n:]
					}
					_ = c.CloseWrite()
					_ = c.SetReadDeadline(time.Now().Add(time.Second)) // a closed half waits for answers that may come
					_, _ = c.Read(make([]byte, 65536))
				}()
			}
			for range messages {
				<-done
			}
			me.served(s, transport.TCP)
			me.served(s, transport.UDP)
		}
	}
}

// v6 has what RFC 5118 asks of a registrar, to which most of its messages go, and of a user agent.
var v6 = map[string][2]any{
	"ipv6-good":              {200, 405},                                        // 4.1
	"ipv6-bad":               {400, 400},                                        // 4.2: an address without its brackets
	"port-ambiguous":         {[]int{200, 404}, 405},                            // 4.3
	"port-unambiguous":       {[]int{200, 404}, 405},                            // 4.4
	"via-received-param":     {405, []int{200, 481}},                            // 4.5
	"ipv6-bug-abnf-3-colons": {[]int{200, 400, 405}, []int{200, 400, 405, 481}}, // 4.10
}

// TestTorture6 sends the messages of RFC 5118 on ::1.
func TestTorture6(t *testing.T) {
	t.Parallel()
	messages := corpus(t, "rfc5118")
	if c, err := net.ListenPacket("udp6", "[::1]:0"); err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no IPv6 on loopback: ", err)
	} else {
		_ = c.Close()
	}
	for k, kind := range []string{"registrar", "user agent"} {
		for name, raw := range messages {
			s := live(t, kind, "", transport.Config{Listen: []transport.Listen{at("udp:[::1]:0")}})
			c, err := net.DialUDP("udp6", nil, net.UDPAddrFromAddrPort(s.at(transport.UDP)))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Write(viaHere(raw, "UDP", c.LocalAddr(), name))
			want, ok := v6[name]
			got := final(c, raw, false)
			_ = c.Close()
			if ok && !accepts(want[k], got) || !ok && got == 0 {
				t.Errorf("%s: the %s answers %d, want %v", name, kind, got, want[k])
			}
			c2, _ := net.DialUDP("udp6", nil, net.UDPAddrFromAddrPort(s.at(transport.UDP)))
			_, _ = c2.Write([]byte(req{method: "OPTIONS", uri: "sip:bob@" + s.at(transport.UDP).String(), via: c2.LocalAddr().String(), branch: "after" + name}.text()))
			if got := final(c2, nil, false); got != 200 {
				t.Errorf("after %s the %s answers %d", name, kind, got)
			}
			_ = c2.Close()
			s.close()
		}
	}
}
