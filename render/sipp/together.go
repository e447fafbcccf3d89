package sipp

import (
	"fmt"
	"slices"

	"sipscope/decode/sip"
)

// player runs a script as SIPp would, without time and loss.
type player struct {
	name   string
	items  []*item
	pos    int
	set    map[string]bool // variables
	queue  []*item         // sends of the other side that are yet to come
	labels map[string]int
}

// together plays two scripts against each other and says why they do not end; empty when they do.
func together(uac, uas []*item) string {
	a, b := newPlayer("the caller", uac), newPlayer("the callee", uas)
	const most = 4 // times that an item may be passed: jumps go forward, or back once
	for range most * (len(uac) + len(uas) + 1) {
		moved := false
		for _, p := range [2][2]*player{{a, b}, {b, a}} {
			ok, why := p[0].step(p[1])
			if why != "" {
				return why
			}
			moved = moved || ok
		}
		if !moved {
			break
		}
	}
	for _, p := range []*player{a, b} {
		if why := p.stuck(); why != "" {
			return why
		}
	}
	return ""
}

func newPlayer(name string, items []*item) *player {
	p := &player{name: name, items: items, set: map[string]bool{}, labels: map[string]int{}}
	for i, it := range items {
		if it.kind == label {
			p.labels[it.name] = i
		}
	}
	return p
}

// step does the next thing, if it can be done.
func (p *player) step(other *player) (moved bool, why string) {
	if p.pos >= len(p.items) {
		return p.late()
	}
	it := p.items[p.pos]
	switch it.kind {
	case send:
		if it.cond == "" || p.set[it.cond] != it.inverse {
			if text := unread(it.ev); text != "" {
				return false, text
			}
			other.queue = append(other.queue, it)
		}
		p.jump(it.next)
		return true, ""
	case recv:
		return p.receive()
	case nop:
		p.jump(it.next)
	default:
		p.pos++
	}
	return true, ""
}

func (p *player) jump(name string) {
	if at, ok := p.labels[name]; ok {
		p.pos = at
		return
	}
	p.pos++
}

// receive takes what came, if anything did.
func (p *player) receive() (moved bool, why string) {
	it := p.items[p.pos]
	if len(p.queue) == 0 {
		if it.timeout > 0 {
			p.pos++
			return true, ""
		}
		return false, ""
	}
	got := p.queue[0]
	for i := p.pos; i < len(p.items); i++ {
		it = p.items[i]
		if it.kind == label {
			continue
		}
		if it.kind != recv {
			break
		}
		if it.takes(got) {
			p.queue = p.queue[1:]
			p.took(it, i)
			return true, ""
		}
		if !it.optional {
			break
		}
	}
	if p.items[p.pos].timeout > 0 {
		p.pos++
		return true, ""
	}
	return false, fmt.Sprintf("%s waits for %s and gets %s", p.name, p.waits(), what(got))
}

func (p *player) took(it *item, at int) {
	for _, a := range it.actions {
		if it.next != "" {
			p.set[it.renamed(a)] = true
		}
	}
	switch {
	case it.next != "":
		p.jump(it.next)
	case !it.optional:
		p.pos = at + 1
	}
}

// renamed is the variable that an action of a jump sets.
func (it *item) renamed(action string) string {
	var name string
	if i := len(action) - len(`"/>`); i > 0 {
		name = action[:i]
	}
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '"' {
			return name[i+1:]
		}
	}
	return ""
}

// late says what came when nothing more was waited for: an ACK or a provisional response does no harm.
func (p *player) late() (moved bool, why string) {
	if len(p.queue) == 0 {
		return false, ""
	}
	got := p.queue[0]
	p.queue = p.queue[1:]
	if got.ev.is("ACK") || !got.ev.isRequest() && !got.ev.isFinal() {
		return true, ""
	}
	return false, fmt.Sprintf("%s has ended and gets %s", p.name, what(got))
}

// stuck says what a player that did not end waits for.
func (p *player) stuck() string {
	if p.pos >= len(p.items) {
		return ""
	}
	return fmt.Sprintf("%s waits for %s, which does not come", p.name, p.waits())
}

// waits says what a player waits for.
func (p *player) waits() string {
	i := slices.IndexFunc(p.items[p.pos:], func(it *item) bool { return it.kind == recv && !it.optional })
	if i < 0 {
		return "nothing"
	}
	return what(p.items[p.pos+i])
}

// takes reports whether a receive is for what was sent.
func (it *item) takes(got *item) bool {
	if got.ev.isRequest() {
		return it.request == got.ev.facts.Method
	}
	return it.request == "" && it.status == got.ev.facts.Status && it.ev.method() == got.ev.method()
}

// what names a message for people.
func what(it *item) string {
	if it.kind == recv && it.request == "" {
		return fmt.Sprintf("%d to %s", it.status, remark(it.ev.method()))
	}
	if it.ev.isRequest() {
		return remark(it.ev.facts.Method)
	}
	return fmt.Sprintf("%d to %s", it.ev.facts.Status, remark(it.ev.method()))
}

// unread says why SIPp cannot read a message that it can send; empty when it can. It wants a To whose name stands right
// before its colon, a Call-ID, and lines that end in CRLF.
func unread(e *event) string {
	m := &e.sip
	to, id := false, false
	for i := range m.Headers {
		h := &m.Headers[i]
		after := int(h.Name.Off + h.Name.Len)
		if after >= len(m.Raw) || m.Raw[after] != ':' && h.ID == sip.HeaderTo {
			continue
		}
		to = to || h.ID == sip.HeaderTo
		id = id || h.ID == sip.HeaderCallID
	}
	switch {
	case !to:
		return fmt.Sprintf("SIPp cannot read the To of frame %d", e.facts.Seq)
	case !id:
		return fmt.Sprintf("SIPp cannot read the Call-ID of frame %d", e.facts.Seq)
	case !crlf(m):
		return fmt.Sprintf("SIPp cannot read the line ends of frame %d", e.facts.Seq)
	}
	return ""
}

// crlf reports whether all lines of a message's head end in CRLF.
func crlf(m *sip.Message) bool {
	for i, c := range m.Raw[:m.Head] {
		if c == '\n' && (i == 0 || m.Raw[i-1] != '\r') {
			return false
		}
	}
	return true
}
