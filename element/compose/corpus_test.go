package compose_test

import (
	"bytes"
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// TestCorpus answers, forwards and cancels the messages of others: every UDP datagram of ../shared/pcaps that is SIP.
func TestCorpus(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/pcaps/*/*.pcap*")
	if err != nil || len(files) == 0 {
		t.Skip("no captures: ../shared/pcaps is not there")
	}
	messages, requests := 0, 0
	var m sip.Message
	e := new(compose.Edit)
	for _, file := range files {
		if strings.HasSuffix(file, ".json") {
			continue
		}
		datagrams(t, file, func(raw []byte) {
			if sip.Parse(raw, &m) != nil {
				return
			}
			messages++
			forwarded(t, e, &m)
			if m.Request && m.Vias > 0 {
				requests++
				answered(t, &m)
			}
			if m.MethodID == sip.MethodInvite && m.Request && m.HasCSeq && m.Vias > 0 && !m.CallID.Empty() {
				cancelled(t, &m)
			}
		})
	}
	if t.Logf("%d messages, %d requests", messages, requests); requests < 1000 {
		t.Errorf("only %d requests in %d captures", requests, len(files))
	}
}

// datagrams gives the UDP datagrams of a capture that begin as SIP does.
func datagrams(t *testing.T, file string, yield func(raw []byte)) {
	t.Helper()
	source, err := capture.Open([]string{file}, capture.Options{})
	if err != nil {
		return
	}
	defer source.Close()
	var b capture.Batch
	var f frame.Packet
	for source.Next(context.Background(), &b) == nil {
		for i := range b.Packets {
			p := &b.Packets[i]
			if frame.Decode(p.Link, p.Data, p.WireLen, &f) != frame.UDP || f.Cut {
				continue
			}
			if raw := f.Payload[sip.SkipCRLF(f.Payload):]; sip.IsStart(raw) {
				yield(raw)
			}
		}
	}
}

// forwarded puts a Via above a message and takes it off again, as the two directions of a proxy do: what is left is the
// message, byte for byte.
func forwarded(t *testing.T, e *compose.Edit, m *sip.Message) {
	t.Helper()
	e.Reset(m)
	via := compose.Via{Proto: "UDP", Host: "proxy.example", Branch: "z9hG4bKproxy"}
	e.PrependBytes(sip.HeaderVia, via.AppendTo(nil))
	out, err := e.Bytes(nil)
	if err != nil {
		t.Fatal(err)
	}
	var on sip.Message
	if err = sip.Parse(out, &on); err != nil || string(on.Via.Branch.Of(out)) != "z9hG4bKproxy" || on.Vias != m.Vias+1 {
		t.Fatalf("%q forwarded is %q, error %v", m.Raw, out, err)
	}
	e.Reset(&on)
	e.RemoveFirst(sip.HeaderVia)
	back, err := e.Bytes(nil)
	if err != nil {
		t.Fatal(err)
	}
	whole := bytes.Contains(m.Raw, []byte("\n\r\n")) || bytes.Contains(m.Raw, []byte("\n\n"))
	if whole && !bytes.Equal(back, m.Raw) {
		t.Fatalf("%q came back as %q", m.Raw, back)
	}
	// a Record-Route, which stands elsewhere
	e.Prepend(sip.HeaderRecordRoute, "<sip:proxy.example;lr>")
	e.RemoveFirst(sip.HeaderRecordRoute)
	if again, err := e.Bytes(nil); err != nil || !bytes.Equal(again, back) {
		t.Fatalf("%q came back as %q, error %v", back, again, err)
	}
}

// answered makes a response, which the client must find its transaction by.
func answered(t *testing.T, m *sip.Message) {
	t.Helper()
	src := netip.MustParseAddrPort("192.0.2.99:9999")
	out, err := compose.Response(nil, m, src, &compose.Reply{Status: 486, ToTag: "own", RecordRoute: true})
	if err != nil {
		t.Fatal(err)
	}
	var r sip.Message
	if err := sip.Parse(out, &r); err != nil {
		t.Fatal(err)
	}
	a, b := m.TxnKey(), r.TxnKey()
	if r.Vias != m.Vias || !bytes.Equal(a.Branch.Of(m.Raw), b.Branch.Of(out)) || a.CSeq != b.CSeq ||
		!bytes.Equal(a.SentBy.Of(m.Raw), b.SentBy.Of(out)) || !bytes.Equal(m.CallID.Of(m.Raw), r.CallID.Of(out)) ||
		!bytes.Equal(m.From.Tag.Of(m.Raw), r.From.Tag.Of(out)) {
		t.Fatalf("%q answered with %q", m.Raw, out)
	}
	if want := cmpTag(m); !m.To.URI.Empty() && string(r.To.Tag.Of(out)) != want {
		t.Fatalf("To tag %q, want %q:\n%q", r.To.Tag.Of(out), want, out)
	}
	if !m.Via.SentBy.Empty() && string(m.Via.Host.Of(m.Raw)) != "192.0.2.99" &&
		string(r.Via.Received.Of(out)) != "192.0.2.99" {
		t.Fatalf("%q answered without received: %q", m.Raw, out)
	}
}

func cmpTag(m *sip.Message) string {
	if m.To.Tag.Empty() {
		return "own"
	}
	return string(m.To.Tag.Of(m.Raw))
}

// cancelled makes a CANCEL, which the server must find the INVITE by.
func cancelled(t *testing.T, m *sip.Message) {
	t.Helper()
	out, err := compose.Cancel(nil, m, "")
	if err != nil {
		t.Fatal(err)
	}
	var c sip.Message
	if err := sip.Parse(out, &c); err != nil || c.MethodID != sip.MethodCancel || c.Vias != 1 || c.CSeq != m.CSeq ||
		!bytes.Equal(c.Via.Branch.Of(out), m.Via.Branch.Of(m.Raw)) || !bytes.Equal(c.URI.Of(out), m.URI.Of(m.Raw)) {
		t.Fatalf("%q cancelled with %q, error %v", m.Raw, out, err)
	}
}
