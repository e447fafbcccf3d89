package media

import (
	"strings"

	"sipscope/correlate/media"
)

// series is which figure of the seconds is drawn.
type series uint8

const (
	ofJitter series = iota
	ofLoss
	ofPackets
	seriesCount
)

// String names the figure for heads and the status line.
func (k series) String() string {
	return [...]string{"jitter, ms", "lost/s", "packets/s"}[min(k, seriesCount-1)]
}

// of gives the figure of a second.
func (k series) of(x *media.Second) float64 {
	switch k {
	case ofLoss:
		return float64(x.Lost)
	case ofPackets:
		return float64(x.Packets)
	default:
		return float64(x.Jitter) / 1000
	}
}

// bars are the heights of a cell in eighths; in ASCII it has less.
const (
	bars      = "▁▂▃▄▅▆▇█"
	asciiBars = ".:-=+*%@"
)

// levels splits the bars.
func levels(ascii bool) []string {
	if ascii {
		return strings.Split(asciiBars, "")
	}
	return strings.Split(bars, "")
}

// buckets makes at most w values of the seconds of a stream: the worst of each part of the time, so that nothing short
// is hidden. The worst is the largest jitter and loss, and the fewest packets. At is not trusted to be within the span.
func buckets(s *media.Stream, k series, w int) []float64 {
	if w <= 0 || len(s.Seconds) == 0 {
		return nil
	}
	span := max(int64(s.Seconds[len(s.Seconds)-1].At)+1, 1)
	w = int(min(int64(w), span))
	out, seen := make([]float64, w), make([]int64, w)
	for i := range s.Seconds {
		at := int64(s.Seconds[i].At)
		if at < 0 || at >= span {
			continue
		}
		b, v := int(at*int64(w)/span), k.of(&s.Seconds[i])
		if seen[b]++; seen[b] > 1 && k == ofPackets {
			out[b] = min(out[b], v)
		} else {
			out[b] = max(out[b], v)
		}
	}
	for b := range out {
		from, to := ceil(int64(b)*span, int64(w)), ceil(int64(b+1)*span, int64(w))
		if k == ofPackets && seen[b] < to-from {
			out[b] = 0 // a second without any
		}
	}
	return out
}

func ceil(a, b int64) int64 { return (a + b - 1) / b }

// spark writes values as one line of bars, as high as the highest of them or least, whichever is more.
func spark(values []float64, least float64, ascii bool) string {
	top := least
	for _, v := range values {
		top = max(top, v)
	}
	steps := levels(ascii)
	var b strings.Builder
	for _, v := range values {
		switch {
		case v <= 0 || top <= 0:
			b.WriteByte(' ')
		default:
			b.WriteString(steps[min(int(v/top*float64(len(steps))), len(steps)-1)])
		}
	}
	return b.String()
}

// plot writes values as lines of bars, the top one first.
func plot(values []float64, height int, ascii bool) (lines []string, top float64) {
	for _, v := range values {
		top = max(top, v)
	}
	steps := levels(ascii)
	full := steps[len(steps)-1]
	for y := height - 1; y >= 0; y-- {
		var b strings.Builder
		for _, v := range values {
			units := 0
			if top > 0 {
				units = int(v/top*float64(height*len(steps)) + 0.5)
			}
			if v > 0 {
				units = max(units, 1)
			}
			switch part := units - y*len(steps); {
			case part <= 0:
				b.WriteByte(' ')
			case part >= len(steps):
				b.WriteString(full)
			default:
				b.WriteString(steps[part-1])
			}
		}
		lines = append(lines, b.String())
	}
	return lines, top
}
