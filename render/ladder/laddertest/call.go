// Package laddertest makes calls for the tests of what draws them, from a few lines of text. It does not run the
// tracker: a drawing must be right for what a Call says, whoever filled it.
package laddertest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// Start is the time of millisecond 0: 2026-03-01 12:00:01 UTC.
const Start = int64(1772366401) * int64(time.Second)

// PCMU and Hold are session descriptions.
const (
	PCMU = "v=0\r\no=- 1 1 IN IP4 10.77.0.10\r\ns=-\r\nc=IN IP4 10.77.0.10\r\nt=0 0\r\n" +
		"m=audio 49170 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
	Hold = PCMU + "a=sendonly\r\n"
)

// Made is a call with its texts.
type Made struct {
	Call  correlate.Call
	Texts [][]byte
}

// Text gives the texts of several calls as ladder.Build takes them.
func Text(all ...Made) func(call, message int) []byte {
	return func(call, message int) []byte { return all[call].Texts[message] }
}

// maker holds a call that is being made.
type maker struct {
	Made
	from, to string
	txns     map[string]int
	dialogs  map[string]int
	last     map[string]int // by hop, start line and CSeq: the message
	seq      uint64
}

// Call makes a call out of lines such as
//
//	0 10.77.0.10:5060 > 10.77.0.20:5060 INVITE cseq=1 sdp
//	  Record-Route: <sip:10.77.0.20;lr>
//	5 10.77.0.20:5060 > 10.77.0.10:5060 180 Ringing cseq=1 tag=b
//
// which are: milliseconds, hop, method or status with reason, and options: cseq=N (1), method=M of a response (INVITE),
// tag=T of To, vias=N (1), ruri=U, sdp, hold, again (the tracker knows it for a retransmission), tcp, cut, after-gap,
// text=none. Lines that begin with a blank are header fields of the message above. from and to are user@host.
func Call(from, to, script string) Made {
	m := maker{from: from, to: to, txns: map[string]int{}, dialogs: map[string]int{}, last: map[string]int{}}
	lines := strings.Split(strings.Trim(script, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if line == "" {
			continue
		}
		var headers []string
		for i+1 < len(lines) && strings.HasPrefix(strings.TrimLeft(lines[i+1], "\t"), "  ") {
			i++
			headers = append(headers, strings.TrimSpace(lines[i]))
		}
		m.add(line, headers)
	}
	m.finish()
	return m.Made
}

// Endpoint parses "address:port".
func Endpoint(s string) frame.Endpoint { return frame.FromAddrPort(netip.MustParseAddrPort(s)) }

// spec is a parsed line.
type spec struct {
	msg    correlate.Message
	reason string
	opt    map[string]string
}

func parse(line string) spec {
	f := strings.Fields(line)
	at, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		at = 0
	}
	s := spec{opt: map[string]string{"cseq": "1", "method": "INVITE", "vias": "1"}}
	s.msg = correlate.Message{
		Time: Start + int64(at*1e6), Src: Endpoint(f[1]), Dst: Endpoint(f[3]), Transport: decode.UDP,
		Txn: -1, Dialog: -1, Repeats: -1, Copy: 1,
	}
	words := f[4:]
	code, err := strconv.ParseUint(words[0], 10, 16)
	if err == nil {
		s.msg.Status = uint16(code)
	}
	for _, w := range words[1:] {
		k, v, ok := strings.Cut(w, "=")
		switch {
		case ok:
			s.opt[k] = v
		case strings.ToLower(w) == w && s.msg.Status != 0 || s.msg.Status == 0:
			s.opt[w] = "yes"
		default:
			s.reason = strings.TrimSpace(s.reason + " " + w)
		}
	}
	s.msg.Method = words[0]
	if s.msg.Status != 0 {
		s.msg.Method = s.opt["method"]
	}
	if n, err := strconv.ParseUint(s.opt["cseq"], 10, 32); err == nil {
		s.msg.CSeq = uint32(n)
	}
	return s
}

