package tls_test

import (
	"bytes"
	stdtls "crypto/tls"
	"fmt"
	"strings"
	"testing"

	"sipscope/decode/tls"
)

// TestGap loses one chunk after another of every kind of session: what was written before and after the hole is read, and
// nothing wrong is ever given out.
func TestGap(t *testing.T) {
	t.Parallel()
	rsaCert, _ := certificates(t)
	for _, x := range []struct {
		version, suite uint16
		cost           int // records lost beyond the hole
	}{
		{stdtls.VersionTLS13, 0, 0},
		{stdtls.VersionTLS12, stdtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0},
		{stdtls.VersionTLS12, stdtls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, 0},
		{stdtls.VersionTLS12, stdtls.TLS_RSA_WITH_AES_128_CBC_SHA256, 0},
		{stdtls.VersionTLS11, stdtls.TLS_RSA_WITH_AES_256_CBC_SHA, 0},
		{stdtls.VersionTLS10, stdtls.TLS_RSA_WITH_AES_128_CBC_SHA, 1}, // its IV is in the record before
	} {
		t.Run(fmt.Sprintf("%s/%#x", stdtls.VersionName(x.version), x.suite), func(t *testing.T) {
			t.Parallel()
			cc, sc, log := configs(rsaCert, x.version, x.suite)
			cc.DynamicRecordSizingDisabled, sc.DynamicRecordSizingDisabled = true, true
			chunks := talk(t, cc, sc)
			data := chunks[len(chunks)-1-8:] // about the last of it
			for _, known := range []bool{true, false} {
				for at := len(chunks) - len(data); at < len(chunks); at++ {
					var h heard
					w := &wire{c: tls.NewConn(keysOf(log.String()), &h)}
					for i, c := range chunks {
						switch {
						case i != at:
							w.take(c.from, c.b)
						case known:
							w.gap(c.from, len(c.b))
						default:
							w.gap(c.from, -1)
						}
					}
					checkHole(t, &h, w.c.Info(), x.cost)
				}
			}
		})
	}
}

// checkHole checks that what was heard is what was said, less one hole.
func checkHole(t *testing.T, h *heard, i tls.Info, cost int) {
	t.Helper()
	var all [2]bytes.Buffer
	for _, c := range exchange() {
		all[c.from].Write(c.b)
	}
	missing := 0
	for side := range all {
		said, got := all[side].String(), h.text[side].String()
		if said == got {
			continue
		}
		missing++
		n := 0
		for n < len(got) && got[n] == said[n] {
			n++
		}
		if !strings.HasSuffix(said, got[n:]) {
			t.Errorf("side %d: after %d bytes something else was heard: %.60q", side, n, got[n:])
		}
	}
	if i.State != tls.Readable || missing > 1 || missing+h.gaps == 0 && i.Records == 0 {
		t.Errorf("%d directions miss something, %d gaps, %+v", missing, h.gaps, i)
	}
	if i.Lost > uint64(cost)+1 {
		t.Errorf("%d records lost, want %d", i.Lost, cost)
	}
}

// TestHoleInRecord loses bytes within a record: the next one is found at once.
func TestHoleInRecord(t *testing.T) {
	t.Parallel()
	rsaCert, _ := certificates(t)
	cc, sc, log := configs(rsaCert, stdtls.VersionTLS13)
	chunks := talk(t, cc, sc)
	for n := 1; n < 80; n++ {
		var h heard
		w := &wire{c: tls.NewConn(keysOf(log.String()), &h)}
		for i, c := range chunks {
			if i != len(chunks)-4 || len(c.b) < n+10 {
				w.take(c.from, c.b)
				continue
			}
			w.take(c.from, c.b[:10])
			w.gap(c.from, n)
			w.take(c.from, c.b[10+n:])
		}
		checkHole(t, &h, w.c.Info(), 0)
	}
}

// TestMidway begins without the handshake: nothing can be read, and nothing waits.
func TestMidway(t *testing.T) {
	t.Parallel()
	rsaCert, _ := certificates(t)
	for _, v := range []uint16{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		cc, sc, log := configs(rsaCert, v)
		chunks := talk(t, cc, sc)
		var h heard
		c := tls.NewConn(keysOf(log.String()), &h)
		feed(c, chunks[len(chunks)-7:], 1460)
		if i := c.Info(); i.State != tls.Midway || h.text[0].Len()+h.text[1].Len() > 0 || c.Waits() {
			t.Errorf("%+v", i)
		}
	}
}

