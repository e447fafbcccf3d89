package main

import (
	"fmt"
	"sync"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/check"
	"sipscope/correlate/media"
	"sipscope/correlate/media/judge"
	"sipscope/decode/frame"
	"sipscope/render/html"
	"sipscope/render/redact"
	"sipscope/render/save"
)

// hide puts pseudonyms between the archive and the report: what the report draws is made of redacted calls and texts
// only, so nothing original can get into it.
func (c *reportCommand) hide(r *capturedReport, nums []uint32) error {
	if len(c.aliases) > 0 {
		return usagef("leave one of them out", "--alias names participants, and --redact hides them")
	}
	red := redact.New()
	plain := r.Call
	for _, num := range nums {
		if call, text, ok := plain(num); ok {
			red.Learn(&call, text)
		}
	}
	red.LearnResult(&r.Result)
	if err := r.failed(); err != nil {
		return err
	}
	r.Result = red.Result(r.Result)
	plainSummaries := r.Summaries
	r.Summaries = func(yield func(*correlate.Summary) bool) {
		for s := range plainSummaries {
			hidden := red.Summary(s)
			if !yield(&hidden) {
				return
			}
		}
	}
	r.Call = func(num uint32) (correlate.Call, func(message int) []byte, bool) {
		call, text, ok := plain(num)
		if !ok {
			return call, text, false
		}
		return red.Call(&call), func(message int) []byte { return red.Text(text(message)) }, true
	}
	hideMedia(r, red)
	if r.Packets != nil {
		r.Packets = func(call *correlate.Call, text func(int) []byte) []byte {
			file, err := redactedPackets(call, text)
			if err != nil {
				r.fail(fmt.Errorf("call %d: %w", call.Num, err))
			}
			return file
		}
	}
	// the names of files are names, too
	r.Source, r.Ladder.Source = "", ""
	if c.title == "" {
		r.Title = html.Words("report.title")
	}
	r.Notes = append(r.Notes, html.Words("report.redacted"))
	return nil
}

// hideMedia puts pseudonyms into the streams of calls, and judges what is redacted, so that findings name pseudonyms.
func hideMedia(r *capturedReport, red *redact.Redactor) {
	plain := r.Ladder.Streams
	if plain == nil {
		return
	}
	streams := func(num uint32) []media.Stream {
		all := plain(num)
		for i := range all {
			s := &all[i]
			s.Src, s.Dst, s.Path, s.Reports.CNAME = red.Endpoint(s.Src), red.Endpoint(s.Dst), frame.Path{}, ""
		}
		return all
	}
	r.Ladder.Streams = streams
	if lanes := r.Ladder.Lanes; lanes != nil {
		r.Ladder.Lanes = func(num uint32) []media.Lane {
			all := lanes(num)
			for i := range all {
				all[i].Src, all[i].Dst = red.Endpoint(all[i].Src), red.Endpoint(all[i].Dst)
			}
			return all
		}
	}
	// all streams, as without pseudonyms: the media of a call may come where no SDP of it says
	checker := sync.OnceValue(func() *check.Checker {
		if all := streams(0); len(all) <= maxJudged {
			return check.New(all, judge.Defaults())
		}
		return nil
	})
	r.Ladder.Findings = func(num uint32) []judge.Finding {
		call, text, ok := r.Call(num)
		if k := checker(); ok && k != nil {
			return k.Media(&call, text)
		}
		return nil
	}
}

// redactedPackets makes frames that carry the redacted messages of a redacted call: one a message, at its time.
func redactedPackets(
	call *correlate.Call, text func(message int) []byte,
) ([]byte, error) {
	var framer redact.Framer
	var packets []capture.Packet
	for i := range call.Messages {
		m := &call.Messages[i]
		frames, err := framer.Frames(m, text(i))
		if err != nil {
			return nil, fmt.Errorf("frame %d: %w", m.Seq, err)
		}
		for _, data := range frames {
			packets = append(packets, capture.Packet{
				Seq: m.Seq, Time: m.Time, Data: data, WireLen: uint32(len(data)), Link: capture.LinkEthernet, //nolint:gosec // at most 64 KiB
			})
		}
	}
	return save.PacketFile(packets, nil)
}
