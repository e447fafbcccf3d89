package replay

import (
	"fmt"
	"iter"
	"net/netip"

	recorded "sipscope/correlate/cut"
	"sipscope/decode/sdp"
	"sipscope/decode/sip"
	"sipscope/element/media"
	"sipscope/element/replay/plan"
	"sipscope/element/replay/stream"
)

// prepared is what is sent from one of our sockets.
type prepared struct {
	recordings []*stream.Recording
	start      int64 // offset of the first packet
	steps      []int32
}

// socket is one of ours for RTP in a play.
type socket struct {
	spec   int32
	port   media.Port
	stream *stream.Stream
	step   int32 // that began to send
	failed bool
}

// prepareMedia makes recordings of the plan's packets, by the socket that they are sent from.
func (p *Player) prepareMedia() {
	if p.o.Media == nil {
		return
	}
	p.o.Media = p.o.Guard.Ports(p.o.Media)
	p.media = make([]prepared, len(p.script.sockets))
	for i := range p.script.steps {
		s := &p.script.steps[i]
		if s.Kind != plan.Media || s.Stream < 0 || s.Stream >= len(p.script.plan.Media) {
			continue
		}
		in := &p.script.plan.Media[s.Stream]
		s.socket = p.socketOf(s.from, in.Src)
		if s.socket < 0 || in.Secure || len(in.Packets) == 0 {
			continue
		}
		m := &p.media[s.socket]
		r := stream.NewRecording(in.Payloads, packetsOf(in.Packets))
		if len(m.steps) == 0 || r.First() < m.start {
			m.start = r.First()
		}
		m.recordings = append(m.recordings, r)
		m.steps = append(m.steps, int32(i))
	}
}

func packetsOf(packets []recorded.Packet) iter.Seq2[int64, []byte] {
	return func(yield func(int64, []byte) bool) {
		for i := range packets {
			if !yield(packets[i].Offset, packets[i].Data) {
				return
			}
		}
	}
}

// socketOf finds the socket that stands for a recorded source: the one that SDP named, else one of the host.
func (p *Player) socketOf(host int32, at netip.AddrPort) int32 {
	found := none
	at = unmapped(at)
	for i := range p.script.sockets {
		switch s := &p.script.sockets[i]; {
		case s.host != host:
		case s.at == at:
			return int32(i)
		case found < 0 || s.at.Port() == at.Port():
			found = int32(i)
		}
	}
	return found
}

// socketAt opens a socket of ours when it is asked for first; nil when that fails.
func (g *play) socketAt(spec int32) *socket {
	for k := range g.socket {
		if g.socket[k].spec == spec {
			if g.socket[k].failed {
				return nil
			}
			return &g.socket[k]
		}
	}
	own := g.script.hosts[g.script.sockets[spec].host].addr.Addr()
	port, err := g.o.Media.Open(own)
	g.socket = append(g.socket, socket{spec: spec, port: port, step: none, failed: err != nil})
	if err != nil {
		g.note(fmt.Sprintf("no socket for RTP at %s: %v", own, err))
		return nil
	}
	return &g.socket[len(g.socket)-1]
}

// editMedia is a port of ours in SDP.
func (r *renderer) editMedia(dst []byte, e *edit) []byte {
	s := r.socketAt(e.arg)
	if s == nil {
		return r.recorded(dst, e)
	}
	at := s.port.Local().Port()
	if e.op == opControlPort {
		if c, ok := s.port.(media.ControlPort); ok && c.Control() != nil {
			at = c.Control().Local().Port()
		}
	}
	return appendNumber(dst, uint64(at))
}

// far is what the live side said of one medium.
type far struct {
	step     int32 // whose SDP it was
	line     int   // which m=
	remote   netip.AddrPort
	control  netip.AddrPort
	sends    bool // it wants to receive
	payloads []recorded.Payload
}

// maxLines bounds the media of an SDP that are looked at.
const maxLines = 16

