package export

import (
	"io"
	"strconv"

	"sipscope/correlate"
	"sipscope/decode/sip"
)

// WriteMessageJSON writes one message as a line: {"call":n,"message":{...},"headers":[{"name","value"}],"diags":[...]}.
// call is the number of its call, index its 0-based place in it or -1, facts what the archive knows of it.
func WriteMessageJSON(w io.Writer, call uint32, index int, facts *correlate.Message, m *sip.Message) error {
	o := output{w: w}
	o.buf = append(o.buf, `{"call":`...)
	o.buf = strconv.AppendUint(o.buf, uint64(call), 10)
	o.name("message")
	o.message(index, facts, m.Raw)
	o.name("headers")
	o.buf = append(o.buf, '[')
	for i := range m.Headers {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		h := &m.Headers[i]
		o.buf = appendText(append(o.buf, '{'), "name", string(h.Name.Of(m.Raw)))
		o.text("value", string(h.Value.Of(m.Raw)))
		o.buf = append(o.buf, '}')
	}
	o.buf = append(o.buf, ']')
	o.name("diags")
	o.buf = append(o.buf, '[')
	for i := range m.Diags {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		d := &m.Diags[i]
		o.buf = appendText(append(o.buf, '{'), "code", d.Code.String())
		o.text("severity", d.Code.Severity().String())
		o.text("section", d.Code.Section())
		o.text("text", d.Code.Text())
		o.number("offset", int(d.Span.Off))
		o.number("length", int(d.Span.Len))
		o.buf = append(o.buf, '}')
	}
	o.buf = append(o.buf, "]}\n"...)
	o.flushAt(0)
	return o.err
}
