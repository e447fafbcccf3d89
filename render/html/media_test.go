package html

import (
	"encoding/json"
	"strings"
	"testing"

	"sipscope/correlate/media"
	"sipscope/correlate/media/judge"
	"sipscope/render/ladder"
)

// What streams and findings say reaches a page as text, and is bounded.
func TestMediaHostile(t *testing.T) {
	t.Parallel()
	const evil = "</script><script>alert(1)</script>\x1b]0;x\x07\u202e"
	streams := make([]media.Stream, 5000)
	for i := range streams {
		streams[i] = media.Stream{
			Num: uint32(i), Payloads: []media.Payload{{PT: 96, Name: evil, Packets: 1}}, Seconds: make([]media.Second, 300),
		}
		for k := range streams[i].Seconds {
			streams[i].Seconds[k].At = int32(k)
		}
	}
	findings := make([]judge.Finding, 1000)
	for i := range findings {
		findings[i] = judge.Finding{Severity: judge.Error, Text: evil}
	}
	l := ladder.Ladder{Streams: [][]media.Stream{streams}, Findings: [][]judge.Finding{findings}}
	b, err := appendMedia([]byte{'{'}, &l, 0)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '}')
	if strings.ContainsAny(string(b), "<>\x1b\x07\u202e") {
		t.Error("the document has characters of a tag or of a terminal")
	}
	if len(b) > 400_000 {
		t.Errorf("%d bytes", len(b))
	}
	var doc struct {
		Media struct {
			Streams  [][]string `json:"streams"`
			More     int        `json:"more"`
			Charts   []any      `json:"charts"`
			Findings [][]any    `json:"findings"`
		} `json:"media"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	m := &doc.Media
	if len(m.Streams) != maxStreams || m.More != len(streams)-maxStreams || len(m.Charts) != maxPictures || len(m.Findings) != maxFindings {
		t.Errorf("%d streams, %d more, %d charts, %d findings", len(m.Streams), m.More, len(m.Charts), len(m.Findings))
	}
	if b, err := appendMedia([]byte("{"), &ladder.Ladder{}, 0); err != nil || string(b) != "{" {
		t.Errorf("no media: %s, %v", b, err)
	}
}
