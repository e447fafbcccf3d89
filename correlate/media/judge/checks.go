package judge

import (
	"fmt"
	"net/netip"
	"strings"
)

// Payload types that mean the same everywhere.
const (
	comfortNoise    = 13 // RFC 3389
	oldComfortNoise = 19 // reserved by RFC 3551 6 since it was used for comfort noise

	// silence is the interval of AMR's and EVS's comfort noise, which most packets of a silent side have (3GPP TS 26.093 5.1.2):
	// it says nothing about the packets of speech.
	silence = 160e6
)

// pair judges what takes both directions of a medium: whether there is media at all.
func (j *judgement) pair(toCaller, toCallee *lane) {
	a, b := j.expected(toCaller), j.expected(toCallee)
	if !j.RTP || j.Answer == 0 {
		return
	}
	emptyA := a >= j.limits.Talk && len(toCaller.streams) == 0
	emptyB := b >= j.limits.Talk && len(toCallee.streams) == 0
	switch {
	case emptyA && emptyB:
		if toCaller.wrong == nil && toCallee.wrong == nil {
			f := Finding{
				Code: NoMedia, Severity: Error, Time: j.Answer,
				Text: fmt.Sprintf("no %s in %s of talk: nothing to %s or %s was seen", toCaller.kind, seconds(max(a, b)),
					toCaller.address(), toCallee.address()),
			}
			if !j.Seen {
				f.Severity = Warning
				f.Text += "; the capture has no RTP of these hosts at all"
			}
			j.add(f, j.AnswerFrame, toCaller.at(j.Answer).frame)
			return
		}
		j.missing(toCaller, toCallee, a)
		j.missing(toCallee, toCaller, b)
	case emptyA:
		j.missing(toCaller, toCallee, a)
	case emptyB:
		j.missing(toCallee, toCaller, b)
	default:
		j.stops(toCaller, toCallee)
		j.stops(toCallee, toCaller)
		j.stopBoth(toCaller, toCallee)
	}
}

// stopBoth tells of media that ends in both directions long before the BYE.
func (j *judgement) stopBoth(a, b *lane) {
	s, o := a.last(), b.last()
	if j.Bye == 0 || s == nil || o == nil || !a.at(j.Bye).flows || !b.at(j.Bye).flows {
		return
	}
	last := max(s.Last, o.Last)
	apart := max(s.Last-o.Last, o.Last-s.Last)
	if last < max(j.Answer, a.at(j.Bye).from, b.at(j.Bye).from) || j.Bye-last < 2*j.limits.Stop || apart >= j.limits.Stop {
		return
	}
	j.add(Finding{
		Code: Stops, Severity: Error, Time: last,
		Text: fmt.Sprintf("%s stops in both directions %s before BYE", a.kind, seconds(j.Bye-last)),
	}, s.LastFrame, o.LastFrame, j.ByeFrame)
}

// missing tells of a direction without media. When a stream goes astray, that is what is to be said.
func (j *judgement) missing(l, other *lane, talk int64) {
	if l.wrong != nil {
		return
	}
	f := Finding{
		Code: OneWay, Severity: Error, Time: j.Answer,
		Text: fmt.Sprintf("one-way %s: nothing %s (%s) in %s of talk", l.kind, l.name(), l.address(), seconds(talk)),
	}
	frames := []uint64{j.AnswerFrame, l.at(j.Answer).frame}
	if s := other.first(); s != nil {
		f.Stream = s.Num
		frames = append(frames, s.FirstFrame)
	}
	j.add(f, frames...)
}

// expected is how long media was to flow in a lane after the answer.
func (j *judgement) expected(l *lane) int64 {
	if j.Answer == 0 {
		return 0
	}
	total := int64(0)
	for i := range l.spans {
		x := &l.spans[i]
		from, to := max(x.from, j.Answer), min(x.to, j.until())
		if x.flows && to > from {
			total += to - from
		}
	}
	return total
}

