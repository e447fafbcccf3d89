package query

import (
	"math"
	"slices"

	"sipscope/correlate"
)

// mediaFields tell of the RTP streams that a call's SDP named. The worst stream counts; without one all but streams and
// codec are unknown.
func mediaFields() []field {
	return slices.Concat([]field{
		count("streams", "RTP streams of the call", `answered && streams < 2`,
			func(s *correlate.Summary) uint32 { return s.Media.Streams }),
		number("mos", typeNumber, "estimated mean opinion score (ITU-T G.107) of the worst stream, 1 to 4.5; unknown without one", `mos < 3.6`,
			func(s *correlate.Summary) float64 {
				if s.Media.MOS == 0 {
					return math.NaN()
				}
				return s.Media.MOS
			}),
		number("loss", typeNumber, "percent of the RTP packets of the worst stream that never came; unknown without one", `loss > 1`,
			func(s *correlate.Summary) float64 {
				if s.Media.Streams == 0 {
					return math.NaN()
				}
				return s.Media.Loss * 100
			}),
		text("codec", "codecs of the RTP streams, comma-separated", `codec contains "PCMA"`,
			func(s *correlate.Summary) string { return s.Media.Codecs }),
	}, span("jitter", "largest interarrival jitter (RFC 3550); unknown without a stream", `jitter > 50ms`, `jitter_ms > 30`,
		func(s *correlate.Summary) int64 {
			if s.Media.Streams == 0 {
				return -1
			}
			return s.Media.MaxJitter
		}))
}