// described learns from live SDP where RTP goes. Streams that are sent already go on there.
func (g *play) described(i int32, m *sip.Message) {
	body, ok := m.SDP()
	if !ok || len(g.media) == 0 {
		return
	}
	live, _ := sdp.Parse(body)
	for n := range live.Media {
		l := &live.Media[n]
		if n >= maxLines {
			break
		}
		f := far{step: i, line: n, payloads: recorded.Payloads(l)}
		f.remote, f.control = addressOf(l)
		f.sends = !l.Rejected() && f.remote.IsValid() && l.Direction != sdp.SendOnly && l.Direction != sdp.Inactive && !l.Held()
		g.fars = append(g.fars, f)
	}
	if len(g.fars) > 8*maxLines {
		g.fars = append(g.fars[:0], g.fars[len(g.fars)-4*maxLines:]...)
	}
	for k := range g.socket {
		if s := &g.socket[k]; s.stream != nil && s.step >= 0 {
			if a, payloads, found := g.agreed(s.step); found {
				s.stream.Change(g.now, a, payloads, nil)
				g.streams.Add(s.stream)
			}
		}
	}
}

// addressOf is where an m= line wants its RTP and RTCP; the zero AddrPort for a host name.
func addressOf(m *sdp.Media) (rtp, rtcp netip.AddrPort) {
	a, err := netip.ParseAddr(string(m.Connection.Address))
	if err != nil || m.Port == 0 {
		return rtp, rtcp
	}
	a = a.Unmap().WithZone("")
	control := m.Port + 1
	switch {
	case m.RTCP.Port != 0:
		control = m.RTCP.Port
	case m.RTCPMux:
		control = m.Port
	}
	return netip.AddrPortFrom(a, m.Port), netip.AddrPortFrom(a, control)
}

// agreed is where the stream of a Media step goes: the m= line of the live SDP that stands at the place of the recorded
// one, in the newest description of the same host.
func (g *play) agreed(i int32) (a media.Agreed, payloads []recorded.Payload, ok bool) {
	s := &g.script.steps[i]
	in := &g.script.plan.Media[s.Stream]
	a = media.Agreed{Direction: sdp.SendRecv, SendEvent: -1, GetEvent: -1}
	if at := g.socketAt(s.socket); at != nil {
		a.Local = at.port.Local()
	}
	line := min(in.Medium, maxLines-1)
	for k := len(g.fars) - 1; k >= 0; k-- {
		f := &g.fars[k]
		x := &g.script.steps[f.step]
		if f.line != line || x.to != s.from || x.From != in.To && x.To == s.From && len(g.script.hosts) > 2 && x.origin < 0 && in.To != "" &&
			g.script.hosts[x.from].part == plan.Played {
			continue
		}
		a.Remote, a.RemoteRTCP = f.remote, f.control
		if !f.sends {
			a.Direction, a.Held = sdp.RecvOnly, true
		}
		return a, f.payloads, true
	}
	return a, nil, false
}

// startMedia begins to send what was recorded, once for all recordings of one socket.
func (g *play) startMedia(i int32) {
	s := &g.script.steps[i]
	if g.o.Media == nil || g.o.Fast || s.socket < 0 || len(g.media[s.socket].recordings) == 0 {
		return
	}
	at := g.socketAt(s.socket)
	if at == nil || at.stream != nil {
		return
	}
	a, payloads, ok := g.agreed(i)
	if !ok {
		g.note(fmt.Sprintf("step %d: no live SDP says where its RTP goes", s.ID))
		return
	}
	m := &g.media[s.socket]
	at.step = i
	at.stream = stream.New(g.now, stream.Config{
		Port: at.port, Agreed: a, Live: payloads, Mode: g.o.Mode, Sound: g.o.Sound, Recordings: m.recordings, Start: m.start,
		Speed: g.speed, Rand: g.o.Rand,
	})
	g.streams.Add(at.stream)
}

// closeSockets ends the RTP of a play.
func (g *play) closeSockets() {
	for k := range g.socket {
		switch s := &g.socket[k]; {
		case s.stream != nil:
			g.streams.Remove(s.stream)
			_ = s.stream.Close(g.now) // what a socket has left to say helps nobody
		case s.port != nil:
			_ = s.port.Close()
		}
	}
}

// mediaOutcome tells what became of the streams.
func (g *play) mediaOutcome() []StreamOutcome {
	var all []StreamOutcome
	for k := range g.socket {
		s := &g.socket[k]
		if s.stream == nil {
			continue
		}
		stats := s.stream.Stats()
		for _, note := range s.stream.Notes() {
			g.note(note)
		}
		all = append(all, StreamOutcome{
			Step: g.script.steps[s.step].ID, Sent: uint64(stats.Sent.Packets), Received: stats.Received.Packets, Lost: stats.Received.Lost,
			Refused: stats.Refused,
		})
	}
	return all
}
