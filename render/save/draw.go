package save

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/render/export"
	"sipscope/render/html"
	"sipscope/render/ladder"
	"sipscope/render/svg"
	"sipscope/render/text"
)

// bufferSize is how much is gathered before it is written, in bytes.
const bufferSize = 64 << 10

// reader gives the texts of calls to what draws them, and keeps the first error.
type reader struct {
	job *Job
	o   *output
	err error
}

// text gives nil after an error: the drawing is thrown away.
func (r *reader) text(c *correlate.Call, message int) []byte {
	if r.job.Source.Text == nil || r.err != nil {
		return nil
	}
	if r.err = r.o.stopped(); r.err != nil {
		return nil
	}
	b, err := r.job.Source.Text(c, message)
	if err != nil {
		r.err = fmt.Errorf("call %d: %w", c.Num, err)
		return nil
	}
	return b
}

// of gives the texts as drawings take them.
func (r *reader) of(calls []correlate.Call) ladder.TextFunc {
	return func(call, message int) []byte { return r.text(&calls[call], message) }
}

// writeText writes the messages call by call, safe for a terminal: each under a line that says where it comes from.
func writeText(_ context.Context, o *output, job *Job) error {
	w := bufio.NewWriterSize(o, bufferSize)
	r := reader{job: job, o: o}
	n := 0
	err := func() error {
		for c := range o.calls(job) {
			for i := range c.Messages {
				if job.Messages != nil && !job.Messages(c, i) {
					continue
				}
				raw := r.text(c, i)
				if r.err != nil {
					return r.err
				}
				if err := writeMessage(w, c, i, raw, n > 0); err != nil {
					return err
				}
				n++
			}
		}
		return w.Flush()
	}()
	if err = o.end(err); err == nil && n == 0 {
		err = ErrNothing
	}
	return err
}

func writeMessage(w *bufio.Writer, c *correlate.Call, i int, raw []byte, apart bool) error {
	m := &c.Messages[i]
	line := w.AvailableBuffer()
	if apart {
		line = append(line, '\n')
	}
	line = append(append(line, "── frame "...), strconv.FormatUint(m.Seq, 10)...)
	line = time.Unix(0, m.Time).UTC().AppendFormat(append(line, " · "...), "2006-01-02 15:04:05.000000")
	line = fmt.Appendf(line, " · %s → %s · %s · message %d of call %d · %d bytes", m.Src, m.Dst, m.Transport,
		i+1, c.Num, len(raw))
	if !m.Path.IsZero() {
		line = append(append(line, " · in "...), m.Path.String()...)
	}
	switch {
	case m.Flags&decode.TapDuplicate != 0:
		line = append(line, " · the tap's second sight of the frame"...)
	case m.Repeats >= 0:
		line = fmt.Appendf(line, " · retransmission of message %d", m.Repeats+1)
	}
	if m.Flags&decode.Truncated != 0 {
		line = append(line, " · truncated"...)
	}
	if _, err := w.Write(append(line, '\n')); err != nil {
		return err
	}
	return text.RawMessage(w, raw, text.MessageOptions{})
}

// writeLadder draws each call, or all together.
func writeLadder(_ context.Context, o *output, job *Job) error {
	opts := text.Options{Width: job.Width, ASCII: job.Format == LadderASCII, Times: job.Times}
	if opts.Width == 0 {
		opts.Width = DefaultWidth
	}
	draw := func(w io.Writer, l *ladder.Ladder, _ []correlate.Call, _ *reader) error {
		return text.Ladder(w, l, opts)
	}
	if job.Together {
		return drawTogether(o, job, draw)
	}
	w := bufio.NewWriterSize(o, bufferSize)
	err := func() error {
		first := true
		for c := range o.calls(job) {
			if !first {
				if err := w.WriteByte('\n'); err != nil {
					return err
				}
			}
			first = false
			if err := drawCalls(w, o, job, []correlate.Call{*c}, draw); err != nil {
				return err
			}
		}
		return w.Flush()
	}()
	return o.end(err)
}

// drawFunc draws a ladder. Its reader gives texts.
type drawFunc func(w io.Writer, l *ladder.Ladder, calls []correlate.Call, r *reader) error

// drawTogether draws all calls of a job as one.
func drawTogether(o *output, job *Job, draw drawFunc) error {
	var calls []correlate.Call
	messages := 0
	for c := range o.calls(job) {
		if messages += len(c.Messages); messages > MaxTogether {
			return fmt.Errorf("%w: at most %d", ErrTooMany, MaxTogether)
		}
		calls = append(calls, *c)
	}
	if err := o.end(nil); err != nil {
		return err
	}
	w := bufio.NewWriterSize(o, bufferSize)
	if err := drawCalls(w, o, job, calls, draw); err != nil {
		return err
	}
	return w.Flush()
}

func drawCalls(w io.Writer, o *output, job *Job, calls []correlate.Call, draw drawFunc) error {
	r := &reader{job: job, o: o}
	l := ladder.Build(calls, r.of(calls), job.Ladder)
	if r.err != nil {
		return r.err
	}
	if err := draw(w, &l, calls, r); err != nil {
		return err
	}
	return r.err
}

func writeMermaid(_ context.Context, o *output, job *Job) error {
	return drawTogether(o, job, func(w io.Writer, l *ladder.Ladder, _ []correlate.Call, _ *reader) error {
		return export.WriteMermaid(w, l)
	})
}

func writeSVG(_ context.Context, o *output, job *Job) error {
	return drawTogether(o, job, func(w io.Writer, l *ladder.Ladder, _ []correlate.Call, _ *reader) error {
		return svg.Write(w, l, svg.Options{Standalone: true, Times: job.Times})
	})
}

func writeHTML(_ context.Context, o *output, job *Job) error {
	return drawTogether(o, job, func(w io.Writer, _ *ladder.Ladder, calls []correlate.Call, r *reader) error {
		return html.WriteFlow(w, html.Title(&calls[0].Summary), "", &html.Flow{
			Calls: calls, Text: r.of(calls), Ladder: job.Ladder, Times: job.Times,
		})
	})
}

func writeJSON(_ context.Context, o *output, job *Job) error {
	return drawTogether(o, job, func(w io.Writer, l *ladder.Ladder, calls []correlate.Call, r *reader) error {
		return export.WriteFlowJSON(w, l, calls, r.of(calls), job.Headers)
	})
}

// summaries gives the headlines of a job's calls.
func summaries(o *output, job *Job) iter.Seq[*correlate.Summary] {
	return func(yield func(*correlate.Summary) bool) {
		for c := range o.calls(job) {
			if !yield(&c.Summary) {
				return
			}
		}
	}
}

func writeNDJSON(_ context.Context, o *output, job *Job) error {
	return o.end(export.WriteCallsNDJSON(o, summaries(o, job), job.Headers))
}

func writeCSV(_ context.Context, o *output, job *Job) error {
	return o.end(export.WriteCallsCSV(o, summaries(o, job), job.Headers))
}
