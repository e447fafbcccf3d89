package laddertest

import (
	"strconv"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/decode"
)

// TwoProxies is the call of RFC 3261 figure 1 through two proxies of which the second does not Record-Route, with one
// retransmission.
func TwoProxies() Made {
	m := Call("alice@a.com", "bob@b.com", `
0 10.77.0.10:5060 > 10.77.0.20:5060 INVITE sdp
1 10.77.0.20:5060 > 10.77.0.10:5060 100 Trying
2 10.77.0.20:5060 > 10.77.0.30:5060 INVITE sdp vias=2
  Record-Route: <sip:10.77.0.20;lr>
3 10.77.0.30:5060 > 10.77.0.20:5060 100 Trying
4 10.77.0.30:5060 > 10.77.0.40:5060 INVITE sdp vias=3
  Record-Route: <sip:10.77.0.20;lr>
504 10.77.0.30:5060 > 10.77.0.40:5060 INVITE sdp vias=3 again
652 10.77.0.40:5060 > 10.77.0.30:5060 180 Ringing tag=b
653 10.77.0.30:5060 > 10.77.0.20:5060 180 Ringing tag=b
654 10.77.0.20:5060 > 10.77.0.10:5060 180 Ringing tag=b
1555 10.77.0.40:5060 > 10.77.0.30:5060 200 OK sdp tag=b
1556 10.77.0.30:5060 > 10.77.0.20:5060 200 OK sdp tag=b
1557 10.77.0.20:5060 > 10.77.0.10:5060 200 OK sdp tag=b
1587 10.77.0.10:5060 > 10.77.0.20:5060 ACK tag=b
1588 10.77.0.20:5060 > 10.77.0.40:5060 ACK tag=b vias=2
5087 10.77.0.10:5060 > 10.77.0.20:5060 BYE cseq=2 tag=b
  Reason: Q.850;cause=16;text="Normal call clearing"
5088 10.77.0.20:5060 > 10.77.0.40:5060 BYE cseq=2 tag=b vias=2
5100 10.77.0.40:5060 > 10.77.0.20:5060 200 OK cseq=2 method=BYE tag=b
5101 10.77.0.20:5060 > 10.77.0.10:5060 200 OK cseq=2 method=BYE tag=b
`)
	s := &m.Call.Summary
	s.State, s.Code, s.Reason, s.Cause = correlate.StateCompleted, 200, "OK", 16
	s.PDD, s.Setup, s.Duration = ms(654), ms(1557), ms(3530)
	s.ReleasedBy, s.EndedBy = s.Src, correlate.Caller
	s.Evidence = correlate.Evidence{Request: 1, Ring: 9, Answer: 12, Final: 12, Ack: 13, End: 15}
	return m
}

func ms(n int64) int64 { return n * int64(time.Millisecond) }

// Fork is an INVITE that a proxy sends to two phones: one answers, the other is cancelled.
func Fork() Made {
	m := Call("alice@a.com", "bob@b.com", `
0 10.77.0.10:5060 > 10.77.0.20:5060 INVITE sdp
1 10.77.0.20:5060 > 10.77.0.10:5060 100 Trying
2 10.77.0.20:5060 > 10.77.0.41:5060 INVITE sdp vias=2 ruri=sip:desk@10.77.0.41
2.5 10.77.0.20:5060 > 10.77.0.42:5060 INVITE sdp vias=2 ruri=sip:mobile@10.77.0.42
50 10.77.0.41:5060 > 10.77.0.20:5060 180 Ringing tag=d
51 10.77.0.20:5060 > 10.77.0.10:5060 180 Ringing tag=d
90 10.77.0.42:5060 > 10.77.0.20:5060 183 Session Progress sdp tag=m
91 10.77.0.20:5060 > 10.77.0.10:5060 183 Session Progress sdp tag=m
2000 10.77.0.41:5060 > 10.77.0.20:5060 200 OK sdp tag=d
2001 10.77.0.20:5060 > 10.77.0.10:5060 200 OK sdp tag=d
2002 10.77.0.20:5060 > 10.77.0.42:5060 CANCEL
  Reason: SIP;cause=200;text="Call completed elsewhere"
2010 10.77.0.42:5060 > 10.77.0.20:5060 200 OK method=CANCEL tag=m
2011 10.77.0.42:5060 > 10.77.0.20:5060 487 Request Terminated tag=m
2012 10.77.0.20:5060 > 10.77.0.42:5060 ACK
2030 10.77.0.10:5060 > 10.77.0.20:5060 ACK tag=d
2031 10.77.0.20:5060 > 10.77.0.41:5060 ACK tag=d
`)
	s := &m.Call.Summary
	s.State, s.Code, s.Reason, s.PDD, s.Setup = correlate.StateAnswered, 200, "OK", ms(51), ms(2001)
	s.Evidence = correlate.Evidence{Request: 1, Ring: 6, Answer: 10, Final: 10, Ack: 15}
	return m
}

