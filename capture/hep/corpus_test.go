package hep

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"sipscope/capture"
)

// shared is where captures of others may lie, seen from this package.
const shared = "../../../shared/pcaps"

// Captures of real agents: every datagram to the collector is a message, and begins like SIP where it says so.
func TestCorpus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file    string
		total   int
		id      uint32
		node    string
		hosts   []string // among the addresses in messages
		oneCall string
	}{
		{"sipcapture__hep-wireshark/hep.pcap", 8, 2001, "", []string{"192.168.1.1", "192.168.1.2"}, "qgf3dm9rudi@127.0.0.1"},
		{"peers/hep3_kamailio.pcap", 42, 2001, "", []string{"10.77.0.10", "10.77.0.20"}, "1-2540@10.77.0.10"},
		// sngrep writes its number, 2002, as 16 bits of 32.
		{"peers/hep3_sngrep.pcap", 21, 2002 << 16, "", []string{"10.77.0.10", "fd77::10"}, "1-3029@10.77.0.10"},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(shared, c.file)
			if _, err := os.Stat(file); err != nil {
				t.Skipf("no %s", c.file)
			}
			fs, err := capture.Open([]string{file}, capture.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer fs.Close()
			var b capture.Batch
			total, calls := 0, 0
			hosts := map[netip.Addr]bool{}
			for {
				if err := fs.Next(t.Context(), &b); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				for i := range b.Packets {
					p := apart(t, &b.Packets[i])
					total++
					hosts[p.Src.Addr()], hosts[p.Dst.Addr()] = true, true
					if strings.Contains(string(p.Payload), c.oneCall) {
						calls++
					}
					if p.CaptureID != c.id || string(p.Node) != c.node || p.Proto != protoUDP && p.Proto != protoTCP {
						t.Errorf("%+v", p)
					}
				}
			}
			for _, h := range c.hosts {
				if !hosts[netip.MustParseAddr(h)] {
					t.Errorf("no %s among %v", h, hosts)
				}
			}
			if total != c.total || calls == 0 {
				t.Errorf("%d messages, %d of one call, want %d", total, calls, c.total)
			}
		})
	}
}

// apart takes the HEP out of a frame of a capture.
func apart(t *testing.T, frame *capture.Packet) (p Packet) {
	t.Helper()
	packet := gopacket.NewPacket(frame.Data, layers.LayerTypeEthernet, gopacket.NoCopy)
	udp, ok := packet.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok {
		t.Fatalf("frame %d is no UDP", frame.Seq)
	}
	if !Is(udp.Payload) {
		t.Fatalf("frame %d is no HEP", frame.Seq)
	}
	if err := Decode(udp.Payload, &p); err != nil {
		t.Fatalf("frame %d: %v", frame.Seq, err)
	}
	if p.Version != 3 || !plausible(p.Time) {
		t.Errorf("frame %d: %+v", frame.Seq, p)
	}
	if p.Type != TypeSIP {
		return p
	}
	line, _, _ := strings.Cut(string(p.Payload), "\n")
	if !strings.HasPrefix(line, "SIP/2.0 ") && !strings.HasSuffix(strings.TrimSuffix(line, "\r"), " SIP/2.0") {
		t.Errorf("frame %d: %q is no SIP", frame.Seq, line)
	}
	return p
}

// No UDP payload of the other captures is taken for HEP of the old versions, which have no magic.
func TestCorpusNoHEP(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob(filepath.Join(shared, "*", "*.pcap*"))
	if len(files) == 0 {
		t.Skip("no captures")
	}
	asked := 0
	for _, file := range files {
		fs, err := capture.Open([]string{file}, capture.Options{})
		if err != nil {
			continue // the truth files
		}
		var b capture.Batch
		for fs.Next(t.Context(), &b) == nil && asked < 3_000_000 {
			for i := range b.Packets {
				if b.Packets[i].Link != capture.LinkEthernet {
					continue
				}
				packet := gopacket.NewPacket(b.Packets[i].Data, layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
				udp, ok := packet.Layer(layers.LayerTypeUDP).(*layers.UDP)
				if !ok || len(udp.Payload) == 0 || udp.Payload[0] == 'H' {
					continue
				}
				asked++
				if Is(udp.Payload) {
					t.Errorf("%s, frame %d is taken for HEP: % x", file, b.Packets[i].Seq, udp.Payload[:min(len(udp.Payload), 40)])
				}
			}
		}
		fs.Close()
	}
	t.Logf("%d payloads asked", asked)
}
