package sip

import (
	"strings"
	"testing"
)

// inviteText is an INVITE of the usual size: 15 headers and an SDP body.
func inviteText() []byte {
	body := "v=0\r\no=alice 2890844526 2890844526 IN IP4 client.atlanta.example.com\r\ns=-\r\n" +
		"c=IN IP4 192.0.2.101\r\nt=0 0\r\nm=audio 49172 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\n" +
		"a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
	head := "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;rport\r\n" +
		"Via: SIP/2.0/UDP ss1.example.com:5060;branch=z9hG4bK2d4790.1;received=192.0.2.111\r\n" +
		"Max-Forwards: 70\r\n" +
		"Record-Route: <sip:ss1.atlanta.example.com;lr>\r\n" +
		"From: \"Alice Liddell\" <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n" +
		"To: \"Bob\" <sip:bob@biloxi.example.com>\r\n" +
		"Call-ID: 3848276298220188511@atlanta.example.com\r\n" +
		"CSeq: 1 INVITE\r\n" +
		"Contact: <sip:alice@client.atlanta.example.com;transport=udp>\r\n" +
		"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY\r\n" +
		"Supported: replaces, timer\r\n" +
		"User-Agent: Softphone/4.2\r\n" +
		"Session-Expires: 1800\r\n" +
		"Content-Type: application/sdp\r\n" +
		"Content-Length: LEN\r\n\r\n"
	n := len(body)
	return []byte(strings.Replace(head, "LEN", string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)}), 1) + body)
}

func okText() []byte {
	return []byte("SIP/2.0 200 OK\r\n" +
		"Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;received=192.0.2.101\r\n" +
		"From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n" +
		"To: Bob <sip:bob@biloxi.example.com>;tag=8321234356\r\n" +
		"Call-ID: 3848276298220188511@atlanta.example.com\r\n" +
		"CSeq: 1 INVITE\r\n" +
		"Contact: <sip:bob@client.biloxi.example.com;transport=tcp>\r\n" +
		"Content-Length: 0\r\n\r\n")
}

func benchParse(b *testing.B, text []byte) {
	b.Helper()
	var m Message
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Parse(text, &m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseInvite(b *testing.B) { benchParse(b, inviteText()) }

func BenchmarkParse200(b *testing.B) { benchParse(b, okText()) }

func BenchmarkStartLineReject(b *testing.B) {
	for name, text := range map[string]string{
		"rtp":      "\x80\x00\x12\x34\x00\x00\x00\xa0\xde\xad\xbe\xef" + strings.Repeat("\xff", 160),
		"dns":      "\x9a\x1b\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01",
		"dnstoken": "ab\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01",
		"http":     "GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			p := []byte(text)
			for b.Loop() {
				if StartLine(p) != NoMatch {
					b.Fatal("matched")
				}
			}
		})
	}
}
