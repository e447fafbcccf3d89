package record

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
)

// TestAddresses wants the datagrams to and from every address that SDP names, and no others.
func TestAddresses(t *testing.T) {
	t.Parallel()
	const a, b = "10.1.0.1", "10.1.0.2"
	for _, c := range []struct {
		name, sdp string
		yes, no   []string // datagrams as FROM>TO
	}{
		{
			"rtp and rtcp", sdpOf(a, "m=audio 4000 RTP/AVP 0\r\n"),
			[]string{b + ":9>" + a + ":4000", a + ":4000>" + b + ":9", b + ":9>" + a + ":4001", a + ":4001>" + b + ":9"},
			[]string{b + ":4000>" + b + ":4001", a + ":4002>" + b + ":9", a + ":3999>" + b + ":9"},
		},
		{
			"rtcp elsewhere", sdpOf(a, "m=audio 4000 RTP/AVP 0\r\na=rtcp:7000 IN IP4 10.1.0.7\r\n"),
			[]string{a + ":4000>" + b + ":9", "10.1.0.7:7000>" + b + ":9"},
			[]string{a + ":4001>" + b + ":9", a + ":7000>" + b + ":9"},
		},
		{
			"rtcp on another port", sdpOf(a, "m=audio 4000 RTP/AVP 0\r\na=rtcp:7000\r\n"),
			[]string{a + ":7000>" + b + ":9"},
			[]string{a + ":4001>" + b + ":9"},
		},
		{
			"one port for both", sdpOf(a, "m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\n"),
			[]string{a + ":4000>" + b + ":9"},
			[]string{a + ":4001>" + b + ":9"},
		},
		{
			"an address a medium", sdpOf(a, "m=audio 4000 RTP/AVP 0\r\nm=video 4000 RTP/AVP 31\r\nc=IN IP4 10.1.0.3\r\n"),
			[]string{a + ":4000>" + b + ":9", "10.1.0.3:4001>" + b + ":9"},
			[]string{"10.1.0.3:4002>" + b + ":9"},
		},
		{
			"several ports", sdpOf(a, "m=video 4000/2 RTP/AVP 31\r\n"),
			[]string{a + ":4000>" + b + ":9", a + ":4002>" + b + ":9", a + ":4003>" + b + ":9"},
			[]string{a + ":4004>" + b + ":9"},
		},
		{
			"more ports than anybody has", sdpOf(a, "m=video 65535/65535 RTP/AVP 31\r\n"),
			[]string{a + ":65535>" + b + ":9", a + ":1>" + b + ":9"},
			[]string{a + ":4000>" + b + ":9"},
		},
		{
			"candidates", sdpOf(a, "m=audio 4000 RTP/AVP 0\r\n"+
				"a=candidate:1 1 UDP 2130706431 10.1.0.8 8998 typ host\r\n"+
				"a=candidate:2 1 TCP 1 10.1.0.9 9 typ host tcptype active\r\n"+
				"a=candidate:3 1 udp 1 host.example.com 8999 typ host\r\na=candidate:4 1 udp 1 10.1.0.8 70000 typ host\r\n"),
			[]string{"10.1.0.8:8998>" + b + ":9"},
			[]string{"10.1.0.9:9>" + b + ":99", "10.1.0.8:4464>" + b + ":9"},
		},
		{
			"image", sdpOf(a, "m=image 4000 udptl t38\r\n"), []string{b + ":9>" + a + ":4000"}, nil,
		},
		{"rejected", sdpOf(a, "m=audio 0 RTP/AVP 0\r\n"), nil, []string{a + ":0>" + b + ":9", a + ":1>" + b + ":9"}},
		{"held the old way", sdpOf("0.0.0.0", "m=audio 4000 RTP/AVP 0\r\n"), nil, []string{"0.0.0.0:4000>" + b + ":9"}},
		{"a name", sdpOf("host.example.com", "m=audio 4000 RTP/AVP 0\r\n"), nil, []string{a + ":4000>" + b + ":9"}},
		{
			"IPv6", sdpOf("2001:db8::1", "m=audio 4000 RTP/AVP 0\r\n"),
			[]string{"[2001:db8::1]:4000>[2001:db8::2]:9", "[2001:db8::2]:9>[2001:db8::1]:4001"},
			[]string{"[2001:db8::1]:4002>[2001:db8::2]:9"},
		},
		{"no SDP", "nothing", nil, []string{a + ":4000>" + b + ":9"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			all := []capture.Packet{message(start, invite, "one", "1", c.sdp)}
			want := []uint64{1}
			for i, flow := range append(c.yes, c.no...) {
				from, to, _ := strings.Cut(flow, ">")
				all = append(all, udp(start+int64(i+1)*ms, from, to, "media"))
				if i < len(c.yes) {
					want = append(want, uint64(i+2))
				}
			}
			dir := t.TempDir()
			recordPackets(t, all, job{Options: Options{Dir: dir, Media: true}})
			same(t, "frames", seqs(t, only(t, dir), all), want)
		})
	}
}

