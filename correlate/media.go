package correlate

import (
	"sipscope/correlate/media"
	"sipscope/decode"
)

// unread are the packets of a batch that the streams did not get yet.
type unread struct {
	work  *decode.Work
	media []decode.Media // those that have the form of RTP or RTCP
	at    int            // place in the batch of the next one that may be of a lane
	done  uint64         // frame up to which all were given
}

// mediaUntil gives the streams the datagrams of a batch up to a frame, in the order of the capture.
func (t *Tracker) mediaUntil(u *unread, seq uint64) {
	if !t.sdp.awake && len(u.media) > 0 && u.media[0].Seq <= seq {
		t.sdp.wake(t.decoder, t.media)
	}
	if t.media.HasLanes() {
		t.besideUntil(u, seq)
	}
	for len(u.media) > 0 && u.media[0].Seq <= seq {
		t.streamed(u)
	}
	u.done = max(u.done, seq)
}

// streamed gives the next datagram to the streams. It reports whether it is known to be RTP or RTCP.
func (t *Tracker) streamed(u *unread) (known bool) {
	m := &u.media[0]
	u.media = u.media[1:]
	if !m.Control {
		n := t.media.Packet(m)
		t.proved[0] += n
		return n > 0
	}
	if known = t.media.Control(m); known {
		t.proved[1] += 1 + uint64(m.Waited)
	}
	return known
}

// besideUntil does it where SDP named addresses for media that are not RTP: then all packets that nothing else claimed may
// be theirs.
func (t *Tracker) besideUntil(u *unread, seq uint64) {
	packets := u.work.Batch.Packets
	for ; u.at < len(packets) && packets[u.at].Seq <= seq; u.at++ {
		p := &packets[u.at]
		if p.Seq <= u.done {
			continue // before the first such address was named
		}
		known := false
		if len(u.media) > 0 && u.media[0].Seq == p.Seq {
			known = t.streamed(u)
		}
		if f, tcp := u.work.Unclaimed(u.at); f != nil && !known {
			t.media.Beside(f, tcp, p.Seq, p.Time)
		}
	}
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
		if !x.m.Beside {
			t.sdp.add(x.m, body, x.c.num, message)
			return
		}
		t.sdp.wake(t.decoder, t.media) // whatever is to come has no form by which it could be known
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

// Lanes copies what was seen of the media of the call with a number that are not carried in RTP.
func (b *Board) Lanes(num uint32) []media.Lane {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil {
		return nil
	}
	return b.t.media.LanesOf(num)
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
