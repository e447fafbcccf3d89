package flowtest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"sipscope/capture"
)

// packets plays a flow.
func packets(t *testing.T, text string) []capture.Packet {
	t.Helper()
	got, err := parseText(t, text).Packets()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// show says what gopacket reads in a frame: TCP and UDP with ports, flags and length of payload, or a fragment.
func show(t *testing.T, p *capture.Packet) string {
	t.Helper()
	first := gopacket.Decoder(layers.LinkType(p.Link))
	if p.Link == capture.LinkRaw {
		first = layers.LayerTypeIPv4
	}
	k := gopacket.NewPacket(p.Data, first, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	var b strings.Builder
	if ip, ok := k.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok && (ip.FragOffset > 0 || ip.Flags&layers.IPv4MoreFragments != 0) {
		return fmt.Sprintf("%s frag %d+%d %v", ip.SrcIP, ip.FragOffset*8, len(ip.Payload), ip.Flags)
	}
	if l, ok := k.Layer(layers.LayerTypeTCP).(*layers.TCP); ok {
		for flag, set := range map[string]bool{"S": l.SYN, "F": l.FIN, "R": l.RST} {
			if set {
				b.WriteString(flag)
			}
		}
		return fmt.Sprintf("tcp %d>%d %s%d", l.SrcPort, l.DstPort, b.String(), len(l.Payload))
	}
	if l, ok := k.Layer(layers.LayerTypeUDP).(*layers.UDP); ok {
		return fmt.Sprintf("udp %d>%d %d", l.SrcPort, l.DstPort, len(l.Payload))
	}
	return k.String()
}

func shows(t *testing.T, ps []capture.Packet) []string {
	t.Helper()
	var out []string
	for i := range ps {
		out = append(out, fmt.Sprintf("%v %s", time.Duration(ps[i].Time-ps[0].Time), show(t, &ps[i])))
	}
	return out
}

func TestFragments(t *testing.T) {
	t.Parallel()
	const long = "data=01234567890123456789012345678901234567890123456789"
	got := shows(t, packets(t, prelude+"@0s a > b bytes "+long+" frag=30 frag.order=3,1\n@1s a > b bytes "+long+" frag=30 frag.drop=2\n"))
	want := []string{ // 50 bytes and a UDP header; the size is rounded down to 24
		"0s 10.0.0.1 frag 48+10 ", "10µs 10.0.0.1 frag 0+24 MF", "20µs 10.0.0.1 frag 24+24 MF",
		"1s 10.0.0.1 frag 0+24 MF", "1.00001s 10.0.0.1 frag 48+10 ",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestTCPSegments(t *testing.T) {
	t.Parallel()
	got := shows(t, packets(t, prelude+`@0s a > b connect
@1s a > b bytes transport=tcp data=0123 more
@2s a > b bytes transport=tcp data=456789 split=3,5 order=2,1 resend=1
@3s b > a bytes transport=tcp data=xy noack
@4s a > b probe
@5s a > b bytes transport=tcp data=lost lost
@6s b > a close
@7s a > p bytes transport=tcp data=x split=1 drop=1 sport=7000 dport=7001
@8s a > p reset
`))
	want := []string{
		"0s tcp 49153>5060 S0", "10µs tcp 5060>49153 S0", "20µs tcp 49153>5060 0",
		"2s tcp 49153>5060 5", "2.00001s tcp 49153>5060 3", "2.00002s tcp 49153>5060 2", "2.00003s tcp 49153>5060 3",
		"2.00007s tcp 5060>49153 0", "3s tcp 5060>49153 2",
		"4s tcp 49153>5060 1", "4.00001s tcp 5060>49153 0",
		"6s tcp 5060>49153 F0", "6.00001s tcp 49153>5060 F0", "6.00002s tcp 5060>49153 0",
		"7.00003s tcp 7001>7000 0", "8s tcp 7000>7001 R0",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// The bytes of a connection, put in order by sequence number, are what was sent.
func TestTCPSequence(t *testing.T) {
	t.Parallel()
	ps := packets(t, prelude+`@0s a > b connect
@1s a > b bytes transport=tcp data=abcdefgh split=2,3 order=3,1,2 resend=2
@2s a > b bytes transport=tcp data=ijk
`)
	stream := map[uint32]byte{}
	var iss uint32
	for i := range ps {
		k := gopacket.NewPacket(ps[i].Data, layers.LayerTypeEthernet, gopacket.NoCopy)
		l, ok := k.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if !ok {
			t.Fatalf("frame %d is no TCP", i+1)
		}
		if l.SYN && !l.ACK {
			iss = l.Seq
		}
		for j, c := range l.Payload {
			stream[l.Seq-iss-1+uint32(j)] = c
		}
	}
	var got []byte
	for i := range len(stream) {
		got = append(got, stream[uint32(i)])
	}
	if string(got) != "abcdefghijk" {
		t.Errorf("stream %q", got)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		link string
		want string // of the frame, before the IP header, in hexadecimal
	}{
		{"ethernet", "020000000002" + "020000000001" + "0800"},
		{"vlan=100", "020000000002" + "020000000001" + "81000064" + "0800"},
		{"vlan=100,200", "020000000002" + "020000000001" + "88a80064" + "810000c8" + "0800"},
		{"sll", "0000" + "0001" + "0006" + "0200000000010000" + "0800"},
		{"sll2", "0800" + "0000" + "00000002" + "0001" + "00" + "06" + "0200000000010000"},
		{"raw", ""},
		{"null", "02000000"},
	} {
		p := packets(t, prelude+"link "+tc.link+"\n@0s a > b bytes data=xyz\n")[0]
		ip := bytes.Index(p.Data, []byte{0x45, 0x00})
		if got := hex.EncodeToString(p.Data[:max(ip, 0)]); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.link, got, tc.want)
		}
		if !bytes.HasSuffix(p.Data, []byte("xyz")) {
			t.Errorf("%s: the frame does not end with its payload: %x", tc.link, p.Data)
		}
	}
}

func TestTapAndSnaplen(t *testing.T) {
	t.Parallel()
	ps := packets(t, prelude+"snaplen 60\n@0s a > b bytes data=0123456789abcdefghij dup=300us\n@1s b > a bytes data=x lost\n@2s b > a pong\n")
	if len(ps) != 3 || !bytes.Equal(ps[0].Data, ps[1].Data) || ps[1].Time-ps[0].Time != 300_000 {
		t.Fatalf("duplicate: %v", shows(t, ps))
	}
	if len(ps[0].Data) != 60 || ps[0].WireLen != 62 {
		t.Errorf("%d bytes of %d, want 60 of 62", len(ps[0].Data), ps[0].WireLen)
	}
	if bytes.Equal(ps[0].Data[:34], ps[2].Data[:34]) {
		t.Error("two packets have the same IP header")
	}
}

func TestRTP(t *testing.T) {
	t.Parallel()
	ps := packets(t, prelude+"@0s rtp a:4000 <> b PCMA 20ms x3\n")
	want := []string{
		"0s udp 4000>10002 172", "0s udp 10002>4000 172", "20ms udp 4000>10002 172", "20ms udp 10002>4000 172",
		"40ms udp 4000>10002 172", "40ms udp 10002>4000 172",
	}
	if d := cmp.Diff(want, shows(t, ps)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	a, b := ps[0].Data[42:], ps[2].Data[42:]
	if a[0] != 0x80 || a[1] != 0x88 || b[1] != 8 || b[3] != a[3]+1 || b[7] != a[7]+160 || !bytes.Equal(a[8:12], b[8:12]) {
		t.Errorf("RTP headers % x and % x", a[:12], b[:12])
	}
	if one := packets(t, prelude+"@0s rtp a > b PCMU 20ms x3\n"); len(one) != 3 {
		t.Errorf("%d packets one way, want 3", len(one))
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	ps := packets(t, prelude+"@0s a > b OPTIONS\n@0s b > a unreachable\n")
	k := gopacket.NewPacket(ps[1].Data, layers.LayerTypeEthernet, gopacket.NoCopy)
	l, ok := k.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	if !ok || l.TypeCode.String() != "DestinationUnreachable(Port)" || !bytes.Equal(l.Payload, ps[0].Data[14:]) {
		t.Errorf("no ICMP error about the first packet: %v", k)
	}
}

// A pcap in microseconds has the older magic number and whole microseconds.
func TestFileFormats(t *testing.T) {
	t.Parallel()
	f := parseText(t, prelude+"resolution us\n@1ns a > b keepalive\n@2s b > a pong\n")
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewReader(bytes.NewReader(b.Bytes()))
	if err != nil || b.Bytes()[0] != 0xd4 {
		t.Fatalf("magic %x: %v", b.Bytes()[:4], err)
	}
	if _, ci, bad := r.ReadPacketData(); bad != nil || !ci.Timestamp.Equal(f.start) {
		t.Errorf("first packet at %v, want %v: %v", ci.Timestamp, f.start, bad)
	}
	two := parseText(t, prelude+"interface 1 sll\n@0s a > b keepalive\n@0s b > a pong iface=1\n")
	if err = two.WritePcap(io.Discard); !errors.Is(err, capture.ErrLinkType) {
		t.Errorf("two link types in a pcap: %v", err)
	}
	b.Reset()
	if err = two.Write(&b); err != nil {
		t.Fatal(err)
	}
	opts := pcapgo.NgReaderOptions{WantMixedLinkType: true}
	ng, err := pcapgo.NewNgReader(bytes.NewReader(b.Bytes()), opts)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []layers.LinkType{layers.LinkTypeEthernet, layers.LinkTypeLinuxSLL} {
		_, ci, err := ng.ReadPacketData()
		if err != nil || len(ci.AncillaryData) == 0 || ci.AncillaryData[0] != want {
			t.Errorf("packet %d of the pcapng: %v %v, want %v", i+1, ci.AncillaryData, err, want)
		}
	}
}

// A Source gives all packets in order, in batches of the size asked for, with the time reached.
func TestSource(t *testing.T) {
	t.Parallel()
	ps := packets(t, prelude+"@0s rtp a > b PCMU 20ms x700\n")
	for _, size := range []int{-1, 1, 3, 256, 1000} {
		src := NewSource(ps, size)
		var b capture.Batch
		n := 0
		for {
			err := src.Next(context.Background(), &b)
			if errors.Is(err, io.EOF) {
				if len(b.Packets) != 0 {
					t.Errorf("%d packets came with the end", len(b.Packets))
				}
				break
			}
			if err != nil || len(b.Packets) == 0 || len(b.Packets) > min(max(size, 1), capture.MaxBatch) {
				t.Fatalf("size %d: %d packets, %v", size, len(b.Packets), err)
			}
			for i := range b.Packets {
				if n++; b.Packets[i].Seq != uint64(n) {
					t.Fatalf("size %d: number %d, want %d", size, b.Packets[i].Seq, n)
				}
			}
			if b.Now != ps[n-1].Time {
				t.Fatalf("size %d: now %d after %d packets", size, b.Now, n)
			}
		}
		if n != len(ps) {
			t.Errorf("size %d: %d packets, want %d", size, n, len(ps))
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := NewSource(ps, 1).Next(ctx, &capture.Batch{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}

func TestIndex(t *testing.T) {
	t.Parallel()
	f := &Flow{Name: "n", Title: "a|b <c>"}
	row := IndexRow(f, 3, 99)
	if want := "| `n.pcap` | `n.flow` | 3 | 99 | a\\|b &lt;c> |\n"; row != want {
		t.Errorf("row %q, want %q", row, want)
	}
	first := Index([]byte("# Head\n\n"), map[string]string{"n.pcap": row, "z.pcap": "| `z.pcap` | old |\n"})
	again := Index(append(first, "\nFoot\n"...), map[string]string{"z.pcap": "| `z.pcap` | new |\n", "a.pcap": "| `a.pcap` | x |\n"})
	want := "# Head\n\n" + indexHead + "| `a.pcap` | x |\n" + row + "| `z.pcap` | new |\n\nFoot\n"
	if d := cmp.Diff(want, string(again)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := Index([]byte("# Head"), nil); string(got) != "# Head\n"+indexHead {
		t.Errorf("a file without table: %q", got)
	}
}
