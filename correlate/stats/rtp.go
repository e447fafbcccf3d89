package stats

import (
	"sipscope/correlate/media"
)

// RTP are the figures over all RTP streams of a run. Counts include streams that a limit let go; distributions do not.
type RTP struct {
	Streams     uint64            `json:"streams"`
	Packets     uint64            `json:"packets"`
	Control     uint64            `json:"rtcp_packets"`
	Lost        int64             `json:"lost"`    // RFC 3550 A.3
	Missing     uint64            `json:"missing"` // distinct packets that never came
	LossPercent float64           `json:"loss_percent"`
	Duplicates  uint64            `json:"duplicates"`
	Reordered   uint64            `json:"reordered"`
	Codecs      map[string]uint64 `json:"codecs"`        // streams by codec
	Loss        *Distribution     `json:"stream_loss"`   // percent a stream
	Jitter      *Distribution     `json:"max_jitter_ms"` // of each stream whose clock rate is known
	MOS         *Distribution     `json:"mos_estimated"` // ITU-T G.107, of each stream with a known codec
}

// NewRTP sums streams up; nil when there is nothing to tell.
func NewRTP(c media.Counts, streams []media.Stream) *RTP {
	if c.Streams == 0 && c.RTCP == 0 {
		return nil
	}
	r := &RTP{
		Streams: c.Streams, Packets: c.Packets, Control: c.RTCP, Lost: c.Lost, Missing: c.Missing,
		Duplicates: c.Duplicates, Reordered: c.Reordered, Codecs: map[string]uint64{},
	}
	if sent := c.Missing + c.Packets - min(c.Packets, c.Duplicates); sent > 0 {
		r.LossPercent = float64(c.Missing) * 100 / float64(sent)
	}
	const unit = 1e6 // a distribution counts in millionths
	var loss, jitter, mos distribution
	for i := range streams {
		s := &streams[i]
		r.Codecs[s.Codec()]++
		loss.add(int64(s.LossShare() * 100 * unit))
		jitter.add(s.MaxJitter)
		if s.MOS > 0 {
			mos.add(int64(s.MOS * unit))
		}
	}
	r.Loss, r.Jitter, r.MOS = loss.result(), jitter.result(), mos.result()
	return r
}
