package web

import (
	"path/filepath"
	"strings"
	"testing"
)

// The streams of a call stand in its document, as the schema says, and metrics count them.
func TestMedia(t *testing.T) {
	t.Parallel()
	data := readFiles(t, nil, filepath.Join("..", "testdata", "pcaps", "media-faults.pcap"))
	board := data.Board
	data.Streams = board.Media
	s := newServer(t, config(t, data))
	b := ask(s.Handler(), "GET", "/api/v1/calls/1").Body.Bytes()
	doc := decodeJSON[object](t, openAPI)
	for _, wrong := range validate(doc, object{"$ref": "#/components/schemas/Flow"}, decodeJSON[any](t, b), "Flow") {
		t.Error(wrong)
	}
	type flow struct {
		Calls []struct {
			Streams []struct {
				Packets uint64 `json:"packets"`
			} `json:"streams"`
		} `json:"calls"`
	}
	got := decodeJSON[flow](t, b)
	want := board.Media(1)
	if len(want) == 0 || len(got.Calls) != 1 || len(got.Calls[0].Streams) != len(want) {
		t.Fatalf("%+v, want %d streams", got, len(want))
	}
	for i := range want {
		if got.Calls[0].Streams[i].Packets != want[i].Packets {
			t.Errorf("stream %d: %d packets, want %d", i, got.Calls[0].Streams[i].Packets, want[i].Packets)
		}
	}
	counts := board.MediaCounts()
	scraped := ask(s.Handler(), "GET", "/metrics").Body.String()
	for _, line := range []string{
		"sipscope_rtp_packets_total " + itoa(int(counts.Packets)), "sipscope_rtp_streams " + itoa(int(counts.Live)),
		"sipscope_rtp_streams_total " + itoa(int(counts.Streams)),
	} {
		if !strings.Contains(scraped, line+"\n") {
			t.Errorf("the metrics lack %q", line)
		}
	}
}
