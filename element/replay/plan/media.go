package plan

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sort"
	"strconv"

	"sipscope/correlate/cut"
	"sipscope/decode/frame"
)

// sounder puts recorded RTP into the plan.
type sounder struct {
	k      *maker
	events map[[2]int]int      // call and message -> event
	same   map[[2]string][]int // call and SDP -> events that carry it, in order
}

// inserted is a media step on its way to its place.
type inserted struct {
	pos   int // index of the step that it comes before
	step  Step
	after []int // events
}

// media makes a Stream of each recorded one, and a step of each that somebody whom we play sent. A step begins with its
// first packet, and waits for the SDP that named where to send and, from its sender, from where.
func (k *maker) media() {
	if len(k.o.Media) == 0 {
		return
	}
	d := sounder{k: k, events: map[[2]int]int{}, same: map[[2]string][]int{}}
	d.index()
	var steps []inserted
	secure, nobody := 0, 0
	for i := range k.o.Media[:min(len(k.o.Media), maxStreams)] {
		in := &k.o.Media[i]
		s, after := d.stream(in)
		k.plan.Media = append(k.plan.Media, s)
		h, ok := k.host(s.From)
		switch {
		case !ok:
			nobody++
		case len(s.Packets) > 0 && k.hosts[h].Part == Played:
			if in.Secure {
				secure++
			}
			steps = append(steps, d.step(in, &s, len(k.plan.Media)-1, after))
		}
	}
	k.insert(steps)
	if secure > 0 {
		k.plan.Notes = append(k.plan.Notes, count(secure, "stream")+" of SRTP: encrypted for keys that only the recorded call had")
	}
	if nobody > 0 {
		k.plan.Notes = append(k.plan.Notes, count(nobody, "stream")+" of RTP not sent: who sent it cannot be told")
	}
	if more := len(k.o.Media) - maxStreams; more > 0 {
		k.plan.Notes = append(k.plan.Notes, count(more, "stream")+" of RTP beyond the limit")
	}
}

func (k *maker) host(name string) (int, bool) {
	i := slices.IndexFunc(k.hosts, func(h host) bool { return h.Name == name && name != "" })
	return i, i >= 0
}

// index finds events by message, a retransmission's by its original, and by their SDP.
func (d *sounder) index() {
	for i := range d.k.events {
		e := &d.k.events[i]
		if e.register != nil {
			continue
		}
		d.events[[2]int{e.call, e.message}] = i
		if body, ok := e.msg.SDP(); ok {
			key := [2]string{strconv.Itoa(e.call), string(body)}
			d.same[key] = append(d.same[key], i)
		}
	}
}

// carriers are the events with the SDP of a message, in order; nil when it has none or is not there.
func (d *sounder) carriers(call, message int) []int {
	if call < 0 || call >= len(d.k.calls) || message < 0 || message >= len(d.k.calls[call].Messages) {
		return nil
	}
	if of := d.k.calls[call].Messages[message].Repeats; of >= 0 {
		message = of
	}
	i, ok := d.events[[2]int{call, message}]
	if !ok {
		return nil
	}
	body, _ := d.k.events[i].msg.SDP()
	return d.same[[2]string{strconv.Itoa(call), string(body)}]
}

// author is who stands for the author of an SDP: the one who sent it first, or, when that is not played, who of the played
// ones or the live one did. Without an SDP it is who has the address; -1 when nobody is known.
func (d *sounder) author(carriers []int, at frame.Endpoint) int {
	for _, i := range carriers {
		if e := &d.k.events[i]; e.fate == fateStep || d.k.hosts[e.from].Part != Left {
			return e.from
		}
	}
	if len(carriers) > 0 {
		return -1
	}
	found := -1
	for i := range d.k.hosts {
		for _, a := range d.k.hosts[i].At {
			if a.Addr() != at.Addr() || d.k.hosts[i].Part == Left {
				continue
			}
			if found >= 0 && found != i {
				return -1 // several on one address
			}
			found = i
		}
	}
	return found
}

// stream describes one recorded stream, and gives the events that a step of it waits for.
func (d *sounder) stream(in *cut.Stream) (Stream, []int) {
	s := Stream{
		Src: in.From.AddrPort(), Dst: in.To.AddrPort(), SSRC: in.SSRC, Type: in.Type, Medium: in.Medium, Payloads: in.Payloads,
		Secure: in.Secure, Packets: d.packets(in),
	}
	if len(s.Packets) > 0 {
		s.First = s.Packets[0].Offset
	}
	theirs, own := d.carriers(in.Call, in.Message), d.carriers(in.Call, in.Sender)
	from, to := d.author(own, in.From), d.author(theirs, in.To)
	if to >= 0 {
		s.To = d.k.hosts[to].Name
	}
	if from < 0 {
		return s, nil
	}
	s.From = d.k.hosts[from].Name
	var after []int
	for _, i := range theirs {
		if e := &d.k.events[i]; e.fate == fateStep && e.to == from {
			after = append(after, i)
			break
		}
	}
	for _, i := range own {
		if e := &d.k.events[i]; e.fate == fateStep && e.from == from {
			if e.at > in.First {
				break // early media: it came before its sender's SDP
			}
			after = append(after, i)
			break
		}
	}
	return s, after
}

