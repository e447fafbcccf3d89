package html

import (
	"encoding/base64"
	"iter"

	"sipscope/decode/sip"
	"sipscope/render/text"
)

// styleClass is the CSS class of each style, by its number; "" is plain. The scripts get the list with the words.
func styleClasses() []string {
	classes := make([]string, text.DiagError+1)
	for style, name := range map[text.Color]string{
		text.Request: "q", text.Provisional: "p", text.Success: "s", text.Redirect: "r", text.Failure: "f",
		text.HeaderName: "h", text.Method: "m", text.URI: "u", text.Parameter: "a", text.Identity: "i", text.Number: "n",
		text.BodyName: "b", text.DiagWarning: "w", text.DiagError: "e", text.Bold: "B", text.Dim: "D",
	} {
		classes[style] = name
	}
	return classes
}

// compactNames gives the name of a header by its compact form (RFC 3261 7.3.3).
func compactNames() map[string]string {
	names := map[string]string{}
	for c := 'a'; c <= 'z'; c++ {
		if id := sip.LookupHeader([]byte{byte(c)}); id != sip.HeaderOther {
			names[string(c)] = id.String()
		}
	}
	return names
}

// messageEncoder writes the text of messages as the wire had it, and what departs from the grammar.
type messageEncoder struct {
	m    sip.Message
	buf  []byte
	offs []int // of the lines of the raw text
}

// append appends the members "raw" and "diags". The parsed view is made of these by the page: it would double
// the size of a report.
func (e *messageEncoder) append(dst []byte, raw []byte) []byte {
	if len(raw) == 0 {
		return dst
	}
	e.offs = e.offs[:0]
	dst = e.lines(dst, "raw", text.RawLines(raw, text.MessageOptions{}))
	if err := sip.Parse(raw, &e.m); err != nil {
		return dst // it is no SIP message any more: the text says so itself
	}
	if len(e.m.Diags) == 0 {
		return dst
	}
	dst = append(appendKey(dst, "diags"), '[')
	for i := range e.m.Diags {
		d := &e.m.Diags[i]
		dst = append(comma(dst), '{')
		dst = appendInt(dst, "line", int64(e.lineAt(int(d.Span.Off))))
		dst = appendText(dst, "sev", d.Code.Severity().String())
		dst = appendText(dst, "code", d.Code.String())
		dst = appendText(dst, "text", d.Code.Text())
		dst = appendText(dst, "rfc", d.Code.Section())
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// lines writes styled lines as one string, a line feed between two.
func (e *messageEncoder) lines(dst []byte, name string, lines iter.Seq[text.Line]) []byte {
	b := e.buf[:0]
	n := 0
	for l := range lines {
		if n++; n > maxLines {
			b = append(b, english().get("message.more")...)
			break
		}
		if n > 1 {
			b = append(b, '\n')
		}
		e.offs = append(e.offs, l.Off)
		style := text.Plain
		for i := range l.Segs {
			if s := &l.Segs[i]; s.Text != "" {
				if s.Style != style {
					b = appendStyle(b, s.Style)
					style = s.Style
				}
				b = append(b, s.Text...)
			}
		}
	}
	e.buf = b
	return appendText(dst, name, b)
}

// appendStyle writes the private character that begins a piece of a style in a styled text, U+E000 + style, in UTF-8.
// Clean lets no private character of the wire through, so the scripts can cut there.
func appendStyle(b []byte, s text.Color) []byte {
	return append(b, 0xEE, 0x80, 0x80|byte(s))
}

// lineAt is the 0-based line of the raw text that holds a byte.
func (e *messageEncoder) lineAt(off int) int {
	at := 0
	for i, o := range e.offs {
		if o > off {
			break
		}
		at = i
	}
	return at
}

func appendBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}
