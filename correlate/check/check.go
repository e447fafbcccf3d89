// Package check gives findings about calls: their media against their signalling (correlate/media/judge), and the keys that
// were pressed.
//
// It reads a call, the texts of its messages and the streams of the capture, and holds nothing of them. It does not read
// files and does not print. A Checker is read-only once made and may be used from any goroutine.
package check

import (
	"cmp"
	"net/netip"
	"slices"

	"sipscope/correlate"
	"sipscope/correlate/media"
	"sipscope/correlate/media/dtmf"
	"sipscope/correlate/media/judge"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// Bounds of what one call costs.
const (
	maxStreams = 1024 // streams of a call, and of none, that are looked at
	maxHosts   = 64   // hosts that a call's descriptions name
	slack      = 10e9 // ns before a call in which its media may begin, and after it
)

// Text gives the text of a message of the call at hand by its index, nil when it cannot be read again.
type Text func(message int) []byte

// Checker looks at the calls of a capture.
type Checker struct {
	streams []media.Stream
	byCall  map[uint32][]int
	byDst   map[frame.Endpoint][]int
	strays  map[frame.Endpoint][]int // streams of no call by the host that they come from (port 0)
	hosts   map[frame.Endpoint]bool  // that send or get RTP (port 0)
	end     int64                    // newest packet of all streams
	limits  judge.Thresholds
}

// New makes a Checker for the streams of a capture, which it keeps.
func New(streams []media.Stream, limits judge.Thresholds) *Checker {
	c := &Checker{
		streams: streams, byCall: map[uint32][]int{}, byDst: map[frame.Endpoint][]int{}, strays: map[frame.Endpoint][]int{},
		hosts: map[frame.Endpoint]bool{}, limits: limits,
	}
	for i := range streams {
		s := &streams[i]
		c.end = max(c.end, s.Last)
		c.hosts[host(s.Src)], c.hosts[host(s.Dst)] = true, true
		c.byDst[s.Dst] = append(c.byDst[s.Dst], i)
		if s.Call == 0 {
			c.strays[host(s.Src)] = append(c.strays[host(s.Src)], i)
		} else {
			c.byCall[s.Call] = append(c.byCall[s.Call], i)
		}
	}
	return c
}

// host is an endpoint without its port.
func host(e frame.Endpoint) frame.Endpoint {
	e.Port = 0
	return e
}

// Media judges a call's media. Calls that an INVITE did not begin have none.
func (k *Checker) Media(c *correlate.Call, text Text) []judge.Finding {
	if c.Method != "INVITE" {
		return nil
	}
	in := judge.Call{
		Answer: timeOf(c, c.Evidence.Answer), AnswerFrame: c.Evidence.Answer, First: c.First, Last: c.Last,
		End: max(k.end, c.Last), RTP: len(k.streams) > 0, Agreements: agreements(c, text),
	}
	for i := range c.Messages {
		if m := &c.Messages[i]; m.Method == "BYE" && m.Status == 0 && m.Repeats < 0 {
			in.Bye, in.ByeFrame = m.Time, m.Seq // the last one: a fork's own BYE may come before it
		}
	}
	k.fill(&in, c)
	return judge.Media(&in, k.limits)
}

// timeOf is the packet time of a frame of a call, 0 for none.
func timeOf(c *correlate.Call, seq uint64) int64 {
	if seq == 0 {
		return 0
	}
	for i := range c.Messages {
		if c.Messages[i].Seq == seq {
			return c.Messages[i].Time
		}
	}
	return 0
}

// fill adds the streams of a call: its own, those that another call has that names the same addresses (the other leg of a
// back-to-back user agent), and those of no call that come from its hosts.
func (k *Checker) fill(in *judge.Call, c *correlate.Call) {
	f := filling{Checker: k, call: c, until: c.Last + slack, seen: map[int]bool{}}
	if in.Bye == 0 {
		f.until = max(f.until, in.End)
	}
	for _, i := range k.byCall[c.Num] {
		f.add(&in.Streams, i)
	}
	hosts := map[frame.Endpoint]bool{}
	for _, e := range addresses(in.Agreements) {
		for _, i := range k.byDst[e] {
			if k.streams[i].Call != 0 {
				f.add(&in.Streams, i)
			}
		}
		h := host(e)
		in.Seen = in.Seen || k.hosts[h]
		if hosts[h] || len(hosts) >= maxHosts {
			continue
		}
		hosts[h] = true
		for _, i := range k.strays[h] {
			f.add(&in.Strays, i)
		}
	}
}

// addresses are those that descriptions name, each once, in their order.
func addresses(all []judge.Agreement) []frame.Endpoint {
	var out []frame.Endpoint
	seen := map[frame.Endpoint]bool{}
	for i := range all {
		for j := range all[i].Media {
			m := &all[i].Media[j]
			for _, a := range slices.Concat(m.Caller.Addrs, m.Callee.Addrs) {
				if e := frame.FromAddrPort(a); !seen[e] {
					seen[e] = true
					out = append(out, e)
				}
			}
		}
	}
	return out
}

// filling is the adding of streams to a call.
type filling struct {
	*Checker

	call  *correlate.Call
	until int64
	seen  map[int]bool
}

// add adds a stream once, when it is in the call's time.
func (f *filling) add(list *[]judge.Stream, i int) {
	s := &f.streams[i]
	shared := s.Call != 0 && s.Call != f.call.Num
	begins, ends := f.call.First-slack, f.until
	if shared { // the next call may use the same port
		begins, ends = f.call.First, f.call.Last
	}
	if f.seen[i] || len(*list) >= maxStreams || s.First > ends || s.Last < begins {
		return
	}
	f.seen[i] = true
	one := flat(s)
	one.Shared = shared
	*list = append(*list, one)
}

// flat copies what the judge needs of a stream.
func flat(s *media.Stream) judge.Stream {
	out := judge.Stream{
		Num: s.Num, Src: addrPort(s.Src), Dst: addrPort(s.Dst), Type: s.Type, First: s.First, Last: s.Last,
		FirstFrame: s.FirstFrame, LastFrame: s.LastFrame, Packets: s.Packets, Expected: s.Expected, Missing: s.Missing,
		MeanJitter: s.MeanJitter, PTime: s.PTime,
	}
	for i := range s.Payloads {
		p := &s.Payloads[i]
		out.Payloads = append(out.Payloads, judge.Payload{PT: p.PT, Name: p.Name, Packets: p.Packets, First: p.First})
	}
	for i := range s.Seconds {
		out.Seconds = append(out.Seconds, judge.Second{At: s.Seconds[i].At, Packets: s.Seconds[i].Packets})
	}
	return out
}

// addrPort is an endpoint as the judge compares it.
func addrPort(e frame.Endpoint) netip.AddrPort {
	a := e.AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Press is a key that was pressed in a call.
type Press struct {
	dtmf.Press
	Stream   uint32 // number of its RTP stream; 0 for an INFO
	Message  int    // index of its INFO; -1 for RTP
	Src, Dst frame.Endpoint
}

// Presses gives the keys that were pressed in a call, in order of time: those of its RTP streams, and those of INFO requests
// on the hop where they were first seen. An INFO that is not answered with 2xx counts: the key was pressed.
func (k *Checker) Presses(c *correlate.Call, text Text) []Press {
	var out []Press
	for _, i := range k.byCall[c.Num] {
		s := &k.streams[i]
		for _, p := range s.Presses {
			out = append(out, Press{Press: p, Stream: s.Num, Message: -1, Src: s.Src, Dst: s.Dst})
		}
	}
	var parsed sip.Message
	for i := range c.Messages {
		m := &c.Messages[i]
		if m.Method != "INFO" || m.Status != 0 || m.Repeats >= 0 || m.Copy > 1 || text == nil {
			continue
		}
		raw := text(i)
		if raw == nil || sip.Parse(raw, &parsed) != nil {
			continue
		}
		if p, ok := dtmf.FromMessage(&parsed, m.Time, m.Seq); ok {
			out = append(out, Press{Press: p, Message: i, Src: m.Src, Dst: m.Dst})
		}
	}
	slices.SortStableFunc(out, func(a, b Press) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.First, b.First))
	})
	return out
}
