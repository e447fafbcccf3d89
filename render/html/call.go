package html

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/render/ladder"
	"sipscope/render/svg"
	"sipscope/render/text"
)

// ladderWidth is how wide the text ladder is that a page copies, in cells: a page of a ticket or a mail.
const ladderWidth = 120

// Flow is what a page shows of one call, or of several in one ladder.
type Flow struct {
	Calls []correlate.Call
	// Text gives the raw text of a message, nil when it cannot be read again. It is asked once for each message.
	Text ladder.TextFunc
	// Ladder says how the ladder is laid out.
	Ladder ladder.Options
	Times  text.Times
	// Packets is a pcapng file with the calls' frames for "download"; nil for none.
	Packets []byte
}

// maxLines bounds the lines shown of one message; what is left out is said.
const maxLines = 2000

// Encoder writes flows as JSON. It keeps buffers for the next one and belongs to one goroutine.
type Encoder struct {
	msg   messageEncoder
	texts [][][]byte
	text  strings.Builder
}

// Append appends the JSON document of a flow. assets/call.js reads it:
//
//	{"head":SVG,"body":SVG,"ladder":text,"pcap":base64,
//	 "calls":[{"num","call_id","title","state","facts":[[name,value,frame]...],"media":{...},
//	   "messages":[{"i","f","fs":[frame...],"at","us","src","dst","via","label","txn","dialog","repeats","raw","tree","diags"}],
//	   "txns":[{"method","state","label","msgs":[index...],"peer":index}]}]}
func (e *Encoder) Append(dst []byte, f *Flow) ([]byte, error) {
	e.read(f)
	l := ladder.Build(f.Calls, func(call, message int) []byte { return e.texts[call][message] }, f.Ladder)
	opts := svg.Options{Times: f.Times, Terse: true}
	e.text.Reset()
	if err := text.Ladder(&e.text, &l, text.Options{Width: ladderWidth, Times: f.Times, HeaderEvery: -1}); err != nil {
		return dst, err
	}
	dst = append(dst, '{')
	var err error
	dst = appendSVG(dst, "head", svg.AppendHeader(nil, &l, opts))
	dst = appendSVG(dst, "body", svg.AppendBody(nil, &l, opts))
	dst = appendText(dst, "ladder", shorten(e.text.String()))
	if f.Packets != nil {
		dst = appendBase64(appendKey(dst, "pcap"), f.Packets)
	}
	dst = append(appendKey(dst, "calls"), '[')
	for i := range f.Calls {
		if dst, err = e.call(comma(dst), &f.Calls[i], &l, i); err != nil {
			return dst, err
		}
	}
	return append(dst, ']', '}'), nil
}

// shorten writes runs of three to 255 equal characters as one and a private character, U+E000 + length, which no clean
// text has: a third of what text ladders take in a compressed report. S.lengthen is the way back.
func shorten(s string) string {
	b := make([]byte, 0, len(s)/2)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		n := 1
		for n < 255 && strings.HasPrefix(s[i+n*size:], s[i:i+size]) {
			n++
		}
		if n < 3 {
			n = 1
		}
		b = utf8.AppendRune(b, r)
		if n > 1 {
			b = utf8.AppendRune(b, rune(0xE000+n))
		}
		i += n * size
	}
	return string(b)
}

func first(calls []correlate.Call) uint32 {
	if len(calls) == 0 {
		return 0
	}
	return calls[0].Num
}

// read takes the texts of all messages: the ladder and the messages look at them.
func (e *Encoder) read(f *Flow) {
	e.texts = e.texts[:0]
	for c := range f.Calls {
		texts := make([][]byte, len(f.Calls[c].Messages))
		for m := range texts {
			texts[m] = f.Text(c, m)
		}
		e.texts = append(e.texts, texts)
	}
}

func appendSVG(dst []byte, name string, b []byte) []byte {
	return appendString(appendKey(dst, name), b)
}

