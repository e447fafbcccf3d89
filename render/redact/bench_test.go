package redact_test

import (
	"bytes"
	"fmt"
	"testing"

	"sipscope/correlate"
	"sipscope/render/redact"
)

// invite is a usual INVITE through two proxies: 1.3 KB with SDP.
const invite = `INVITE sip:+493012345678@10.0.2.10:5060;user=phone;transport=udp SIP/2.0
Via: SIP/2.0/UDP 10.0.2.1;branch=z9hG4bK0c8d9c7c86dc;rport
Via: SIP/2.0/UDP 10.0.1.1;branch=z9hG4bKd16069e691ec;received=10.0.1.1
Via: SIP/2.0/UDP 10.0.1.10;branch=z9hG4bKa710907d96a9;rport=5060
Record-Route: <sip:10.0.2.1;lr;ftag=a80ce4cf>
Record-Route: <sip:proxy.example.com;lr>
Max-Forwards: 68
From: "Joe Public" <sip:+493087654321@a.example.com>;tag=a80ce4cf
To: <sip:+493012345678@b.example.com;user=phone>
Call-ID: 2xTb9vxSit55XU7p8@10.0.1.10
CSeq: 1 INVITE
Contact: <sip:joe@10.0.1.10;ob>;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"
User-Agent: Desk phone 1.4
Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK, INFO, REFER, NOTIFY, MESSAGE
Supported: 100rel, timer, replaces, norefersub
P-Asserted-Identity: <sip:+493087654321@a.example.com>
Session-Expires: 1800;refresher=uac
Min-SE: 90
Content-Type: application/sdp
Content-Length: 290

v=0
o=joe 632359392 1 IN IP4 10.0.1.10
s=-
c=IN IP4 10.0.1.10
t=0 0
m=audio 10000 RTP/AVP 0 8 96 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=sendrecv
`

// crowd is a redactor that knows the names of so many calls, and the text of one.
func crowd(calls int) (*redact.Redactor, []byte) {
	text := bytes.ReplaceAll([]byte(invite), []byte("\n"), []byte("\r\n"))
	r := redact.New()
	c := correlate.Call{Messages: make([]correlate.Message, 1)}
	for i := range calls {
		other := bytes.ReplaceAll(text, []byte("87654321"), fmt.Appendf(nil, "%08d", i))
		other = bytes.ReplaceAll(other, []byte("2xTb9vx"), fmt.Appendf(nil, "%x-", i*7919))
		other = bytes.ReplaceAll(other, []byte("a80ce4cf"), fmt.Appendf(nil, "%08x", i*104729))
		r.Learn(&c, func(int) []byte { return other })
	}
	r.Learn(&c, func(int) []byte { return text })
	r.Text(text)
	return r, text
}

func BenchmarkText(b *testing.B) {
	for _, calls := range []int{1, 10000} {
		b.Run(fmt.Sprintf("calls=%d", calls), func(b *testing.B) {
			r, text := crowd(calls)
			var out []byte
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				out = r.AppendText(out[:0], text)
			}
		})
	}
}

// BenchmarkLearn learns 1,000 calls of one message and settles.
func BenchmarkLearn(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		crowd(1000)
	}
}

func BenchmarkFrames(b *testing.B) {
	c, err := read(own + "/two-proxies.pcap")
	if err != nil {
		b.Fatal(err)
	}
	var f redact.Framer
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Frames(&c.calls[0].Messages[0], c.texts[0][0]); err != nil {
			b.Fatal(err)
		}
	}
}
