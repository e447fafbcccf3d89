package chart_test

import (
	"encoding/json"
	"math"
	"testing"

	"sipscope/correlate/media"
	"sipscope/render/html/chart"
)

// The picture of a stream is bounded and says what its seconds say, whatever a capture makes of their times.
func TestStream(t *testing.T) {
	t.Parallel()
	long := media.Stream{Num: 7, Missing: 3}
	for i := range 10_000 {
		long.Seconds = append(long.Seconds, media.Second{At: int32(i), Packets: 50, Lost: 1, Jitter: 1500})
	}
	hostile := media.Stream{Num: math.MaxUint32, Seconds: []media.Second{
		{At: math.MinInt32}, {At: math.MaxInt32, Packets: math.MaxUint32, Lost: math.MaxUint32, Jitter: math.MaxUint32}, {At: 5}, {At: math.MaxInt32},
	}}
	backwards := media.Stream{Seconds: []media.Second{{At: 9}, {At: -1}}}
	for name, s := range map[string]*media.Stream{"long": &long, "hostile": &hostile, "backwards": &backwards} {
		c, err := chart.Stream(s)
		if err != nil || c.ID == "" {
			t.Fatalf("%s: %v", name, err)
		}
		if len(c.Option) > 20_000 {
			t.Errorf("%s: an option of %d bytes", name, len(c.Option))
		}
		var option struct {
			Series []struct {
				Data []struct {
					Value float64 `json:"value"`
				} `json:"data"`
			} `json:"series"`
		}
		if err := json.Unmarshal(c.Option, &option); err != nil {
			t.Fatal(err)
		}
		if name != "long" {
			continue
		}
		if len(option.Series) != 3 {
			t.Fatalf("%d series, want packets, lost and jitter", len(option.Series))
		}
		packets := 0.0
		for _, d := range option.Series[2].Data { // the uppermost comes last
			packets += d.Value
		}
		if packets != 500_000 {
			t.Errorf("the picture has %v packets, the stream 500000", packets)
		}
	}
	if c, err := chart.Stream(&media.Stream{}); err != nil || c.ID != "" {
		t.Errorf("a chart of nothing: %+v, %v", c, err)
	}
}
