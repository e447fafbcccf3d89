package plan

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sipscope/decode/sip"
	"sipscope/render/text"
)

// WriteText writes the plan for a person who is to decide whether to let it go ahead: who is played, who is live and why,
// every step with what of it is rewritten, what credentials it needs, and what it leaves out. It is plain text; what came
// from the wire is clean (see render/text).
func (p *Plan) WriteText(w io.Writer) error {
	t := texter{p: p, w: bufio.NewWriter(w)}
	t.head()
	t.hosts()
	t.calls()
	t.steps()
	t.needs()
	t.streams()
	t.notes()
	return t.w.Flush()
}

// texter writes one plan; bufio keeps the first error.
type texter struct {
	p *Plan
	w *bufio.Writer
}

func (t *texter) line(format string, args ...any) {
	_, _ = t.w.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (t *texter) head() {
	t.line("%s", text.Clean(t.p.Title))
	if t.p.Source != "" {
		t.line("from %s", text.Clean(t.p.Source))
	}
	if live, ok := t.p.LiveHost(); ok {
		t.line("live: %s, %s", text.Clean(live.Name), text.Clean(live.Why))
	} else {
		t.line("live: nobody, all participants are played")
	}
}

func (t *texter) hosts() {
	t.line("")
	names, at := len("HOST"), len("RECORDED AT")
	for i := range t.p.Hosts {
		names = max(names, len(t.p.Hosts[i].Name))
		at = max(at, len(addresses(&t.p.Hosts[i])))
	}
	t.line("%-6s  %-*s  %-*s  %s", "PART", names, "HOST", at, "RECORDED AT", "WHO")
	for i := range t.p.Hosts {
		h := &t.p.Hosts[i]
		t.line("%-6s  %-*s  %-*s  %s", h.Part, names, text.Clean(h.Name), at, addresses(h), text.Clean(t.who(h)))
	}
}

// addresses lists some of the host's addresses, with its transport.
func addresses(h *Host) string {
	var b strings.Builder
	b.WriteString(strings.ToLower(h.Proto.String()))
	for i, at := range h.At {
		if i == 2 && len(h.At) > 3 {
			fmt.Fprintf(&b, " and %d more", len(h.At)-2)
			break
		}
		b.WriteString(" " + at.String())
	}
	return b.String()
}

// who says what a host does, and why it is left.
func (t *texter) who(h *Host) string {
	var parts []string
	if h.Proxy {
		parts = append(parts, "proxy")
	}
	if n := len(h.Users); n > 0 {
		users := strings.Join(h.Users[:min(n, 5)], ", ")
		if n > 5 {
			users += fmt.Sprintf(" and %d more", n-5)
		}
		parts = append(parts, "speaks for "+users)
	}
	if n := len(h.Names); n > 0 {
		parts = append(parts, "calls itself "+strings.Join(h.Names[:min(n, 2)], ", "))
	}
	if h.Part == Left && h.Why != "" {
		parts = append(parts, h.Why)
	}
	if h.Part == Played && !t.p.uses(h.Name) {
		parts = append(parts, "in no step")
	}
	return strings.Join(parts, "; ")
}

func (t *texter) calls() {
	if len(t.p.Calls) < 2 {
		return
	}
	t.line("")
	for i := range t.p.Calls {
		if i == maxEach && len(t.p.Calls) > maxEach+1 {
			t.line("and %d more calls", len(t.p.Calls)-i)
			return
		}
		c := &t.p.Calls[i]
		name := "made"
		if c.Num != 0 {
			name = strconv.FormatUint(uint64(c.Num), 10)
		}
		group := ""
		if c.Group != "" {
			group = "  group " + c.Group
		}
		if c.Relation != "" {
			group += " (" + c.Relation + ")"
		}
		t.line("call %-4s %s%s", name, text.Clean(clip(c.CallID, 60)), text.Clean(group))
	}
}

// clip shortens a text of the wire.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}

// stepText is a step as columns.
type stepText struct{ id, at, wait, hop, what string }

func (t *texter) steps() {
	rows := []stepText{{"STEP", "AT", "WAITS", "", ""}}
	for i := range t.p.Steps {
		rows = append(rows, t.step(&t.p.Steps[i]))
	}
	var wide stepWidths
	for _, r := range rows {
		wide.grow(&r)
	}
	t.line("")
	for i, r := range rows {
		t.line("%*s  %*s  %-*s  %s%*s  %s", wide.id, r.id, wide.at, r.at, wide.wait, r.wait, r.hop,
			wide.hop-text.Width(r.hop), "", r.what)
		if i > 0 {
			t.details(&t.p.Steps[i-1], strings.Repeat(" ", wide.id+2))
		}
	}
}

type stepWidths struct{ id, at, wait, hop int }

func (w *stepWidths) grow(r *stepText) {
	w.id, w.at = max(w.id, len(r.id)), max(w.at, len(r.at))
	w.wait, w.hop = max(w.wait, len(r.wait)), max(w.hop, text.Width(r.hop))
}

func (t *texter) step(s *Step) stepText {
	r := stepText{id: strconv.Itoa(s.ID), at: seconds(s.At), wait: waits(s)}
	switch s.Kind {
	case Expect:
		r.hop = text.Clean(s.To) + " ◀── " + text.Clean(s.From)
		r.what = "expect  "
	case Wait:
		r.hop = text.Clean(s.From)
		r.what = "wait    " + duration(s.Duration)
		return r
	case Media:
		r.hop = text.Clean(s.From) + " ═══▶ " + text.Clean(s.To)
		r.what = "media   " + t.stream(s)
		return r
	default:
		r.hop = text.Clean(s.From) + " ──▶ " + text.Clean(s.To)
		r.what = "send    "
	}
	r.what += text.Clean(startLine(s.Message))
	return r
}

// startLine is the method and Request-URI, or status and phrase with the method when that is not plain.
func startLine(raw []byte) string {
	var m sip.Message
	if sip.Parse(raw, &m) != nil {
		return "?"
	}
	method := clip(string(m.Method.Of(raw)), 40)
	if m.Request {
		return method + " " + clip(string(m.URI.Of(raw)), 100)
	}
	line := strconv.Itoa(int(m.Status)) + " " + clip(string(m.Reason.Of(raw)), 60)
	if m.MethodID != sip.MethodInvite {
		line += " (" + method + ")"
	}
	return line
}

// seconds writes a time since the beginning.
func seconds(ns int64) string { return fmt.Sprintf("%.3f s", float64(ns)/float64(time.Second)) }

// duration writes a time as a person says it.
func duration(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d >= time.Second:
		return d.Round(time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	default:
		return d.Round(time.Microsecond).String()
	}
}

// waits says what a step waits for, and how long it thinks then.
func waits(s *Step) string {
	if len(s.After) == 0 {
		if s.Gap == 0 {
			return ""
		}
		return duration(s.Gap) + " after the beginning"
	}
	ids := make([]string, 0, len(s.After))
	for _, id := range s.After[:min(len(s.After), 4)] {
		ids = append(ids, strconv.Itoa(id))
	}
	list := strings.Join(ids, ", ")
	if n := len(s.After) - 4; n > 0 {
		list += fmt.Sprintf(" and %d more", n)
	}
	return duration(s.Gap) + " after " + list
}

// details are the lines below a step.
func (t *texter) details(s *Step, indent string) {
	if s.Kind != Send && s.Kind != Expect {
		return
	}
	var marks []string
	if s.Made {
		marks = append(marks, "synthesised")
	}
	if s.Optional {
		marks = append(marks, "may be missing")
	}
	if s.Repeats > 0 {
		marks = append(marks, "was sent again "+times(s.Repeats))
	}
	if h, ok := t.p.Host(s.From); ok && s.Proto != h.Proto && s.Proto != 0 {
		marks = append(marks, "over "+s.Proto.String())
	}
	if s.Why != "" {
		marks = append(marks, text.Clean(s.Why))
	}
	if len(marks) > 0 {
		t.line("%s  %s", indent, strings.Join(marks, "; "))
	}
	if s.Kind != Send {
		return
	}
	if list := Rewritten(s); len(list) > 0 {
		t.line("%s  rewrites %s", indent, text.Clean(strings.Join(list, ", ")))
	}
}

func (t *texter) needs() {
	if len(t.p.Needs) == 0 {
		return
	}
	t.line("")
	t.line("credentials needed (--cred REALM:USER:PASSWORD)")
	for _, n := range t.p.Needs {
		why := "to answer the challenge of the live server"
		if n.Verify {
			why = "to verify what the live server answers to our challenge"
		}
		t.line("  realm %q, user %q: %s, %s, step %d", n.Realm, n.User, text.Clean(n.Host), why, n.Step)
	}
}

func (t *texter) stream(s *Step) string {
	if s.Stream < 0 || s.Stream >= len(t.p.Media) {
		return "?"
	}
	m := &t.p.Media[s.Stream]
	var codecs []string
	for _, f := range m.Payloads[:min(len(m.Payloads), 8)] {
		name := f.Name
		if name == "" {
			name = "payload type " + strconv.Itoa(int(f.PT))
		}
		codecs = append(codecs, text.Clean(clip(name, 32)))
	}
	return fmt.Sprintf("%s of %s, %s", count(len(m.Packets), "packet"), strings.Join(codecs, ", "), duration(s.Duration))
}

func (t *texter) streams() {
	if len(t.p.Media) == 0 {
		return
	}
	t.line("")
	t.line("recorded media")
	for i := range t.p.Media {
		m := &t.p.Media[i]
		t.line("  %s %s  SSRC %08x  %s to %s", text.Clean(clip(m.Type, 32)), count(len(m.Packets), "packet"), m.SSRC,
			side(m.From, m.Src), side(m.To, m.Dst))
	}
}

func side(name string, at netip.AddrPort) string {
	if name == "" {
		return at.String()
	}
	return text.Clean(name) + " (" + at.String() + ")"
}

func (t *texter) notes() {
	if len(t.p.Notes) == 0 {
		return
	}
	t.line("")
	t.line("notes")
	for _, n := range t.p.Notes {
		t.line("  %s", text.Clean(n))
	}
}
