package export

import (
	"bufio"
	"io"
	"math"
	"strconv"

	"sipscope/correlate/media"
	"sipscope/correlate/media/dtmf"
	"sipscope/render/text"
)

// mediaBuffer is how much JSON is gathered before it is written.
const mediaBuffer = 32 << 10

// WriteStreamsJSON writes {"streams":[...],"accounting":{...},"limits":{...}}, a stream a line.
func WriteStreamsJSON(w io.Writer, streams []media.Stream, series bool, doc Document) error {
	out := bufio.NewWriterSize(w, mediaBuffer)
	line := append([]byte(nil), `{"streams":[`...)
	for i := range streams {
		if i > 0 {
			line = append(line, ',')
		}
		line = AppendStreamJSON(append(line, '\n'), &streams[i], series)
		if _, err := out.Write(line); err != nil {
			return err
		}
		line = line[:0]
	}
	line = append(line, "\n]"...)
	if len(doc.Media) > 0 {
		line = append(append(line, ",\"calls\":"...), doc.Media...)
	}
	line = append(append(line, ",\"accounting\":"...), doc.Accounting...)
	line = append(append(append(line, ",\"limits\":"...), doc.Limits...), "}\n"...)
	if _, err := out.Write(line); err != nil {
		return err
	}
	return out.Flush()
}

// WriteStreamsNDJSON writes a stream a line.
func WriteStreamsNDJSON(w io.Writer, streams []media.Stream, series bool) error {
	out := bufio.NewWriterSize(w, mediaBuffer)
	var line []byte
	for i := range streams {
		line = append(AppendStreamJSON(line[:0], &streams[i], series), '\n')
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// StreamColumns are the columns of a CSV of streams; StreamRow gives their cells.
var StreamColumns = []string{ //nolint:gochecknoglobals // a read-only table
	"num", "src", "dst", "ssrc", "call", "type", "found", "codec", "packets", "bytes", "expected", "lost", "missing", "duplicates",
	"reordered", "jumps", "tap_duplicates", "first", "last", "jitter_ms", "mean_jitter_ms", "max_jitter_ms", "max_gap_ms", "ptime_ms",
	"bit_rate", "skew_ppm", "dscp", "mos", "dtmf",
}

// StreamRow gives a stream's cells of StreamColumns; what is not known is empty.
func StreamRow(s *media.Stream) []string {
	u := func(v uint64) string { return strconv.FormatUint(v, 10) }
	ms := func(ns int64) string {
		if ns < 0 {
			return ""
		}
		return string(appendMs(nil, ns))
	}
	float := func(v float64, decimals int) string {
		if math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'f', decimals, 64)
	}
	call := ""
	if s.Call != 0 {
		call = u(uint64(s.Call))
	}
	return []string{
		u(uint64(s.Num)), s.Src.String(), s.Dst.String(), SSRC(s.SSRC), call, s.Type, s.Found.String(), text.Clean(s.Codec()),
		u(s.Packets), u(s.Bytes), u(s.Expected), strconv.FormatInt(s.Lost, 10), u(s.Missing), u(s.Duplicates), u(s.Reordered),
		u(s.Jumps), u(s.TapDuplicates), string(appendTimeText(nil, s.First)), string(appendTimeText(nil, s.Last)), ms(s.Jitter), ms(s.MeanJitter), ms(s.MaxJitter),
		ms(s.MaxGap), ms(s.PTime), float(s.BitRate(), 0), float(s.Skew, 2), u(uint64(s.DSCP)), float(orNaN(s.MOS), 2), dtmf.Sequence(s.Presses),
	}
}
