package ladder

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/correlate/media"
	"sipscope/decode/frame"
	"sipscope/decode/sdp"
)

// LanesFunc gives what was seen of the media of the call with a number that are not carried in RTP, in order of their first
// packets. nil for nothing.
type LanesFunc func(num uint32) []media.Lane

// Beside is a medium that is not carried in RTP, as two session descriptions agreed on it: T.38, MSRP, BFCP. What belongs
// to the end at Row.From stands first.
type Beside struct {
	Name    string    // "T.38 fax", "MSRP over TLS"
	Ends    [2]string // "10.0.0.1:4000": as SDP has them, a name of a host too
	Packets [2]uint64 // sent by each end
	Bytes   [2]uint64 // of payload
}

// besideLine is an m= line that is not carried in RTP, as one description has it.
type besideLine struct {
	index int // 0-based m= line
	name  string
	host  string
	at    frame.Endpoint // no address when SDP has the name of a host
}

// end is the address as people write it.
func (l *besideLine) end() string {
	if l.at.Lo|l.at.Hi != 0 {
		return l.at.String()
	}
	return l.host + ":" + strconv.Itoa(int(l.at.Port))
}

// besideLines gives the m= lines of a description that are not carried in RTP and not rejected. One that shares the address
// of an RTP line is in its bundle (RFC 9143): its packets cannot be told from that one's.
func besideLines(s *sdp.Session) []besideLine {
	var out []besideLine
	all := s.Media[:min(len(s.Media), maxMedia)]
	for i := range all {
		m := &all[i]
		if m.RTP() || m.Rejected() || sharesRTP(all, m) {
			continue
		}
		l := besideLine{index: i, name: laneName(m), host: clip(m.Connection.Address), at: frame.Endpoint{Port: m.Port}}
		if a, err := netip.ParseAddr(string(m.Connection.Address)); err == nil && a.Zone() == "" {
			l.at = frame.FromAddrPort(netip.AddrPortFrom(a, m.Port))
		}
		out = append(out, l)
	}
	return out
}

func sharesRTP(all []sdp.Media, m *sdp.Media) bool {
	for i := range all {
		o := &all[i]
		if o.RTP() && !o.Rejected() && o.Port == m.Port && bytes.Equal(o.Connection.Address, m.Connection.Address) {
			return true
		}
	}
	return false
}

// laneName names a medium and what carries it, where that is not the usual: "T.38 fax", "MSRP over TLS".
func laneName(m *sdp.Media) string {
	name := lane(m)
	switch name {
	case "":
		return clip(clip(m.Type) + " " + clip(m.Proto))
	case "T.38":
		name += " fax"
	}
	proto := bytes.ToUpper(m.Proto)
	switch {
	case bytes.Contains(proto, []byte("DTLS")), bytes.HasPrefix(proto, []byte("UDP/TLS")):
		name += " over DTLS"
	case bytes.Contains(proto, []byte("TLS")):
		name += " over TLS"
	}
	return name
}

// besideSpan is an agreed medium with what was seen of it.
type besideSpan struct {
	a, b        besideLine // of the offer, of the answer
	time        int64      // of the answer
	frame       uint64     // of the answer
	sent        [2]*media.Lane
	way         [2]media.Lane // what sent points to
	unnamed     string        // an address that sends and that no SDP names
	first, last int64
}

// besideRows makes a row of each medium of a call that is not carried in RTP, once its answer has been seen.
func (b *builder) besideRows(ci int) []Row {
	spans := b.agreed(ci)
	if len(spans) == 0 {
		return nil
	}
	seen := b.opts.Lanes(b.calls[ci].Num)
	for _, whole := range [...]bool{true, false} {
		for i := range seen {
			l := &seen[i]
			for k := range spans {
				if l.Packets > 0 && spans[k].take(l, whole) {
					l.Packets = 0 // it belongs to one
				}
			}
		}
	}
	places := b.placesOf(ci)
	left := max(len(spans)-maxSpans, 0)
	rows := make([]Row, 0, len(spans)-left)
	for i := range spans[:len(spans)-left] {
		rows = append(rows, b.besideRow(ci, &spans[i], &places))
	}
	if left > 0 {
		rows = append(rows, Row{
			Kind: Note, Call: ci, Time: rows[len(rows)-1].Time, From: -1, To: -1, Label: "and " + strconv.Itoa(left) + " media more",
			Txn: -1, Dialog: -1, Count: 1, Hops: 1,
		})
	}
	return rows
}

