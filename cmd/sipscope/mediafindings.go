package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/correlate/check"
	"sipscope/correlate/media/judge"
	"sipscope/render/columns"
	"sipscope/render/export"
	"sipscope/render/text"
)

// judge judges the media of calls: those that are named, or with --findings all that have something to say.
func (c *mediaCommand) judge(a *archive) ([]export.CallFindings, error) {
	if !c.judges() {
		return nil, nil
	}
	checker := check.New(a.board.Streams(), judge.Defaults())
	var out []export.CallFindings
	add := func(call *correlate.Call, always bool) {
		read := func(message int) []byte {
			b, err := a.text(&call.Messages[message])
			if err != nil {
				return nil
			}
			return b
		}
		f := export.CallFindings{
			Call: call.Num, CallID: call.CallID, Findings: checker.Media(call, read), Presses: checker.Presses(call, read),
		}
		if always || len(f.Findings)+len(f.Presses) > 0 {
			out = append(out, f)
		}
	}
	if len(c.calls) > 0 {
		calls, err := a.pick(c.calls)
		for i := range calls {
			add(&calls[i], true)
		}
		return out, err
	}
	for _, num := range a.board.Numbers() {
		if call, ok := a.board.Call(num); ok && a.match(&call.Summary) {
			add(&call, false)
		}
	}
	return out, nil
}

// judges reports whether calls are judged.
func (c *mediaCommand) judges() bool { return c.findings || len(c.calls) > 0 }

// findingsTable writes what is to be said of calls, below the streams.
func (c *mediaCommand) findingsTable(w io.Writer, calls []export.CallFindings, color bool) error {
	for i := range calls {
		f := &calls[i]
		if _, err := fmt.Fprintf(w, "\nCall %d  %s\n", f.Call, text.Clean(f.CallID)); err != nil {
			return err
		}
		if len(f.Findings) == 0 {
			if _, err := fmt.Fprintln(w, "no findings"); err != nil {
				return err
			}
		} else if err := c.findingRows(w, f.Findings, color); err != nil {
			return err
		}
		if len(f.Presses) > 0 {
			if err := c.pressRows(w, f.Presses, color); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *mediaCommand) findingRows(w io.Writer, all []judge.Finding, color bool) error {
	t := text.Table{Columns: []text.TableColumn{
		{Title: "SEVERITY", Color: severityColor},
		{Title: "FINDING"},
		{Title: "STREAM", Right: true},
		{Title: "FRAMES"},
		{Title: "RULE"},
		{Title: "WHAT"},
	}}
	for i := range all {
		f := &all[i]
		stream := ""
		if f.Stream != 0 {
			stream = strconv.FormatUint(uint64(f.Stream), 10)
		}
		t.Add(f.Severity.String(), string(f.Code), stream, frameList(f.Frames), f.Code.Section(), f.Text)
	}
	return t.Write(w, text.TableOptions{Width: c.width, Color: color})
}

// frameList writes frame numbers: "5,12".
func frameList(all []uint64) string {
	parts := make([]string, len(all))
	for i, n := range all {
		parts[i] = strconv.FormatUint(n, 10)
	}
	return strings.Join(parts, ",")
}

func severityColor(cell string) text.Color {
	switch cell {
	case judge.Error.String():
		return text.Red
	case judge.Warning.String():
		return text.Yellow
	default:
		return text.Plain
	}
}

func (c *mediaCommand) pressRows(w io.Writer, all []check.Press, color bool) error {
	t := text.Table{Columns: []text.TableColumn{
		{Title: "KEY"},
		{Title: "LASTED", Right: true},
		{Title: "VIA"},
		{Title: "STREAM", Right: true},
		{Title: "FRAMES"},
		{Title: "FROM"},
		{Title: "NOTE"},
	}}
	for i := range all {
		p := &all[i]
		stream, lasted, at, note := "", "", frameList([]uint64{p.First}), ""
		if p.Stream != 0 {
			stream = strconv.FormatUint(uint64(p.Stream), 10)
		}
		if p.Duration >= 0 {
			lasted = columns.Duration(p.Duration)
		}
		if p.Last != p.First {
			at += "-" + frameList([]uint64{p.Last})
		}
		switch {
		case p.LostStart && !p.Ended:
			note = "start and end not seen"
		case p.LostStart:
			note = "start not seen"
		case !p.Ended:
			note = "end not seen"
		}
		t.Add(p.Name(), lasted, p.Via.String(), stream, at, p.Src.String(), note)
	}
	return t.Write(w, text.TableOptions{Width: c.width, Color: color})
}