func (m *maker) add(line string, headers []string) {
	s := parse(line)
	msg := &s.msg
	m.seq++
	msg.Seq = m.seq
	msg.Pieces = []decode.Piece{{Seq: m.seq}}
	msg.SDP = s.opt["sdp"] != "" || s.opt["hold"] != ""
	if s.opt["tcp"] != "" {
		msg.Transport = decode.TCP
	}
	if s.opt["cut"] != "" {
		msg.Flags |= decode.Truncated
	}
	if s.opt["after-gap"] != "" {
		msg.Flags |= decode.AfterGap
	}
	i := len(m.Call.Messages)
	what := fmt.Sprintf("%s %d %d %s", msg.Method, msg.Status, msg.CSeq, s.opt["tag"])
	key := hop(msg) + what
	if old, ok := m.last[key]; ok && s.opt["again"] != "" {
		msg.Repeats = old
		msg.Interval = msg.Time - m.lastSent(old)
	} else {
		m.last[key] = i
	}
	m.last[what+" copies"]++
	msg.Copy = m.last[what+" copies"]
	m.transaction(msg, i, s.opt)
	m.dialog(msg, s.opt["tag"])
	m.Call.Messages = append(m.Call.Messages, *msg)
	var text []byte
	if s.opt["text"] != "none" {
		text = m.text(&s, headers)
	}
	m.Texts = append(m.Texts, text)
}

// lastSent is when the message was last sent.
func (m *maker) lastSent(original int) int64 {
	at := m.Call.Messages[original].Time
	for i := range m.Call.Messages {
		if m.Call.Messages[i].Repeats == original {
			at = m.Call.Messages[i].Time
		}
	}
	return at
}

// hop names a pair of endpoints whatever the direction.
func hop(msg *correlate.Message) string {
	a, b := msg.Src.String(), msg.Dst.String()
	if b < a {
		a, b = b, a
	}
	return a + " " + b + " "
}

// pair names the hosts of a hop: a response may use another port than its request.
func pair(msg *correlate.Message) string {
	a, b := msg.Src.Host(), msg.Dst.Host()
	if b < a {
		a, b = b, a
	}
	return a + " " + b + " "
}

func (m *maker) transaction(msg *correlate.Message, i int, opt map[string]string) {
	method := msg.Method
	if method == sip.MethodAck.String() {
		method = sip.MethodInvite.String()
	}
	key := pair(msg) + method + " " + strconv.FormatUint(uint64(msg.CSeq), 10)
	ti, ok := m.txns[key]
	if msg.Method == sip.MethodAck.String() {
		m.ack(msg, i, ti, ok)
		return
	}
	if !ok {
		ti = len(m.Call.Transactions)
		m.txns[key] = ti
		t := correlate.Transaction{
			Method: msg.Method, State: correlate.TxnTrying, CSeq: msg.CSeq, Src: msg.Src, Dst: msg.Dst,
			Request: i, Final: -1, Ack: -1, Cancel: -1, Leg: msg.Copy, Initial: opt["tag"] == "",
		}
		if msg.Status != 0 {
			t.Src, t.Dst, t.Request = msg.Dst, msg.Src, -1
		}
		m.Call.Transactions = append(m.Call.Transactions, t)
	}
	msg.Txn = ti
	t := &m.Call.Transactions[ti]
	if msg.Repeats >= 0 {
		t.Repeats++
		return
	}
	if msg.Status > 0 {
		t.Status = msg.Status
		t.State = correlate.TxnProceeding
	}
	if msg.Status >= 200 && t.Final < 0 {
		t.Final, t.State = i, correlate.TxnCompleted
	}
	if msg.Method == sip.MethodCancel.String() && msg.Status == 0 {
		if inv, ok := m.txns[pair(msg)+"INVITE "+strconv.FormatUint(uint64(msg.CSeq), 10)]; ok {
			t.Cancel = inv
			m.Call.Transactions[inv].Cancel = ti
		}
	}
}

