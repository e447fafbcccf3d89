package tls_test

import (
	stdtls "crypto/tls"
	"fmt"
	"slices"
	"testing"

	"sipscope/decode/tls"
)

// rewrite gives what one side wrote, record by record, with f in the place of each record in clear that a side writes
// before its ChangeCipherSpec, or before its application data.
func rewrite(chunks []chunk, f func(from tls.Side, record []byte) []byte) (out []chunk) {
	var closed [2]bool
	for _, c := range chunks {
		var b []byte
		for rest := c.b; len(rest) >= 5; {
			n := 5 + int(rest[3])<<8 + int(rest[4])
			record := rest[:n]
			rest = rest[n:]
			if record[0] == 20 || record[0] == 23 {
				closed[c.from] = true
			}
			if !closed[c.from] {
				record = f(c.from, record)
			}
			b = append(b, record...)
		}
		out = append(out, chunk{c.from, b})
	}
	return out
}

// TestSplitHandshake has the messages of the handshake in clear in records of a few bytes each (RFC 8446 5.1), and these in
// segments that begin and end anywhere.
func TestSplitHandshake(t *testing.T) {
	t.Parallel()
	rsaCert, _ := certificates(t)
	for _, v := range []uint16{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		for _, size := range []int{1, 3, 4, 5, 50} {
			t.Run(fmt.Sprintf("%s/%d", stdtls.VersionName(v), size), func(t *testing.T) {
				t.Parallel()
				cc, sc, log := configs(rsaCert, v)
				split := 0
				chunks := rewrite(talk(t, cc, sc), func(_ tls.Side, r []byte) (out []byte) {
					for body := r[5:]; len(body) > 0; split++ {
						n := min(size, len(body))
						out = append(append(out, r[0], r[1], r[2], 0, byte(n)), body[:n]...)
						body = body[n:]
					}
					return out
				})
				if split < 10 {
					t.Fatalf("%d records", split)
				}
				for _, segment := range []int{1, 7, 1460} {
					var h heard
					c := tls.NewConn(keysOf(log.String()), &h)
					feed(c, chunks, segment)
					h.check(t, exchange())
					if i := c.Info(); i.Lost > 0 || h.gaps > 0 || i.ServerName != "sip.example.com" {
						t.Errorf("%+v", i)
					}
				}
			})
		}
	}
}

// TestAlerts has warnings in clear between the messages of a handshake (RFC 5246 7.2), and handshakes that end with a fatal
// one: these connections were never encrypted.
func TestAlerts(t *testing.T) {
	t.Parallel()
	rsaCert, _ := certificates(t)
	alert := func(level, what byte) []byte { return []byte{21, 3, 3, 0, 2, level, what} }
	for _, v := range []uint16{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		cc, sc, log := configs(rsaCert, v)
		whole := talk(t, cc, sc)
		chunks := rewrite(whole, func(_ tls.Side, r []byte) []byte {
			return append(slices.Clip(r), alert(1, 112)...) // unrecognized_name
		})
		var h heard
		c := tls.NewConn(keysOf(log.String()), &h)
		feed(c, chunks, 1460)
		h.check(t, exchange())
		if i := c.Info(); i.Lost > 0 || h.gaps > 0 {
			t.Errorf("%s: %+v", stdtls.VersionName(v), i)
		}
		refused := []chunk{whole[0], {1, alert(2, 40)}} // handshake_failure
		c = tls.NewConn(keysOf(log.String()), &h)
		feed(c, refused, 1460)
		if i := c.Info(); i.State != tls.Opening || i.ServerName != "sip.example.com" || c.Waits() {
			t.Errorf("%s, refused: %+v", stdtls.VersionName(v), i)
		}
	}
}
