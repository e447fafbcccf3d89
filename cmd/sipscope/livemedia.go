package main

import (
	"slices"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/render/ladder"
)

// How media are drawn while a call goes on: a paper that grows cannot change its rows, so a row is drawn again when it says
// something new.
const (
	mediaFirst = 2 * time.Second  // after the call's first row: both directions are there
	mediaAgain = 10 * time.Second // while it goes on
	mediaLast  = time.Second      // after its end: what is on its way has come
	mediaCalls = 64               // whose media are drawn at a time
)

// talk is a call whose media are drawn while it goes on.
type talk struct {
	num   uint32
	next  time.Time
	ended bool
	told  map[mediaRow]string
}

// mediaRow is what stays the same of a row of media.
type mediaRow struct {
	kind   ladder.Kind
	time   int64
	stream uint32
	label  string
}

// watch notes that the media of a call are to be drawn.
func (l *liveLadder) watch(call *correlate.Call) {
	i := slices.IndexFunc(l.talks, func(t *talk) bool { return t.num == call.Num })
	now := time.Now()
	ended := !goesOn(call.State)
	switch {
	case i >= 0 && ended && !l.talks[i].ended:
		l.talks[i].ended, l.talks[i].next = true, now.Add(mediaLast)
	case i >= 0, len(l.talks) >= mediaCalls, !slices.ContainsFunc(call.Messages, func(m correlate.Message) bool { return m.SDP }):
	case ended:
		l.talks = append(l.talks, &talk{num: call.Num, next: now.Add(mediaLast), ended: true, told: map[mediaRow]string{}})
	default:
		l.talks = append(l.talks, &talk{num: call.Num, next: now.Add(mediaFirst), told: map[mediaRow]string{}})
	}
}

// goesOn reports whether more may come of a call.
func goesOn(s correlate.State) bool {
	switch s {
	case correlate.StateUnknown, correlate.StateCalling, correlate.StateRinging, correlate.StateAnswered, correlate.StateChallenged:
		return true
	default:
		return false
	}
}

// media appends the rows of media that are due. All are when the run has ended.
func (l *liveLadder) media(rows []row, all bool) []row {
	now := time.Now()
	l.talks = slices.DeleteFunc(l.talks, func(t *talk) bool {
		if !all && now.Before(t.next) {
			return false
		}
		call, ok := l.run.board.Call(t.num)
		if ok {
			rows = l.mediaOf(rows, t, &call)
		}
		t.next = now.Add(mediaAgain)
		return !ok || t.ended
	})
	return rows
}

// toldOf gives what stays the same of a row of media, and what it says that may change.
func toldOf(r *ladder.Row) (key mediaRow, said string) {
	switch r.Kind {
	case ladder.Lane: // its time is the answer's until the first packet
		return mediaRow{kind: r.Kind, label: r.Figures[0]}, strings.Join(r.Figures[1:], " ")
	case ladder.DTMF:
		return mediaRow{kind: r.Kind, time: r.Time, stream: r.Streams[0]}, r.Label
	default:
		return mediaRow{kind: r.Kind, stream: r.Streams[0]}, r.Label + r.Figures[0]
	}
}

// mediaOf appends the rows of a call's media that say something new. A row stands at the last packet that it tells of.
func (l *liveLadder) mediaOf(rows []row, t *talk, call *correlate.Call) []row {
	opts := l.opts
	opts.Streams, opts.Lanes = l.run.board.Media, l.run.board.Lanes
	opts.Live = !t.ended
	picture := ladder.Build([]correlate.Call{*call}, func(_, message int) []byte { return l.run.text(call, message) }, opts)
	l.titles = append(l.titles, picture.Calls...)
	for i := range picture.Rows {
		r := picture.Rows[i]
		if !r.Kind.OfMedia() {
			continue
		}
		key, said := toldOf(&r)
		if t.told[key] == said {
			continue
		}
		t.told[key] = said
		if !t.ended && r.Kind != ladder.DTMF && r.Until > r.Time {
			r.Figures = append([]string{ladder.Duration(r.Until-r.Time) + " so far"}, r.Figures...)
		}
		r.Time, r.Call = max(r.Until, r.Time), len(l.titles)-1
		rows = append(rows, row{r, picture.Columns})
	}
	return rows
}