// TestLateKeys gives the keys only at the end, line by line: the text comes in the order in which it was said.
func TestLateKeys(t *testing.T) {
	t.Parallel()
	rsaCert, _ := certificates(t)
	for _, v := range []uint16{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		cc, sc, log := configs(rsaCert, v)
		chunks := talk(t, cc, sc)
		keys := tls.NewKeys()
		o := &order{}
		c := tls.NewConn(keys, o)
		w := feed(c, chunks, 1460)
		if i := c.Info(); i.State != tls.NoKey || !c.Waits() || len(o.from) > 0 {
			t.Fatalf("%+v", i)
		}
		for line := range strings.Lines(log.String()) {
			keys.Add([]byte(line))
			for side := range w.rest {
				w.take(tls.Side(side), nil)
			}
		}
		if got, want := o.String(), "0101"; !strings.HasPrefix(got, want) || c.Waits() || c.Info().Lost > 0 {
			t.Errorf("%s: %s, %+v", stdtls.VersionName(v), got, c.Info())
		}
	}
}

// order notes who spoke, in order.
type order struct{ from []byte }

func (o *order) Plain(t *tls.Text) {
	if n := len(o.from); n == 0 || o.from[n-1] != '0'+byte(t.From) {
		o.from = append(o.from, '0'+byte(t.From))
	}
}

func (o *order) String() string { return string(o.from) }

// TestOneSidedKeys has the secrets of one direction only: Force gives the other one up.
func TestOneSidedKeys(t *testing.T) {
	t.Parallel()
	rsaCert, _ := certificates(t)
	cc, sc, log := configs(rsaCert, stdtls.VersionTLS13)
	chunks := talk(t, cc, sc)
	var half []string
	for line := range strings.Lines(log.String()) {
		if strings.HasPrefix(line, "SERVER_") {
			half = append(half, line)
		}
	}
	var h heard
	c := tls.NewConn(keysOf(strings.Join(half, "")), &h)
	w := feed(c, chunks, 1460)
	if !c.Force() {
		t.Fatal("nothing to force")
	}
	for side := range w.rest {
		w.take(tls.Side(side), nil)
	}
	if h.text[0].Len() > 0 || !strings.HasSuffix(h.text[1].String(), "end") || c.Waits() {
		t.Errorf("client %d bytes, server %d bytes", h.text[0].Len(), h.text[1].Len())
	}
}

// TestOnlyTraffic has no handshake secrets, as some programs log.
func TestOnlyTraffic(t *testing.T) {
	t.Parallel()
	rsaCert, _ := certificates(t)
	cc, sc, log := configs(rsaCert, stdtls.VersionTLS13)
	chunks := talk(t, cc, sc)
	var some []string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "_TRAFFIC_SECRET_0") {
			some = append(some, line)
		}
	}
	var h heard
	feed(tls.NewConn(keysOf(strings.Join(some, "")), &h), chunks, 1460)
	h.check(t, exchange())
}

// TestResumption resumes sessions of TLS 1.2 by ticket: the log has a line of the first one only, or of none but its own.
func TestResumption(t *testing.T) {
	t.Parallel()
	rsaCert, _ := certificates(t)
	for _, v := range []uint16{stdtls.VersionTLS12, stdtls.VersionTLS13} {
		cc, sc, log := configs(rsaCert, v)
		cc.ClientSessionCache = stdtls.NewLRUClientSessionCache(1)
		first := talk(t, cc, sc)
		if v == stdtls.VersionTLS12 {
			cc.KeyLogWriter = nil
		}
		second := talk(t, cc, sc)
		keys := keysOf(log.String())
		for i, chunks := range [][]chunk{first, second} {
			var h heard
			c := tls.NewConn(keys, &h)
			feed(c, chunks, 1460)
			h.check(t, exchange())
			if info := c.Info(); info.Resumed != (i == 1 && v == stdtls.VersionTLS12) {
				t.Errorf("%+v", info)
			}
		}
	}
}

// TestWrongKeys has secrets that do not fit.
func TestWrongKeys(t *testing.T) {
	t.Parallel()
	rsaCert, _ := certificates(t)
	for _, v := range []uint16{stdtls.VersionTLS10, stdtls.VersionTLS12, stdtls.VersionTLS13} {
		cc, sc, log := configs(rsaCert, v)
		chunks := talk(t, cc, sc)
		b := log.Bytes()
		for i, line := 0, bytes.Split(b, []byte("\n")); i < len(line); i++ {
			if n := len(line[i]); n > 0 {
				line[i][n-1] ^= 1 // '0' and '1', 'b' and 'c', but 'a' becomes '`'
				if line[i][n-1] == '`' || line[i][n-1] == 'g' {
					line[i][n-1] = '0'
				}
			}
		}
		var h heard
		c := tls.NewConn(keysOf(string(b)), &h)
		feed(c, chunks, 1460)
		if i := c.Info(); i.State != tls.Unfitting || h.text[0].Len()+h.text[1].Len() > 0 {
			t.Errorf("%s: %+v", stdtls.VersionName(v), i)
		}
	}
}
