package chart

import (
	"encoding/json"
	"fmt"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"
)

// Sizes in CSS pixels.
const (
	rowHeight  = 24 // of a bar with its label
	rowsMargin = 12
	timeHeight = 280
	onceHeight = 160 // of one column

	barWidth    = "14"
	columnWidth = "48"
)

// row is a bar that lies: its label and value are read at its ends, so that it needs neither legend nor tooltip.
type row struct {
	label  string // safe to be drawn
	value  uint64
	colour string
}

// rowsOption draws rows from the top.
func rowsOption(id, unit string, rows []row) (json.RawMessage, error) {
	labels, values := make([]string, len(rows)), make([]string, len(rows))
	data := make([]opts.BarData, len(rows))
	for i, r := range rows {
		labels[i], values[i] = r.label, thousands(r.value)
		data[i] = opts.BarData{Value: r.value, ItemStyle: &opts.ItemStyle{Color: r.colour}}
		if r.value == 0 {
			data[i].Value = "-" // nothing, not even the least height
		}
	}
	alignRight(values)
	c := newBar(opts.Grid{Left: "4", Right: "4", Top: "4", Bottom: "4", ContainLabel: opts.Bool(true)})
	c.SetGlobalOptions(
		charts.WithXAxisOpts(opts.XAxis{
			Type: "value", Max: "dataMax", Show: opts.Bool(false), AxisLabel: &opts.AxisLabel{Show: opts.Bool(false)},
		}),
		charts.WithYAxisOpts(rowsAxis("left")),
	)
	right := rowsAxis("right")
	right.Data = values
	c.ExtendYAxis(right)
	c.SetXAxis(labels).XYReversal().AddSeries(unit, data)
	c.MultiSeries[0].BarMaxWidth = barWidth
	return marshal(id, c, extras{minimum: 2})
}

// rowsAxis has the texts at one end of the rows, and no lines.
func rowsAxis(side string) opts.YAxis {
	return opts.YAxis{
		Type: "category", Position: side, Inverse: opts.Bool(true),
		AxisLine:    &opts.AxisLine{Show: opts.Bool(false), OnZero: opts.Bool(false)},
		AxisPointer: &opts.AxisPointer{Show: opts.Bool(false)},
	}
}

// rowsHeight is the height of a chart of n rows.
func rowsHeight(n int) int { return n*rowHeight + rowsMargin }

// stack is a part of all columns of a chart over time.
type stack struct {
	class  class
	values []uint64 // one a label
}

// stackOption draws columns of stacks over labels, and a legend.
func stackOption(id string, labels []string, stacks []stack) (json.RawMessage, error) {
	c := newBar(
		opts.Grid{Left: "12", Right: "24", Top: "36", Bottom: "4", ContainLabel: opts.Bool(true)},
		opts.Grid{Left: "0", Right: "0", Top: "22", Height: "1"}, // the legend's: as wide as the picture
	)
	c.SetGlobalOptions(
		charts.WithXAxisOpts(opts.XAxis{Type: "category", AxisLabel: firstLabel(labels)}),
		charts.WithYAxisOpts(opts.YAxis{Type: "value", MinInterval: 1, SplitNumber: 4}),
	)
	legend := make([]class, len(stacks))
	for i, s := range stacks {
		data := make([]opts.BarData, len(s.values))
		for j, v := range s.values {
			data[j] = opts.BarData{Value: v}
		}
		c.AddSeries(s.class.String(), data,
			charts.WithBarChartOpts(opts.BarChart{Stack: "calls", BarCategoryGap: "15%"}),
			charts.WithItemStyleOpts(opts.ItemStyle{Color: s.class.colour()}))
		c.MultiSeries[i].BarMaxWidth = columnWidth
		legend[i] = s.class
	}
	c.SetXAxis(labels)
	c.ExtendXAxis(opts.XAxis{
		Type: "category", Position: "top", GridIndex: 1, Data: legendData(legend),
		AxisLine:    &opts.AxisLine{Show: opts.Bool(false), OnZero: opts.Bool(false)},
		AxisTick:    &opts.AxisTick{Show: opts.Bool(false)},
		AxisPointer: &opts.AxisPointer{Show: opts.Bool(false)},
		AxisLabel:   &opts.AxisLabel{FontSize: 12},
	})
	c.ExtendYAxis(opts.YAxis{Type: "value", GridIndex: 1, Show: opts.Bool(false)}) // a grid has axes of both kinds
	return marshal(id, c, extras{})
}

