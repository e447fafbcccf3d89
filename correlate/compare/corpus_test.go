package compare_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"sipscope/capture"
	"sipscope/correlate/compare"
	"sipscope/decode/sip"
)

// maxCorpus is how many messages of a capture are compared: enough for each element in it to have had its say.
const maxCorpus = 40

// TestCorpus holds the invariants against real messages: each one of a capture and the next one.
func TestCorpus(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/pcaps/*/*.pcap*")
	if err != nil || len(files) == 0 {
		t.Skip("no captures: ../shared/pcaps is not there")
	}
	messages, respelled := 0, 0
	for _, file := range files {
		if strings.HasSuffix(file, ".json") {
			continue
		}
		texts := sipTexts(t, file)
		messages += len(texts)
		for i := 1; i < len(texts); i++ {
			var a, b sip.Message
			if sip.Parse(texts[i-1], &a) == nil && sip.Parse(texts[i], &b) == nil {
				checkAll(t, &a, &b, compare.Options{Ignore: i%2 == 0})
				if checkRespelled(t, &a) {
					respelled++
				}
			}
		}
	}
	t.Logf("%d messages, %d written in another way", messages, respelled)
	if respelled < 1000 {
		t.Errorf("only %d messages in %d captures", respelled, len(files))
	}
}

// checkRespelled holds that a message which is written in another way differs in nothing: header names in their compact
// forms or in upper case, other blanks behind the colon, and the headers of different names in another order. It reports false when
// m has lines that a builder refuses or that are no headers.
func checkRespelled(t *testing.T, m *sip.Message) bool {
	t.Helper()
	headers := slices.Clone(m.Headers)
	slices.SortStableFunc(headers, func(k, l sip.Header) int {
		return strings.Compare(canonical(m, k), canonical(m, l))
	})
	w := sip.Builder{Style: sip.Style{NoLength: true}}
	w.StartLine(strings.TrimRight(string(m.Raw[:bytes.IndexByte(m.Raw, '\n')]), "\r"))
	for _, h := range headers {
		name := strings.ToUpper(string(h.Name.Of(m.Raw)))
		if c := h.ID.Compact(); c != 0 {
			name = string(rune(c))
		}
		w.Field(name, " :\t", string(h.Value.Of(m.Raw)))
	}
	w.Body(m.Body.Of(m.Raw))
	raw, err := w.Bytes()
	if err != nil {
		return false
	}
	var other sip.Message
	if err := sip.Parse(raw, &other); err != nil {
		t.Fatal(err)
	}
	if len(other.Headers) != len(m.Headers) || other.Body.Len != m.Body.Len {
		return false
	}
	r := compare.Messages(m, &other, compare.Options{})
	for _, l := range r.Lines {
		// what the parser takes for no header stays out of the other message
		if l.Meaning && (l.B != nil || strings.Contains(compare.Text(l.A), ":")) {
			t.Fatalf("respelled, %+v differs in meaning:\n%s\n%s", l, m.Raw, raw)
		}
	}
	return true
}

func canonical(m *sip.Message, h sip.Header) string {
	if h.ID != sip.HeaderOther {
		return h.ID.String()
	}
	return strings.ToLower(string(h.Name.Of(m.Raw)))
}

// sipTexts gives the datagrams of a capture that are SIP, up to maxCorpus.
func sipTexts(t *testing.T, file string) [][]byte {
	t.Helper()
	source, err := capture.Open([]string{file}, capture.Options{})
	if err != nil {
		return nil
	}
	defer source.Close()
	var texts [][]byte
	var batch capture.Batch
	defer batch.Release()
	for len(texts) < maxCorpus && source.Next(t.Context(), &batch) == nil {
		for _, p := range batch.Packets {
			frame := gopacket.NewPacket(p.Data, layers.LinkType(p.Link), gopacket.Lazy)
			if udp, ok := frame.Layer(layers.LayerTypeUDP).(*layers.UDP); ok && sip.IsStart(udp.Payload) {
				texts = append(texts, bytes.Clone(udp.Payload))
			}
		}
	}
	return texts[:min(len(texts), maxCorpus)]
}
