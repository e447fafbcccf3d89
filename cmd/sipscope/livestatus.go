package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sipscope/capture"
	"sipscope/capture/hep"
	"sipscope/capture/live"
	"sipscope/capture/output"
	"sipscope/correlate"
	"sipscope/render/html"
)

func deviceStatus(s *live.Source) []capture.SourceStatus {
	var all []capture.SourceStatus
	for _, d := range s.Stats() {
		st := capture.SourceStatus{Name: d.Device, Up: d.Up, Received: d.Received, Dropped: d.KernelDropped}
		if st.Note = d.Note; !d.Up && st.Note == "" {
			st.Note = "interface is down or gone"
		}
		all = append(all, st)
	}
	return all
}

func listenerStatus(l *hep.Listener) []capture.SourceStatus {
	s := l.Stats()
	st := capture.SourceStatus{
		Name: "HEP", Up: true, Received: s.Received, Dropped: s.Kernel, Queue: s.Dropped,
		Rejected: s.Malformed + s.Rejected + s.Oversize + s.Garbage, Note: s.LastError,
	}
	return []capture.SourceStatus{st}
}

// tellOutput closes a file of packets, and says what it lacks.
func (in *input) tellOutput(out *output.Output) error {
	err := out.Close()
	st := out.Stats()
	if err != nil || st.Dropped > 0 {
		why := st.LastError
		if err != nil {
			why = err.Error()
		}
		fmt.Fprintf(in.io.err, "sipscope: %d packets were not written: %s\n", st.Dropped, oneLine(why))
	}
	return err
}

// rates are figures a second, over at least a second.
type rates struct {
	mu                       sync.Mutex
	at                       time.Time
	packets, messages, calls uint64
	line                     string
}

// statusLine says how a live capture goes: every loss, then figures a second. Where there is no room, its end is cut.
func (r *rates) statusLine(now time.Time, d *door, board *correlate.Board) string {
	acct, _ := board.Accounting()
	totals := board.Totals()
	r.mu.Lock()
	defer r.mu.Unlock()
	age := now.Sub(r.at)
	perSecond := func(n, before uint64) string { return short(float64(n-before) / age.Seconds()) }
	switch {
	case r.at.IsZero():
		r.line = "just begun"
	case age < time.Second:
		return strings.Join(slices.Concat([]string{"live"}, losses(d), []string{r.line}), " · ")
	case acct.Packets == 0:
		r.line = "waiting for packets"
	default:
		r.line = fmt.Sprintf("%s packets/s · %s messages/s · %s calls/s", perSecond(acct.Packets, r.packets),
			perSecond(totals.Messages, r.messages), perSecond(totals.Calls, r.calls))
	}
	r.at, r.packets, r.messages, r.calls = now, acct.Packets, totals.Messages, totals.Calls
	return strings.Join(slices.Concat([]string{"live"}, losses(d), []string{r.line}), " · ")
}

// losses says what was lost, by place, and what is wrong.
func losses(d *door) []string {
	var all []string
	st := d.status()
	add := func(n uint64, what string) {
		if n > 0 {
			all = append(all, short(float64(n))+" "+what)
		}
	}
	kernel, queue := st.Dropped()
	add(kernel, "dropped by the kernel")
	add(queue, "dropped in the queue")
	for i := range st.Sources {
		add(st.Sources[i].Rejected, "rejected by "+st.Sources[i].Name)
	}
	for i := range st.Sources {
		if s := &st.Sources[i]; s.Note != "" {
			all = append(all, s.Name+": "+s.Note)
		}
	}
	if s := st.Spool; s != nil {
		add(s.Dropped, "not spooled")
		if s.Err != "" {
			all = append(all, "spool: "+s.Err)
		}
	}
	for _, out := range d.outputs {
		if o := out.Stats(); o.Dropped > 0 {
			all = append(all, fmt.Sprintf("%s not written (%s)", short(float64(o.Dropped)), o.LastError))
		}
	}
	return all
}

// lost says in a line what a live capture lost, for where its calls are listed or reported; nothing for files, or when
// nothing was lost.
func (d *door) lost() []string {
	if !d.live() {
		return nil
	}
	all := losses(d)
	if len(all) == 0 {
		return nil
	}
	return []string{html.Words("report.lost", strings.Join(all, ", "))}
}

// short writes a figure in few characters.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.1fM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.0fk", v/1e3)
	case v >= 1e3:
		return fmt.Sprintf("%.1fk", v/1e3)
	case v >= 10 || v == float64(int(v)):
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}
