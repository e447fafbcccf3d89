package decode_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sipscope/capture"
	"sipscope/decode"
	"sipscope/decode/tls"
)

const secureCaptures = "../testdata/pcaps/"

// said is what one side of a connection says; 0 is the client.
type said struct {
	from int
	text string
}

func sipText(first, method string, n int, body string) string {
	return fmt.Sprintf("%s\r\nVia: SIP/2.0/TLS 192.0.2.10:5061;branch=z9hG4bKtls%d%s\r\nMax-Forwards: 70\r\n"+
		"From: <sips:alice@example.com>;tag=a%d\r\nTo: <sips:bob@example.com>;tag=b\r\nCall-ID: tls-%d@192.0.2.10\r\n"+
		"CSeq: %d %s\r\nContent-Length: %d\r\n\r\n%s", first, n, method, n/10, n/10, n%10+1, method, len(body), body)
}

// dialogue is a short call in one connection.
func dialogue(n int) []said {
	const sdp = "v=0\r\no=alice 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n"
	return []said{
		{0, sipText("INVITE sips:bob@example.com SIP/2.0", "INVITE", n, sdp)},
		{1, sipText("SIP/2.0 180 Ringing", "INVITE", n, "")},
		{1, sipText("SIP/2.0 200 OK", "INVITE", n, sdp)},
		{0, sipText("ACK sips:bob@example.com SIP/2.0", "ACK", n, "")},
		{0, sipText("BYE sips:bob@example.com SIP/2.0", "BYE", n+1, "")},
		{1, sipText("SIP/2.0 200 OK", "BYE", n+1, "")},
	}
}

func ping(n int) []said {
	return []said{
		{0, sipText("OPTIONS sips:bob@example.com SIP/2.0", "OPTIONS", n, "")},
		{1, sipText("SIP/2.0 200 OK", "OPTIONS", n, "")},
	}
}

