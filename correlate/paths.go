package correlate

import (
	"slices"

	"sipscope/decode/frame"
)

// maxCallPaths bounds the paths that a call's headline names; further ones are with the messages.
const maxCallPaths = 8

// maxPaths bounds the distinct paths kept: every bearer of a mobile network is one. Beyond, messages have the kinds of
// their layers, without numbers; those are few, and the last number is for all that are more.
const maxPaths = 1<<16 - 1

// numberedPaths is how many of them may have numbers.
const numberedPaths = maxPaths - 1<<12

// paths interns the shapes of paths. Number 0 is the path of a message in nothing.
type paths struct {
	index map[frame.Path]uint16
	all   []frame.Path
	texts []string
}

func newPaths() paths {
	return paths{index: map[frame.Path]uint16{}, all: []frame.Path{{}}, texts: []string{""}}
}

// of gives a path's number, and whether that is the path's own.
func (p *paths) of(path *frame.Path) (number uint16, whole bool) {
	shape := path.Shape()
	if i, ok := p.index[shape]; ok {
		return i, true
	}
	whole = len(p.all) < numberedPaths
	if !whole {
		shape = shape.Kinds()
		if i, ok := p.index[shape]; ok {
			return i, false
		}
	}
	if len(p.all) >= maxPaths {
		return maxPaths - 1, false
	}
	i := uint16(len(p.all)) //nolint:gosec // below maxPaths
	p.all = append(p.all, shape)
	p.texts = append(p.texts, shape.String())
	p.index[shape] = i
	return i, whole
}

// path gives the number of a message's path and notes it with its call.
func (t *Tracker) path(c *callRec, path *frame.Path) uint16 {
	if path.IsZero() {
		return 0
	}
	n, whole := t.paths.of(path)
	if !whole {
		t.limited.SharedPaths++
	}
	side := t.sideOf(c)
	text := t.paths.texts[n]
	if len(side.tunnels) < maxCallPaths && !slices.Contains(side.tunnels, text) {
		side.tunnels = append(side.tunnels, text) // summaries given out share what is there
	}
	return n
}
