package stream

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// hep wraps a text as agents do: magic, length, family, some chunks, payload.
func hep(payload string) string {
	chunk := func(kind uint16, value string) string {
		b := binary.BigEndian.AppendUint16(nil, 0)
		b = binary.BigEndian.AppendUint16(b, kind)
		b = binary.BigEndian.AppendUint16(b, uint16(6+len(value)))
		return string(b) + value
	}
	body := chunk(1, "\x02") + chunk(2, "\x11") + chunk(15, payload)
	return hepMagic + string(binary.BigEndian.AppendUint16(nil, uint16(6+len(body)))) + body
}

// texts collects what comes out.
type texts struct{ log []string }

func (x *texts) Framed(f *Framed) { x.log = append(x.log, fmt.Sprintf("%v %q", f.HEP, f.Text)) }
func (x *texts) Gap(g *Gap)       { x.log = append(x.log, fmt.Sprintf("gap %d", g.Bytes)) }

// A connection of HEP gives whole HEP messages however it is cut, with SIP and with other things in them.
func TestHEP(t *testing.T) {
	t.Parallel()
	all := []string{hep(inviteText()), hep("\x80\xc8\x00\x06rtcp"), hep(okText()), hep(strings.Repeat("x", 9000)), hep(byeText())}
	var want []string
	for _, m := range all {
		want = append(want, fmt.Sprintf("true %q", m))
	}
	stream := strings.Join(all, "")
	for _, size := range []int{1, 3, 5, 7, 100, 548, 1460, 1 << 15} {
		w := newWire(t)
		x := &texts{}
		w.a.out = x
		w.stream(1000, true, stream, size)
		if !slices.Equal(x.log, want) {
			t.Fatalf("segments of %d: %d messages, want %d", size, len(x.log), len(want))
		}
	}
}

// A capture that begins within a HEP message goes on with the next one, and its addresses are never those of the
// connection that carries it.
func TestHEPMidStream(t *testing.T) {
	t.Parallel()
	first, second := hep(inviteText()), hep(byeText())
	for _, from := range []int{1, 4, 5, 20, len(first) - len(inviteText()) + 30, len(first) - 1} {
		w := newWire(t)
		x := &texts{}
		w.a.out = x
		w.stream(1000, false, first[from:]+second+second, 1460)
		if len(x.log) != 2 || x.log[0] != fmt.Sprintf("true %q", second) {
			t.Errorf("from %d: %d messages: %.80q", from, len(x.log), x.log)
		}
	}
}