// TestMoved wants the media of a new address after a new offer, beside the old ones.
func TestMoved(t *testing.T) {
	t.Parallel()
	sdp := func(port int) string { return sdpOf("10.0.0.1", fmt.Sprintf("m=audio %d RTP/AVP 0\r\n", port)) }
	all := []capture.Packet{
		message(start, invite, "one", "1", sdp(4000)),
		udp(start+1*ms, "10.0.0.1:6000", "10.0.0.9:1", "before it was named"),
		udp(start+2*ms, "10.0.0.1:4000", "10.0.0.9:1", "a"),
		answer(start+3*ms, ok, "one", "1", sdpOf("10.0.0.2", "m=audio 5000 RTP/AVP 0\r\n")),
		message(start+1000*ms, strings.Replace(invite, "b@x", "b@y", 1), "one", "2", sdp(6000)),
		udp(start+1001*ms, "10.0.0.1:6000", "10.0.0.9:1", "b"),
		udp(start+1002*ms, "10.0.0.1:4000", "10.0.0.9:1", "c"),
		udp(start+1003*ms, "10.0.0.2:5000", "10.0.0.1:6000", "named twice"),
	}
	dir := t.TempDir()
	x := recordPackets(t, all, job{Options: Options{Dir: dir, Media: true}})
	same(t, "frames", seqs(t, only(t, dir), all), []uint64{1, 3, 4, 5, 6, 7, 8})
	x.figures(t, Stats{Calls: 1, Files: 1, Frames: 7})
}

// TestFragments wants all fragments of a datagram of media, and none of others.
func TestFragments(t *testing.T) {
	t.Parallel()
	src, dst := netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("10.0.0.1")
	const more = 0x2000
	head := "\x00\x09\x0f\xa0\x00\x28\x00\x00"  // 9 > 4000
	other := "\x00\x09\x0f\xaa\x00\x28\x00\x00" // 9 > 4010
	all := []capture.Packet{
		message(start, invite, "one", "1", sdpOf("10.0.0.1", "m=video 4000 RTP/AVP 31\r\n")),
		ip(start+1*ms, src, dst, 7, more, []byte(head+"first...")),
		ip(start+2*ms, src, dst, 8, more, []byte(other+"other...")),
		ip(start+3*ms, src, dst, 7, more|2, []byte("second..")),
		ip(start+4*ms, src, dst, 8, 2, []byte("other's second")),
		ip(start+5*ms, src, dst, 7, 3, []byte("third...")),
		ip(start+6*ms, src, dst, 9, 3, []byte("of nobody")),
		ip(start+7*ms, src, dst, 10, more, []byte("cut")),
	}
	dir := t.TempDir()
	recordPackets(t, all, job{Options: Options{Dir: dir, Media: true}})
	same(t, "frames", seqs(t, only(t, dir), all), []uint64{1, 2, 4, 6})
}

// TestSharedAddress wants media of an address that several calls name in each of their files, within the bounds.
func TestSharedAddress(t *testing.T) {
	t.Parallel()
	sdp := sdpOf("10.0.0.1", "m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\n")
	var all []capture.Packet
	const calls = maxListeners + 8
	for i := range calls {
		all = append(all, message(start+int64(i)*ms, invite, fmt.Sprint("call-", i), "1", sdp))
	}
	all = append(all, udp(start+100*ms, "10.0.0.1:4000", "10.0.0.9:1", "media"))
	dir := t.TempDir()
	x := recordPackets(t, all, job{Options: Options{Dir: dir, Media: true}})
	x.figures(t, Stats{Calls: calls, Files: calls, Frames: calls + maxListeners, Refused: 8})

	var got []uint64
	x = recordPackets(t, all, job{Options: Options{Media: true, Write: func(p *capture.Packet, _ string) error {
		got = append(got, p.Seq)
		return nil
	}}})
	x.figures(t, Stats{Calls: calls, Frames: calls + 1, Refused: 8})
	if len(got) != calls+1 || got[calls] != calls+1 {
		t.Errorf("frames in common: %d", got)
	}
}

// TestManyAddresses wants the addresses of one call bounded.
func TestManyAddresses(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, "m=audio %d RTP/AVP 0\r\n", 4000+2*i)
	}
	all := []capture.Packet{message(start, invite, "one", "1", sdpOf("10.0.0.1", lines.String()))}
	x := recordPackets(t, all, job{
		Options: Options{Dir: t.TempDir(), Media: true},
		sink: func(r *Recorder) correlate.Sink {
			return &watching{r, func() {
				if r.bound != maxEndpoints || len(r.media) != maxEndpoints {
					t.Errorf("%d bound, %d addresses", r.bound, len(r.media))
				}
			}}
		},
	})
	if st := x.recorder.Stats(); st.Refused == 0 || st.Refused > 400-maxEndpoints {
		t.Errorf("%d refused", st.Refused)
	}
}
