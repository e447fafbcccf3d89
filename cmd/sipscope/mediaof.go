package main

import (
	"sync"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/check"
	"sipscope/correlate/media"
	"sipscope/correlate/media/judge"
)

// mediaOf gives front ends the media of calls: the streams, and what is to be said of them. It may be used from any
// goroutine, while the capture is being read, too.
type mediaOf struct {
	board *correlate.Board
	text  func(call *correlate.Call, message int) []byte

	mu      sync.Mutex
	checker *check.Checker // nil before the first question
	final   bool           // it knows the whole capture
	next    time.Time      // when it may be made anew
}

func newMediaOf(board *correlate.Board, text func(call *correlate.Call, message int) []byte) *mediaOf {
	return &mediaOf{board: board, text: text}
}

// streams copies the streams of a call by its number, of the capture for 0.
func (m *mediaOf) streams(num uint32) []media.Stream {
	if num == 0 {
		return m.board.Streams()
	}
	return m.board.Media(num)
}

// lanes copies what was seen of the media of a call that are not carried in RTP.
func (m *mediaOf) lanes(num uint32) []media.Lane { return m.board.Lanes(num) }

// Bounds of judging while somebody looks on: all streams are copied for it.
const (
	maxJudged   = 100_000 // streams
	judgeEvery  = 2 * time.Second
	judgeFactor = 20 // the pause is this many times what a copy took
)

// findings judges the media of a call.
func (m *mediaOf) findings(num uint32) []judge.Finding {
	k := m.current()
	if k == nil {
		return nil
	}
	c, ok := m.board.Call(num)
	if !ok {
		return nil
	}
	return k.Media(&c, func(message int) []byte { return m.text(&c, message) })
}

// current is a checker that knows the streams as they were a moment ago; nil when there are too many, or none.
func (m *mediaOf) current() *check.Checker {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.final || m.checker != nil && now.Before(m.next) {
		return m.checker
	}
	if n := m.board.MediaCounts().Live; n > maxJudged {
		return nil
	}
	final := m.board.Done()
	m.checker, m.final = check.New(m.board.Streams(), judge.Defaults()), final
	m.next = time.Now().Add(max(judgeEvery, judgeFactor*time.Since(now)))
	return m.checker
}