// Cancelled is a call that the caller gives up, over IPv6.
func Cancelled() Made {
	m := Call("alice@example.com", "bob@example.com", `
0 [2001:db8::10]:5060 > [2001:db8::20]:5060 INVITE sdp
2 [2001:db8::20]:5060 > [2001:db8::10]:5060 100 Trying
180 [2001:db8::20]:5060 > [2001:db8::10]:5060 180 Ringing tag=b
6180 [2001:db8::10]:5060 > [2001:db8::20]:5060 CANCEL
6182 [2001:db8::20]:5060 > [2001:db8::10]:5060 200 OK method=CANCEL
6183 [2001:db8::20]:5060 > [2001:db8::10]:5060 487 Request Terminated tag=b
6190 [2001:db8::10]:5060 > [2001:db8::20]:5060 ACK
`)
	s := &m.Call.Summary
	s.State, s.Code, s.Reason, s.PDD = correlate.StateCancelled, 487, "Request Terminated", ms(180)
	s.EndedBy = correlate.Caller
	s.Evidence = correlate.Evidence{Request: 1, Ring: 3, Final: 6, Cancel: 4}
	return m
}

// Lossy is a call over TCP of which the capture lacks the beginning, a part in the middle, and an ACK.
func Lossy() Made {
	m := Call("alice@a.com", "bob@b.com", `
0 10.0.0.2:5060 > 10.0.0.1:40001 180 Ringing tag=b tcp
900 10.0.0.2:5060 > 10.0.0.1:40001 200 OK sdp tag=b tcp
1400 10.0.0.2:5060 > 10.0.0.1:40001 200 OK sdp tag=b tcp again
2400 10.0.0.2:5060 > 10.0.0.1:40001 200 OK sdp tag=b tcp again
4400 10.0.0.2:5060 > 10.0.0.1:40001 200 OK sdp tag=b tcp again
9000 10.0.0.1:40001 > 10.0.0.2:5060 INVITE cseq=3 tag=b hold tcp after-gap
9300 10.0.0.2:5060 > 10.0.0.1:40001 491 Request Pending cseq=3 tag=b tcp
  Warning: 399 b.com "glare"
`)
	m.Call.Gaps = []decode.Gap{{
		Seq: 6, Time: Start + ms(8990), Src: Endpoint("10.0.0.1:40001"), Dst: Endpoint("10.0.0.2:5060"), Bytes: 1448,
		Kind: decode.StreamGap,
	}}
	s := &m.Call.Summary
	s.Src, s.Dst, s.Method = Endpoint("10.0.0.1:40001"), Endpoint("10.0.0.2:5060"), "INVITE"
	s.State, s.Code, s.Reason = correlate.StateAnswered, 200, "OK"
	s.Gaps = 1
	return m
}

// Names has names in several scripts, one of them hostile, and an offer to a very long reason phrase.
func Names() Made {
	m := Call("山田太郎@例え.jp", "\u202eevil\x1b]0;x\a\xff@b.com", `
0 10.0.0.1:5060 > 10.0.0.2:5060 INVITE sdp
20 10.0.0.2:5060 > 10.0.0.1:5060 407 Proxy Authentication Required tag=p
  Proxy-Authenticate: Digest realm="例え, Ltd.", nonce="1"
21 10.0.0.1:5060 > 10.0.0.2:5060 ACK
30 10.0.0.1:5060 > 10.0.0.2:5060 INVITE cseq=2 sdp
  Proxy-Authorization: Digest username="山田", realm="例え, Ltd."
60 10.0.0.2:5060 > 10.0.0.3:5060 INVITE cseq=2 sdp vias=2
90 10.0.0.3:5060 > 10.0.0.2:5060 603 Не️беспокоить̀́̂ÜÜÜ👩`+"\u200d"+`👩`+"\u200d"+`👧 cseq=2 tag=b
91 10.0.0.2:5060 > 10.0.0.3:5060 ACK cseq=2
92 10.0.0.2:5060 > 10.0.0.1:5060 603 Не️беспокоить̀́̂ÜÜÜ👩`+"\u200d"+`👩`+"\u200d"+`👧 cseq=2 tag=b
93 10.0.0.1:5060 > 10.0.0.2:5060 ACK cseq=2
`)
	s := &m.Call.Summary
	s.State, s.Code, s.Reason = correlate.StateDeclined, 603, "Не беспокоить"
	s.Evidence = correlate.Evidence{Request: 1, Final: 8}
	return m
}

