package audio

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/correlate/cut"
	"sipscope/decode/frame"
	"sipscope/render/text"
)

// Bounds of what is chosen from.
const (
	maxCandidates = 4096 // of a call; those that began later are not seen
	maxParts      = 64   // streams of a channel
	maxNames      = 4    // codecs that are named of a stream
)

// Candidate is a stream that may become sound.
type Candidate struct {
	Num      int // as Options.Number has it; else 1-based in the order of the call's first packets, after all others
	Index    int // in Result.Streams
	Side     correlate.Side
	From, To frame.Endpoint
	SSRC     uint32
	Codecs   []string // of its sound, safe to print
	Packets  uint64   // as far as they were kept
	Cut      uint64   // beyond the bound of the Result
	Medium   int      // 0-based m= line
	Secure   bool
	First    int64 // ns since 1970-01-01 UTC
	Last     int64
	Err      error // ErrCodec when none of its packets can be decoded
}

// Candidates lists the audio streams of one of the calls of a Result.
func Candidates(r *cut.Result, index int) []Candidate {
	var all []Candidate
	for i := range r.Streams {
		s := &r.Streams[i]
		if s.Call != index || s.Type != "audio" || len(all) == maxCandidates {
			continue
		}
		c := Candidate{
			Num: len(all) + 1, Index: i, Side: r.Side(i), From: s.From, To: s.To, SSRC: s.SSRC, Medium: s.Medium,
			Packets: uint64(len(s.Packets)), Cut: s.Left, Secure: s.Secure, First: s.First, Last: s.Last,
		}
		c.codecs(s)
		all = append(all, c)
	}
	return all
}

// renumber gives candidates the numbers that users know; those without one follow.
func renumber(all []Candidate, number func(from, to frame.Endpoint, ssrc uint32) int) {
	seen := map[int]bool{0: true}
	last := 0
	for i := range all {
		c := &all[i]
		if c.Num = number(c.From, c.To, c.SSRC); seen[c.Num] {
			c.Num = 0
		}
		seen[c.Num] = true
		last = max(last, c.Num)
	}
	for i := range all {
		if all[i].Num == 0 {
			last++
			all[i].Num = last
		}
	}
}

// codecs finds the names of a stream's codecs, and whether one of them can be decoded.
func (c *Candidate) codecs(s *cut.Stream) {
	decoded, other := false, false
	for i := range s.Payloads {
		p := &s.Payloads[i]
		k, ok := codecOf(p)
		if ok && !k.sound() {
			continue // events and comfort noise
		}
		decoded, other = decoded || ok, other || !ok
		name := k.name
		if !ok {
			name = p.Name
		}
		if name == "" {
			name = "payload type " + strconv.Itoa(int(p.PT))
		}
		if name = text.Clean(name); len(c.Codecs) < maxNames && !slices.Contains(c.Codecs, name) {
			c.Codecs = append(c.Codecs, name)
		}
	}
	switch {
	case !decoded && other:
		c.Err = fmt.Errorf("%w for %s (there are ones for PCMU, PCMA, G722 at 64 kbit/s, L16 and L8)",
			ErrCodec, strings.Join(c.Codecs, ", "))
	case !decoded:
		c.Err = fmt.Errorf("%w: it has no sound, only events or comfort noise", ErrCodec)
	}
}

// choose chooses the streams of each channel.
func choose(r *cut.Result, call *correlate.Call, all []Candidate, want []int) ([]Channel, error) {
	if len(want) > 0 {
		return chosen(all, want)
	}
	c := chooser{r: r, call: call, all: all, answered: answered(call)}
	medium, hosts := c.conversation()
	channels := []Channel{{Side: correlate.Caller}, {Side: correlate.Callee}}
	for i := range channels {
		channels[i].Streams = c.channel(channels[i].Side, medium, hosts)
	}
	return channels, nil
}

// chosen makes a channel of each stream that the user named.
func chosen(all []Candidate, want []int) ([]Channel, error) {
	if len(want) > 2 {
		return nil, fmt.Errorf("%w: %d streams, and a file has one or two channels", ErrStream, len(want))
	}
	var channels []Channel
	for _, n := range want {
		i := slices.IndexFunc(all, func(c Candidate) bool { return c.Num == n })
		if i < 0 {
			var known []int
			for k := range all {
				known = append(known, all[k].Num)
			}
			return nil, fmt.Errorf("%w: %d; the call has the audio streams %s", ErrStream, n, numbers(known))
		}
		channels = append(channels, Channel{Side: all[i].Side, Streams: []Part{{Candidate: all[i]}}})
	}
	return channels, nil
}

