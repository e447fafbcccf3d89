package media

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"sipscope/correlate/media"
	"sipscope/correlate/media/dtmf"
	"sipscope/correlate/media/judge"
	"sipscope/render/export"
	"sipscope/render/ladder"
	"sipscope/render/text"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// detail is all that is known of one stream: that under the cursor of the list.
type detail struct {
	list   *View
	top    int
	height int
	lines  []line // of the last drawing
	needle string
	at     int
}

var _ term.View = (*detail)(nil)

// line is a name with its value, or a heading, or a line of a chart.
type line struct {
	name, value string
	role        term.Role // of the value
	head        bool
}

// Scope implements term.View.
func (d *detail) Scope() keymap.Scope { return keymap.Streams }

// Title implements term.View.
func (d *detail) Title() string {
	s := d.list.current()
	if s == nil {
		return d.list.Title()
	}
	return fmt.Sprintf("%s · stream %d", d.list.host.Data().Source, s.Num)
}

// Status implements term.View.
func (d *detail) Status() string { return d.list.Status() }

// Tick implements term.View.
func (d *detail) Tick(now time.Time) bool { return d.list.Tick(now) }

// Saving implements term.View.
func (d *detail) Saving() term.Selection { return d.list.Saving() }

// Draw implements term.View.
func (d *detail) Draw(c *term.Canvas) {
	w, h := c.Size()
	d.height = h
	s := d.list.current()
	if s == nil {
		c.Put(1, 1, "the stream is no longer kept", term.Dim)
		return
	}
	d.lines = d.lay(s, w, c.ASCII())
	d.scroll(0)
	const nameW = 20
	for y := range min(h, len(d.lines)-d.top) {
		l := &d.lines[d.top+y]
		switch {
		case l.head:
			c.PutMax(0, y, w, l.value, term.Head)
		case l.name == "":
			c.PutMax(1, y, w-1, l.value, l.role)
		default:
			c.PutMax(1, y, nameW-2, l.name, term.Dim)
			c.PutMax(nameW, y, w-nameW, l.value, l.role)
		}
		if d.needle != "" && d.top+y == d.at {
			c.Overlay(0, y, w, term.Found)
		}
	}
}

func (d *detail) scroll(by int) { d.top = max(0, min(d.top+by, len(d.lines)-d.height)) }

// Do implements term.View.
func (d *detail) Do(a keymap.Action) bool {
	switch a {
	case keymap.Up:
		d.scroll(-1)
	case keymap.Down:
		d.scroll(1)
	case keymap.PageUp:
		d.scroll(-max(d.height-1, 1))
	case keymap.PageDown:
		d.scroll(max(d.height-1, 1))
	case keymap.HalfUp:
		d.scroll(-d.height / 2)
	case keymap.HalfDown:
		d.scroll(d.height / 2)
	case keymap.Top:
		d.scroll(-len(d.lines))
	case keymap.Bottom:
		d.scroll(len(d.lines))
	case keymap.NextMessage, keymap.Right:
		d.step(1)
	case keymap.PrevMessage, keymap.Left:
		d.step(-1)
	case keymap.Open:
		d.list.showCall()
	case keymap.Pause, keymap.ToCall:
		return d.list.Do(a)
	case keymap.Copy, keymap.CopyAll:
		d.copy()
	default:
		return false
	}
	d.list.host.Redraw()
	return true
}

// step goes to another stream of the list.
func (d *detail) step(by int) {
	v := d.list
	if n := len(v.rows); n > 0 {
		v.cursor = ((v.cursor+by)%n + n) % n
	}
}

func (d *detail) copy() {
	var b strings.Builder
	for i := range d.lines {
		l := &d.lines[i]
		if l.name != "" {
			b.WriteString(text.Clean(l.name) + ": ")
		}
		b.WriteString(text.Clean(l.value) + "\n")
	}
	d.list.host.Copy(b.String(), "the stream's figures")
}

// Mouse implements term.View.
func (d *detail) Mouse(m term.Mouse) bool {
	switch m.Kind {
	case term.WheelUp:
		d.scroll(-3)
	case term.WheelDown:
		d.scroll(3)
	default:
		return false
	}
	return true
}

// Search implements term.View.
func (d *detail) Search(needle string, next, backwards bool) {
	if needle == "" {
		d.needle = ""
		return
	}
	from, step := d.top, 1
	if d.needle != "" && next {
		from = d.at + 1
		if backwards {
			from, step = d.at-1, -1
		}
	}
	d.needle = strings.ToLower(needle)
	for i := range d.lines {
		at := ((from+i*step)%len(d.lines) + len(d.lines)) % len(d.lines)
		if l := &d.lines[at]; strings.Contains(strings.ToLower(text.Clean(l.name+" "+l.value)), d.needle) {
			d.at = at
			d.top = at
			d.scroll(-d.height / 2)
			d.list.host.Redraw()
			return
		}
	}
	d.list.host.Say(fmt.Sprintf("%q is not on this screen", needle))
}

// page gathers lines.
type page struct{ lines []line }