// packets gives the packets with offsets from the plan's beginning.
func (d *sounder) packets(in *cut.Stream) []cut.Packet {
	if len(in.Packets) == 0 || in.Packets[0].Time-in.Packets[0].Offset == d.k.plan.Began {
		return in.Packets
	}
	packets := slices.Clone(in.Packets)
	for i := range packets {
		packets[i].Offset = packets[i].Time - d.k.plan.Began
	}
	return packets
}

// step makes the step of a stream, and finds its place: by time, but not before what it waits for.
func (d *sounder) step(in *cut.Stream, s *Stream, index int, after []int) inserted {
	steps := d.k.plan.Steps
	first, last := s.Packets[0].Offset, s.Packets[len(s.Packets)-1].Offset
	pos := sort.Search(len(steps), func(i int) bool { return steps[i].At > first })
	for _, i := range after {
		pos = max(pos, d.k.events[i].step+1)
	}
	at := max(first, 0)
	if pos > 0 {
		at = max(at, steps[pos-1].At)
	}
	return inserted{pos: pos, after: after, step: Step{
		Kind: Media, From: s.From, To: s.To, At: at, Call: in.Call, Stream: index, Duration: max(last-first, 0),
	}}
}

// insert puts media steps into their places.
func (k *maker) insert(more []inserted) {
	if len(more) == 0 {
		return
	}
	slices.SortStableFunc(more, func(a, b inserted) int {
		return cmp.Or(cmp.Compare(a.pos, b.pos), cmp.Compare(a.step.At, b.step.At))
	})
	steps := make([]Step, 0, len(k.plan.Steps)+len(more))
	now := make([]int, len(k.plan.Steps))
	next := 0
	for i := 0; i <= len(k.plan.Steps); i++ {
		for ; next < len(more) && more[next].pos == i; next++ {
			more[next].pos = len(steps)
			steps = append(steps, more[next].step)
		}
		if i < len(k.plan.Steps) {
			now[i] = len(steps)
			steps = append(steps, k.plan.Steps[i])
		}
	}
	k.plan.Steps = steps
	for i := range steps {
		steps[i].ID = i + 1
	}
	for i := range k.events {
		if e := &k.events[i]; e.fate == fateStep {
			e.step = now[e.step]
		}
	}
	k.sounds = more
}

// soundCauses fills in what a media step waits for: the SDP that named where its packets go, and that of their sender.
func (k *maker) soundCauses(c *causer, in *inserted) {
	s := &k.plan.Steps[in.pos]
	var found []int
	for _, e := range in.after {
		found = append(found, k.events[e].step)
	}
	if len(found) > 0 {
		k.plan.Media[s.Stream].Step = found[0] + 1
	}
	slices.Sort(found)
	for _, j := range c.reduce(slices.Compact(found)) {
		s.After = append(s.After, j+1)
	}
	k.gap(s)
}

// WriteMedia writes the packets of Media as a pcapng file, which is to lie beside the YAML file under the name MediaFile.
func (p *Plan) WriteMedia(w io.Writer) error {
	streams := make([]cut.Stream, 0, len(p.Media))
	for i := range p.Media {
		m := &p.Media[i]
		if len(m.Packets) == 0 {
			continue
		}
		streams = append(streams, cut.Stream{
			From: frame.FromAddrPort(m.Src), To: frame.FromAddrPort(m.Dst), SSRC: m.SSRC, Payloads: m.Payloads, Packets: m.Packets,
		})
	}
	return cut.WritePcapng(w, p.Began, streams...)
}

// ReadMedia reads what WriteMedia wrote into Media; name is for errors. It is an error when a stream that a step sends has
// no packets in it.
func (p *Plan) ReadMedia(r io.Reader, name string) error {
	got, err := cut.Read(r, name, p.Began, cut.Options{})
	if err != nil {
		return err
	}
	type key struct {
		src, dst netip.AddrPort
		ssrc     uint32
	}
	byKey := map[key][]int{} // indices into Media
	for i := range p.Media {
		m := &p.Media[i]
		m.Packets = nil
		byKey[key{m.Src, m.Dst, m.SSRC}] = append(byKey[key{m.Src, m.Dst, m.SSRC}], i)
	}
	for i := range got.Streams {
		in := &got.Streams[i]
		of := byKey[key{in.From.AddrPort(), in.To.AddrPort(), in.SSRC}]
		slices.SortStableFunc(of, func(a, b int) int { return cmp.Compare(p.Media[a].First, p.Media[b].First) })
		for _, packet := range in.Packets {
			for n, at := range slices.Backward(of) { // several streams of one source: by when each began
				if m := &p.Media[at]; packet.Offset >= m.First || n == 0 {
					m.Packets = append(m.Packets, packet)
					break
				}
			}
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Kind == Media && s.Stream >= 0 && s.Stream < len(p.Media) && len(p.Media[s.Stream].Packets) == 0 {
			return fmt.Errorf("%w: %s has no packet of stream %d, which step %d sends", ErrPlan, name, s.Stream+1, s.ID)
		}
	}
	return nil
}