// take adds a lane that goes between the ends, or when whole is false one that goes to or from one of them: behind a NAT, or
// from a port of a TCP client, which SDP does not name (RFC 4145).
func (s *besideSpan) take(l *media.Lane, whole bool) bool {
	way := s.wayOf(l, whole)
	if way < 0 {
		return false
	}
	if s.first == 0 || l.First < s.first {
		s.first = l.First
	}
	s.last = max(s.last, l.Last)
	if from := [...]frame.Endpoint{s.a.at, s.b.at}[way]; !l.TCP && l.Src != from && from.Lo|from.Hi != 0 {
		s.unnamed = l.Src.String()
	}
	w := &s.way[way]
	if s.sent[way] == nil || l.FirstFrame < w.FirstFrame {
		w.FirstFrame = l.FirstFrame
	}
	s.sent[way] = w
	w.Packets += l.Packets
	w.Bytes += l.Bytes
	return true
}

// wayOf is 0 for a lane from the end that offered to the one that answered, 1 for its way back, -1 for another one.
func (s *besideSpan) wayOf(l *media.Lane, whole bool) int {
	there, back := l.Src == s.a.at && l.Dst == s.b.at, l.Src == s.b.at && l.Dst == s.a.at
	if !whole {
		there, back = l.Dst == s.b.at || l.Src == s.a.at, l.Dst == s.a.at || l.Src == s.b.at
	}
	switch {
	case there:
		return 0
	case back:
		return 1
	default:
		return -1
	}
}

// placesOf knows who named which address first: the copies that proxies forward name it, too.
func (b *builder) placesOf(ci int) mediaPlaces {
	p := mediaPlaces{b: b, call: &b.calls[ci], named: map[frame.Endpoint]int{}}
	for i := range b.facts[ci] {
		for _, l := range b.facts[ci][i].beside {
			for _, key := range [...]frame.Endpoint{l.at, host(l.at)} {
				if _, ok := p.named[key]; !ok {
					p.named[key] = b.col(p.call.Messages[i].Src)
				}
			}
		}
	}
	return p
}

// besideRow makes the row of a medium, from the left to the right unless its packets go one way only.
func (b *builder) besideRow(ci int, s *besideSpan, places *mediaPlaces) Row {
	from, to, x, y := places.end(s.a.at), places.end(s.b.at), 0, 1
	if from < 0 || to < 0 || from == to {
		from, to = -1, -1
	}
	if s.turned(from, to) {
		from, to, x, y = to, from, 1, 0
	}
	ends := [...]string{s.a.end(), s.b.end()}
	info := &Beside{
		Name: s.a.name, Ends: [2]string{ends[x], ends[y]},
		Packets: [2]uint64{s.way[x].Packets, s.way[y].Packets}, Bytes: [2]uint64{s.way[x].Bytes, s.way[y].Bytes},
	}
	r := Row{
		Kind: Lane, Call: ci, Time: s.time, Until: s.time, From: from, To: to, Count: 1, Hops: 1, Txn: -1, Dialog: -1, Frame: s.frame,
		Beside: info, OneWay: info.Packets[0] > 0 && info.Packets[1] == 0,
	}
	r.Label = info.Name
	if s.first != 0 {
		r.Time, r.Until, r.Frame = s.first, s.last, s.way[x].FirstFrame
		if f := s.way[y].FirstFrame; s.sent[y] != nil && f < r.Frame {
			r.Frame = f
		}
	}
	r.Figures = append([]string{info.Ends[0] + " ↔ " + info.Ends[1]}, b.besideFigures(info, from > to)...)
	if s.unnamed != "" {
		r.Notes = append(r.Notes, "from "+s.unnamed+", which no SDP names")
	}
	return r
}

