package main

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"sipscope/element/replay"
	"sipscope/element/transport"
)

// keeping is a keeper that is told of messages.
type keeping struct {
	*keeper

	now int64
}

func newKeeping() *keeping {
	r := &replaying{c: &replayCommand{load: loadFlags{repeat: 2}}}
	r.sees(nil)
	return &keeping{keeper: r.keeper}
}

func (k *keeping) message(raw string) {
	k.now++
	k.Message(k.now, transport.UDP, 0, netip.MustParseAddrPort("127.0.0.1:5060"), netip.MustParseAddrPort("127.0.0.2:5060"), []byte(raw))
}

// call tells of a whole call with a body of so many bytes.
func (k *keeping) call(id string, body int) {
	for _, start := range [...]string{"INVITE sip:b SIP/2.0", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK", "ACK sip:b SIP/2.0"} {
		k.message(start + "\r\nVia: x\r\nCall-ID: " + id + "\r\n\r\n" + strings.Repeat("x", body))
	}
}

func (k *keeping) ends(v replay.Verdict, ids ...string) {
	o := &replay.Outcome{Verdict: v, CallIDs: map[string]string{}}
	for i, id := range ids {
		o.CallIDs[strconv.Itoa(i)] = id
	}
	k.offer(o)
}

// Many plays may take any time: what is kept is that of plays on their way, of those that diverged, and bounded.
func TestKeeper(t *testing.T) {
	t.Parallel()
	k := newKeeping()
	for i := range 1000 {
		id := strconv.Itoa(i)
		k.call(id, 100)
		k.ends(replay.Completed, id)
		k.message("SIP/2.0 200 OK\r\nCall-ID: " + id + "\r\n\r\n") // once more
	}
	if len(k.calls) != 0 || k.size != 0 || len(k.spare) != 1 || k.first.next != &k.first {
		t.Errorf("%d calls and %d bytes are left of plays that went well; %d spare", len(k.calls), k.size, len(k.spare))
	}
	k.call("a", 0)
	k.call("b", 0)
	k.call("c", 0)
	k.ends(replay.Diverged, "b", "a")
	k.ends(replay.Aborted, "c")
	if len(k.plays) != 1 || len(k.calls) != 0 {
		t.Fatalf("%d plays kept, %d calls left", len(k.plays), len(k.calls))
	}
	p := &k.plays[0]
	if len(p.calls) != 2 || p.calls[0].id != "a" || len(p.calls[1].seen) != 4 || p.lacks {
		t.Errorf("kept %+v", p)
	}
	if m := p.calls[1].seen[1]; !strings.HasPrefix(string(p.calls[1].text[m.from:m.to]), "SIP/2.0 180 Ringing\r\n") || m.now != k.now-6 {
		t.Errorf("the second message is %q", p.calls[1].text[m.from:m.to])
	}
	for i := range 2 * maxKept {
		k.call(strconv.Itoa(i), 0)
		k.ends(replay.Diverged, strconv.Itoa(i))
	}
	if len(k.plays) != maxKept || k.calls != nil || k.plays[1].calls[0].id != "0" {
		t.Errorf("%d plays kept, and %d calls go on being kept", len(k.plays), len(k.calls))
	}
}

// What a peer sends is bounded: of a call, and of all.
func TestKeeperIsBounded(t *testing.T) {
	t.Parallel()
	k := newKeeping()
	for range 100 {
		k.call("long", 30_000)
	}
	if c := k.calls["long"]; c.size > maxKeptCall || !c.cut {
		t.Errorf("a call has %d bytes", c.size)
	}
	for i := range 3000 {
		k.call(strconv.Itoa(i), 10_000)
		if k.size > maxKeptBytes {
			t.Fatalf("%d bytes are kept", k.size)
		}
	}
	if _, there := k.calls["long"]; there || k.calls["2999"] == nil {
		t.Error("the oldest calls do not make room for the newest")
	}
	k.ends(replay.Diverged, "2999")
	if !k.plays[0].lacks {
		t.Error("nothing says that something was forgotten")
	}
}

func TestCallIDOf(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"INVITE sip:b SIP/2.0\r\nCall-ID: a@b\r\n\r\n":                 "a@b",
		"INVITE sip:b SIP/2.0\nCSeq: 1 X\ncall-id \t:  a \nVia: x\n\n": "a",
		"SIP/2.0 200 OK\r\nContact: <sip:x>\r\nI:x\r\n\r\n":            "x",
		"SIP/2.0 200 OK\r\nIn: y\r\n i: folded\r\ni: x":                "x",
		"INVITE sip:b SIP/2.0\r\nVia: x\r\n\r\nCall-ID: body":          "",
		"INVITE sip:b SIP/2.0\nVia: x\n\nCall-ID: body":                "",
		"Call-ID: start":                    "",
		"":                                  "",
		"\n":                                "",
		"x\nCall-ID":                        "",
		"x\nc" + strings.Repeat("x", 10000): "",
	} {
		if got := string(callIDOf([]byte(raw))); got != want {
			t.Errorf("%.60q has %q, want %q", raw, got, want)
		}
	}
}

// BenchmarkKeeper is a call of six messages that goes well: what each play costs beside the Player.
func BenchmarkKeeper(b *testing.B) {
	k := newKeeping()
	b.ReportAllocs()
	from, to := netip.MustParseAddrPort("127.0.0.1:5060"), netip.MustParseAddrPort("127.0.0.2:5060")
	raw := []byte("INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@x>;tag=1\r\n" +
		"To: <sip:b@x>\r\nCall-ID: abcdefghijkl@x\r\n" + strings.Repeat("X-Header: value\r\n", 20) + "\r\n")
	o := &replay.Outcome{Verdict: replay.Completed, CallIDs: map[string]string{"a": "abcdefghijkl@x"}}
	for b.Loop() {
		for range 6 {
			k.Message(0, transport.UDP, 0, from, to, raw)
		}
		k.offer(o)
	}
}