// webSocket wraps texts in WebSocket frames (RFC 6455 5.2) behind an upgrade (RFC 7118 4.1); a client masks.
func webSocket(in []said) []said {
	out := []said{
		{0, "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n"},
		{1, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: sip\r\n\r\n"},
	}
	for _, s := range in {
		b := []byte{0x81, 126, byte(len(s.text) >> 8), byte(len(s.text))}
		text := []byte(s.text)
		if s.from == 0 {
			mask := []byte{0x37, 0xfa, 0x21, 0x3d}
			b[1] |= 0x80
			b = append(b, mask...)
			for i := range text {
				text[i] ^= mask[i%4]
			}
		}
		out = append(out, said{s.from, string(append(b, text...))})
	}
	return out
}

// recorder notes what is written to a pipe.
type recorder struct {
	net.Conn
	mu   *sync.Mutex
	out  *[]said
	from int
}

func (r recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	*r.out = append(*r.out, said{r.from, string(b)})
	r.mu.Unlock()
	return r.Conn.Write(b)
}

// secured says texts over TLS, and gives what the wire carries.
func secured(t *testing.T, cc, sc *stdtls.Config, texts []said) (wire []said) {
	t.Helper()
	a, b := net.Pipe()
	var mu sync.Mutex
	client := stdtls.Client(recorder{a, &mu, &wire, 0}, cc)
	server := stdtls.Server(recorder{b, &mu, &wire, 1}, sc)
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() { done <- server.HandshakeContext(ctx) }()
	if err := client.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, s := range texts {
		from, to := client, server
		if s.from == 1 {
			from, to = to, from
		}
		go func() {
			_, err := io.WriteString(from, s.text)
			done <- err
		}()
		if _, err := io.ReadFull(to, make([]byte, len(s.text))); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	go func() { done <- client.Close() }()
	_, _ = io.Copy(io.Discard, server)
	<-done
	a.Close()
	b.Close()
	return wire
}

// tlsConfigs gives both sides' configurations.
func tlsConfigs(t *testing.T, version uint16, name string, log io.Writer, suites ...uint16) (cc, sc *stdtls.Config) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	cert := stdtls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
	cc = &stdtls.Config{
		InsecureSkipVerify: true, ServerName: name, KeyLogWriter: log, MinVersion: version, MaxVersion: version,
		CipherSuites: suites,
	}
	if version == stdtls.VersionTLS12 { // a ticket of TLS 1.3 would wait in the pipe
		cc.ClientSessionCache = stdtls.NewLRUClientSessionCache(4)
	}
	sc = &stdtls.Config{Certificates: []stdtls.Certificate{cert}, MinVersion: version, MaxVersion: version, CipherSuites: suites}
	return cc, sc
}

// tcpLine is a connection on its way into a capture, with segments of at most 500 bytes.
type tcpLine struct {
	packets *[]capture.Packet
	port    uint16 // of the client, 192.0.2.10; the server is 192.0.2.20:5061
	seq     [2]uint32
}

func (l *tcpLine) segment(from int, flags byte, payload string) {
	b := make([]byte, 54, 54+len(payload))
	copy(b, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00\x45")
	binary.BigEndian.PutUint16(b[16:], uint16(40+len(payload)))
	b[22], b[23] = 64, 6
	client, server := []byte{192, 0, 2, 10}, []byte{192, 0, 2, 20}
	ports := [2]uint16{l.port, 5061}
	if from == 1 {
		client, server = server, client
		ports[0], ports[1] = ports[1], ports[0]
	}
	copy(b[26:], client)
	copy(b[30:], server)
	binary.BigEndian.PutUint16(b[34:], ports[0])
	binary.BigEndian.PutUint16(b[36:], ports[1])
	binary.BigEndian.PutUint32(b[38:], l.seq[from])
	binary.BigEndian.PutUint32(b[42:], l.seq[1-from])
	b[46], b[47] = 5<<4, flags
	b[48] = 0xff
	b = append(b, payload...)
	l.seq[from] += uint32(len(payload))
	if flags&3 != 0 {
		l.seq[from]++
	}
	n := len(*l.packets)
	at := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC).UnixNano() + int64(n)*7_000_000
	*l.packets = append(*l.packets, capture.Packet{
		Seq: uint64(n) + 1, Time: at, Link: capture.LinkEthernet, Data: b, WireLen: uint32(len(b)),
	})
}

// connection writes a whole connection; the segment number skip, 0 for none, is not in the capture.
func connection(packets *[]capture.Packet, port uint16, wire []said, skip int) {
	const syn, ack, fin = 2, 16, 1
	l := &tcpLine{packets, port, [2]uint32{1000, 9000}}
	l.segment(0, syn, "")
	l.segment(1, syn|ack, "")
	l.segment(0, ack, "")
	n := 0
	for _, s := range wire {
		for part := range slices.Chunk([]byte(s.text), 500) {
			if n++; n == skip {
				l.seq[s.from] += uint32(len(part))
				continue
			}
			l.segment(s.from, ack|8, string(part))
		}
	}
	l.segment(0, fin|ack, "")
	l.segment(1, fin|ack, "")
	l.segment(0, ack, "")
}

// TestWriteSecureCaptures writes the captures with TLS again when UPDATE_GOLDEN says so: every handshake is another one, so
// the files are not compared; TestSecureCaptures says what must be in them.
func TestWriteSecureCaptures(t *testing.T) {
	t.Parallel()
	if os.Getenv("UPDATE_GOLDEN") == "" {
		t.Skip("UPDATE_GOLDEN=1 writes " + secureCaptures + "tls*")
	}
	writeTLS12(t)
	writeTLS13(t)
}

func writeTLS12(t *testing.T) {
	t.Helper()
	var log bytes.Buffer
	var packets []capture.Packet
	cc, sc := tlsConfigs(t, stdtls.VersionTLS12, "sip.example.com", &log)
	connection(&packets, 40001, secured(t, cc, sc, dialogue(10)), 0)
	cc.KeyLogWriter = nil // resumed by ticket: the line of the first handshake is enough
	connection(&packets, 40002, secured(t, cc, sc, ping(20)), 0)
	cc, sc = tlsConfigs(t, stdtls.VersionTLS12, "cbc.example.com", &log, stdtls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA)
	connection(&packets, 40003, secured(t, cc, sc, ping(30)), 0)
	cc, sc = tlsConfigs(t, stdtls.VersionTLS12, "old.example.com", &log, stdtls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256)
	connection(&packets, 40004, secured(t, cc, sc, ping(40)), 0)
	var out bytes.Buffer
	w, err := capture.NewWriter(&out, capture.LinkEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		if err := w.WritePacket(&packets[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, "tls12.pcap", out.Bytes())
	writeFile(t, "tls12.keys", log.Bytes())
}

func writeTLS13(t *testing.T) {
	t.Helper()
	var log bytes.Buffer
	var packets []capture.Packet
	cc, sc := tlsConfigs(t, stdtls.VersionTLS13, "sip.example.com", &log)
	wire := secured(t, cc, sc, append(dialogue(10), ping(50)...))
	connection(&packets, 40001, wire, countSegments(wire)-3) // a part of what is said is not in the capture
	connection(&packets, 40002, secured(t, cc, sc, webSocket(ping(20))), 0)
	cc.KeyLogWriter, cc.ServerName = nil, "closed.example.com"
	connection(&packets, 40003, secured(t, cc, sc, ping(30)), 0)
	wire = secured(t, cc, sc, ping(40))
	connection(&packets, 40004, wire[len(wire)-4:], 0) // its handshake was before the capture
	var out bytes.Buffer
	w, err := capture.NewNGWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for i := range packets {
		if err := w.WritePacket(&packets[i], ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	b := out.Bytes()
	head := binary.LittleEndian.Uint32(b[4:]) // the section header's length
	writeFile(t, "tls13-secrets.pcapng", slices.Concat(b[:head], secretsBlock(log.Bytes()), b[head:]))
}

func countSegments(wire []said) (n int) {
	for _, s := range wire {
		n += (len(s.text) + 499) / 500
	}
	return n
}

// secretsBlock is a Decryption Secrets Block of pcapng with a TLS key log.
func secretsBlock(log []byte) []byte {
	size := 20 + (len(log)+3)/4*4
	b := make([]byte, size)
	binary.LittleEndian.PutUint32(b, 10)
	binary.LittleEndian.PutUint32(b[4:], uint32(size))
	binary.LittleEndian.PutUint32(b[8:], 0x544c534b)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(log)))
	copy(b[16:], log)
	binary.LittleEndian.PutUint32(b[size-4:], uint32(size))
	return b
}

func writeFile(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(secureCaptures, name), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSecureCaptures reads our own captures with TLS.
func TestSecureCaptures(t *testing.T) {
	t.Parallel()
	keys, err := os.ReadFile(secureCaptures + "tls12.keys")
	if err != nil {
		t.Fatal(err)
	}
	const call = "TLS INVITE sips:bob@example.com SIP/2.0, TLS SIP/2.0 180 Ringing, TLS SIP/2.0 200 OK, " +
		"TLS ACK sips:bob@example.com SIP/2.0, TLS BYE sips:bob@example.com SIP/2.0, TLS SIP/2.0 200 OK, "
	const options = "TLS OPTIONS sips:bob@example.com SIP/2.0, TLS SIP/2.0 200 OK"
	for _, x := range []struct {
		file, want string
		keys       []byte
		states     string
	}{
		{"tls12.pcap", call + strings.Join([]string{options, options, options}, ", "), keys, "decrypted decrypted decrypted decrypted"},
		{"tls12.pcap", "", nil, "encrypted, no key encrypted, no key encrypted, no key encrypted, no key"},
		{
			"tls13-secrets.pcapng",
			// the BYE's answer is not in the capture
			strings.TrimSuffix(call, "TLS SIP/2.0 200 OK, ") + options + ", " + strings.ReplaceAll(options, "TLS", "WSS"),
			nil, "decrypted decrypted encrypted, no key encrypted, handshake not seen",
		},
	} {
		vault := decode.NewVault(decode.VaultOptions{})
		messages, rows, acct := readAll(t, secureCaptures+x.file, decode.Options{Secrets: true, Vault: vault}, x.keys)
		vault.Close()
		if got := strings.Join(messages, ", "); got != x.want {
			t.Errorf("%s:\ngot  %s\nwant %s", x.file, got, x.want)
		}
		var states []string
		for i := range rows {
			states = append(states, rows[i].TLS.State.String())
			if rows[i].TLS.State != tls.Midway && !strings.HasSuffix(rows[i].TLS.ServerName, ".example.com") {
				t.Errorf("server name %q", rows[i].TLS.ServerName)
			}
		}
		if got := strings.Join(states, " "); got != x.states {
			t.Errorf("%s: %s, want %s", x.file, got, x.states)
		}
		if x.want != "" && strings.HasPrefix(x.file, "tls13") && acct.Streams.Gaps != 1 {
			t.Error("the hole is not told")
		}
	}
}