// turned reports whether the end that answered stands first: the only one that sent, else the one on the left.
func (s *besideSpan) turned(from, to int) bool {
	if (s.sent[0] == nil) != (s.sent[1] == nil) {
		return s.sent[0] == nil
	}
	return from > to
}

// besideFigures says how much was seen.
func (b *builder) besideFigures(x *Beside, left bool) []string {
	packets := strconv.FormatUint(x.Packets[0], 10)
	switch {
	case x.Packets[0]+x.Packets[1] == 0 && b.opts.Live:
		return []string{"no packets yet"}
	case x.Packets[0]+x.Packets[1] == 0:
		return []string{"no packets seen"}
	case x.Packets[1] > 0:
		return []string{packets + " ↔ " + strconv.FormatUint(x.Packets[1], 10) + " packets", sizes(x.Bytes[0], x.Bytes[1])}
	case left:
		return []string{packets + " packets ← only", size(x.Bytes[0])}
	default:
		return []string{packets + " packets → only", size(x.Bytes[0])}
	}
}

// sizes writes the bytes of both directions: "12 ↔ 45 bytes", "640 bytes ↔ 12.3 kB".
func sizes(a, b uint64) string {
	x, unit, _ := strings.Cut(size(a), " ")
	y, other, _ := strings.Cut(size(b), " ")
	switch {
	case unit != other:
		return x + " " + unit + " ↔ " + y + " " + other
	case x == y:
		return x + " " + unit
	default:
		return x + " ↔ " + y + " " + unit
	}
}

// size writes bytes as people read them: "640 bytes", "12.3 kB".
func size(n uint64) string {
	switch {
	case n < 10_000:
		return strconv.FormatUint(n, 10) + " bytes"
	case n < 1_000_000:
		return strconv.FormatFloat(float64(n)/1e3, 'f', 1, 64) + " kB"
	default:
		return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) + " MB"
	}
}

// agreed pairs the descriptions of a call on each hop (RFC 3264) and gives the media beside RTP that both have, each once.
func (b *builder) agreed(ci int) []besideSpan {
	type way [2]frame.Endpoint
	offers, seen := map[way]int{}, map[[3]string]bool{} // the newest description that went a way
	var out []besideSpan
	for i := range b.calls[ci].Messages {
		m, f := &b.calls[ci].Messages[i], &b.facts[ci][i]
		if !f.described || m.Repeats >= 0 || m.Status >= 300 {
			continue
		}
		to := way{m.Src, m.Dst}
		if !m.Src.SameHost(m.Dst) {
			to = way{host(m.Src), host(m.Dst)}
		}
		offer, ok := offers[way{to[1], to[0]}]
		if !ok || !answers(&b.calls[ci].Messages[offer], m) {
			offers[to] = i
			continue
		}
		for _, l := range pairLines(b.facts[ci][offer].beside, f.beside) {
			key := [3]string{l[0].name, l[0].end(), l[1].end()}
			if !seen[key] && !seen[[3]string{key[0], key[2], key[1]}] {
				seen[key] = true
				out = append(out, besideSpan{a: l[0], b: l[1], time: m.Time, frame: m.Seq})
			}
		}
	}
	return out
}

// answers reports whether a message that has a description answers the one with an offer: a response does in the
// transaction of the offer, a request when the offer was in a response.
func answers(offer, m *correlate.Message) bool {
	if m.Status != 0 {
		return offer.Status == 0 && offer.Txn == m.Txn
	}
	return offer.Status != 0
}

// pairLines joins the lines of an offer with those of its answer, by their place (RFC 3264 6).
func pairLines(offer, answer []besideLine) (out [][2]besideLine) {
	for i := range offer {
		for k := range answer {
			if offer[i].index == answer[k].index {
				out = append(out, [2]besideLine{offer[i], answer[k]})
			}
		}
	}
	return out
}
