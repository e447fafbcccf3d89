package sipp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sipscope/decode"
)

// scenario writes the script. One that is too long is tried once more without indentation.
func (b *builder) scenario(p *Pair) (Scenario, error) {
	s := Scenario{
		Who: b.v.p.cols[b.v.me].Address, Peer: b.v.p.cols[b.v.peer].Address, Notes: b.notes, Auth: b.auth, Proto: b.proto(),
		Messages: len(b.v.events),
	}
	s.XML = b.xml(p)
	if len(s.XML) > MaxXML {
		b.tight = true
		for _, it := range b.items {
			if it.kind == send {
				it.text = b.template(it.ev, it.plain)
			}
		}
		s.XML = b.xml(p)
	}
	if len(s.XML) > MaxXML {
		return s, fmt.Errorf("call %d, %s: %w, this is %d", b.call.Num, b.file("xml"), ErrTooLong, len(s.XML))
	}
	var err error
	s.Files, err = b.files()
	return s, err
}

// file names a file of this side.
func (b *builder) file(ending string) string {
	if b.v.caller {
		return b.o.Name + "-uac." + ending
	}
	return b.o.Name + "-uas." + ending
}

// proto is the transport that SIPp has for the recorded one.
func (b *builder) proto() string {
	switch t := b.v.proto(); t {
	case decode.TCP, decode.TLS:
		return t.String()
	case decode.WS, decode.WSS, decode.SCTP:
		b.note(nil, t.String()+" was recorded; here it is UDP")
	default:
	}
	return "UDP"
}

func (b *builder) xml(p *Pair) []byte {
	var w strings.Builder
	w.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE scenario SYSTEM \"sipp.dtd\">\n")
	b.comment(&w, p)
	name := strings.TrimSuffix(b.file(""), ".")
	fmt.Fprintf(&w, "<scenario name=\"%s\">\n", name)
	index := map[*item]int{}
	for _, it := range b.items {
		if it.kind != label {
			index[it] = len(index)
		}
	}
	for _, it := range b.items {
		w.WriteString("\n")
		b.element(&w, it, index)
	}
	if vars := b.variables(); len(vars) > 0 {
		fmt.Fprintf(&w, "\n  <Reference variables=\"%s\"/>\n", strings.Join(vars, ","))
	}
	w.WriteString("</scenario>\n")
	return []byte(w.String())
}