// Self is a server that talks to itself, on one port and on two.
func Self() Made {
	m := Call("monitor@127.0.0.1", "127.0.0.1", `
0 127.0.0.1:5060 > 127.0.0.1:5060 OPTIONS
1 127.0.0.1:5060 > 127.0.0.1:5060 200 OK method=OPTIONS tag=x
10 127.0.0.1:5060 > 127.0.0.1:5070 OPTIONS cseq=2
11 127.0.0.1:5070 > 127.0.0.1:5060 200 OK method=OPTIONS tag=y cseq=2
`)
	m.Call.State, m.Call.Code, m.Call.Reason = correlate.StateSucceeded, 200, "OK"
	return m
}

// Chain is a call over seven hops, refused at its end.
func Chain() Made {
	var b strings.Builder
	at := func(i int) string { return "10.1.0." + strconv.Itoa(i+1) + ":5060" }
	const n = 7
	line := func(ms string, from, to int, what string) {
		b.WriteString(ms + " " + at(from) + " > " + at(to) + " " + what + "\n")
	}
	for i := range n {
		line("0", i, i+1, "INVITE sdp vias="+strconv.Itoa(i+1))
	}
	for i := n; i > 0; i-- {
		line("20", i, i-1, "486 Busy Here tag=b")
		line("20", i-1, i, "ACK")
	}
	m := Call("alice@a.com", "bob@b.com", b.String())
	s := &m.Call.Summary
	s.State, s.Code, s.Reason = correlate.StateBusy, 486, "Busy Here"
	s.Evidence = correlate.Evidence{Request: 1, Final: uint64(n + 2*n - 1)}
	return m
}

// TwoLegs are the two calls of a back-to-back user agent.
func TwoLegs() []Made {
	a := Call("alice@a.com", "bob@pbx.com", `
0 10.0.0.1:5060 > 10.0.0.9:5060 INVITE sdp
1 10.0.0.9:5060 > 10.0.0.1:5060 100 Trying
300 10.0.0.9:5060 > 10.0.0.1:5060 180 Ringing tag=x
2000 10.0.0.9:5060 > 10.0.0.1:5060 200 OK sdp tag=x
2010 10.0.0.1:5060 > 10.0.0.9:5060 ACK tag=x
9000 10.0.0.9:5060 > 10.0.0.1:5060 BYE tag=x cseq=1
9010 10.0.0.1:5060 > 10.0.0.9:5060 200 OK method=BYE tag=x
`)
	b := Call("alice@pbx.com", "bob@10.0.0.2", `
3 10.0.0.9:5060 > 10.0.0.2:5060 INVITE sdp
250 10.0.0.2:5060 > 10.0.0.9:5060 180 Ringing tag=y
1990 10.0.0.2:5060 > 10.0.0.9:5060 200 OK sdp tag=y
1995 10.0.0.9:5060 > 10.0.0.2:5060 ACK tag=y
8990 10.0.0.2:5060 > 10.0.0.9:5060 BYE tag=y cseq=1
8995 10.0.0.9:5060 > 10.0.0.2:5060 200 OK method=BYE tag=y
`)
	for i, m := range []*Made{&a, &b} {
		s := &m.Call.Summary
		s.Num, s.Group, s.State, s.Code, s.Reason = uint32(i+1), 1, correlate.StateCompleted, 200, "OK"
		s.EndedBy, s.ReleasedBy, s.Duration = correlate.Callee, s.Dst, ms(7000)
	}
	b.Call.Relation = "b2bua"
	return []Made{a, b}
}