// ack puts an ACK into its INVITE's transaction when that failed, and links it to all that succeeded.
func (m *maker) ack(msg *correlate.Message, i, ti int, ok bool) {
	if ok && m.Call.Transactions[ti].Status >= 300 {
		msg.Txn = ti
		m.Call.Transactions[ti].Ack = i
		m.Call.Transactions[ti].State = correlate.TxnConfirmed
		return
	}
	for k := range m.Call.Transactions {
		t := &m.Call.Transactions[k]
		if t.Method == sip.MethodInvite.String() && t.CSeq == msg.CSeq && t.Ack < 0 && t.Status < 300 {
			t.Ack = i
		}
	}
}

func (m *maker) dialog(msg *correlate.Message, tag string) {
	if tag == "" {
		return
	}
	di, ok := m.dialogs[tag]
	if !ok {
		if msg.Status <= 100 || msg.Status >= 300 || msg.Method != sip.MethodInvite.String() {
			return
		}
		di = len(m.Call.Dialogs)
		m.dialogs[tag] = di
		m.Call.Dialogs = append(m.Call.Dialogs, correlate.Dialog{
			CallerTag: "a", CalleeTag: tag, Method: msg.Method, State: correlate.DialogEarly,
		})
	}
	msg.Dialog = di
	d := &m.Call.Dialogs[di]
	switch {
	case msg.Method != d.Method:
	case msg.Status > 100 && msg.Status < 200:
		d.WasEarly = true
	case msg.Status >= 200 && msg.Status < 300:
		d.Answered, d.State = true, correlate.DialogConfirmed
	}
}

func (m *maker) text(s *spec, headers []string) []byte {
	var b strings.Builder
	msg := &s.msg
	ruri := s.opt["ruri"]
	if ruri == "" {
		ruri = "sip:" + m.to
	}
	if msg.Status == 0 {
		fmt.Fprintf(&b, "%s %s SIP/2.0\r\n", msg.Method, ruri)
	} else {
		fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", msg.Status, s.reason)
	}
	vias, err := strconv.Atoi(s.opt["vias"])
	if err != nil {
		vias = 1
	}
	for i := range vias {
		fmt.Fprintf(&b, "Via: SIP/2.0/UDP %s;branch=z9hG4bK%d\r\n", msg.Src, vias-i)
	}
	fmt.Fprintf(&b, "From: <sip:%s>;tag=a\r\nTo: <sip:%s>", m.from, m.to)
	if t := s.opt["tag"]; t != "" {
		b.WriteString(";tag=" + t)
	}
	fmt.Fprintf(&b, "\r\nCall-ID: made@example.com\r\nCSeq: %d %s\r\n", msg.CSeq, msg.Method)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	body := ""
	switch {
	case s.opt["hold"] != "":
		body = Hold
	case msg.SDP:
		body = PCMU
	}
	if body != "" {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return []byte(b.String())
}

// finish fills the summary with what the lines tell. Tests set the rest.
func (m *maker) finish() {
	c := &m.Call
	s := &c.Summary
	party := func(uri string) correlate.Party {
		user, host, ok := strings.Cut(uri, "@")
		if !ok {
			user, host = "", uri
		}
		return correlate.Party{User: user, Host: host, URI: "sip:" + uri}
	}
	s.Num, s.CallID, s.Cause, s.PDD, s.Setup, s.Duration = 1, "made@example.com", -1, -1, -1, -1
	s.From, s.To = party(m.from), party(m.to)
	if len(c.Messages) == 0 {
		return
	}
	first, last := &c.Messages[0], &c.Messages[len(c.Messages)-1]
	s.Method, s.First, s.Last, s.Src, s.Dst = first.Method, first.Time, last.Time, first.Src, first.Dst
	s.Messages = uint32(len(c.Messages))
	s.Transactions = uint32(len(c.Transactions))
	hops := map[string]bool{}
	for i := range c.Messages {
		hops[hop(&c.Messages[i])] = true
		s.Transports |= 1 << c.Messages[i].Transport
		if c.Messages[i].Repeats >= 0 {
			s.Retransmissions++
		}
	}
	s.Hops = uint32(len(hops))
	for i := range c.Dialogs {
		if c.Dialogs[i].WasEarly {
			s.EarlyDialogs++
		}
		if c.Dialogs[i].Answered {
			s.Dialogs++
		}
	}
}
