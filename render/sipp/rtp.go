package sipp

import (
	"bytes"
	"fmt"
	"slices"

	"sipscope/correlate/cut"
	"sipscope/decode/frame"
)

// maxFrames bounds the packets of a file: SIPp reads them all before it begins.
const maxFrames = 1 << 18

// mediaPort stands in the file; SIPp sends from its own port to the one that it is told.
const mediaPort = 6000

// track is the media of one kind that a participant sent.
type track struct {
	kind    string // "audio", "video", "image"
	streams []cut.Stream
	first   int64
	name    string
}

// tracks finds what the participant of a view sent, by kind. SIPp plays one file a kind at a time.
func (b *builder) tracks() []*track {
	var all []*track
	for _, s := range b.o.Media {
		if len(s.Packets) == 0 || !b.ours(&s) {
			continue
		}
		if b.o.Fast {
			b.note(nil, "media is left out: without pauses the call is over before it is played")
			return nil
		}
		switch {
		case s.Secure:
			b.note(nil, "encrypted media is left out: the keys of the recording are of no use to another call")
			continue
		case s.Type != "audio" && s.Type != "video" && s.Type != "image":
			b.note(nil, "media of type "+remark(s.Type)+" is left out: SIPp plays audio, video and image")
			continue
		}
		i := slices.IndexFunc(all, func(t *track) bool { return t.kind == s.Type })
		if i < 0 {
			all = append(all, &track{kind: s.Type, first: s.Packets[0].Time})
			i = len(all) - 1
		}
		t := all[i]
		t.streams = append(t.streams, s)
		t.first = min(t.first, s.Packets[0].Time)
	}
	for _, t := range all {
		t.name = b.file("pcap")
		if t.kind != "audio" {
			t.name = b.file(t.kind + ".pcap")
		}
	}
	return all
}

// ours reports whether the participant of the view sent a stream: its SDP named where it came from, or the other side's
// where it went to.
func (b *builder) ours(s *cut.Stream) bool {
	find := func(message int) *event {
		if message < 0 || message >= len(b.call.Messages) {
			return nil
		}
		m := &b.call.Messages[message]
		for _, e := range b.v.events { // the message itself, or its copy on another hop
			if e.facts.CSeq == m.CSeq && e.facts.Method == m.Method && e.facts.Status == m.Status {
				return e
			}
		}
		return nil
	}
	if e := find(s.Sender); e != nil {
		return e.send
	}
	if e := find(s.Message); e != nil {
		return !e.send
	}
	return false
}

// play puts into the items where SIPp begins to play: at the recorded time, once it knows where to.
func (b *builder) play() {
	for _, t := range b.tracks() {
		at := b.heardWhere(t.first)
		if at < 0 {
			b.note(nil, t.kind+" is left out: the other side did not say where it receives")
			continue
		}
		exec := fmt.Sprintf(`<exec play_pcap_%s="%s"/>`, t.kind, t.name)
		for i := at; i >= 0 && b.items[i].ev == b.items[at].ev; i-- { // both, where a message has two forms
			b.items[i].actions = append(b.items[i].actions, exec)
		}
		b.tracksOut = append(b.tracksOut, t)
	}
}

// heardWhere is the index of the item after which media that began at a time is played: the last one that came before
// it, or the first message with SDP that came. It is -1 where none did.
func (b *builder) heardWhere(first int64) int {
	at, knows := -1, false
	for i, it := range b.items {
		if it.kind != send && it.kind != recv {
			continue
		}
		if it.ev.facts.Time > first && knows {
			break
		}
		if it.kind == recv && !it.optional && it.ev.facts.SDP {
			knows = true
		}
		if knows && !it.optional { // one that may not come must not begin it
			at = i
		}
	}
	return at
}

// files writes the media. Its ports are made the same: SIPp keeps the distance of a packet's port to the lowest one of its
// file.
func (b *builder) files() ([]File, error) {
	var all []File
	for _, t := range b.tracksOut {
		place := frame.Endpoint4([]byte{127, 0, 0, 1}, mediaPort)
		n := 0
		for i := range t.streams {
			s := &t.streams[i]
			s.From, s.To = place, place
			s.Packets = slices.Clone(s.Packets[:min(len(s.Packets), maxFrames-n)])
			n += len(s.Packets)
			for k := range s.Packets {
				s.Packets[k].Offset = s.Packets[k].Time - t.first
			}
		}
		var w bytes.Buffer
		if err := cut.WritePcap(&w, t.first, t.streams...); err != nil {
			return nil, fmt.Errorf("call %d, %s: %w", b.call.Num, t.name, err)
		}
		all = append(all, File{t.name, w.Bytes()})
	}
	return all, nil
}
