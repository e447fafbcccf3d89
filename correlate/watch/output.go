package watch

import (
	"bytes"
	"fmt"
	"io"
)

// maxOutput is how many bytes of what one command prints are passed on.
const maxOutput = 64 << 10

// output passes on what a command prints, up to maxOutput bytes and in whole lines, so that who cleans it never sees
// half a character. It never fails: a command does not stop for a reader that went away.
type output struct {
	w    io.Writer
	left int    // bytes that may still be passed on
	line []byte // begun and not ended, within those bytes
	lost uint64 // bytes that were not passed on
}

func newOutput(w io.Writer) *output { return &output{w: w, left: maxOutput} }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	n := len(p)
	if n > o.left {
		o.lost += uint64(n - o.left) //nolint:gosec // positive
		p = p[:o.left]
	}
	o.left -= len(p)
	end := bytes.LastIndexByte(p, '\n') + 1
	if end > 0 {
		o.line = append(o.line, p[:end]...)
		o.pass()
	}
	o.line = append(o.line, p[end:]...)
	return n, nil
}

// end passes on a last line without line end, and says what was left out.
func (o *output) end() {
	if len(o.line) > 0 {
		o.line = append(o.line, '\n')
		o.pass()
	}
	if o.lost > 0 {
		o.line = fmt.Appendf(o.line, "(%d more bytes not shown)\n", o.lost)
		o.pass()
	}
}

func (o *output) pass() {
	_, _ = o.w.Write(o.line) // see output
	o.line = o.line[:0]
}
