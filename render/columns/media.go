package columns

import (
	"strconv"

	"sipscope/correlate"
)

// mediaColumns tell of the RTP streams that a call's SDP named. The worst stream counts; without one they are empty.
func mediaColumns() []Column {
	return []Column{
		{
			Name: "media", Title: "MEDIA", Help: "RTP streams", Right: true, Number: byNum(mediaStreams),
			Cell: func(s *correlate.Summary) string {
				if s.Media.Streams == 0 {
					return ""
				}
				return strconv.FormatUint(uint64(s.Media.Streams), 10)
			},
		},
		{
			Name: "mos", Title: "MOS", Help: "estimated by the E-model (ITU-T G.107), of the worst stream", Right: true, Class: mosClass,
			Cell: func(s *correlate.Summary) string {
				if s.Media.MOS == 0 {
					return ""
				}
				return strconv.FormatFloat(s.Media.MOS, 'f', 2, 64)
			},
			Number: func(s *correlate.Summary) int64 { return int64(s.Media.MOS * sortUnit) },
		},
		{
			Name: "loss", Title: "LOSS", Help: "RTP packets that never came, of the worst stream", Right: true,
			Cell: func(s *correlate.Summary) string {
				if s.Media.Streams == 0 {
					return ""
				}
				return strconv.FormatFloat(s.Media.Loss*100, 'f', 2, 64) + "%"
			},
			Number: func(s *correlate.Summary) int64 { return int64(s.Media.Loss * sortUnit) },
		},
		span("jitter", "JITTER", "largest interarrival jitter (RFC 3550)", jitter),
		word("codec", "CODEC", "codecs of the RTP streams", func(s *correlate.Summary) string { return s.Media.Codecs }),
	}
}

// sortUnit makes whole numbers of shares and scores, to sort by.
const sortUnit = 1e9

func mediaStreams(s *correlate.Summary) uint32 { return s.Media.Streams }

func jitter(s *correlate.Summary) int64 {
	if s.Media.Streams == 0 {
		return -1
	}
	return s.Media.MaxJitter
}

// Bounds of the categories of ITU-T G.107 annex B: satisfied, and many users dissatisfied.
const (
	mosGood = 4.03
	mosBad  = 3.1
)

func mosClass(cell string) Class {
	v, err := strconv.ParseFloat(cell, 64)
	switch {
	case err != nil:
		return Plain
	case v >= mosGood:
		return Good
	case v < mosBad:
		return Bad
	default:
		return Neutral
	}
}
