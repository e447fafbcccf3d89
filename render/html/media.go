package html

import (
	"strconv"

	"sipscope/correlate/media"
	"sipscope/correlate/media/dtmf"
	"sipscope/render/html/chart"
	"sipscope/render/ladder"
	"sipscope/render/text"
)

// Bounds on the media of a call in a page.
const (
	maxStreams  = 200 // rows of the table
	maxPictures = 16  // streams with a chart
	maxFindings = 64
)

// streamHeads are the keys of the words above the columns of streamCells; numeric tells which hold numbers.
func streamHeads() (keys []string, numeric []bool) {
	keys = []string{
		"num", "from", "to", "codec", "packets", "lost", "missing", "loss", "duplicates", "reordered", "jitter", "max_jitter", "mos", "dtmf",
	}
	numeric = make([]bool, len(keys))
	for i := range keys {
		numeric[i] = i == 0 || i >= 4 && i <= 12
	}
	return keys, numeric
}

// streamCells are the figures of a stream as people read them, clean.
func streamCells(s *media.Stream) []string {
	n := func(v uint64) string { return thousands(v) }
	codec := s.Codec()
	if s.Secure {
		codec += " (SRTP)"
	}
	return []string{
		strconv.FormatUint(uint64(s.Num), 10), s.Src.String(), s.Dst.String(), text.Clean(codec), n(s.Packets),
		strconv.FormatInt(s.Lost, 10), n(s.Missing), strconv.FormatFloat(100*s.LossShare(), 'f', 2, 64) + " %", n(s.Duplicates),
		n(s.Reordered), milli(s.MeanJitter), milli(s.MaxJitter), ladder.MOS(s), text.Clean(dtmf.Sequence(s.Presses)),
	}
}

func milli(ns int64) string {
	if ns < 0 {
		return ""
	}
	return ladder.Millis(ns) + " ms"
}

// appendMedia writes the media of a call of a ladder: streams with their pictures, findings. Nothing without any.
//
//	"media":{"streams":[[cell...]...],"more":n,"charts":[{"id","title","about","height","option"}...],
//	  "findings":[[severity,text,frame]...]}
func appendMedia(dst []byte, l *ladder.Ladder, call int) ([]byte, error) {
	if call >= len(l.Streams) || call >= len(l.Findings) || len(l.Streams[call])+len(l.Findings[call]) == 0 {
		return dst, nil
	}
	streams := l.Streams[call]
	dst = append(appendKey(dst, "media"), '{')
	dst = append(appendKey(dst, "streams"), '[')
	for i := range streams[:min(len(streams), maxStreams)] {
		dst = append(comma(dst), '[')
		for k, c := range streamCells(&streams[i]) {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, c)
		}
		dst = append(dst, ']')
	}
	dst = append(dst, ']')
	if more := len(streams) - maxStreams; more > 0 {
		dst = appendInt(dst, "more", int64(more))
	}
	dst, err := appendPictures(dst, streams)
	if err != nil {
		return dst, err
	}
	dst = append(appendKey(dst, "findings"), '[')
	for i := range l.Findings[call][:min(len(l.Findings[call]), maxFindings)] {
		f := &l.Findings[call][i]
		dst = append(comma(dst), '[')
		dst = appendString(dst, f.Severity.String())
		dst = appendString(append(dst, ','), text.Clean(f.Text))
		if len(f.Frames) > 0 {
			dst = strconv.AppendUint(append(dst, ','), f.Frames[0], 10)
		}
		dst = append(dst, ']')
	}
	return append(dst, ']', '}'), nil
}

// appendPictures writes the charts of the first streams that have some seconds.
func appendPictures(dst []byte, streams []media.Stream) ([]byte, error) {
	dst = append(appendKey(dst, "charts"), '[')
	drawn := 0
	for i := range streams {
		if drawn == maxPictures {
			break
		}
		c, err := chart.Stream(&streams[i])
		if err != nil {
			return dst, err
		}
		if c.ID == "" {
			continue
		}
		drawn++
		dst = append(comma(dst), '{')
		dst = appendText(dst, "id", c.ID)
		dst = appendText(dst, "title", c.Title)
		dst = appendText(dst, "about", c.About)
		dst = appendInt(dst, "height", int64(c.Height))
		dst = append(append(appendKey(dst, "option"), c.Option...), '}')
	}
	return append(dst, ']'), nil
}

// staticMedia is the media of a call for readers without scripts.
type staticMedia struct {
	Heads    []string
	Numeric  []bool
	Rows     [][]string
	Findings []string
}

func staticMediaOf(l *ladder.Ladder, call int) staticMedia {
	var m staticMedia
	if call >= len(l.Streams) || call >= len(l.Findings) {
		return m
	}
	keys, numeric := streamHeads()
	m.Numeric = numeric
	for _, k := range keys {
		m.Heads = append(m.Heads, english().get("stream."+k))
	}
	streams := l.Streams[call]
	for i := range streams[:min(len(streams), maxStreams)] {
		m.Rows = append(m.Rows, streamCells(&streams[i]))
	}
	for i := range l.Findings[call][:min(len(l.Findings[call]), maxFindings)] {
		f := &l.Findings[call][i]
		m.Findings = append(m.Findings, f.Severity.String()+": "+text.Clean(f.Text))
	}
	return m
}
