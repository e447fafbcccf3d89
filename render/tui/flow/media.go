package flow

import (
	"strings"
	"time"

	"sipscope/correlate/media"
	"sipscope/render/ladder"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// Bounds on how often a picture is drawn anew because packets of media came.
const (
	mediaEvery = time.Second
	mediaCalls = 16 // pictures of more calls wait for a message
)

// figures is what a row of media says of how the medium did.
func (p *picture) figures(r *ladder.Row, sep string) string {
	s := strings.Join(r.Figures, sep)
	if p.spec.ascii {
		s = text.ASCIIArrows(s)
	}
	return s
}

// mediaLines is what a row of media says beside its label, in the margin, or all of it, above its line.
func (v *View) mediaLines(g *geometry, i int, above bool) []string {
	r := &v.pic.lad.Rows[i]
	sep := " · "
	if v.host.Settings().ASCII {
		sep = "; "
	}
	parts := make([]string, 0, len(r.Notes)+2)
	if above {
		parts = append(parts, v.pic.label(r))
	}
	if f := v.pic.figures(r, sep); f != "" {
		parts = append(parts, f)
	}
	w := g.notes
	if above {
		w = g.lanes() - 2
	}
	return wrap(v.clean(strings.Join(append(parts, r.Notes...), sep)), max(w, 1), maxMediaLines)
}

// maxMediaLines bounds the lines of a row of media.
const maxMediaLines = 4

// mediaShape plans a row of media: its label on the line, figures and notes in the margin, or all of it above the line.
func (v *View) mediaShape(g *geometry, i int) shape {
	if g.notes < someNotes {
		return shape{above: true, details: len(v.mediaLines(g, i, true)) - 1}
	}
	from, to := v.gapEnds(&v.pic.lad.Rows[i])
	s := shape{aside: true, details: len(v.mediaLines(g, i, false)) - 1}
	if int(v.pic.labelW[i])+onArrow > g.inner(from, to) {
		s.above, s.details = true, max(s.details-1, 0)
	}
	return s
}

// media draws the span of a medium, with a head when there is one direction only.
func (p *painter) media(pos, y int, s shape) {
	v, g := p.v, p.g
	r := v.row(pos)
	from, to := v.gapEnds(r)
	lines := v.mediaLines(g, int(v.list.rows[pos]), !s.aside)
	label := v.pic.label(r)
	line := y // of the shaft
	switch {
	case !s.aside:
		for k, s := range lines {
			p.over(g.x(min(from, to))+2, y+k, s, term.MediaLine)
		}
		line += len(lines)
	case s.above:
		p.over(g.x(min(from, to))+2, y, label, term.MediaLine)
		line++
	}
	p.shaft(from, to, line, p.gl.Wire, term.MediaLine, r.OneWay && r.From >= 0)
	if !s.aside {
		return
	}
	if !s.above {
		w := text.Width(p.c.Clean(label))
		x := g.x(min(from, to)) + 1 + (g.inner(from, to)-w-2)/2
		p.over(x, y, " "+label+" ", term.MediaLine)
	}
	for k, s := range lines {
		p.margin(y+k, []string{s})
	}
}

// streams gives the media of a call; nil where there are none to be had.
func (j *job) streams() ladder.StreamsFunc {
	if j.data.Streams == nil {
		return nil
	}
	return func(num uint32) []media.Stream { return j.data.Streams(num) }
}

// packets is how many packets of media the calls of a picture have.
func (v *View) packets() uint64 {
	n := uint64(0)
	for num := range v.pic.revs {
		streams := v.data.Streams(num)
		for i := range streams {
			n += streams[i].Packets
		}
		n += lanePackets(&v.data, num)
	}
	return n
}

// lanePackets is how many packets the media of a call have that are not RTP.
func lanePackets(data *term.Data, num uint32) (n uint64) {
	if data.Lanes == nil {
		return 0
	}
	for _, l := range data.Lanes(num) {
		n += l.Packets
	}
	return n
}

// pollMedia marks the picture as old when packets of media came, at most once a second.
func (v *View) pollMedia(now time.Time) {
	if v.paused || v.pic == nil || v.data.Streams == nil || v.load.busy() || v.dirty || len(v.pic.revs) > mediaCalls ||
		now.Sub(v.polledMedia) < mediaEvery {
		return
	}
	v.polledMedia = now
	v.dirty = v.packets() != v.pic.packets()
}

// packets is how many packets of media the picture tells of.
func (p *picture) packets() uint64 {
	n := p.beside
	for _, streams := range p.lad.Streams {
		for i := range streams {
			n += streams[i].Packets
		}
	}
	return n
}
