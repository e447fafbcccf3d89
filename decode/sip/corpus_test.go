package sip

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// TestCorpus parses every UDP datagram that begins with a start line in every capture of ../shared/pcaps.
func TestCorpus(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/pcaps/*/*.pcap*")
	if err != nil || len(files) == 0 {
		t.Skip("no captures: ../shared/pcaps is not there")
	}
	var m Message
	messages, faulty := 0, map[string]int{}
	for _, file := range files {
		if strings.HasSuffix(file, ".json") {
			continue
		}
		for payload := range datagrams(t, file) {
			raw := payload[SkipCRLF(payload):]
			if !IsStart(raw) {
				continue
			}
			messages++
			if err := Parse(raw, &m); err != nil {
				t.Fatalf("%s: %v: %q", file, err, raw)
			}
			checkSpans(t, &m)
			readAll(t, &m)
			if len(raw) < 3000 {
				sameExtent(t, raw)
			}
			roundTrip(t, &m)
			for _, d := range m.Diags {
				faulty[d.Code.String()]++
			}
		}
	}
	t.Logf("%d messages, diags %v", messages, faulty)
	if messages < 1000 {
		t.Errorf("only %d messages in %d captures", messages, len(files))
	}
}

// datagrams gives the UDP payloads of a capture, as far as the oracle can read it.
func datagrams(tb testing.TB, file string) func(yield func([]byte) bool) {
	tb.Helper()
	return func(yield func([]byte) bool) {
		f, err := os.Open(file)
		if err != nil {
			tb.Fatal(err)
		}
		defer f.Close()
		var source interface {
			ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
		}
		var link layers.LinkType
		if r, err := pcapgo.NewReader(f); err == nil {
			r.SetSnaplen(1 << 18)
			source, link = r, r.LinkType()
		} else if _, err = f.Seek(0, io.SeekStart); err != nil {
			tb.Fatal(err)
		} else if r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions); err == nil {
			source, link = r, r.LinkType()
		} else {
			return
		}
		for {
			data, _, err := source.ReadPacketData()
			if err != nil {
				return
			}
			p := gopacket.NewPacket(data, link, gopacket.DecodeOptions{NoCopy: true, Lazy: true})
			if udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP); ok && !yield(udp.Payload) {
				return
			}
		}
	}
}

// BenchmarkParseCorpus parses messages of real elements in turn, so that no branch predictor knows what comes.
func BenchmarkParseCorpus(b *testing.B) {
	files, err := filepath.Glob("../../../shared/pcaps/peers/*.pcap*")
	if err != nil || len(files) == 0 {
		b.Skip("no captures: ../shared/pcaps is not there")
	}
	var texts [][]byte
	size := 0
	for _, file := range files {
		for payload := range datagrams(b, file) {
			if IsStart(payload) {
				texts = append(texts, append([]byte(nil), payload...))
				size += len(payload)
			}
		}
	}
	var m Message
	b.SetBytes(int64(size / len(texts)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := Parse(texts[i], &m); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(texts) {
			i = 0
		}
	}
}
