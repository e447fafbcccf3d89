package export

import (
	"sipscope/correlate/check"
	"sipscope/correlate/media/judge"
)

// CallFindings is what is to be said of one call's media.
type CallFindings struct {
	Call     uint32 // its number
	CallID   string
	Findings []judge.Finding
	Presses  []check.Press
}

// AppendFindingsJSON appends a JSON array with an object for each call: {"call":1,"call_id":"...","findings":[...],
// "presses":[...]}. docs/media.md describes every field.
func AppendFindingsJSON(dst []byte, calls []CallFindings) []byte {
	return list(dst, calls, func(o *object, c *CallFindings) {
		o.number("call", uint64(c.Call))
		o.text("call_id", c.CallID)
		o.raw("findings", func(b []byte) []byte { return list(b, c.Findings, finding) })
		o.raw("presses", func(b []byte) []byte { return list(b, c.Presses, press) })
	})
}

func finding(o *object, f *judge.Finding) {
	o.text("code", string(f.Code))
	o.text("severity", f.Severity.String())
	o.time("time", f.Time)
	o.text("text", f.Text)
	o.raw("frames", func(b []byte) []byte {
		b = append(b, '[')
		for i, n := range f.Frames {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendUint(b, n)
		}
		return append(b, ']')
	})
	o.positive("stream", uint64(f.Stream))
	o.word("section", f.Code.Section())
}

func press(o *object, p *check.Press) {
	o.text("key", p.Name())
	o.text("via", p.Via.String())
	o.time("start", p.Start)
	o.ms("duration_ms", p.Duration)
	o.bool("start_seen", !p.LostStart)
	o.bool("end_seen", p.Ended)
	o.number("first_frame", p.First)
	o.number("last_frame", p.Last)
	o.positive("stream", uint64(p.Stream))
	o.text("src", p.Src.String())
	o.text("dst", p.Dst.String())
}