// stops tells of a direction that ends before the other one and the call.
func (j *judgement) stops(l, other *lane) {
	s, o := l.last(), other.last()
	if s == nil || o == nil || j.Answer == 0 || s.Last < j.Answer {
		return
	}
	end := min(j.until(), o.Last)
	x := l.at(s.Last)
	if !x.flows || end-s.Last < j.limits.Stop {
		return
	}
	if after := l.at(end); after != x { // a hold, or another port, explains it
		return
	}
	j.add(Finding{
		Code: Stops, Severity: Error, Time: s.Last, Stream: s.Num,
		Text: fmt.Sprintf("%s %s stops %s before the other direction and the call end", l.kind, l.name(), seconds(end-s.Last)),
	}, s.LastFrame, o.LastFrame)
}

// lane judges one direction of a medium.
func (j *judgement) lane(l *lane) {
	if s := l.wrong; s != nil {
		j.add(Finding{
			Code: WrongDestination, Severity: Error, Time: s.First, Stream: s.Num,
			Text: fmt.Sprintf("%s sends %s to %s, which no description names; it should go to %s", l.source(), l.kind, s.Dst, l.address()),
		}, s.FirstFrame, l.at(s.First).frame)
	}
	j.begin(l)
	j.holds(l)
	for _, s := range l.streams {
		if j.homes[s] != l {
			continue
		}
		j.origin(l, s)
		j.payloads(l, s)
		j.ptime(l, s)
	}
}

// begin tells of media that begins before the answer, or long after it.
func (j *judgement) begin(l *lane) {
	s := l.first()
	if s == nil || j.Answer == 0 || j.homes[s] != l {
		return
	}
	x := l.at(s.First)
	if early := j.Answer - s.First; early > j.limits.Early {
		text := fmt.Sprintf("early media: %s %s begins %s before the answer", l.kind, l.name(), seconds(early))
		if s.First < x.from {
			text += ", and before any description of " + l.source()
		}
		j.add(Finding{Code: EarlyMedia, Severity: Note, Time: s.First, Stream: s.Num, Text: text}, s.FirstFrame, j.AnswerFrame)
		return
	}
	// Late is reckoned from when it was to begin: the answer, or the end of a hold that the call began with.
	due := max(j.Answer, x.from)
	if late := s.First - due; x.flows && late > j.limits.Late {
		j.add(Finding{
			Code: LateMedia, Severity: Warning, Time: s.First, Stream: s.Num,
			Text: fmt.Sprintf("%s %s begins %s after it was agreed", l.kind, l.name(), seconds(late)),
		}, j.AnswerFrame, x.frame, s.FirstFrame)
	}
}

// holds tells of the times in which a direction is on hold, of media in them, and of media that does not come back.
func (j *judgement) holds(l *lane) {
	for i := range l.spans {
		x := &l.spans[i]
		to := min(x.to, j.until())
		if x.rejected || to <= x.from {
			continue
		}
		if len(j.out) >= MaxFindings {
			return
		}
		if x.flows {
			if i > 0 && !l.spans[i-1].flows && !l.spans[i-1].rejected {
				j.resumes(l, x, to)
			}
			continue
		}
		if i > 0 && l.spans[i-1].flows { // from the beginning it is no hold, but what was agreed
			j.add(Finding{
				Code: Hold, Severity: Note, Time: x.from,
				Text: fmt.Sprintf("on hold for %s: no %s %s", seconds(j.held(l, i)), l.kind, l.name()),
			}, x.offer, x.frame)
		}
		j.heldMedia(l, x, to)
	}
}

// held is how long a hold lasts that begins with a span.
func (j *judgement) held(l *lane, i int) int64 {
	from, to := l.spans[i].from, l.spans[i].to
	for ; i < len(l.spans) && !l.spans[i].flows; i++ {
		to = l.spans[i].to
	}
	return min(to, j.until()) - from
}