func (e *Encoder) call(dst []byte, c *correlate.Call, l *ladder.Ladder, index int) ([]byte, error) {
	dst = append(dst, '{')
	dst = appendInt(dst, "num", int64(c.Num))
	dst = appendText(dst, "call_id", text.Clean(c.CallID))
	dst = appendText(dst, "title", Title(&c.Summary))
	dst = appendText(dst, "state", c.State.String())
	dst = append(appendKey(dst, "facts"), '[')
	for _, fact := range Facts(c, &l.Calls[index]) {
		dst = append(comma(dst), '[')
		dst = appendString(dst, fact.Name)
		dst = appendString(append(dst, ','), fact.Value)
		if fact.Frame != 0 {
			dst = strconv.AppendUint(append(dst, ','), fact.Frame, 10)
		}
		dst = append(dst, ']')
	}
	dst = append(dst, ']')
	dst, err := appendMedia(dst, l, index)
	if err != nil {
		return dst, err
	}
	dst = append(appendKey(dst, "messages"), '[')
	for i := range c.Messages {
		dst = e.message(comma(dst), c, i, index)
	}
	dst = append(dst, ']')
	dst = append(appendKey(dst, "txns"), '[')
	for i := range c.Transactions {
		dst = appendTxn(comma(dst), c, i)
	}
	return append(dst, ']', '}'), nil
}

func (e *Encoder) message(dst []byte, c *correlate.Call, i, call int) []byte {
	m := &c.Messages[i]
	dst = append(dst, '{')
	dst = appendInt(dst, "f", int64(m.Seq)) //nolint:gosec // a count of frames
	if fs := frames(m); len(fs) > 1 {
		dst = append(appendKey(dst, "fs"), '[')
		for _, seq := range fs {
			dst = strconv.AppendUint(comma(dst), seq, 10)
		}
		dst = append(dst, ']')
	}
	dst = append(appendKey(dst, "at"), '"')
	dst = time.Unix(0, m.Time).UTC().AppendFormat(dst, "2006-01-02 15:04:05.000000")
	dst = append(dst, '"')
	dst = appendInt(dst, "us", (m.Time-c.First)/1000)
	dst = appendText(dst, "src", m.Src.String())
	dst = appendText(dst, "dst", m.Dst.String())
	dst = appendText(dst, "via", m.Transport.String())
	dst = appendText(dst, "label", label(m))
	dst = appendInt(dst, "txn", int64(m.Txn))
	dst = appendInt(dst, "dialog", int64(m.Dialog))
	if m.Repeats >= 0 {
		dst = appendInt(dst, "repeats", int64(m.Repeats))
	}
	if m.Flags&decode.Truncated != 0 {
		dst = append(appendKey(dst, "cut"), "true"...)
	}
	return append(e.msg.append(dst, e.texts[call][i]), '}')
}

// label names a message: its method, or its status with the usual reason.
func label(m *correlate.Message) string {
	if m.Status == 0 {
		return text.Clean(m.Method)
	}
	return strings.TrimSpace(strconv.Itoa(int(m.Status)) + " " + reason(m.Status) + " (" + text.Clean(m.Method) + ")")
}

// frames lists what carried a message, in order.
func frames(m *correlate.Message) []uint64 {
	fs := make([]uint64, 0, len(m.Pieces)+1)
	for i := range m.Pieces {
		fs = append(fs, m.Pieces[i].Seq)
	}
	fs = append(fs, m.Seq)
	slices.Sort(fs)
	return slices.Compact(fs)
}

// maxPeers bounds the messages listed of one transaction.
const maxPeers = 64

func appendTxn(dst []byte, c *correlate.Call, i int) []byte {
	t := &c.Transactions[i]
	dst = append(dst, '{')
	dst = appendText(dst, "method", text.Clean(t.Method))
	dst = appendText(dst, "state", strings.ReplaceAll(t.State.String(), "_", " "))
	dst = appendInt(dst, "cseq", int64(t.CSeq))
	dst = appendInt(dst, "leg", int64(t.Leg))
	if t.Cancel >= 0 {
		dst = appendInt(dst, "peer", int64(t.Cancel))
	}
	dst = append(appendKey(dst, "msgs"), '[')
	n := 0
	for j := range c.Messages {
		if c.Messages[j].Txn == i && n < maxPeers {
			dst = strconv.AppendInt(comma(dst), int64(j), 10)
			n++
		}
	}
	return append(dst, ']', '}')
}

func messageCount(f *Flow) (n int) {
	for i := range f.Calls {
		n += len(f.Calls[i].Messages)
	}
	return n
}
