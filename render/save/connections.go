package save

import (
	"math"
	"slices"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
)

// connections is TCP connections that are saved whole: what decrypts and unmasks them began before the first message.
type connections struct {
	rows   map[[2]frame.Endpoint][]*decode.Secured // TLS connections by their addresses
	spans  map[[2]frame.Endpoint][]span            // what is saved
	logged map[uint32]bool                         // rows whose secrets are in log
	log    []byte
	packet frame.Packet
}

// span is frames by Seq, from the first to the last with a part of a connection's stream.
type span struct{ first, last uint64 }

// newConnections prepares for a job; nil when connections are not to be whole.
func newConnections(job *Job) *connections {
	if job.Connections == nil {
		return nil
	}
	k := &connections{
		rows: map[[2]frame.Endpoint][]*decode.Secured{}, spans: map[[2]frame.Endpoint][]span{}, logged: map[uint32]bool{},
	}
	rows := job.Connections()
	for i := range rows {
		r := &rows[i]
		pair := pairOf(r.Src, r.Dst)
		k.rows[pair] = append(k.rows[pair], r)
	}
	return k
}

// pairOf is the same for both directions.
func pairOf(a, b frame.Endpoint) [2]frame.Endpoint {
	if a.AddrPort().Compare(b.AddrPort()) > 0 {
		a, b = b, a
	}
	return [2]frame.Endpoint{a, b}
}

// addMessage adds the connection that carried a message, if it is one that must be whole.
func (k *connections) addMessage(m *correlate.Message) {
	switch m.Transport {
	case decode.TLS, decode.WS, decode.WSS:
	default:
		return
	}
	pair, s := pairOf(m.Src, m.Dst), span{0, math.MaxUint64} // of WebSocket, and of what was forgotten: all between the two
	for _, r := range k.rows[pair] {
		if r.FirstFrame <= m.Seq && m.Seq <= r.LastFrame {
			s = span{r.FirstFrame, r.LastFrame}
			if !k.logged[r.Num] {
				k.logged[r.Num] = true
				k.log = append(k.log, r.Secrets...)
			}
		}
	}
	if !slices.Contains(k.spans[pair], s) {
		k.spans[pair] = append(k.spans[pair], s)
	}
}

// has reports whether a packet belongs to one of the connections. Segments without payload, which begin, end and acknowledge,
// do whenever they come.
func (k *connections) has(p *capture.Packet) bool {
	if frame.Decode(p.Link, p.Data, p.WireLen, &k.packet) != frame.TCP {
		return false
	}
	spans := k.spans[pairOf(k.packet.Src, k.packet.Dst)]
	for _, s := range spans {
		if len(k.packet.Payload) == 0 || s.first <= p.Seq && p.Seq <= s.last {
			return true
		}
	}
	return false
}
