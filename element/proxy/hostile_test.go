package proxy

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// toBob is a Resolver that knows one place.
type toBob struct{}

func (toBob) Resolve(_ []byte, done func([]transport.Hop, error)) {
	done([]transport.Hop{{Proto: transport.UDP, Remote: netip.MustParseAddrPort(bobAddr)}}, nil)
}

// refusedTorture are the requests of RFC 4475 that a proxy itself answers, and how; beside them there are those that
// txn.Refusal takes for unusable. All others go on.
var refusedTorture = map[string]string{
	"unkscm": "416", "novelsc": "416", // 3.3.2, 3.3.3
	"bext01": "420", // 3.3.5
	"zeromf": "483", // 3.3.11: though an OPTIONS may be answered by whoever has it then
}

// TestTorture throws all messages of RFC 4475 at both kinds of proxy: what is not refused goes on as it is, and the proxy
// still serves.
func TestTorture(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("../../../shared/pcaps/rfc4475/*.dat")
	if len(files) == 0 {
		t.Skip("the messages of RFC 4475 (../shared/pcaps/rfc4475) are not here")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".dat")
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := new(sip.Message)
		if sip.Parse(raw, m) != nil {
			continue
		}
		for _, stateless := range []bool{false, true} {
			r := newRig(t, Config{Resolver: toBob{}, RecordRoute: true})
			if stateless {
				r.stateless(Config{Resolver: toBob{}})
			}
			alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
			alice.host.Send(transport.Hop{Proto: transport.UDP, Remote: netip.MustParseAddrPort(proxyAddr)}, raw, 0)
			r.run(5 * ms)
			status := ""
			for _, line := range r.lines() {
				if after, ok := strings.CutPrefix(line, "10.0.0.1>"); ok && strings.Contains(after, " SIP/2.0 ") {
					if code := strings.Fields(after)[2]; code != "100" && !strings.HasSuffix(after, "SIP/2.0") {
						status = code
					}
				}
			}
			want := refusedTorture[name]
			if code, _ := txn.Refusal(m); m.Request && code > 0 {
				want = strconv.Itoa(code)
			}
			switch {
			case status != want:
				t.Errorf("%s (stateless %v): answer %q, want %q", name, stateless, status, want)
			case name == "mpart01": // its Route names 127.0.0.1, where nobody is
			case want == "" && m.Request:
				untouched(t, raw, bob.take())
			default:
				bob.none()
			}
			alice.got = nil
			alice.udp(request("MESSAGE", "sip:bob@10.0.2.1", "after"))
			r.run(5 * ms)
			bob.takeLine("MESSAGE")
			if !stateless {
				r.idle()
			}
		}
	}
}

// untouched checks that a forwarded request has all header fields that are no business of a proxy byte for byte, in their
// order, and the body.
func untouched(t *testing.T, in []byte, out string) {
	t.Helper()
	fields := func(m *sip.Message) string {
		var b strings.Builder
		via := 0
		for i := range m.Headers {
			h := &m.Headers[i]
			switch h.ID {
			case sip.HeaderMaxForwards, sip.HeaderMaxBreadth, sip.HeaderRoute, sip.HeaderRecordRoute, sip.HeaderContentLength:
			case sip.HeaderVia:
				if via++; via > 2 {
					fmt.Fprintf(&b, "%s\n", m.Raw[h.Name.Off:h.Value.Off+h.Value.Len])
				}
			default:
				fmt.Fprintf(&b, "%s\n", m.Raw[h.Name.Off:h.Value.Off+h.Value.Len])
			}
		}
		return b.String()
	}
	// the copy has one Via more, and the second one of it may have been completed
	more := "Via: x\r\n"
	first := bytes.IndexByte(in, '\n') + 1
	a, b := parse(t, string(in[:first])+more+string(in[first:])), parse(t, out)
	if x, y := fields(a), fields(b); x != y {
		t.Errorf("header fields changed:\n%s\nto\n%s", x, y)
	}
	if x, y := a.Body.Of(a.Raw), b.Body.Of(b.Raw); !bytes.Equal(x, y) {
		t.Errorf("body changed: %q to %q", x, y)
	}
}