// variables lists all that actions assign: SIPp refuses those that are used once, unless they stand here.
func (b *builder) variables() []string {
	var all []string
	for _, it := range b.items {
		for _, a := range it.actions {
			_, list, ok := strings.Cut(a, ` assign_to="`)
			if !ok {
				continue
			}
			list, _, _ = strings.Cut(list, `"`)
			all = append(all, strings.Split(list, ",")...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// element writes an item.
func (b *builder) element(w *strings.Builder, it *item, index map[*item]int) {
	switch it.kind {
	case label:
		fmt.Fprintf(w, "  <label id=\"%s\"/>\n", it.name)
	case pause:
		fmt.Fprintf(w, "  <pause milliseconds=\"%d\"/>\n", it.millis)
	case timewait:
		fmt.Fprintf(w, "  <timewait milliseconds=\"%d\"/>\n", it.millis)
	case nop:
		open(w, "nop", attrs{{"hide", "true"}, {"next", it.next}}, it.actions)
	case recv:
		open(w, "recv", attrs{
			{"request", it.request},
			{"response", number(int(it.status))},
			{"response_txn", it.response},
			{"optional", yes(it.optional)},
			{"rrs", yes(it.rrs)},
			{"auth", yes(it.auth)},
			{"timeout", number(it.timeout)},
			{"ontimeout", it.onTimeout},
			{"next", it.next},
		}, it.actions)
	case send:
		b.send(w, it, index)
	}
}

func (b *builder) send(w *strings.Builder, it *item, index map[*item]int) {
	branch := "[branch]"
	if from, ok := index[it.branch]; ok && it.branch != nil {
		branch = fmt.Sprintf("[branch-%d]", index[it]-from)
	}
	fmt.Fprintf(w, "  <!-- frame %d -->\n  <send", it.ev.facts.Seq)
	retrans := ""
	if it.retrans {
		retrans = "500" // T1 (RFC 3261 17.1.1.1)
	}
	inverse := yes(it.inverse)
	attrs{
		{"retrans", retrans},
		{"start_txn", it.start},
		{"ack_txn", it.ack},
		{"condexec", it.cond},
		{"condexec_inverse", inverse},
		{"next", it.next},
	}.write(w)
	w.WriteString(">\n    <![CDATA[\n")
	text := strings.ReplaceAll(it.text, branchMark, branch)
	w.WriteString(text)
	if strings.HasSuffix(text, "\n") {
		w.WriteString("    ")
	}
	w.WriteString("]]>\n")
	actions(w, it.actions)
	w.WriteString("  </send>\n")
}

// attrs are attributes; those without a value are left out.
type attrs [][2]string

func (a attrs) write(w *strings.Builder) {
	for _, p := range a {
		if p[1] != "" {
			fmt.Fprintf(w, " %s=\"%s\"", p[0], p[1])
		}
	}
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// open writes an element with its actions.
func open(w *strings.Builder, name string, a attrs, todo []string) {
	w.WriteString("  <" + name)
	a.write(w)
	if len(todo) == 0 {
		w.WriteString("/>\n")
		return
	}
	w.WriteString(">\n")
	actions(w, todo)
	w.WriteString("  </" + name + ">\n")
}

func actions(w *strings.Builder, todo []string) {
	if len(todo) == 0 {
		return
	}
	w.WriteString("    <action>\n")
	for _, a := range todo {
		w.WriteString("      " + a + "\n")
	}
	w.WriteString("    </action>\n")
}

// comment says what the scenario is, how it is run, and what is otherwise than recorded.
func (b *builder) comment(w *strings.Builder, p *Pair) {
	side, other := "callee (UAS)", "uac"
	if b.v.caller {
		side, other = "caller (UAC)", "uas"
	}
	w.WriteString("<!--\n")
	fmt.Fprintf(w, "  The %s of call %d", side, b.call.Num)
	if b.o.Source != "" {
		fmt.Fprintf(w, " of %s", remark(b.o.Source))
	}
	fmt.Fprintf(w, ", Call-ID %s,\n", remark(b.call.CallID))
	fmt.Fprintf(w, "  as %s sent and received it", remark(b.v.p.cols[b.v.me].Address))
	if b.v.hop > 0 {
		fmt.Fprintf(w, " on hop %d of %d, with %s", b.v.hop, len(p.Hops), remark(b.v.p.cols[b.v.peer].Address))
	}
	fmt.Fprintf(w, ".\n  Written by sipscope for SIPp 3.6 and later. The other side is %s-%s.xml.\n\n", b.o.Name, other)
	mode := map[string]string{"UDP": "", "TCP": " -t t1", "TLS": " -t l1"}[b.proto()]
	pass := ""
	if b.auth && b.v.caller {
		pass = " -ap PASSWORD"
	}
	fmt.Fprintf(w, "    sipp -sf %s-uas.xml -i 127.0.0.2 -p 5060 -m 1%s\n", b.o.Name, mode)
	fmt.Fprintf(w, "    sipp -sf %s-uac.xml -i 127.0.0.1 -p 5060 -m 1%s%s 127.0.0.2:5060\n", b.o.Name, mode, pass)
	if b.v.caller {
		w.WriteString("\n  To call another server, name it instead of 127.0.0.2, and with -i an address of this machine that it reaches.\n")
	}
	if p.Apart != "" {
		fmt.Fprintf(w, "\n  The two cannot be run against each other: %s.\n", p.Apart)
	}
	if len(b.notes) > 0 {
		w.WriteString("\n  Otherwise than recorded:\n")
		for _, n := range b.notes {
			fmt.Fprintf(w, "  * %s\n", n)
		}
	}
	w.WriteString("-->\n")
}
