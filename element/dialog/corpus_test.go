package dialog_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
	"sipscope/element/dialog"
)

// hop is one way that the messages of a call went.
type hop struct {
	callID   string
	src, dst frame.Endpoint
}

// side is what a caller has sent and got on one hop.
type side struct {
	invite string
	dialog *dialog.Dialog
}

// TestCorpus compares with what the callers of ../shared/pcaps did: from an INVITE and its 2xx as captured on one hop
// follows where the BYE on that hop went.
func TestCorpus(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/pcaps/*/*.pcap*")
	if err != nil || len(files) == 0 {
		t.Skip("no captures: ../shared/pcaps is not there")
	}
	same, other := 0, 0
	for _, file := range files {
		if strings.HasSuffix(file, ".json") {
			continue
		}
		sides := map[hop]*side{}
		messages(t, file, func(m *sip.Message, src, dst frame.Endpoint) {
			switch s := watch(t, sides, m, src, dst); {
			case s == nil:
			case agrees(t, s.dialog, m):
				same++
			default:
				other++
			}
		})
	}
	if t.Logf("%d BYEs went as they should, %d otherwise", same, other); same < 50 || other > same/20 {
		t.Errorf("%d BYEs went as they should, %d otherwise", same, other)
	}
}

// watch takes note of what a message does to the caller of its call. It gives a caller who says BYE.
func watch(t *testing.T, sides map[hop]*side, m *sip.Message, src, dst frame.Endpoint) *side {
	t.Helper()
	id := string(m.CallID.Of(m.Raw))
	sent, came := sides[hop{id, src, dst}], sides[hop{id, dst, src}]
	switch {
	case m.MethodID == sip.MethodInvite && m.Request && m.To.Tag.Empty() && m.Vias == 1 && !m.HasRecordRoute:
		if string(m.From.Display.Of(m.Raw)) != "sipp" { // its scenario writes the INVITE's URI into each request
			sides[hop{id, src, dst}] = &side{invite: string(m.Raw)}
		}
	case came != nil && came.dialog != nil:
		if came.dialog.Match(m) {
			came.dialog.Refresh(m)
		}
	case came != nil && m.MethodID == sip.MethodInvite && !m.Request && m.Status/100 == 2:
		came.dialog = begin(t, came.invite, m)
	case sent != nil && sent.dialog != nil && m.MethodID == sip.MethodBye && m.Request &&
		string(m.To.Tag.Of(m.Raw)) == sent.dialog.RemoteTag:
		delete(sides, hop{id, src, dst})
		return sent
	}
	return nil
}

func begin(t *testing.T, invite string, resp *sip.Message) *dialog.Dialog {
	t.Helper()
	d, err := dialog.FromResponse(parseText(t, invite), resp)
	if err != nil {
		t.Fatalf("%s\n%s\n%v", invite, resp.Raw, err)
	}
	return d
}

// agrees reports whether a BYE went where d says.
func agrees(t *testing.T, d *dialog.Dialog, m *sip.Message) bool {
	t.Helper()
	r := d.Request("BYE", rng())
	own := parseText(t, text(t, r))
	var want, got []string
	for a := range own.Addresses(sip.HeaderRoute) {
		want = append(want, string(a.URI.Of(own.Raw)))
	}
	for a := range m.Addresses(sip.HeaderRoute) {
		got = append(got, string(a.URI.Of(m.Raw)))
	}
	ok := string(m.URI.Of(m.Raw)) == r.URI && slices.Equal(got, want) &&
		string(m.From.Tag.Of(m.Raw)) == string(own.From.Tag.Of(own.Raw))
	if !ok {
		t.Logf("%s\nshould have been\n%s", m.Raw[:m.Head], own.Raw)
	}
	return ok
}

// messages gives the SIP datagrams of a capture.
func messages(t *testing.T, file string, yield func(m *sip.Message, src, dst frame.Endpoint)) {
	t.Helper()
	source, err := capture.Open([]string{file}, capture.Options{})
	if err != nil {
		return
	}
	defer source.Close()
	var b capture.Batch
	var f frame.Packet
	var m sip.Message
	for source.Next(context.Background(), &b) == nil {
		for i := range b.Packets {
			p := &b.Packets[i]
			if frame.Decode(p.Link, p.Data, p.WireLen, &f) != frame.UDP || f.Cut {
				continue
			}
			if sip.Parse(f.Payload[sip.SkipCRLF(f.Payload):], &m) == nil {
				yield(&m, f.Src, f.Dst)
			}
		}
	}
}