func (p *page) head(s string) {
	if len(p.lines) > 0 {
		p.lines = append(p.lines, line{})
	}
	p.lines = append(p.lines, line{value: s, head: true})
}

func (p *page) add(name, format string, args ...any) {
	p.role(term.Normal, name, fmt.Sprintf(format, args...))
}

func (p *page) role(role term.Role, name, value string) {
	if value != "" {
		p.lines = append(p.lines, line{name: name, value: value, role: role})
	}
}

// lay writes all that is known of a stream.
func (d *detail) lay(s *media.Stream, w int, ascii bool) []line {
	p := &page{}
	arrow, sep := " → ", " · "
	if ascii {
		arrow, sep = " -> ", "; "
	}
	p.head("Stream " + strconv.FormatUint(uint64(s.Num), 10))
	p.add("from, to", "%s%s%s", s.Src, arrow, s.Dst)
	p.add("SSRC", "%s", export.SSRC(s.SSRC))
	p.role(term.Normal, "call", callText(s))
	p.role(term.Normal, "found by", foundText(s))
	p.role(term.Normal, "media", strings.TrimSpace(s.Type+map[bool]string{true: " encrypted (SRTP)"}[s.Secure]))
	for i := range s.Payloads {
		pl := &s.Payloads[i]
		clock := ""
		if pl.Clock > 0 {
			clock = "/" + strconv.FormatUint(uint64(pl.Clock), 10)
		}
		p.add("payload type "+strconv.Itoa(int(pl.PT)), "%s%s%s%d packets, %d bytes", pl.Label(), clock, sep, pl.Packets, pl.Bytes)
	}
	p.role(term.Normal, "packet time", durationText(s.PTime))
	p.add("first packet", "%s%sframe %d", clockText(s.First), sep, s.FirstFrame)
	p.add("last packet", "%s%sframe %d%safter %s", clockText(s.Last), sep, s.LastFrame, sep, ladder.Duration(s.Last-s.First))
	p.add("DSCP", "%d", s.DSCP)
	p.role(term.Normal, "path", s.Path.String())
	p.findings(d.list.findings(s))
	p.quality(s, sep)
	p.charts(s, w, ascii)
	p.reports(&s.Reports, sep)
	p.keys(s.Presses, sep)
	return p.lines
}

// findings tells what media and signalling do not agree on.
func (p *page) findings(all []judge.Finding) {
	if len(all) == 0 {
		return
	}
	p.head("Findings")
	for i := range all {
		f := &all[i]
		role := term.Normal
		switch f.Severity {
		case judge.Error:
			role = term.Bad
		case judge.Warning:
			role = term.Warning
		case judge.Note:
		}
		say := f.Text
		if len(f.Frames) > 0 {
			say += ", frame " + strconv.FormatUint(f.Frames[0], 10)
		}
		p.role(role, f.Severity.String(), say)
	}
}

func callText(s *media.Stream) string {
	if s.Call == 0 {
		return "none: no SDP names its destination"
	}
	t := "call " + strconv.FormatUint(uint64(s.Call), 10)
	if s.Medium >= 0 {
		t += ", m= line " + strconv.Itoa(s.Medium+1)
	}
	if s.Message >= 0 {
		t += " of the SDP in message " + strconv.Itoa(s.Message+1)
	}
	return t
}

func foundText(s *media.Stream) string {
	switch s.Found {
	case media.BySDP:
		return "SDP"
	case media.BySymmetry:
		return "SDP names its destination, but not where it comes from"
	case media.ByConsistency:
		return "packets that continue each other"
	default:
		return ""
	}
}

func durationText(ns int64) string {
	if ns < 0 {
		return ""
	}
	return ladder.Duration(ns)
}

func clockText(ns int64) string {
	return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05.000000 UTC")
}

// quality tells how the stream did.
func (p *page) quality(s *media.Stream, sep string) {
	p.head("Quality")
	if s.MOS > 0 {
		p.role(mosRole(s), "MOS", fmt.Sprintf("%.2f, estimated by the E-model (ITU-T G.107), R = %.1f", s.MOS, s.R))
	}
	p.add("packets", "%d of %d expected%s%d bytes of payload", s.Packets, s.Expected, sep, s.Bytes)
	p.role(lossRole(s), "missing", fmt.Sprintf("%d (%s) were never seen", s.Missing, percent(s.LossShare())))
	p.add("lost", "%d by RFC 3550 (a duplicate hides a loss)", s.Lost)
	p.add("duplicated", "%d", s.Duplicates)
	p.add("out of order", "%d", s.Reordered)
	p.add("jumps", "%d restarts of the sequence", s.Jumps)
	if s.TapDuplicates > 0 {
		p.add("seen twice", "%d frames by the tap", s.TapDuplicates)
	}
	if s.MeanJitter >= 0 {
		p.add("jitter", "%s ms mean%s%s ms largest%s%s ms at the end", ladder.Millis(s.MeanJitter), sep, ladder.Millis(s.MaxJitter), sep,
			ladder.Millis(s.Jitter))
	}
	if s.MaxGap > 0 {
		p.add("longest silence", "%s, from %s on", ladder.Duration(s.MaxGap), clockText(s.MaxGapAt))
	}
	if rate := s.BitRate(); rate > 0 && !math.IsInf(rate, 0) {
		p.add("bit rate", "%.1f kbit/s", rate/1000)
	}
	if !math.IsNaN(s.Skew) {
		p.add("clock skew", "%+.1f ppm: the sender's clock against the capture's", s.Skew)
	}
}

