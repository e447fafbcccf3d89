package compare_test

import (
	"strconv"
	"strings"
	"testing"

	"sipscope/correlate/compare"
)

// invite is an INVITE of the usual size, with what differs from call to call made of n.
func invite(n int) string {
	id := strconv.Itoa(n)
	return "INVITE sip:bob@biloxi.example.com SIP/2.0\n" +
		"Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf" + id + ";rport\n" +
		"Via: SIP/2.0/UDP ss1.example.com:5060;branch=z9hG4bK2d4790" + id + ";received=192.0.2.111\n" +
		"Max-Forwards: 70\n" +
		"Record-Route: <sip:ss1.atlanta.example.com;lr>\n" +
		"From: \"Alice Liddell\" <sip:alice@atlanta.example.com>;tag=9fxced" + id + "\n" +
		"To: \"Bob\" <sip:bob@biloxi.example.com>\n" +
		"Call-ID: 3848276298220188511" + id + "@atlanta.example.com\n" +
		"CSeq: " + id + " INVITE\n" +
		"Contact: <sip:alice@client.atlanta.example.com;transport=udp>\n" +
		"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY\n" +
		"Supported: replaces, timer\n" +
		"User-Agent: Softphone/4.2\n" +
		"Session-Expires: 1800\n" +
		"Content-Type: application/sdp\n\n" +
		"v=0\no=alice 2890844526" + id + " 2890844526 IN IP4 client.atlanta.example.com\ns=-\n" +
		"c=IN IP4 192.0.2.101\nt=0 0\nm=audio 4917" + id + " RTP/AVP 0 8 101\na=rtpmap:0 PCMU/8000\n" +
		"a=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=sendrecv\n"
}

func BenchmarkMessages(b *testing.B) {
	number := func(prefix string, step int) func(int) string {
		return func(i int) string { return prefix + strconv.Itoa(i*step) }
	}
	via := func(step int) func(int) string {
		return func(i int) string { return "Via: a/b/c d" + strings.Repeat(";a", 500) + strconv.Itoa(i*step) }
	}
	for _, bb := range []struct{ name, a, b string }{
		{"invite", invite(1), invite(2)},
		{"same", invite(1), invite(1)},
		{"5000 headers of one name", long(5000, number("Z: 1", 1)), long(5000, number("Z: 1", 2))},
		{"5000 names", long(5000, number("X:1", 1)), long(5000, number("Y:1", 1))},
		{"1900 headers of one name", long(1900, number("Z: ", 1)), long(1900, number("Z: ", 2))},
		{"2000 lines", "\n\n" + long(2000, number("line number ", 1)), "\n\n" + long(2000, number("line number ", 3))},
		{
			"values", "Route: " + strings.Repeat("<sip:a>,", 8000),
			"Route: " + strings.Repeat("<sip:a>,<sip:b>,", 4000),
		},
		{"words", "Z: " + strings.Repeat("a b ", 16000), "Z: " + strings.Repeat("b c a ", 10600)},
		{"parameters", "To: <a>" + strings.Repeat(";a=1", 16000), "To: <a>" + strings.Repeat(";a=2", 16000)},
		{"blanks", "Z: " + strings.Repeat("a b ", 16000), "Z: " + strings.Repeat("a b ", 16000) + " c"},
		{"brackets", "Route: " + strings.Repeat("<", 64000), "Route: " + strings.Repeat("<,", 32000)},
		{"quotes", "Route: " + strings.Repeat("\"", 64000), "To: " + strings.Repeat(";\"", 32000)},
		{
			"set", "Allow: " + strings.ReplaceAll(long(11000, number("", 1)), "\n", ","),
			"Allow: " + strings.ReplaceAll(long(11000, number("", 2)), "\n", ","),
		},
		{
			"digest", "Authorization: Digest " + strings.Repeat("a=b,", 16000),
			"Authorization: Digest " + strings.Repeat("b=a,a=c,", 8000),
		},
		{"vias", long(60, via(1)), long(60, via(2))},
		{"media", sdpText(strings.Repeat("m=a\n", 16000)), sdpText(strings.Repeat("m=b\n", 16000))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			x, y := message(b, bb.a), message(b, bb.b)
			b.SetBytes(int64(len(x.Raw) + len(y.Raw)))
			b.ReportAllocs()
			for b.Loop() {
				compare.Messages(x, y, compare.Options{})
			}
		})
	}
}
