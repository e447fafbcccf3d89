package message

import (
	"strconv"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/render/ladder"
	"sipscope/render/tui/term"
)

// joints are what words are joined with outside of a canvas.
type joints struct{ sep, to string }

func jointsOf(ascii bool) joints {
	if ascii {
		return joints{"; ", " -> "}
	}
	return joints{" · ", " → "}
}

// Head is the line above a message of a call, by index: frame, way, transport, time of day (UTC), and what befell it.
// It is empty for a message that the call does not have.
func Head(call *correlate.Call, message int, ascii bool) string {
	return strings.Join(heads(call, message, ascii), jointsOf(ascii).sep)
}

// heads are the parts of Head, the more important ones first.
func heads(call *correlate.Call, message int, ascii bool) []string {
	if call == nil || message < 0 || message >= len(call.Messages) {
		return nil
	}
	m := &call.Messages[message]
	parts := []string{
		"frame " + strconv.FormatUint(m.Seq, 10),
		m.Src.String() + jointsOf(ascii).to + m.Dst.String() + " " + m.Transport.String(),
		time.Unix(0, m.Time).UTC().Format("15:04:05.000000"),
	}
	if !m.Path.IsZero() {
		parts = append(parts, "in "+m.Path.String())
	}
	if m.Repeats >= 0 && m.Repeats < len(call.Messages) {
		parts = append(parts, again(m)+", first in frame "+strconv.FormatUint(call.Messages[m.Repeats].Seq, 10))
	}
	if m.Copy > 1 {
		parts = append(parts, "copy "+strconv.Itoa(m.Copy)+" on its path")
	}
	for _, f := range [...]struct {
		flag decode.Flags
		name string
	}{
		{decode.Truncated, "not whole"},
		{decode.AfterGap, "after a hole in the stream"},
		{decode.Reassembled, "out of several frames"},
		{decode.Encapsulated, "sent by a capture agent (HEP)"},
	} {
		if m.Flags&f.flag != 0 {
			parts = append(parts, f.name)
		}
	}
	return parts
}

// again says how a message came that was there before: the tap's duplicate is no retransmission.
func again(m *correlate.Message) string {
	switch {
	case m.Flags&decode.TapDuplicate != 0:
		return "seen twice by the tap"
	case m.Interval > 0:
		return "sent again after " + ladder.Duration(m.Interval)
	default:
		return "sent again"
	}
}

// refHead is Head of a reference.
func refHead(r term.MessageRef, ascii bool) string { return Head(r.Call, r.Message, ascii) }

// textOfRef reads a message, nil when it is not there.
func textOfRef(data *term.Data, call *correlate.Call, message int) []byte {
	if call == nil || message < 0 || message >= len(call.Messages) || data.Text == nil {
		return nil
	}
	return data.Text(call, message)
}

// plural gives "1 thing" or "n things".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// quoted is what a user searched for, in a message to him.
func quoted(s string) string {
	const most = 40
	for i := range s {
		if i >= most {
			return `"` + s[:i] + `..."`
		}
	}
	return `"` + s + `"`
}
