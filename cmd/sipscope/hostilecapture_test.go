package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// attacks are texts that a terminal, a spreadsheet, a page, a picture or a monitoring system would obey. Those of up to 16
// bytes survive as names of codecs. The tag zz and the attribute onzz are what a page or a picture must never have.
func attacks() []string {
	return []string{
		"\x1b]0;own\a\x1b[2Jz", "\x1b[31mzz\x1bP+q\x1b\\", "\x9b31m\x9d0;own\x9c", "\u009b31m\u009d0;o\u009c",
		"a\u202ezz\u2066b\u200f", "\xff\xfe\xc3\x28z\xe2\x82", "z\x00z\x7f\x08\x0d", "\u2028z\u2029\u200b\ufeff\u00adz",
		"=cmd|'/C'!A0", "+1+cmd|'!A0", "-2+3+cmd|'!A0", "@SUM(1)", "\t=1+1", "\r=1+1", "\u200b=1+1", "\uff1d1+1",
		"<zz onzz=1>", "</script><zz>", "\" onzz=\"1", "' onzz='1", "]]><zz>", "--><zz>", "<!--<zz", "&lt;zz&gt;&#x3c;zz",
		"</style><zz>", "</text><zz/>", "javascript:zz()", "__f__zz()__f__", "{{.zz}}${zz}", "[zz](zz:zz)`zz`",
		"%%{init:{}}%%", "zz;end;A->>B:z", "#quot;zz#59;", "zz\"} 1\nzz{a=\"", "zz\\\",b=\"\\", "zz,zz;zz|zz",
		"[field1]<exec/>", "../../zz", "CON", "\u0338\u0338\u0338\u0338\u0338\u0338z",
	}
}

