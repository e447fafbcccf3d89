package plan

import (
	"bytes"
	"slices"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// cutProxies takes the proxies beside the live one out of the path, one after the other, so that those behind them talk to
// it directly. A message between the live one and such a proxy becomes one of who is behind it: as it was on the live
// one's hop, without the proxy's own Via, Record-Route and Route values. What went between the proxy and those behind it
// is no step.
func (k *maker) cutProxies() {
	tried := make([]bool, len(k.hosts))
	for range k.hosts {
		next := -1
		for i := range k.hosts {
			h := &k.hosts[i]
			if h.Part == Played && h.Proxy && !h.legs && !tried[i] && h.peers[k.live] {
				next = i
				break
			}
		}
		if next < 0 {
			return
		}
		tried[next] = true
		k.cutProxy(next)
	}
}

// cutProxy takes one proxy out, or notes why it cannot go.
func (k *maker) cutProxy(p int) {
	behind, why := k.behind(p)
	if why != "" {
		k.plan.Notes = append(k.plan.Notes, k.hosts[p].Name+" is played, and not cut out of the path: "+why)
		return
	}
	for i := range k.events {
		e := &k.events[i]
		switch {
		case e.fate != 0:
			continue
		case e.from != p && e.to != p:
		case e.from != k.live && e.to != k.live:
			e.fate = fateCut
			k.plan.Counts.Cut++
			continue
		default:
			k.shorten(e, p, behind[i])
		}
		k.withoutTrace(e, p)
	}
	h := &k.hosts[p]
	h.Part, h.Why = Left, "cut out of the path"
	h.peers[k.live], k.hosts[k.live].peers[p] = false, false
}

// behind finds for each event between a proxy and the live one who is on the proxy's other side, by index of the event.
func (k *maker) behind(p int) (map[int]int, string) {
	copied, others := k.beyond(p)
	found, txns := map[int]int{}, map[txnKey]int{}
	for i := range k.events {
		e := &k.events[i]
		if e.fate != 0 || !e.between(p, k.live) {
			continue
		}
		who, why := k.behindOf(e, copied[i], others, txns)
		if why != "" {
			return nil, why
		}
		found[i] = who
		if e.msg.Request {
			txns[e.txn()] = who
		}
	}
	return found, ""
}

// between reports whether an event went from one of two hosts to the other.
func (e *event) between(a, b int) bool { return e.from == a && e.to == b || e.from == b && e.to == a }

// beyond finds by event that a proxy got to whom it sent copies, the live one left out, and everybody whom it talked to.
func (k *maker) beyond(p int) (copied map[int][]int, others []int) {
	copied = map[int][]int{}
	for i := range k.events {
		e := &k.events[i]
		other := e.to
		if e.to == p {
			other = e.from
		}
		if e.fate != 0 || other == k.live || other == p || !e.between(p, other) {
			continue
		}
		others = insert(others, other)
		if e.from == p && e.forwards >= 0 && e.msg.Request {
			copied[e.forwards] = insert(copied[e.forwards], e.to)
		}
	}
	return copied, others
}

func insert(list []int, x int) []int {
	if slices.Contains(list, x) {
		return list
	}
	return append(list, x)
}

// behindOf says for one event who is behind the proxy that sent or got it.
func (k *maker) behindOf(e *event, copies, others []int, txns map[txnKey]int) (int, string) {
	switch {
	case len(copies) > 1:
		return 0, "it forks to several"
	case len(copies) == 1:
		return copies[0], ""
	case e.msg.Request && e.from != k.live && e.forwards >= 0:
		return k.events[e.forwards].from, ""
	}
	for _, key := range []txnKey{e.txn(), e.txnOf("INVITE")} {
		if who, ok := txns[key]; ok {
			return who, ""
		}
	}
	if e.msg.Request && e.from != k.live {
		return 0, "it sends requests of its own (" + e.what() + ")"
	}
	if len(others) == 1 {
		return others[0], "" // it answered for the only one that it has
	}
	return 0, "who is behind it for " + e.what() + " cannot be told"
}

// shorten makes an event between proxy p and the live one an event of who is behind p.
func (k *maker) shorten(e *event, p, behind int) {
	if e.msg.Request == (e.from == p) { // p's Via is on top of its requests, and of the responses to them
		edit := compose.NewEdit(&e.msg)
		edit.RemoveFirst(sip.HeaderVia)
		k.edited(e, edit)
	}
	if e.from == p && e.forwards >= 0 {
		e.forwards = k.events[e.forwards].forwards
	}
	e.why = k.cutWhy(p)
	if e.from == p {
		e.from = behind
	} else {
		e.to = behind
	}
	if h := &k.hosts[behind]; behind != k.live {
		h.Part, h.Why = Played, ""
		h.peers[k.live], k.hosts[k.live].peers[behind] = true, true
	}
}

func (k *maker) cutWhy(p int) string {
	return k.hosts[p].Name + " is cut out: without its Via, Record-Route and Route"
}

// edited gives an event another text; one that cannot be written leaves it as it was.
func (k *maker) edited(e *event, edit *compose.Edit) {
	raw, err := edit.Bytes(nil)
	if err != nil || bytes.Equal(raw, e.raw) {
		return
	}
	var m sip.Message
	if sip.Parse(raw, &m) != nil {
		return
	}
	e.raw, e.msg, e.below = raw, m, ""
	e.branch, e.sentBy = string(m.Via.Branch.Of(raw)), strings.ToLower(string(m.Via.SentBy.Of(raw)))
	if v, ok := m.NthVia(1); ok {
		e.below = string(v.Branch.Of(raw))
	}
}

// withoutTrace takes a proxy's own values out of Via, Record-Route and Route of an event: its neighbours and everybody
// else on the path would see them, too.
func (k *maker) withoutTrace(e *event, p int) {
	var changes []change
	vias := slices.Collect(e.msg.AllVias())
	for i := range e.msg.Headers {
		h := &e.msg.Headers[i]
		if h.ID != sip.HeaderVia && h.ID != sip.HeaderRecordRoute && h.ID != sip.HeaderRoute {
			continue
		}
		values := split(h.Value.Of(e.raw))
		own := vias
		if h.ID == sip.HeaderVia {
			if len(values) > len(vias) {
				return // no list that can be taken apart
			}
			own, vias = vias[:len(values)], vias[len(values):]
		}
		if keep := k.others(e, h.ID, values, own, p); len(keep) < len(values) {
			changes = append(changes, change{i, keep})
		}
	}
	if len(changes) == 0 {
		return
	}
	edit := compose.NewEdit(&e.msg)
	for _, c := range slices.Backward(changes) { // from the end, since what is removed moves the rest
		if len(c.keep) == 0 {
			edit.Remove(c.header)
		} else {
			edit.Replace(c.header, string(bytes.Join(c.keep, []byte(", "))))
		}
	}
	k.edited(e, edit)
	e.why = k.cutWhy(p)
}

// change is a header, by its index, and the values that it keeps.
type change struct {
	header int
	keep   [][]byte
}

// others gives those values of a header that do not name a proxy; vias are the values of a Via, taken apart.
func (k *maker) others(e *event, id sip.HeaderID, values [][]byte, vias []sip.Via, p int) [][]byte {
	var keep [][]byte
	for i, value := range values {
		host, port := hostOf(value)
		if id == sip.HeaderVia {
			host, port = vias[i].Host.Of(e.raw), vias[i].Port
		}
		if !k.hosts[p].named(host, port) {
			keep = append(keep, value)
		}
	}
	return keep
}

// hostOf is the host and port of a Route value's URI.
func hostOf(value []byte) ([]byte, uint16) {
	a := sip.ParseAddress(value)
	return a.Host.Of(value), a.Port
}

// split takes a list apart at its commas, except those inside <> and "" (RFC 3261 7.3.1).
func split(list []byte) [][]byte {
	var values [][]byte
	quoted, angle, from := false, false, 0
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && !angle:
			quoted = !quoted
		case quoted:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == ',' && !angle:
			values = append(values, bytes.TrimSpace(list[from:i]))
			from = i + 1
		}
	}
	return append(values, bytes.TrimSpace(list[from:]))
}
