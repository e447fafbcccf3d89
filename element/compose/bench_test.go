package compose_test

import (
	"net/netip"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

const invite = "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK74bf9;rport\r\n" +
	"Via: SIP/2.0/UDP pc33.example.com;branch=z9hG4bKnashds8;received=192.0.2.9\r\n" +
	"Max-Forwards: 70\r\n" +
	"Route: <sip:ss1.example.com;lr>\r\n" +
	"Record-Route: <sip:ss2.example.com;lr>\r\n" +
	"From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n" +
	"To: Bob <sip:bob@biloxi.example.com>\r\n" +
	"Call-ID: 3848276298220188511@atlanta.example.com\r\n" +
	"CSeq: 2 INVITE\r\n" +
	"Contact: <sip:alice@client.atlanta.example.com;transport=udp>\r\n" +
	"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n" +
	"User-Agent: test\r\n" +
	"Content-Type: application/sdp\r\n" +
	"Content-Length: 5\r\n" +
	"\r\n" +
	"v=0\r\n"

func parse(tb testing.TB, text string) *sip.Message {
	tb.Helper()
	var m sip.Message
	if err := sip.Parse([]byte(text), &m); err != nil {
		tb.Fatal(err)
	}
	return &m
}

func BenchmarkResponse(b *testing.B) {
	req := parse(b, invite)
	src := netip.MustParseAddrPort("192.0.2.7:5062")
	reply := compose.Reply{
		Status: 200, ToTag: "314159", RecordRoute: true,
		Headers:     []compose.Header{{ID: sip.HeaderContact, Value: "<sip:bob@192.0.2.4>"}},
		ContentType: "application/sdp", Body: []byte("v=0\r\n"),
	}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := compose.Response(buf, req, src, &reply); err != nil {
			b.Fatal(err)
		}
	}
}

// proxied is what a proxy does to a request (RFC 3261 16.6).
func proxied(e *compose.Edit, m *sip.Message, via []byte) {
	e.Reset(m)
	e.URI("sip:bob@192.0.2.4")
	e.Set(sip.HeaderMaxForwards, "69")
	e.PrependBytes(sip.HeaderVia, via)
	e.Prepend(sip.HeaderRecordRoute, "<sip:ss1.example.com;lr>")
	e.RemoveFirst(sip.HeaderRoute)
}

func BenchmarkEdit(b *testing.B) {
	m := parse(b, invite)
	via := compose.Via{
		Proto: "UDP", SentBy: netip.MustParseAddrPort("192.0.2.2:5060"), Branch: "z9hG4bK2d4790", RPort: true,
	}
	e := compose.NewEdit(m)
	value := make([]byte, 0, 256)
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		value = via.AppendTo(value[:0])
		proxied(e, m, value)
		if _, err := e.Bytes(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	r := compose.Request{
		Method: "INVITE", URI: "sip:bob@example.com", CSeq: 1, CallID: "a@b",
		From: "<sip:alice@example.com>;tag=1", To: "<sip:bob@example.com>",
		Via: compose.Via{Proto: "UDP", SentBy: netip.MustParseAddrPort("192.0.2.2:5060"), Branch: "z9hG4bK2d4790"},
	}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Append(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAck(b *testing.B) {
	m := parse(b, invite)
	resp := parse(b, "SIP/2.0 486 Busy Here\r\nTo: <sip:b@c>;tag=1\r\n\r\n")
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := compose.Ack(buf, m, resp); err != nil {
			b.Fatal(err)
		}
	}
}
