package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/decode"
)

// pick finds the calls that --call values name, in the order of their numbers; without any, the only call that
// matches the filter.
func (a *archive) pick(names []string) ([]correlate.Call, error) {
	var nums []uint32
	if len(names) == 0 {
		for s := range a.board.Calls() {
			if a.match(s) {
				nums = append(nums, s.Num)
			}
		}
		switch {
		case len(nums) == 0:
			return nil, nothingError{"no call matches"}
		case len(nums) > 1 && a.in.filter == "":
			return nil, usagef("name one or more with --call N, or see them with: sipscope ls", "%d calls in the capture", len(nums))
		}
	}
	for _, name := range names {
		num, err := a.number(name)
		if err != nil {
			return nil, err
		}
		nums = append(nums, num)
	}
	var calls []correlate.Call
	for i, num := range nums {
		if slices.Contains(nums[:i], num) {
			continue
		}
		if c, ok := a.board.Call(num); ok {
			calls = append(calls, c)
		}
	}
	return calls, nil
}

// number resolves a call's name: its number, its Call-ID, or a beginning that only one Call-ID has.
func (a *archive) number(name string) (uint32, error) {
	asNumber, numErr := strconv.ParseUint(name, 10, 32)
	var exact, byNum uint32
	var begins []uint32
	var others []string
	for s := range a.board.Calls() {
		switch {
		case s.CallID == name:
			exact = s.Num
		case strings.HasPrefix(s.CallID, name) && name != "":
			begins = append(begins, s.Num)
			if len(others) < 3 {
				others = append(others, s.CallID)
			}
		}
		if numErr == nil && uint64(s.Num) == asNumber {
			byNum = s.Num
		}
	}
	switch {
	case exact != 0:
		return exact, nil
	case byNum != 0:
		return byNum, nil
	case len(begins) == 1:
		return begins[0], nil
	case len(begins) > 1:
		return 0, usagef("give more of it, or the number from: sipscope ls",
			"%d Call-IDs begin with %q: %s", len(begins), name, strings.Join(others, ", ")+more(len(begins), len(others)))
	}
	return 0, nothingError{fmt.Sprintf("no call %q (see: sipscope ls)", name)}
}

func more(all, shown int) string {
	if all > shown {
		return ", ..."
	}
	return ""
}

// text reads a message's raw text again.
func (a *archive) text(m *correlate.Message) ([]byte, error) {
	return decode.ReadText(a.door.texts, m.Pieces)
}

// texts gives a reader of message texts for drawing; an unreadable text is nil, and the first error is kept.
func (a *archive) texts(calls []correlate.Call) (read func(call, message int) []byte, failed func() error) {
	var first error
	read = func(call, message int) []byte {
		b, err := a.text(&calls[call].Messages[message])
		if err != nil && first == nil {
			first = err
		}
		return b
	}
	return read, func() error { return first }
}

// quiet gives the text of a message, nil when it cannot be read again.
func (a *archive) quiet(call *correlate.Call, message int) []byte {
	b, err := a.text(&call.Messages[message])
	if err != nil {
		return nil
	}
	return b
}
