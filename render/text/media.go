package text

import (
	"strings"

	"sipscope/render/ladder"
)

// mediaRow draws the span of a medium between its two lifelines, or over all when they are not known: what it is and how
// it did on the line when that fits, else the figures in the margin. A head says that there is one direction only.
func (d *drawing) mediaRow(i int) {
	r, t := &d.l.Rows[i], &d.rows[i]
	from, to := r.From, r.To
	known := from >= 0 && to >= 0 && from != to
	if !known {
		from, to = 0, len(d.names)-1
	}
	if from == to {
		d.listRow(i)
		return
	}
	b := block{d: d}
	notes, label := t.notes, t.label
	inner := (max(from, to)-min(from, to))*d.gap - 1
	full := label
	if t.figures != "" {
		full += d.g.sep + t.figures
	}
	switch {
	case d.m == modeCompact:
		label, notes = "", prepend(full, notes)
	case Width(full)+onArrow <= inner:
		label = full
	case Width(label)+onArrow <= inner:
		notes = prepend(t.figures, notes)
	default:
		d.above(&b, min(from, to), label, dim)
		label, notes = "", prepend(t.figures, notes)
	}
	l := b.add()
	d.shaft(l, from, to, d.g.wire, dim, r.OneWay && known)
	if label != "" {
		d.middle(l, from, to, label)
	}
	b.finish(i, withoutEmpty(notes))
}

// middle writes a label in the middle of a span.
func (d *drawing) middle(l *line, from, to int, label string) {
	x := d.x(min(from, to)) + 1
	inner := d.x(max(from, to)) - x
	l.put(x+max((inner-Width(label)-2)/2, 1), " "+label+" ", plain)
}

// ASCIIArrows writes the arrows in the label and the figures of a row of media in ASCII.
func ASCIIArrows(s string) string {
	return strings.NewReplacer("↔", "<->", "→", "->", "←", "<-").Replace(s)
}

func withoutEmpty(all []string) []string {
	out := make([]string, 0, len(all))
	for _, s := range all {
		if strings.TrimSpace(s) != "" {
			out = append(out, s)
		}
	}
	return out
}

// spans reports whether a row is drawn from a lifeline to another one.
func spans(r *ladder.Row) bool { return r.Kind == ladder.Arrow || r.Kind.OfMedia() }