// Lines of a chart, and the cells of the scale beside it.
const (
	plotHeight = 4
	scaleW     = 9
)

// charts draws the seconds.
func (p *page) charts(s *media.Stream, w int, ascii bool) {
	if len(s.Seconds) == 0 {
		return
	}
	last := s.Seconds[len(s.Seconds)-1].At
	p.head(fmt.Sprintf("Over time: %d s", int64(last)+1))
	for _, k := range [...]series{ofPackets, ofLoss, ofJitter} {
		values := stretch(buckets(s, k, max(w-scaleW-3, 10)), max(w-scaleW-3, 10))
		lines, top := plot(values, plotHeight, ascii)
		if top == 0 {
			p.lines = append(p.lines, line{value: fmt.Sprintf("%-*s none", scaleW, k), role: term.Dim})
			continue
		}
		p.lines = append(p.lines, line{value: k.String(), role: term.Dim})
		for y, l := range lines {
			scale := ""
			switch y {
			case 0:
				scale = strconv.FormatFloat(top, 'f', -1, 64)
				if k == ofJitter {
					scale = strconv.FormatFloat(top, 'f', 1, 64)
				}
			case len(lines) - 1:
				scale = "0"
			}
			p.lines = append(p.lines, line{value: fmt.Sprintf("%*s %s", scaleW, scale, l), role: term.MediaLine})
		}
	}
	if s.SecondsDropped > 0 {
		p.add("not drawn", "%d packets of seconds that are not kept", s.SecondsDropped)
	}
}

// stretch gives few values some cells each.
func stretch(values []float64, w int) []float64 {
	const most = 4
	n := 1
	if len(values) > 0 {
		n = max(min(w/len(values), most), 1)
	}
	out := make([]float64, 0, n*len(values))
	for _, v := range values {
		for range n {
			out = append(out, v)
		}
	}
	return out
}

// reports tells what RTCP says.
func (p *page) reports(r *media.Reports, sep string) {
	if r.Sender+r.Receiver+r.XR == 0 && r.CNAME == "" && r.Bye == 0 {
		return
	}
	p.head("RTCP")
	p.role(term.Normal, "CNAME", r.CNAME)
	p.add("reports", "%d of the sender%s%d blocks about it%s%d extended", r.Sender, sep, r.Receiver, sep, r.XR)
	if r.Sender > 0 {
		p.add("sender says", "%d packets, %d bytes sent", r.SentPackets, r.SentBytes)
	}
	if r.Receiver > 0 {
		say := fmt.Sprintf("%d lost, %.1f %% of late, %.1f %% at worst", r.Lost, float64(r.Fraction)/2.56, float64(r.MaxFraction)/2.56)
		if r.Jitter >= 0 {
			say += ", jitter " + ladder.Millis(r.Jitter) + " ms"
		}
		p.role(term.Normal, "receiver says", say)
	}
	if r.RTT >= 0 {
		p.add("round trip", "%s, %s at most", ladder.Duration(r.RTT), ladder.Duration(max(r.MaxRTT, r.RTT)))
	}
	if r.MOSLQ > 0 || r.MOSCQ > 0 {
		p.add("receiver's MOS", "%.1f listening, %.1f in conversation (RFC 3611)", r.MOSLQ, r.MOSCQ)
	}
	if r.Bye != 0 {
		p.add("BYE", "%s", clockText(r.Bye))
	}
	const some = 12
	for i := range r.Points[max(len(r.Points)-some, 0):] {
		pt := &r.Points[max(len(r.Points)-some, 0)+i]
		say := fmt.Sprintf("%5.1f %% lost lately, %d in all", float64(pt.Fraction)/2.56, pt.Lost)
		if pt.RTT >= 0 {
			say += ", round trip " + ladder.Duration(pt.RTT)
		}
		p.role(term.Normal, time.Unix(0, pt.Time).UTC().Format("15:04:05.000"), say)
	}
}

// keys lists what was pressed.
func (p *page) keys(presses []dtmf.Press, sep string) {
	if len(presses) == 0 {
		return
	}
	p.head("DTMF " + dtmf.Sequence(presses))
	const some = 64
	for i := range presses[:min(len(presses), some)] {
		k := &presses[i]
		say := k.Name()
		if k.Duration >= 0 {
			say += ", held for " + ladder.Duration(k.Duration)
		}
		say += fmt.Sprintf("%s%d packets, frames %d to %d", sep, k.Packets, k.First, k.Last)
		if !k.Ended {
			say += sep + "no end seen"
		}
		if k.LostStart {
			say += sep + "its first packets were lost"
		}
		p.role(term.Normal, time.Unix(0, k.Start).UTC().Format("15:04:05.000"), say)
	}
	if n := len(presses) - some; n > 0 {
		p.add("", "and %d more", n)
	}
}