// firstLabel keeps a long first label, a date, from beginning left of the picture.
func firstLabel(labels []string) *opts.AxisLabel {
	if len(labels) > 1 && len(labels[0]) > len("15:04:05") {
		return &opts.AxisLabel{AlignMinLabel: "left"}
	}
	return nil
}

// newBar is what all charts have in common.
func newBar(grids ...opts.Grid) *charts.Bar {
	c := charts.NewBar()
	c.SetGlobalOptions(
		charts.WithAnimation(false),
		charts.WithAriaOpts(&opts.Aria{Enabled: opts.Bool(false)}),
		charts.WithColorsOpts(opts.Colors{
			colourNeutral, colourSucceeded, colourInProgress, colourRefused, colourFailed,
		}),
		charts.WithGridOpts(grids...),
		charts.WithTooltipOpts(opts.Tooltip{Trigger: "axis", AxisPointer: &opts.AxisPointer{Type: "shadow"}}),
	)
	return c
}

// marshal gives the option as JSON. Of go-echarts only this is used: its pages load scripts from elsewhere and make
// live code of any string with its function mark, where encoding/json leaves data.
func marshal(id string, c *charts.Bar, e extras) (json.RawMessage, error) {
	c.Accept(e)
	c.Validate()
	out, err := json.Marshal(c.JSON())
	if err != nil {
		return nil, fmt.Errorf("option of chart %q: %w", id, err)
	}
	return out, nil
}

// extras adds to an option what go-echarts has no field for.
type extras struct {
	charts.BaseConfigurationVisitor

	minimum int // least length of a bar in pixels
}

var _ charts.ConfigurationVisitor = extras{}

// Visit implements charts.ConfigurationVisitor: the page has the title, and an axis is the legend.
func (extras) Visit(option map[string]any) {
	delete(option, "title")
	delete(option, "legend")
	delete(option, "toolbox")
}

// VisitTooltipOpt implements charts.ConfigurationVisitor. A tooltip of HTML would carry inline styles, which the page's
// policy refuses. The simple build of ECharts has no tooltips at all; a fuller one would draw them on the canvas.
func (extras) VisitTooltipOpt(o opts.Tooltip) any {
	return struct {
		opts.Tooltip

		RenderMode string `json:"renderMode"`
		Confine    bool   `json:"confine"`
	}{o, "richText", true}
}

// VisitXAxis implements charts.ConfigurationVisitor: the second axis is the legend, and none of its labels may be left
// out. go-echarts has the interval as text.
func (extras) VisitXAxis(axes []opts.XAxis) any {
	type label struct {
		opts.AxisLabel

		Interval int `json:"interval"`
	}
	type axis struct {
		opts.XAxis

		AxisLabel any `json:"axisLabel,omitempty"`
	}
	out := make([]axis, len(axes))
	for i, a := range axes {
		out[i].XAxis = a
		switch {
		case a.AxisLabel == nil:
		case i == 0:
			out[i].AxisLabel = a.AxisLabel
		default:
			out[i].AxisLabel = label{*a.AxisLabel, 0}
		}
	}
	return out
}

// VisitYAxis implements charts.ConfigurationVisitor: no ticks.
func (extras) VisitYAxis(axes []opts.YAxis) any {
	type axis struct {
		opts.YAxis

		AxisTick opts.AxisTick `json:"axisTick"`
	}
	out := make([]axis, len(axes))
	for i, a := range axes {
		out[i] = axis{a, opts.AxisTick{Show: opts.Bool(false)}}
	}
	return out
}

// VisitSeriesOpt implements charts.ConfigurationVisitor: what is there can be seen, however short its bar.
func (e extras) VisitSeriesOpt(all charts.MultiSeries) any {
	type series struct {
		charts.SingleSeries

		BarMinHeight int `json:"barMinHeight,omitempty"`
	}
	out := make([]series, len(all))
	for i, s := range all {
		out[i] = series{s, e.minimum}
	}
	return out
}

// legendData is a legend as the labels of an axis: the simple build of ECharts has no other. The only texts with
// ECharts' style marks are these, and they are ours.
func legendData(of []class) any {
	type mark struct {
		Color string `json:"color"`
	}
	type style struct {
		Rich map[string]mark `json:"rich"`
	}
	type item struct {
		Value string `json:"value"`
		Style style  `json:"textStyle"`
	}
	out := make([]item, len(of))
	for i, c := range of {
		out[i] = item{"{mark|■} " + c.String(), style{map[string]mark{"mark": {c.colour()}}}}
	}
	return out
}
