package chart

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"

	"sipscope/correlate/media"
	"sipscope/correlate/stats"
)

// scores counts calls by a quality of their worst stream, in bins with names.
type scores struct {
	total uint64
	bins  [maxScores]uint64
}

const maxScores = 6

// grade is a bin: its name, and the colour of its bar. Bins end where people begin to hear a difference (ITU-T G.107
// annex B for the MOS).
type grade struct {
	upTo   float64 // exclusive
	name   string
	colour string
}

func mosGrades() []grade {
	return []grade{
		{2.6, "below 2.6", colourFailed},
		{3.1, "2.6 to 3.1", colourFailed},
		{3.6, "3.1 to 3.6", colourRefused},
		{4.0, "3.6 to 4.0", colourInProgress},
		{4.3, "4.0 to 4.3", colourSucceeded},
		{math.Inf(1), "4.3 and more", colourSucceeded},
	}
}

func lossGrades() []grade {
	return []grade{
		{1e-9, "none", colourSucceeded},
		{0.1, "up to 0.1 %", colourSucceeded},
		{1, "0.1 to 1 %", colourInProgress},
		{3, "1 to 3 %", colourRefused},
		{10, "3 to 10 %", colourFailed},
		{math.Inf(1), "more than 10 %", colourFailed},
	}
}

func jitterGrades() []grade {
	return []grade{
		{5, "up to 5 ms", colourSucceeded},
		{10, "5 to 10 ms", colourSucceeded},
		{20, "10 to 20 ms", colourInProgress},
		{50, "20 to 50 ms", colourRefused},
		{100, "50 to 100 ms", colourFailed},
		{math.Inf(1), "more than 100 ms", colourFailed},
	}
}

func (s *scores) add(grades []grade, v float64) {
	for i := range grades {
		if v < grades[i].upTo {
			s.bins[i]++
			s.total++
			return
		}
	}
}

// heard is the quality of calls.
type heard struct{ mos, loss, jitter scores }

// add counts the media of a call.
func (h *heard) add(b *media.Brief) {
	if b.Streams == 0 {
		return
	}
	h.loss.add(lossGrades(), 100*b.Loss)
	if b.MOS > 0 {
		h.mos.add(mosGrades(), b.MOS)
	}
	if b.MaxJitter >= 0 {
		h.jitter.add(jitterGrades(), float64(b.MaxJitter)/1e6)
	}
}

func mosOfCalls(_ *stats.Result, calls *Calls) (Chart, error) {
	return graded(&calls.heard.mos, mosGrades(), "mos", "Estimated MOS",
		"Calls by the worst of their streams, estimated by the E-model (ITU-T G.107): it knows codec, loss and delay, not the sound. Many are dissatisfied below 3.6, nearly all below 2.6")
}

func lossOfCalls(_ *stats.Result, calls *Calls) (Chart, error) {
	return graded(&calls.heard.loss, lossGrades(), "media-loss", "Packets of media that never came", "Calls by the worst of their streams")
}

func jitterOfCalls(_ *stats.Result, calls *Calls) (Chart, error) {
	return graded(&calls.heard.jitter, jitterGrades(), "media-jitter", "Largest jitter",
		"Calls by the largest interarrival jitter (RFC 3550) of their streams")
}

// graded shows calls by grade.
func graded(s *scores, grades []grade, id, title, about string) (Chart, error) {
	if s.total == 0 {
		return Chart{}, nil
	}
	b := names{id: id, title: title, heads: []string{"", "Calls"}, total: s.total}
	b.heads[0] = title
	for i, g := range grades {
		b.add(row{label(g.name), s.bins[i], g.colour}, cell(g.name))
	}
	b.about = about + ": " + plural(s.total, "call") + " with media."
	return b.chart()
}

// Sizes of the picture of a stream.
const (
	maxColumns   = 120 // of one figure; a longer stream has several seconds in a column
	figureHeight = 96
)

// figure is one of the rows of pictures of a stream.
type figure struct {
	name, colour string
	values       []float64
}

