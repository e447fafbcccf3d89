package correlate

import (
	"encoding/binary"
	"slices"
	"testing"

	"sipscope/capture"
	"sipscope/decode/frame"
)

// inVLAN gives the path of a frame in a VLAN and, without 0, in GTP-U.
func inVLAN(t *testing.T, vlan uint16, teid uint32) frame.Path {
	t.Helper()
	udp := func(payload []byte) []byte {
		b := make([]byte, 28, 28+len(payload))
		b[0], b[9] = 0x45, 17
		binary.BigEndian.PutUint16(b[2:], uint16(28+len(payload)))
		copy(b[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
		binary.BigEndian.PutUint16(b[20:], 2152)
		binary.BigEndian.PutUint16(b[22:], 2152)
		binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
		return append(b, payload...)
	}
	packet := udp([]byte("INVITE"))
	if teid != 0 {
		head := binary.BigEndian.AppendUint16([]byte{0x30, 255}, uint16(len(packet)))
		packet = udp(append(binary.BigEndian.AppendUint32(head, teid), packet...))
	}
	data := append(make([]byte, 12), 0x81, 0, byte(vlan>>8), byte(vlan), 8, 0)
	data = append(data, packet...)
	var p frame.Packet
	if r := frame.Decode(capture.LinkEthernet, data, uint32(len(data)), &p); r != frame.UDP || string(p.Payload) != "INVITE" {
		t.Fatalf("%v in %q", r, p.Path)
	}
	return p.Path
}

// Any number of bearers is seen; the paths kept are bounded, and what is beyond is told by its kinds.
func TestPathsAreBounded(t *testing.T) {
	t.Parallel()
	tracker := NewTracker(Limits{}, nil)
	var c callRec
	last := uint16(0)
	for i := range 70_000 {
		path := inVLAN(t, 7, uint32(i+1))
		last = tracker.path(&c, &path)
	}
	if n := len(tracker.paths.all); n != numberedPaths+1 {
		t.Errorf("%d paths are kept, want %d", n, numberedPaths+1)
	}
	if got := tracker.paths.texts[last]; got != "vlan/gtp" {
		t.Errorf("the last one is %q, want its kinds", got)
	}
	if n := tracker.limited.SharedPaths; n != 70_000-numberedPaths+1 {
		t.Errorf("%d are said to share, want %d", n, 70_000-numberedPaths+1)
	}
	tunnels := tracker.sides.At(c.side).tunnels
	if len(tunnels) != maxCallPaths || tunnels[0] != "vlan:7/gtp:0x1" || tunnels[7] != "vlan:7/gtp:0x8" {
		t.Errorf("the call has %q", tunnels)
	}
	first := inVLAN(t, 7, 1)
	if n := tracker.path(&c, &first); tracker.paths.texts[n] != "vlan:7/gtp:0x1" || tracker.paths.all[n] != first.Shape() {
		t.Errorf("the first one is %q now", tracker.paths.texts[n])
	}
	if n := tracker.path(&c, &frame.Path{}); n != 0 {
		t.Errorf("nothing has number %d", n)
	}
}

// What a summary was given does not change when the call sees further paths.
func TestTunnelsOfSummaries(t *testing.T) {
	t.Parallel()
	tracker := NewTracker(Limits{}, nil)
	var c callRec
	for _, vlan := range []uint16{5, 5, 6, 5} {
		path := inVLAN(t, vlan, 0)
		tracker.path(&c, &path)
	}
	before := tracker.sides.At(c.side).tunnels
	path := inVLAN(t, 9, 0)
	tracker.path(&c, &path)
	if !slices.Equal(before, []string{"vlan:5", "vlan:6"}) {
		t.Errorf("the call had %q", before)
	}
	if after := tracker.sides.At(c.side).tunnels; !slices.Equal(after, []string{"vlan:5", "vlan:6", "vlan:9"}) {
		t.Errorf("the call has %q", after)
	}
}
