package correlate

import (
	"sipscope/correlate/media"
	"sipscope/decode"
)

// mediaUntil gives the streams the datagrams of a batch up to a frame, in the order of the capture, and returns the rest.
func (t *Tracker) mediaUntil(list []decode.Media, seq uint64) (rest []decode.Media) {
	if !t.sdp.awake && len(list) > 0 && list[0].Seq <= seq {
		t.sdp.wake(t.decoder, t.media)
	}
	for i := range list {
		m := &list[i]
		if m.Seq > seq {
			return list[i:]
		}
		if !m.Control {
			t.proved[0] += t.media.Packet(m)
		} else if t.media.Control(m) {
			t.proved[1] += 1 + uint64(m.Waited)
		}
	}
	return nil
}

// reckon tells the batch how many frames, of it and of earlier ones, were found to be RTP and RTCP.
func (t *Tracker) reckon(w *decode.Work) {
	w.Reckon(decode.OutcomeRTP, t.proved[0])
	w.Reckon(decode.OutcomeRTCP, t.proved[1])
	t.proved = [2]uint64{}
}

// describe gives the streams what a message's session description names, or lets it wait. mi is its record, 0 when it is
// not kept.
func (t *Tracker) describe(x *seen, mi uint32) {
	if x.m.SIP.Body.Empty() || t.decoder == nil {
		return
	}
	body, ok := x.m.SIP.SDP()
	if !ok {
		return
	}
	message := -1
	if mi != 0 {
		message = int(x.c.kept) - 1
	}
	if !t.sdp.awake {
		t.sdp.add(x.m, body, x.c.num, message)
		return
	}
	if !x.m.Described { // a worker decoded it before the first media were tracked
		t.decoder.Describe(x.m, body)
	}
	t.proved[0] += t.media.Describe(x.m, x.c.num, message)
}

// Streams copies all RTP streams that are kept, in the order of their first packets.
func (b *Board) Streams() []media.Stream {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil {
		return nil
	}
	return b.t.media.All()
}

// Media copies the RTP streams of the call with a number.
func (b *Board) Media(num uint32) []media.Stream {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil {
		return nil
	}
	return b.t.media.OfCall(num)
}

// MediaCounts gives the figures over all streams so far.
func (b *Board) MediaCounts() media.Counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil {
		return media.Counts{}
	}
	return b.t.media.Counts()
}
