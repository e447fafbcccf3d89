package check

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"sipscope/capture"
	"sipscope/decode/rtp"
)

const (
	ms     = int64(1e6)
	began  = int64(1_700_000_000_000_000_000)
	ptime  = 40 * ms // of the calls here: few packets
	g729   = 18
	events = 101
)

// wire is a capture under construction.
type wire struct {
	tb      testing.TB
	packets []capture.Packet
	id      uint16
}

// put adds a datagram at a time in ns since the beginning.
func (w *wire) put(at int64, from, to string, data []byte) {
	w.tb.Helper()
	src, dst := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	w.id++
	ip := &layers.IPv4{
		Version: 4, IHL: 5, TTL: 64, Id: w.id, Protocol: layers.IPProtocolUDP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice(),
	}
	udp := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		w.tb.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	eth := &layers.Ethernet{
		SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4,
	}
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, udp,
		gopacket.Payload(data))
	if err != nil {
		w.tb.Fatal(err)
	}
	raw := bytes.Clone(b.Bytes())
	w.packets = append(w.packets, capture.Packet{
		Time: began + at, Data: raw, WireLen: uint32(len(raw)), Link: capture.LinkEthernet,
	})
}

// file gives the capture in order of time.
func (w *wire) file() []byte {
	w.tb.Helper()
	slices.SortStableFunc(w.packets, func(a, b capture.Packet) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	var out bytes.Buffer
	f, err := capture.NewWriter(&out, capture.LinkEthernet)
	for i := range w.packets {
		if err == nil {
			err = f.WritePacket(&w.packets[i])
		}
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		w.tb.Fatal(err)
	}
	return out.Bytes()
}

// talk is a call between two phones, 10.n.0.1 and 10.n.0.2, that begins at a time and is answered a second later.
type talk struct {
	*wire
	n      int
	name   string // Call-ID
	at     int64
	caller string // where they receive
	callee string
	seq    int
}

// begin makes the n-th call of a capture; calls begin 100 ms apart.
func (w *wire) begin(n int, name string) *talk {
	return &talk{
		wire: w, n: n, name: name, at: int64(n) * 100 * ms, caller: fmt.Sprintf("10.%d.0.1:4000", n),
		callee: fmt.Sprintf("10.%d.0.2:5000", n),
	}
}

// address is the signalling address of a side.
func (c *talk) address(caller bool) string {
	if caller {
		return fmt.Sprintf("10.%d.0.1:5060", c.n)
	}
	return fmt.Sprintf("10.%d.0.2:5060", c.n)
}

// offer is the usual description of a side: G.729 and events, 40 ms, and more lines.
func offer(addr string, more ...string) string {
	a := netip.MustParseAddrPort(addr)
	s := fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP %d %d\r\n", a.Addr(), a.Addr(),
		a.Port(), g729, events)
	s += "a=rtpmap:18 G729/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
	return s + strings.Join(append([]string{"a=ptime:40"}, more...), "\r\n") + "\r\n"
}

// send sends a message of a side after the call began. start is a method or a status line.
func (c *talk) send(after int64, caller bool, start, method string, cseq int, contentType, body string) {
	c.seq++
	from, to := "<sip:a@a.example>;tag=a", "<sip:b@b.example>;tag=b"
	request := start == method
	inDialog := method != "INVITE" || cseq > 1
	fromCaller := caller == request
	if !fromCaller {
		from, to = to, from
	}
	if !inDialog && request {
		to = "<sip:b@b.example>"
	}
	line := "SIP/2.0 " + start
	if request {
		line = method + " sip:b@b.example SIP/2.0"
	}
	text := fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%d%s%v\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n"+
		"Max-Forwards: 70\r\nContact: <sip:x@%s>\r\n", line, c.address(fromCaller), c.name, cseq, method, fromCaller, from, to, c.name, cseq,
		method, c.address(caller))
	if body != "" {
		text += "Content-Type: " + contentType + "\r\n"
	}
	text += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	c.put(c.at+after, c.address(caller), c.address(!caller), []byte(text))
}

// setup is INVITE, 180, 200 and ACK, answered after a second.
func (c *talk) setup(offered, answered string) {
	c.send(0, true, "INVITE", "INVITE", 1, "application/sdp", offered)
	c.send(500*ms, false, "180 Ringing", "INVITE", 1, "", "")
	c.send(1000*ms, false, "200 OK", "INVITE", 1, "application/sdp", answered)
	c.send(1020*ms, true, "ACK", "ACK", 1, "", "")
}

// bye ends the call.
func (c *talk) bye(after int64) {
	c.send(after, true, "BYE", "BYE", 9, "", "")
	c.send(after+10*ms, false, "200 OK", "BYE", 9, "", "")
}

// again is a re-INVITE of the caller with its answer.
func (c *talk) again(after int64, cseq int, offered, answered string) {
	c.send(after, true, "INVITE", "INVITE", cseq, "application/sdp", offered)
	c.send(after+10*ms, false, "200 OK", "INVITE", cseq, "application/sdp", answered)
	c.send(after+20*ms, true, "ACK", "ACK", cseq, "", "")
}

// sound is a stream of a side.
type sound struct {
	from, to string
	pt       uint8
	ssrc     uint32
	begin    int64 // after the call began
	end      int64
	step     int64 // between packets; 0 takes ptime
	pause    [2]int64
	skip     func(i int) bool  // packets that are lost
	late     func(i int) int64 // that come late
}

// play sends a stream. Its timestamps go on through a pause, its sequence numbers through losses only.
func (c *talk) play(s sound) {
	if s.step == 0 {
		s.step = ptime
	}
	sent := 0
	for i, now := 0, s.begin; now < s.end; i, now = i+1, now+s.step {
		if now >= s.pause[0] && now < s.pause[1] {
			continue
		}
		if sent++; s.skip != nil && s.skip(i) {
			continue
		}
		delay := int64(0)
		if s.late != nil {
			delay = s.late(i)
		}
		payload := make([]byte, s.step/ms) // 8 kbit/s
		p := rtp.Packet{
			Marker: i == 0, PT: s.pt, Seq: uint16(999 + sent), Timestamp: uint32(1<<20) + uint32(int64(i)*s.step/ms*8), SSRC: s.ssrc,
			Payload: payload,
		}
		c.put(c.at+now+delay, s.from, s.to, p.Append(nil))
	}
}

// both are the two streams of a call from its answer to a time.
func (c *talk) both(end int64) (toCallee, toCaller sound) {
	return sound{from: c.caller, to: c.callee, pt: g729, ssrc: 1, begin: 1040 * ms, end: end},
		sound{from: c.callee, to: c.caller, pt: g729, ssrc: 2, begin: 1000 * ms, end: end}
}

// press sends a telephone-event of a side: packets while it lasts, and the end three times, those in lost left out.
func (c *talk) press(after int64, from, to string, seq uint16, ts uint32, code uint8, packets int, lost ...int) {
	at := c.at + after
	for i := range packets + 3 {
		e := rtp.Event{Code: code, Volume: 10, Duration: uint16(min(i+1, packets+1) * 320), End: i >= packets}
		p := rtp.Packet{Marker: i == 0, PT: events, Seq: seq + uint16(i), Timestamp: ts, SSRC: 1, Payload: e.Append(nil)}
		if !slices.Contains(lost, i) {
			c.put(at+int64(min(i, packets))*ptime+int64(i)*ms/10, from, to, p.Append(nil))
		}
	}
}
