package frame

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"sipscope/capture"
)

// shared is where captures made by others may lie beside the project.
const shared = "../../../shared/pcaps"

// first gives what gopacket makes of the layers that both know.
func first(link capture.LinkType) gopacket.Decoder {
	switch link {
	case capture.LinkEthernet:
		return layers.LayerTypeEthernet
	case capture.LinkSLL:
		return layers.LayerTypeLinuxSLL
	case capture.LinkRaw, 12, 14:
		return layers.LinkTypeRaw
	case capture.LinkNull, capture.LinkLoop:
		return layers.LayerTypeLoopback
	default:
		return nil
	}
}

// TestOracle compares addresses, ports and payloads with gopacket's for every frame of every capture.
func TestOracle(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(shared, "*", "*.pcap"))
	if err != nil || len(files) == 0 {
		t.Skipf("no captures in %s: those of others are not part of the project", shared)
	}
	frames, compared := 0, 0
	for _, path := range files {
		n, m := compare(t, path)
		frames += n
		compared += m
	}
	t.Logf("%d frames, %d compared", frames, compared)
	if compared < frames/2 {
		t.Errorf("only %d of %d frames were compared", compared, frames)
	}
}

func compare(t *testing.T, path string) (frames, compared int) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var head [24]byte
	if _, err = file.ReadAt(head[:], 0); err != nil {
		return 0, 0 // cut on purpose
	}
	link := capture.LinkType(binary.LittleEndian.Uint16(head[20:]))
	if head[0] == 0xa1 {
		link = capture.LinkType(binary.BigEndian.Uint16(head[22:]))
	}
	r, err := pcapgo.NewReader(file)
	if err != nil || first(link) == nil {
		return 0, 0 // pcapng by another name, or a link type that gopacket lacks
	}
	for {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Logf("%s: frame %d: %v", path, frames+1, err)
			}
			return frames, compared
		}
		frames++
		if sameAsOracle(t, path, frames, link, data, ci.Length) {
			compared++
		}
	}
}

// sameAsOracle compares one frame; false when gopacket does not get to UDP or TCP, or goes beyond (tunnels).
func sameAsOracle(t *testing.T, path string, n int, link capture.LinkType, data []byte, wire int) bool {
	t.Helper()
	var p Packet
	result := Decode(link, data, uint32(wire), &p)
	pkt := gopacket.NewPacket(data, first(link), gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	var src, dst netip.Addr
	networks := 0
	if result == Malformed && p.Reason == IPVersion || p.Path.deep > 0 {
		return false // gopacket does not look at it, or stops at the first transport
	}
	for _, l := range pkt.Layers() {
		switch ip := l.(type) {
		case *layers.IPv4:
			src, _ = netip.AddrFromSlice(ip.SrcIP.To4())
			dst, _ = netip.AddrFromSlice(ip.DstIP.To4())
			networks++
		case *layers.IPv6:
			src, _ = netip.AddrFromSlice(ip.SrcIP)
			dst, _ = netip.AddrFromSlice(ip.DstIP)
			networks++
		case *layers.UDP:
			if networks != 1 {
				return false
			}
			from, to := netip.AddrPortFrom(src, uint16(ip.SrcPort)), netip.AddrPortFrom(dst, uint16(ip.DstPort))
			check(t, path, n, result, UDP, &p, from, to, ip.Payload)
			return true
		case *layers.TCP:
			if networks != 1 {
				return false
			}
			from, to := netip.AddrPortFrom(src, uint16(ip.SrcPort)), netip.AddrPortFrom(dst, uint16(ip.DstPort))
			check(t, path, n, result, TCP, &p, from, to, ip.Payload)
			if p.Seq != ip.Seq || p.Ack != ip.Ack || (p.Flags&SYN != 0) != ip.SYN || (p.Flags&FIN != 0) != ip.FIN {
				t.Errorf("%s: frame %d: seq %d, ack %d, flags %#x", path, n, p.Seq, p.Ack, p.Flags)
			}
			return true
		}
	}
	return networks == 1 && result == Fragment
}

func check(t *testing.T, path string, n int, got, want Result, p *Packet, src, dst netip.AddrPort, payload []byte) {
	t.Helper()
	if got != want {
		t.Errorf("%s: frame %d: %v (%v), want %v", path, n, got, p.Reason, want)
		return
	}
	if p.Src.AddrPort() != src || p.Dst.AddrPort() != dst {
		t.Errorf("%s: frame %d: %v to %v, want %v to %v", path, n, p.Src, p.Dst, src, dst)
	}
	if string(p.Payload) != string(payload) {
		t.Errorf("%s: frame %d: payload of %d bytes, want %d", path, n, len(p.Payload), len(payload))
	}
}