// answered is the time of the answer at the caller, the beginning of the call when there was none.
func answered(call *correlate.Call) int64 {
	if call.Evidence.Answer != 0 {
		for i := range call.Messages {
			if call.Messages[i].Seq == call.Evidence.Answer {
				return call.Messages[i].Time
			}
		}
	}
	return call.First
}

// hosts are two hosts that exchange media, in either direction.
type hosts [2]frame.Endpoint

func between(c *Candidate) hosts {
	a, b := c.From, c.To
	a.Port, b.Port = 0, 0
	if x, y := a.AddrPort().Addr(), b.AddrPort().Addr(); y.Less(x) {
		a, b = b, a
	}
	return hosts{a, b}
}

// chooser chooses the streams of a call's conversation.
type chooser struct {
	r        *cut.Result
	call     *correlate.Call
	all      []Candidate
	answered int64
}

// weight is how many packets a stream has after the answer: early media of a fork that lost is none of the conversation.
func (c *chooser) weight(x *Candidate) int {
	p := c.r.Streams[x.Index].Packets
	return len(p) - sort.Search(len(p), func(i int) bool { return p[i].Time >= c.answered })
}

// conversation finds the m= line and the hosts between which most was said after the answer. Behind a media relay a call
// is seen twice, or more often; then the hop counts that was seen first, unless another one has far more.
func (c *chooser) conversation() (medium int, at hosts) {
	type key struct {
		medium int
		hosts  hosts
	}
	weights := map[key]*[2]int{}
	var order []key // by first packets
	for i := range c.all {
		x := &c.all[i]
		k := key{x.Medium, between(x)}
		if weights[k] == nil {
			weights[k] = new([2]int)
			order = append(order, k)
		}
		if x.Side != correlate.SideUnknown {
			weights[k][x.Side-correlate.Caller] += c.weight(x)
		}
	}
	score := func(k key) int {
		w := weights[k]
		s := w[0] + w[1]
		if w[0] > 0 && w[1] > 0 {
			s *= 2
		}
		return s
	}
	best := order[0]
	for _, k := range order[1:] {
		if score(k) > score(best)+score(best)/10 {
			best = k
		}
	}
	return best.medium, best.hosts
}

// channel collects the streams of a direction: the heaviest of the conversation, and all that lie before, between and after
// it, as those do that a re-INVITE moved elsewhere.
func (c *chooser) channel(side correlate.Side, medium int, at hosts) []Part {
	rank := func(x *Candidate) int {
		switch {
		case x.Medium == medium && between(x) == at:
			return 0
		case x.Medium == medium:
			return 1
		}
		return 2
	}
	var list []*Candidate
	for i := range c.all {
		if x := &c.all[i]; x.Side == side && x.Packets > 0 && !c.lost(x) {
			list = append(list, x)
		}
	}
	slices.SortStableFunc(list, func(a, b *Candidate) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(c.weight(b), c.weight(a)))
	})
	var parts []Part
	for _, x := range list {
		if len(parts) < maxParts && !overlaps(x, parts) {
			parts = append(parts, Part{Candidate: *x})
		}
	}
	slices.SortStableFunc(parts, func(a, b Part) int { return cmp.Compare(a.First, b.First) })
	return parts
}

// overlaps reports whether a stream was sent while another one of the parts was, but for the moment of a change.
func overlaps(x *Candidate, parts []Part) bool {
	const moment = 500e6 // ns
	for i := range parts {
		p := &parts[i]
		common := min(x.Last, p.Last) - max(x.First, p.First)
		if common >= 0 && (common > moment || common*5 > max(x.Last-x.First, 1)) {
			return true
		}
	}
	return false
}

// lost reports whether a stream is of a fork that another one won: the callee's SDP that names one of its ends is of a
// dialog that was not answered, though one was.
func (c *chooser) lost(x *Candidate) bool {
	s := &c.r.Streams[x.Index]
	m := s.Sender
	if x.Side == correlate.Caller {
		m = s.Message
	}
	if m < 0 || m >= len(c.call.Messages) {
		return false
	}
	d := c.call.Messages[m].Dialog
	won := slices.ContainsFunc(c.call.Dialogs, func(d correlate.Dialog) bool { return d.Answered })
	return won && d >= 0 && d < len(c.call.Dialogs) && !c.call.Dialogs[d].Answered
}

// numbers writes numbers as --stream takes them, one a time.
func numbers(list []int) string {
	const most = 8
	var b bytes.Buffer
	for i, n := range list {
		if i == most {
			b.WriteString(", ...")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}