// heldMedia tells of media in a direction that is on hold.
func (j *judgement) heldMedia(l *lane, x *span, to int64) {
	for _, s := range l.streams {
		if n, at := s.within(x.from+j.limits.Grace, to); n > 1 {
			who := l.name() + ", who said that it does not receive"
			if x.receiver.Receives {
				who = "from " + l.source() + ", who said that it does not send"
			}
			j.add(Finding{
				Code: MediaOnHold, Severity: Warning, Time: at, Stream: s.Num,
				Text: fmt.Sprintf("%d packets or more during hold %s", n, who),
			}, x.frame, s.LastFrame)
		}
	}
}

// resumes tells of media that does not come back after a hold.
func (j *judgement) resumes(l *lane, x *span, to int64) {
	if len(l.streams) == 0 || to-x.from < j.limits.Talk {
		return // without a stream it is one-way from the beginning
	}
	for _, s := range l.streams {
		if s.Last > x.from+j.limits.Grace && s.First < to {
			return
		}
	}
	s := l.last()
	j.add(Finding{
		Code: NoResume, Severity: Error, Time: x.from, Stream: s.Num,
		Text: fmt.Sprintf("%s %s does not come back after hold: nothing in %s", l.kind, l.name(), seconds(to-x.from)),
	}, x.offer, x.frame, s.LastFrame)
}

// origin tells of a stream that does not come from where its sender's description says.
func (j *judgement) origin(l *lane, s *Stream) {
	if l.sender.addrs[s.Src] {
		return
	}
	x := l.at(s.First)
	if len(x.sender.Addrs) == 0 {
		return
	}
	said := x.sender.Addrs[0]
	f := Finding{Code: OtherAddress, Severity: Warning, Time: s.First, Stream: s.Num}
	switch {
	case l.sender.hosts[s.Src.Addr()]:
		f.Code, f.Severity = OtherPort, Note
		f.Text = fmt.Sprintf("%s sends %s from port %d and receives at port %d", l.source(), l.kind, s.Src.Port(), said.Port())
	case local(said.Addr()) && !local(s.Src.Addr()):
		f.Code = NAT
		f.Text = fmt.Sprintf("%s is behind a NAT: %s comes from %s, its description names the private %s", l.source(), l.kind, s.Src,
			said)
	default:
		f.Text = fmt.Sprintf("%s comes from %s, the description of %s names %s", l.kind, s.Src, l.source(), said)
	}
	j.add(f, s.FirstFrame, x.frame)
}

// local reports whether an address has no meaning outside of its network: private (RFC 1918, RFC 4193), link-local, loopback,
// or of a carrier's NAT (RFC 6598).
func local(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsLoopback() ||
		a.Is4() && netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10).Contains(a)
}

// payloads tells of payload types that the receiver did not name in any description.
func (j *judgement) payloads(l *lane, s *Stream) {
	x := l.at(s.First)
	accepted := l.receiver.payloads
	if len(accepted) == 0 {
		return
	}
	for i := range s.Payloads {
		p := &s.Payloads[i]
		if _, ok := accepted[p.PT]; ok {
			continue
		}
		f := Finding{Code: PayloadType, Severity: Warning, Time: p.First, Stream: s.Num}
		switch {
		case event(l.sender.payloads[p.PT]):
			f.Code = DTMF
			f.Text = fmt.Sprintf("DTMF (payload type %d) %s, who did not name telephone-event", p.PT, l.name())
			if l.receiver.event >= 0 {
				f.Code = PayloadType
				f.Text = fmt.Sprintf("DTMF with payload type %d %s, who named %d for it", p.PT, l.name(), l.receiver.event)
			}
		case p.PT == comfortNoise || p.PT == oldComfortNoise:
			f.Severity = Note
			f.Text = fmt.Sprintf("comfort noise (payload type %d) %s, who did not name it", p.PT, l.name())
		default:
			f.Text = fmt.Sprintf("%d packets of payload type %d%s %s, who did not name it", p.Packets, p.PT, bracket(p.Name), l.name())
		}
		j.alien[alien{s.Num, p.PT}] = true
		j.add(f, s.FirstFrame, x.frame)
	}
}

