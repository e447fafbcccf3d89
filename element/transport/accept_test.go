package transport

import (
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// Config.Accept decides before a byte is sent, whatever the transport.
func TestAccept(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", "127.77.5.8:0"); err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no such loopback address: ", err) // Linux has all of 127/8
	} else {
		_ = l.Close()
	}
	cert, _, err := SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	wanted := netip.MustParseAddr("127.77.5.9")
	for _, proto := range []Proto{TCP, TLS, WS, WSS} {
		cfg := Config{
			Listen: []Listen{{Proto: proto, AddrPort: netip.MustParseAddrPort("127.77.5.8:0")}},
			Accept: func(remote netip.AddrPort) bool { return remote.Addr() == wanted },
		}
		cfg.Certificates = append(cfg.Certificates, cert)
		el := start(t, cfg, nil)
		at := el.Listeners()[0].Local.String()
		for _, from := range []string{"127.77.5.9", "127.77.5.10"} {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
			c, err := d.DialContext(t.Context(), "tcp", at)
			if err != nil {
				if from == wanted.String() {
					t.Error(err)
				}
				continue // reset at once
			}
			text := "\r\n\r\n" // a ping, which is answered
			if proto != TCP {
				text = "no handshake\r\n\r\n" // the connection ends, perhaps with an alert
			}
			_, _ = c.Write([]byte(text))
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			b := make([]byte, 100)
			n, err := io.ReadAtLeast(c, b, 1)
			if proto == TCP && (n > 0) != (from == wanted.String()) || n > 0 && from != wanted.String() {
				t.Errorf("%s from %s: %q, %v", proto, from, b[:n], err)
			}
			_ = c.Close()
		}
		if s := el.Stats(); s.Accepted != 1 || s.Refused != 1 {
			t.Errorf("%s: %d accepted, %d refused", proto, s.Accepted, s.Refused)
		}
	}
}
