package svg

import (
	"strconv"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/render/ladder"
	"sipscope/render/text"
)

const (
	titleBase = 22
	titleStep = 18
)

// headline is the title of a call in lines.
type headline struct{ title, callID []string }

// titles gives the headlines of the calls and the height that they take.
func (d *drawing) titles() (all []headline, height int) {
	all = make([]headline, len(d.l.Calls))
	w := d.cells(pad)
	height = 8
	for i := range d.l.Calls {
		h := &all[i]
		h.title = wrapParts(d.title(i), w*7/8) // bold type is wider
		if id := d.l.Calls[i].CallID; id != "" {
			h.callID = wrapParts([]string{"Call-ID " + text.Clean(id)}, w)
		}
		height += titleStep*len(h.title) + lineStep*len(h.callID) + 4
	}
	return all, height
}

// wrapParts joins parts into lines of at most w cells. A part is broken only when it is wider than a line.
func wrapParts(parts []string, w int) []string {
	var lines []string
	now := ""
	for i, p := range parts {
		next := p
		if i > 0 {
			next = now + sep + p
		}
		if i > 0 && width(next) > w {
			lines, next = append(lines, now), p
		}
		for now = next; width(now) > w; {
			var line string
			line, now = wrapLine(now, w)
			lines = append(lines, line)
		}
	}
	if now != "" {
		lines = append(lines, now)
	}
	return lines
}

// headline draws a title and gives the base of what follows.
func (d *drawing) headline(h *headline, y int) int {
	for _, s := range h.title {
		d.line("title", pad, y, s)
		y += titleStep
	}
	for _, s := range h.callID {
		d.line("callid", pad, y-2, s)
		y += lineStep
	}
	return y + 4
}

func stateWord(s correlate.State) string { return strings.ReplaceAll(s.String(), "_", " ") }

// title says of a call what the text ladder says.
func (d *drawing) title(i int) []string {
	c := &d.l.Calls[i]
	parts := make([]string, 0, 12)
	add := func(s string) {
		if s != "" {
			parts = append(parts, text.Clean(s))
		}
	}
	if i == 0 {
		add(d.l.Source)
	}
	n := "call " + strconv.FormatUint(uint64(c.Num), 10)
	if d.l.Of > 0 {
		n += " of " + strconv.Itoa(d.l.Of)
	}
	add(n)
	add(stateWord(c.State))
	if c.From != "" || c.To != "" {
		parts = append(parts, text.Clean(c.From)+arrowWord+text.Clean(c.To))
	}
	add(ladder.Duration(c.Span))
	if c.PDD >= 0 {
		add("pdd " + ladder.Duration(c.PDD))
	}
	if c.Setup >= 0 {
		add("setup " + ladder.Duration(c.Setup))
	}
	if c.EndedBy != "" {
		add("ended by " + c.EndedBy)
	}
	add(c.Relation)
	if t := d.l.Transports; i == 0 && len(t) > 0 && (len(t) > 1 || t[0] != "UDP") {
		add(strings.Join(t, ", "))
	}
	add(time.Unix(0, c.Start).UTC().Format("2006-01-02 15:04:05.000 UTC"))
	return parts
}

// totals is the footer, as the text ladder has it.
func (d *drawing) totals() string {
	t := &d.l.Totals
	s := count(t.Transactions, "transaction") + " on " + count(t.Hops, "hop")
	add := func(n int, what string) {
		if n > 0 {
			s += sep + count(n, what)
		}
	}
	add(t.Dialogs, "dialog")
	if t.EarlyDialogs != t.Dialogs {
		add(t.EarlyDialogs, "early dialog")
	}
	add(t.Retransmissions, "retransmission")
	if t.Duplicates > 0 {
		s += sep + count(t.Duplicates, "duplicate") + " of the tap"
	}
	add(t.Gaps, "gap")
	if t.Accounting != "" {
		s += sep + text.Clean(t.Accounting)
	}
	return s
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}