// FuzzMessage has both kinds of proxy take any message: they keep standing, and what they forward is untouched.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		request("INVITE", "sip:bob@b.com", "1", "Route: <sip:10.0.0.1;lr>, <sip:x;lr>", "Max-Breadth: 3"),
		request("BYE", "sip:10.0.0.1", "1", "Route: <sip:a>,<sip:b>", "totag 1", "Proxy-Require: a"),
		request("ACK", "sip:b@x.org;maddr=10.0.0.1", "1", "totag 1"),
		request("CANCEL", "tel:+1", "1", "Proxy-Authorization: Digest realm=\"b\""),
		"SIP/2.0 200 OK\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx\nVia: SIP/2.0/UDP 10.0.1.1\nCSeq: 1 INVITE\n\n",
	} {
		f.Add([]byte(strings.ReplaceAll(s, "\n", "\r\n")))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := new(sip.Message)
		if sip.Parse(raw, m) != nil || len(raw) > 8000 {
			return
		}
		for _, stateless := range []bool{false, true} {
			cfg := bCom(1000, 1000)
			cfg.Resolver, cfg.RecordRoute, cfg.Recurse = toBob{}, true, true
			r := newRig(t, cfg)
			if stateless {
				r.stateless(cfg)
			}
			bob := r.peer(bobAddr)
			r.peer(aliceAddr).host.Send(transport.Hop{Proto: transport.UDP, Remote: netip.MustParseAddrPort(proxyAddr)}, raw, 0)
			r.run(5 * ms)
			if len(bob.got) > 0 && m.Request && m.MethodID != sip.MethodCancel {
				if status, _ := txn.Refusal(m); status == 0 {
					untouched(t, raw, bob.got[0])
				}
			}
			if !stateless {
				r.idle()
			}
		}
	})
}

// outcome is what the caller of one request was told.
type outcome struct {
	method string
	finals map[string]bool
}