// event reports whether a payload name is that of DTMF digits (RFC 4733).
func event(name string) bool { return strings.EqualFold(name, "telephone-event") }

// noise reports whether a payload is no speech: events, comfort noise, redundancy of both.
func noise(p *Payload) bool {
	return event(p.Name) || strings.EqualFold(p.Name, "CN") || p.PT == comfortNoise || p.PT == oldComfortNoise ||
		strings.EqualFold(p.Name, "red")
}

// ptime tells of packets that are longer than the receiver takes, or of another length than it asked for.
func (j *judgement) ptime(l *lane, s *Stream) {
	if s.Packets < j.limits.Packets || s.PTime <= 0 || s.PTime == silence || l.kind != "audio" {
		return
	}
	x := l.at(s.First)
	seen := float64(s.PTime) / 1e6
	switch r := x.receiver; {
	case r.MaxTime != 0 && seen > float64(r.MaxTime)+0.5:
		j.add(Finding{
			Code: MaxPTime, Severity: Warning, Time: s.First, Stream: s.Num,
			Text: fmt.Sprintf("packets of %s ms %s, who takes at most %d ms", short(seen), l.name(), r.MaxTime),
		}, s.FirstFrame, x.frame)
	case r.PTime != 0 && (seen > float64(r.PTime)+0.5 || seen < float64(r.PTime)-0.5):
		j.add(Finding{
			Code: PTime, Severity: Note, Time: s.First, Stream: s.Num,
			Text: fmt.Sprintf("packets of %s ms %s, who asked for %d ms", short(seen), l.name(), r.PTime),
		}, s.FirstFrame, x.frame)
	}
}

// stream judges a stream for itself.
func (j *judgement) stream(s *Stream) {
	if end := j.Bye; end != 0 && s.Last-end > j.limits.Grace {
		j.add(Finding{
			Code: AfterBye, Severity: Warning, Time: s.Last, Stream: s.Num,
			Text: fmt.Sprintf("media from %s goes on for %s after BYE", s.Src, seconds(s.Last-end)),
		}, j.ByeFrame, s.LastFrame)
	}
	var speech []string
	for i := range s.Payloads {
		if p := &s.Payloads[i]; !noise(p) && !j.alien[alien{s.Num, p.PT}] {
			speech = append(speech, fmt.Sprintf("%d%s", p.PT, bracket(p.Name)))
		}
	}
	if len(speech) > 1 && s.Type != "video" {
		j.add(Finding{
			Code: CodecChange, Severity: Note, Time: s.First, Stream: s.Num,
			Text: fmt.Sprintf("the stream from %s changes its payload type: %s", s.Src, strings.Join(speech[:min(len(speech), 8)], ", ")),
		}, s.FirstFrame, s.LastFrame)
	}
	if s.Packets < j.limits.Packets {
		return
	}
	if share := float64(s.Missing) / float64(max(s.Expected, 1)); share >= j.limits.Loss {
		f := Finding{
			Code: Loss, Severity: Warning, Time: s.First, Stream: s.Num,
			Text: fmt.Sprintf("%d of %d packets from %s are missing (%.1f %%)", s.Missing, s.Expected, s.Src, 100*share),
		}
		if share >= j.limits.BadLoss {
			f.Severity = Error
		}
		j.add(f, s.FirstFrame, s.LastFrame)
	}
	if s.MeanJitter >= j.limits.Jitter && s.Type != "video" { // the packets of a picture come at once
		j.add(Finding{
			Code: Jitter, Severity: Warning, Time: s.First, Stream: s.Num,
			Text: fmt.Sprintf("mean jitter of %s ms from %s", short(float64(s.MeanJitter)/1e6), s.Src),
		}, s.FirstFrame, s.LastFrame)
	}
}

// seconds writes a duration: "3.2 s".
func seconds(ns int64) string { return short(float64(ns)/1e9) + " s" }

// short writes a number with at most one decimal.
func short(x float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0") }

// bracket writes a name in brackets, and nothing for none.
func bracket(name string) string {
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}