// hostileCapture writes a capture in which every text that media, DTMF, RTCP, WebSocket and TLS bring is an attack: a call
// for each, with sound both ways, and connections that stay encrypted.
func hostileCapture(tb testing.TB) string {
	tb.Helper()
	w := &wire{}
	for i, text := range attacks() {
		w.call(i, text, strings.Repeat(text, 1+200/len(text)))
		w.websocket(i, text)
		w.tls(i, text)
	}
	w.call(len(attacks()), "z", strings.Repeat("<zz>\x1b[31m\x9b=", 700))
	path := filepath.Join(tb.TempDir(), "hostile.pcap")
	if err := os.WriteFile(path, w.pcap, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// wire writes frames into a capture, a millisecond apart.
type wire struct {
	pcap []byte
	n    uint32
}

func (w *wire) ip(proto byte, src, dst [4]byte, b []byte) {
	if w.n == 0 {
		w.pcap = binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
		w.pcap = append(w.pcap, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0) // raw IP
	}
	w.n++
	size := uint32(20 + len(b))
	for _, v := range [...]uint32{1_780_000_000 + w.n/1000, w.n % 1000 * 1000, size, size} {
		w.pcap = binary.LittleEndian.AppendUint32(w.pcap, v)
	}
	w.pcap = append(w.pcap, 0x45, 0, byte(size>>8), byte(size), byte(w.n>>8), byte(w.n), 0, 0, 64, proto, 0, 0)
	w.pcap = append(append(append(w.pcap, src[:]...), dst[:]...), b...)
}

func (w *wire) udp(src, dst [4]byte, sport, dport int, b []byte) {
	h := binary.BigEndian.AppendUint16(nil, uint16(sport))
	h = binary.BigEndian.AppendUint16(h, uint16(dport))
	h = binary.BigEndian.AppendUint16(h, uint16(8+len(b)))
	w.ip(17, src, dst, append(append(h, 0, 0), b...))
}

func (w *wire) tcp(src, dst [4]byte, sport, dport int, seq, ack int, b []byte) {
	h := binary.BigEndian.AppendUint16(nil, uint16(sport))
	h = binary.BigEndian.AppendUint16(h, uint16(dport))
	h = binary.BigEndian.AppendUint32(h, uint32(seq))
	h = binary.BigEndian.AppendUint32(h, uint32(ack))
	w.ip(6, src, dst, append(append(h, 5<<4, 0x18, 0xff, 0xff, 0, 0, 0, 0), b...))
}

// sip sends a message of the ith call, whose Call-ID ends in an attack.
func (w *wire) sip(src, dst [4]byte, first, kind, body, cseq string, i int) {
	id := ""
	if all := attacks(); i < len(all) {
		id = strings.NewReplacer("\n", "", "\r", "", " ", "_").Replace(all[i])
	}
	w.udp(src, dst, 5060, 5060, fmt.Appendf(nil, "%s\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK%d-%s\r\nFrom: <sip:a@x>;tag=a%[2]d\r\n"+
		"To: <sip:b@x>;tag=b\r\nCall-ID: hostile-%[2]d@x%[4]s\r\nCSeq: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		first, i, strings.ReplaceAll(cseq, " ", ""), id, cseq, kind, len(body), body))
}

// description is a session description in which all is an attack that can be one. The offer names two codecs, the answer
// the first; every other call has keys for SRTP.
func description(addr [4]byte, port int, short, long string, offer, secure bool) string {
	line := strings.NewReplacer("\n", "").Replace
	short, long = line(short), line(long)
	name := strings.NewReplacer(" ", "_", "/", "_").Replace(short)
	more, keys := "", ""
	if offer {
		more = "a=rtpmap:97 " + name + "/48000/2\r\n"
	}
	if secure {
		keys = fmt.Sprintf("a=crypto:1 %[1]s inline:%[1]s\r\na=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:%[1]s\r\n", short)
	}
	return fmt.Sprintf("v=0\r\no=%[1]s 1 1 IN IP4 %[3]s\r\ns=%[2]s\r\nc=IN IP4 %[3]s\r\nt=0 0\r\na=tool:%[2]s\r\nm=audio %[4]d RTP/AVP 96 97 101\r\n"+
		"a=rtpmap:96 %[5]s/8000\r\na=fmtp:96 %[2]s\r\na=rtpmap:101 telephone-event/8000\r\na=mid:%[1]s\r\n%[7]s%[8]s"+
		"a=candidate:%[1]s 1 UDP 1 %[3]s 4999 typ %[1]s\r\na=%[2]s\r\n"+
		"m=image %[6]d udptl %[1]s\r\na=T38FaxRateManagement:%[2]s\r\na=T38FaxVersion:%[1]s\r\n"+
		"m=message 2855 TCP/MSRP *\r\na=path:msrp://%[2]s\r\nm=application 9 TCP/BFCP *\r\na=floorid:%[1]s\r\n"+
		"m=%[1]s 9 %[1]s %[1]s\r\n", short, long, dotted(addr), port, name, port+2, more, keys)
}

func dotted(a [4]byte) string { return fmt.Sprintf("%d.%d.%d.%d", a[0], a[1], a[2], a[3]) }

func (w *wire) call(i int, short, long string) {
	a, b := [4]byte{10, 1, byte(i), 1}, [4]byte{10, 1, byte(i), 2}
	w.sip(a, b, "INVITE sip:b@x SIP/2.0", "application/sdp", description(a, 4000, short, long, true, i%2 == 1), "1 INVITE", i)
	w.sip(b, a, "SIP/2.0 200 OK", "application/sdp", description(b, 6000, short, long, false, i%2 == 1), "1 INVITE", i)
	w.sip(a, b, "ACK sip:b@x SIP/2.0", "text/plain", "", "1 ACK", i)
	for k := range 40 {
		pt := byte(96)
		switch {
		case k%10 == 9:
			pt = 101
		case k > 20:
			pt = 97
		}
		w.udp(a, b, 4000, 6000, soundOf(pt, k, 0xa0000000+uint32(i)))
		w.udp(b, a, 6000, 4000, soundOf(96, k, 0xb0000000+uint32(i)))
	}
	w.udp(a, b, 4001, 6001, named(0xa0000000+uint32(i), long))
	w.sip(a, b, "INFO sip:b@x SIP/2.0", "application/dtmf-relay", "Signal="+short+"\r\nDuration="+long+"\r\n", "2 INFO", i)
	w.sip(b, a, "SIP/2.0 200 "+strings.NewReplacer("\n", "", "\r", "").Replace(short), "text/plain", "", "2 INFO", i)
	w.sip(a, b, "INFO sip:b@x SIP/2.0", "application/dtmf", short, "3 INFO", i)
	w.sip(b, a, "SIP/2.0 200 OK", "text/plain", "", "3 INFO", i)
	w.sip(a, b, "BYE sip:b@x SIP/2.0", "text/plain", "", "4 BYE", i)
	w.sip(b, a, "SIP/2.0 200 OK", "text/plain", "", "4 BYE", i)
}

func soundOf(pt byte, k int, ssrc uint32) []byte {
	b := []byte{0x80, pt, 0, byte(k)}
	b = binary.BigEndian.AppendUint32(b, uint32(160*k))
	b = binary.BigEndian.AppendUint32(b, ssrc)
	return append(b, make([]byte, 160)...)
}

// named is a sender report and a description whose CNAME is a text (RFC 3550 6.4.1, 6.5).
func named(ssrc uint32, text string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0x80, 200, 0, 6}, ssrc)
	b = append(b, make([]byte, 20)...)
	text = text[:min(len(text), 255)]
	items := append([]byte{1, byte(len(text))}, text...)
	items = append(items, make([]byte, 4-len(items)%4)...)
	b = append(b, 0x81, 202, 0, byte(1+len(items)/4))
	return append(binary.BigEndian.AppendUint32(b, ssrc), items...)
}

// websocket upgrades a connection to a path and a protocol that attack, and sends a SIP request over it.
func (w *wire) websocket(i int, text string) {
	a, b := [4]byte{10, 2, byte(i), 1}, [4]byte{10, 2, byte(i), 2}
	text = strings.NewReplacer("\n", "", "\r", "", "\x00", "").Replace(text)
	ask := "GET /" + text + " HTTP/1.1\r\nHost: " + text + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: " + text + "\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip, " + text + "\r\nSec-WebSocket-Version: 13\r\n\r\n"
	agree := "HTTP/1.1 101 " + text + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
		"Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Extensions: " + text + "\r\n\r\n"
	w.tcp(a, b, 4000, 80, 1, 1, []byte(ask))
	w.tcp(b, a, 80, 4000, 1, 1+len(ask), []byte(agree))
	sip := "OPTIONS sip:b@x SIP/2.0\r\nVia: SIP/2.0/WS " + text + ";branch=z9hG4bKw" + strconv.Itoa(i) + "\r\nFrom: <sip:a@x>;tag=a\r\n" +
		"To: <sip:b@x>\r\nCall-ID: ws-" + strconv.Itoa(i) + "\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
	w.tcp(a, b, 4000, 80, 1+len(ask), 1+len(agree), append([]byte{0x81, 0xfe, byte(len(sip) >> 8), byte(len(sip)), 0, 0, 0, 0}, sip...))
}

// tls greets a server whose name attacks (RFC 6066 3).
func (w *wire) tls(i int, text string) {
	a, b := [4]byte{10, 3, byte(i), 1}, [4]byte{10, 3, byte(i), 2}
	vector := func(size int, parts ...[]byte) []byte {
		p := bytes.Join(parts, nil)
		return append([]byte{byte(len(p) >> 16), byte(len(p) >> 8), byte(len(p))}[3-size:], p...)
	}
	name := vector(2, vector(2, []byte{0}, vector(2, []byte(text))))
	alpn := vector(2, vector(2, vector(1, []byte(text))))
	hello := append([]byte{3, 3}, make([]byte, 32)...)
	hello = append(hello, 0, 0, 2, 0x13, 1, 1, 0)
	hello = append(hello, vector(2, []byte{0, 0}, name, []byte{0, 16}, alpn)...)
	record := append([]byte{22, 3, 1}, vector(2, []byte{1}, vector(3, hello))...)
	w.tcp(a, b, 4000, 5061, 1, 1, record)
	w.tcp(b, a, 5061, 4000, 1, 1+len(record), []byte{23, 3, 3, 0, 4, 1, 2, 3, 4})
}