// Stream makes the picture of an RTP stream: packets, losses and jitter over its seconds. Its ID is "stream-" and the
// number. It has no table: the figures are in the picture's option, of at most some hundred columns. A Chart without ID
// when there are no seconds to show.
func Stream(s *media.Stream) (Chart, error) {
	if len(s.Seconds) < 2 {
		return Chart{}, nil
	}
	packets, lost, jitter, step := columnsOf(s)
	c := Chart{ID: "stream-" + strconv.FormatUint(uint64(s.Num), 10), Columns: []string{}, Rows: [][]string{}, Numeric: []bool{}}
	c.Title = fmt.Sprintf("Stream %d: %s → %s", s.Num, s.Src, s.Dst)
	each := "second"
	if step > 1 {
		each = plural(step, "second")
	}
	c.About = fmt.Sprintf("Per %s: packets, packets lost, largest jitter in milliseconds.", each)
	figures := []figure{{"packets", colourNeutral, packets}}
	if s.Missing > 0 {
		figures = append(figures, figure{"lost", colourFailed, lost})
	}
	figures = append(figures, figure{"jitter, ms", colourInProgress, jitter})
	c.Height = figureHeight*len(figures) + 8
	labels := make([]string, len(packets))
	for i := range labels {
		labels[i] = strconv.FormatUint(uint64(i)*step, 10) + " s"
	}
	var err error
	c.Option, err = figuresOption(c.ID, labels, figures)
	return c, err
}

// columnsOf sums the seconds of a stream up in at most maxColumns columns of step seconds. What At says is not trusted.
func columnsOf(s *media.Stream) (packets, lost, jitter []float64, step uint64) {
	span := uint64(max(s.Seconds[len(s.Seconds)-1].At, 0)) + 1
	step = (span + maxColumns - 1) / maxColumns
	n := int((span + step - 1) / step) //nolint:gosec // at most maxColumns
	packets, lost, jitter = make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range s.Seconds {
		x := &s.Seconds[i]
		if x.At < 0 || uint64(x.At) >= span {
			continue
		}
		at := uint64(x.At) / step
		packets[at] += float64(x.Packets)
		lost[at] += float64(x.Lost)
		jitter[at] = max(jitter[at], math.Round(float64(x.Jitter)/10)/100)
	}
	return packets, lost, jitter, step
}

// figuresOption draws columns of several figures below each other, over the same labels. The lowest has the labels.
func figuresOption(id string, labels []string, figures []figure) (json.RawMessage, error) {
	grids := make([]opts.Grid, len(figures))
	for i := range figures { // grid 0 is the lowest: it has the axis with labels
		top := 22 + figureHeight*(len(figures)-1-i)
		grids[i] = opts.Grid{
			Left: "44", Right: "8", Top: strconv.Itoa(top), Height: strconv.Itoa(figureHeight - 34), ContainLabel: opts.Bool(false),
		}
	}
	c := newBar(grids...)
	for i := range figures {
		f := &figures[len(figures)-1-i]
		x := opts.XAxis{Type: "category", GridIndex: i, AxisLabel: &opts.AxisLabel{Show: opts.Bool(i == 0)}}
		y := opts.YAxis{Type: "value", GridIndex: i, Name: f.name, SplitNumber: 2}
		if i == 0 {
			c.SetGlobalOptions(charts.WithXAxisOpts(x), charts.WithYAxisOpts(y))
		} else {
			x.Data = labels
			c.ExtendXAxis(x)
			c.ExtendYAxis(y)
		}
		data := make([]opts.BarData, len(f.values))
		for k, v := range f.values {
			data[k] = opts.BarData{Value: v}
		}
		c.AddSeries(f.name, data, charts.WithItemStyleOpts(opts.ItemStyle{Color: f.colour}),
			charts.WithBarChartOpts(opts.BarChart{XAxisIndex: i, YAxisIndex: i, BarCategoryGap: "10%"}))
		c.MultiSeries[i].BarMaxWidth = barWidth
	}
	c.SetXAxis(labels)
	return marshal(id, c, extras{minimum: 0})
}
