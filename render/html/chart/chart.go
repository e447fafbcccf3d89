// Package chart makes the charts of the overview: options for Apache ECharts, and the same figures as tables for those
// who cannot see a picture.
//
// It draws nothing and knows no page: go-echarts' types make the options, and a page of ours, under its own
// Content-Security-Policy, hands them to the embedded Script. Names of hosts and methods are a stranger's text: they
// are cleaned, and stand in category data only, never in a place where ECharts looks for a template.
package chart

import (
	"encoding/json"

	"sipscope/correlate/stats"
)

// Chart is one picture of the overview with the same figures as a table for those who cannot see it.
//
// Option names the colours of bars, which are readable on white and on #14181f, and no other colour. The page sets what
// depends on light or dark:
//
//	textStyle.color
//	xAxis[*].axisLabel.color, .axisLine.lineStyle.color, .splitLine.lineStyle.color
//	yAxis[*].axisLabel.color, .axisLine.lineStyle.color, .splitLine.lineStyle.color
//
// xAxis and yAxis are arrays. Nothing is animated; aria is off, for the page has the table.
type Chart struct {
	ID      string          // name in the page: letters a to z and "-"
	Title   string          // a few words
	About   string          // one sentence: what the picture says
	Option  json.RawMessage // an ECharts option: a JSON object without functions; <, >, & and U+2028 are escaped
	Height  int             // CSS pixels
	Columns []string        // heads of the table
	Rows    [][]string      // text of the cells, clean, not escaped; numbers as people read them
	Numeric []bool          // of each column: numbers, aligned right
}

// All builds the charts that there is something to show for, in the order of the page. calls has seen the calls that
// result counts; either may be nil. The same figures give the same bytes. An error is a fault of the program.
func All(result *stats.Result, calls *Calls) ([]Chart, error) {
	if result == nil {
		result = new(stats.Result)
	}
	if calls == nil {
		calls = new(Calls)
	}
	var all []Chart
	for _, build := range []func(*stats.Result, *Calls) (Chart, error){
		callsOverTime, inviteStates, otherStates, postDialDelay, setupTime, mosOfCalls, lossOfCalls,
		jitterOfCalls, hosts, responses, methods, transports,
	} {
		c, err := build(result, calls)
		if err != nil {
			return nil, err
		}
		if c.ID != "" {
			all = append(all, c)
		}
	}
	return all, nil
}