// history plays random calls through a forking proxy: callees answer anything at any time, or nothing, datagrams are lost,
// callers cancel. It gives what the callers were told.
func history(t *testing.T, seed uint64, data []byte, loss float64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	pick := func(n int) int {
		if len(data) > 0 {
			v := int(data[0])
			data = data[1:]
			return v % n
		}
		return rng.IntN(n)
	}
	cfg := Config{Domains: []string{"b.com"}, RecordRoute: pick(2) == 0, Recurse: pick(2) == 0, Fork: Fork(pick(3)), MaxBreadth: 1 + pick(4), TimerC: int64(time.Minute)}
	dns := &fakeDNS{hops: map[string][]string{
		"one.org": {bobAddr}, "two.org": {bob2Addr, "10.0.9.9:5060", carolAddr}, "tcp.org": {"tcp:10.0.9.9:5060", bobAddr},
	}, later: pick(2) == 0}
	cfg.Resolver = dns
	uris := []string{"sip:x@10.0.2.1", "sip:y@10.0.2.2", "sip:z@10.0.2.3", "sip:x@one.org", "sip:y@two.org", "sip:w@none.org", "sip:x@tcp.org"}
	var targets []Target
	for range 1 + pick(5) {
		targets = append(targets, Target{URI: uris[pick(len(uris))], Q: 500 * pick(3)})
	}
	cfg.Locator = namedLocator{"sip:bob@b.com": targets}
	r := newRig(t, cfg)
	r.net.Loss, r.net.Duplicate, r.net.Reorder = loss, loss/2, loss/2
	codes := []int{100, 180, 183, 200, 302, 401, 404, 407, 408, 486, 500, 503, 603, 0}
	auto := func(p *peer, m *sip.Message, raw string) {
		if !m.Request || m.MethodID == sip.MethodAck {
			return
		}
		if m.MethodID == sip.MethodCancel {
			p.reply(raw, 200, "c")
			if pick(4) > 0 {
				invite := strings.NewReplacer("CANCEL sip", "INVITE sip", " CANCEL\r\n", " INVITE\r\n").Replace(raw)
				p.reply(invite, 487, p.addr)
			}
			return
		}
		for range pick(4) {
			code := codes[pick(len(codes))]
			if code == 0 {
				continue
			}
			at := r.net.Now() + int64(pick(4))*int64(3*time.Second)
			r.net.At(at, func() { p.reply(raw, code, p.addr, "Contact: <sip:z@10.0.2.3>", `WWW-Authenticate: Digest realm="x"`) })
		}
	}
	for _, a := range []string{bobAddr, bob2Addr, carolAddr} {
		r.peer(a).auto = auto
	}
	alice := r.peer(aliceAddr)
	sent := map[string]*outcome{}
	alice.auto = func(_ *peer, m *sip.Message, _ string) {
		o := sent[string(m.Via.Branch.Of(m.Raw))]
		if !m.Request && m.Status >= 200 && o != nil && string(m.CSeqMethod.Of(m.Raw)) == o.method {
			o.finals[fmt.Sprint(m.Status, " ", string(m.To.Tag.Of(m.Raw)))] = true
		}
	}
	for n := range 1 + pick(4) {
		method := []string{"INVITE", "MESSAGE", "SUBSCRIBE"}[pick(3)]
		branch := fmt.Sprint("h", n)
		sent["z9hG4bK"+branch] = &outcome{method: method, finals: map[string]bool{}}
		text := strings.ReplaceAll(request(method, "sip:bob@b.com", branch), "c1@a", branch)
		for i := range 7 { // the caller has no transactions: it sends again whatever comes
			r.net.At(start+int64(n)*int64(time.Second)+int64(500*ms)*(1<<i), func() { alice.udp(text) })
		}
		if method == "INVITE" && pick(3) == 0 {
			cancel := strings.ReplaceAll(request("CANCEL", "sip:bob@b.com", branch), "c1@a", branch)
			r.net.At(start+int64(pick(10))*int64(time.Second), func() { alice.udp(cancel) })
		}
	}
	for range 120 {
		r.run(10 * time.Second)
		wait := dns.wait
		dns.wait = nil
		for _, f := range wait {
			r.host.Post(f)
		}
	}
	judge(t, sent, loss)
	for len(dns.wait) > 0 {
		wait := dns.wait
		dns.wait = nil
		for _, f := range wait {
			r.host.Post(f)
		}
		r.run(time.Minute)
	}
	r.idle()
}

// judge checks what the callers were told: one final answer, or several 2xx of an INVITE; none only for what is no INVITE
// (RFC 4320).
func judge(t *testing.T, sent map[string]*outcome, loss float64) {
	t.Helper()
	for branch, o := range sent {
		other, ok := 0, 0
		for f := range o.finals {
			if strings.HasPrefix(f, "2") {
				ok++
			} else {
				other++
			}
		}
		switch {
		case other > 1, other == 1 && ok > 0, ok > 1 && o.method != "INVITE":
			t.Errorf("%s %s: several finals %v", o.method, branch, o.finals)
		case other+ok == 0 && o.method == "INVITE" && loss == 0:
			t.Errorf("%s %s: no final", o.method, branch)
		}
	}
}

// TestHistories plays many random histories.
func TestHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		history(t, seed, nil, 0)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		history(t, seed, nil, 0.3)
		if t.Failed() {
			t.Fatalf("seed %d with loss", seed)
		}
	}
}

// FuzzHistory is TestHistories led by the fuzzer.
func FuzzHistory(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6}, false)
	f.Add([]byte{1, 0, 1, 9, 3, 0, 0, 0, 0, 0, 3, 3, 3}, true)
	f.Fuzz(func(t *testing.T, data []byte, lossy bool) {
		loss := 0.0
		if lossy {
			loss = 0.2
		}
		history(t, 1, data, loss)
	})
}
