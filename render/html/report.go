package html

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"iter"
	"runtime"

	"golang.org/x/sync/errgroup"

	"sipscope/correlate"
	"sipscope/correlate/stats"
	"sipscope/render/export"
	"sipscope/render/html/chart"
	"sipscope/render/ladder"
	"sipscope/render/svg"
	"sipscope/render/text"
)

// DefaultMaxSize is how large a report may become, in bytes: what mail servers and ticket systems take.
const DefaultMaxSize = 25_000_000

// Bounds of a report.
const (
	chunkCalls  = 50   // in one compressed block: what a click unpacks
	rowBlock    = 4096 // rows of the list in one block
	maxMessages = 5000 // of a call whose ladder is drawn; nobody reads a longer one
	staticCalls = 20   // shown where scripts are off, when a report has no more
	staticLimit = 400  // messages of these
)

// Report is what a report shows. Its functions are called from several goroutines.
type Report struct {
	Title, Source, Version string
	Notes                  []string // said at the top: what was chosen, what was replaced
	Result                 stats.Result
	// Summaries gives the calls in the order of the list. It is walked once.
	Summaries iter.Seq[*correlate.Summary]
	// Call gives a call and a reader of its messages' texts, nil for one that cannot be read again.
	Call    func(num uint32) (c correlate.Call, text func(message int) []byte, ok bool)
	Packets func(c *correlate.Call, text func(message int) []byte) []byte // a capture file with the call's frames; nil for none
	Ladder  ladder.Options
	Times   text.Times
	MaxSize int64 // bytes; 0 takes DefaultMaxSize. A report is never without its overview
}

// Written says what a report holds.
type Written struct {
	Bytes    int64
	Calls    int // of the report
	Rows     int // in the list
	Detailed int // with ladder and messages
}

// reportMeta is what the script wants to know first.
type reportMeta struct {
	Calls     int  `json:"calls"`
	RowBlocks int  `json:"row_blocks"`
	Chunk     int  `json:"chunk"`
	Detailed  int  `json:"detailed"`
	Single    bool `json:"single,omitempty"`
}

// report is a Report on its way.
type report struct {
	*Report

	nums   []uint32
	rows   [][]byte // compressed blocks of the list
	chunks [][]byte // compressed blocks of calls
	size   int64    // of the page and the blocks
	end    int      // of the list's calls that the blocks reach
	long   int      // calls before it that are too long for a ladder, or gone
	out    Written
}

// Write writes the report. Its memory is bounded by MaxSize: what does not fit is left out, calls at the end of the list
// first, and the page says so.
func (r *Report) Write(ctx context.Context, to io.Writer) (Written, error) {
	b := shared()
	if b.err != nil {
		return Written{}, b.err
	}
	w := report{Report: r}
	if w.MaxSize <= 0 {
		w.MaxSize = DefaultMaxSize
	}
	w.size = int64(len(b.script) + len(b.style) + len(b.words) + len(chart.Script()))
	var calls chart.Calls
	if err := w.list(ctx, &calls); err != nil {
		return Written{}, err
	}
	overview, err := NewOverview(&r.Result, &calls)
	if err != nil {
		return Written{}, err
	}
	if err := w.count(b, overview); err != nil {
		return Written{}, err
	}
	if err := w.details(ctx); err != nil {
		return Written{}, err
	}
	return w.write(to, b, overview)
}

// count adds what the page takes without blocks.
func (w *report) count(b *built, overview Overview) error {
	const rest = 4 << 10 // head, notes, data of the script, the elements around blocks
	out := &writer{w: bufio.NewWriter(io.Discard)}
	out.template(b, &page{Overview: overview, Static: w.static(), Licence: chart.Licence()})
	options, err := overview.options()
	w.size += out.n + int64(len(options)) + rest + int64(len(w.rows)+len(w.nums)/chunkCalls)*64
	return errors.Join(err, out.err)
}

// list makes the blocks of the list, and counts what the charts need.
func (w *report) list(ctx context.Context, calls *chart.Calls) error {
	var raw [][]byte
	var block []byte
	n := 0
	for s := range w.Summaries {
		calls.Add(s)
		w.nums = append(w.nums, s.Num)
		if n == 0 {
			block = append(make([]byte, 0, rowBlock*900), '[')
		}
		block = export.AppendSummaryJSON(comma(block), s, nil)
		if n++; n == rowBlock {
			raw, n = append(raw, append(block, ']')), 0
		}
	}
	if n > 0 {
		raw = append(raw, append(block, ']'))
	}
	w.out.Calls, w.out.Rows = len(w.nums), len(w.nums)
	packed := make([][]byte, len(raw))
	g, _ := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range raw {
		g.Go(func() (err error) {
			packed[i], err = pack(raw[i])
			raw[i] = nil
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, p := range packed {
		if w.size+int64(len(p)) > w.MaxSize && i > 0 {
			w.out.Rows = i * rowBlock
			break
		}
		w.rows = append(w.rows, p)
		w.size += int64(len(p))
	}
	w.nums = w.nums[:w.out.Rows]
	return nil
}

// details makes the blocks of calls, as many at once as there are processors, until the report is full.
func (w *report) details(ctx context.Context) error {
	workers := runtime.GOMAXPROCS(0)
	encoders := make([]Encoder, workers)
	for at := 0; at < len(w.nums); {
		wave, long := make([][]byte, workers), make([]int, workers)
		g, gctx := errgroup.WithContext(ctx)
		for i := range workers {
			from, to := at+i*chunkCalls, min(at+(i+1)*chunkCalls, len(w.nums))
			if from >= to {
				break
			}
			g.Go(func() (err error) {
				wave[i], long[i], err = w.chunk(gctx, &encoders[i], w.nums[from:to])
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		for i, p := range wave {
			if p == nil {
				break
			}
			if w.size+int64(len(p)) > w.MaxSize {
				return nil
			}
			w.chunks = append(w.chunks, p)
			w.size += int64(len(p))
			w.end = min(len(w.chunks)*chunkCalls, len(w.nums))
			w.long += long[i]
			w.out.Detailed = w.end - w.long
		}
		at += workers * chunkCalls
	}
	return nil
}

// chunk packs the documents of some calls. One that is gone or too long is null, and counted.
func (w *report) chunk(ctx context.Context, e *Encoder, nums []uint32) (packed []byte, long int, err error) {
	doc := []byte{'['}
	for i, num := range nums {
		if ctx.Err() != nil {
			return nil, 0, context.Cause(ctx)
		}
		if i > 0 {
			doc = append(doc, ',')
		}
		c, texts, ok := w.Call(num)
		if !ok || len(c.Messages) > maxMessages {
			doc = append(doc, "null"...)
			long++
			continue
		}
		f := w.flow(&c, texts)
		if doc, err = e.Append(doc, &f); err != nil {
			return nil, 0, fmt.Errorf("call %d: %w", num, err)
		}
	}
	packed, err = pack(append(doc, ']'))
	return packed, long, err
}

func (w *report) flow(c *correlate.Call, texts func(message int) []byte) Flow {
	f := Flow{
		Calls: []correlate.Call{*c}, Ladder: w.Ladder, Times: w.Times,
		Text: func(_, message int) []byte { return texts(message) },
	}
	if w.Packets != nil {
		f.Packets = w.Packets(c, texts)
	}
	return f
}

func (w *report) write(to io.Writer, b *built, overview Overview) (Written, error) {
	out := &writer{w: bufio.NewWriterSize(to, 64<<10)}
	static := w.static()
	out.head(w.Title, b, true)
	out.template(b, &page{
		Title: text.Clean(w.Title), Source: text.Clean(w.Source), Notes: w.notes(), View: "overview", Overview: overview,
		About: english().fill("overview.made", w.Version), Licence: chart.Licence(), Static: static,
	})
	out.data("words", "application/json", b.words)
	for i, p := range w.rows {
		out.data(fmt.Sprintf("rows-%d", i), "text/plain", p)
	}
	for i, p := range w.chunks {
		out.data(fmt.Sprintf("chunk-%d", i), "text/plain", p)
	}
	options, err := overview.options()
	if err != nil {
		return Written{}, err
	}
	out.data("charts", "application/json", options)
	meta, err := json.Marshal(&reportMeta{
		Calls: w.out.Calls, RowBlocks: len(w.rows), Chunk: chunkCalls, Detailed: w.end,
	})
	if err != nil {
		return Written{}, err
	}
	out.data("meta", "application/json", meta)
	out.foot(b, true)
	if out.err == nil {
		out.err = out.w.Flush()
	}
	w.out.Bytes = out.n
	return w.out, out.err
}

// notes says what the report is and what it lacks.
func (w *report) notes() []string {
	var notes []string
	for _, n := range w.Notes {
		notes = append(notes, text.Clean(n))
	}
	limit := fmt.Sprintf("%.0f MB", float64(w.MaxSize)/1e6)
	if w.out.Rows < w.out.Calls {
		notes = append(notes, english().fill("report.left_out.rows", thousands(uint64(w.out.Rows)), //nolint:gosec // a count
			thousands(uint64(w.out.Calls)), limit)) //nolint:gosec // a count
	}
	if w.long > 0 {
		notes = append(notes, english().fill("report.left_out.long", w.long, thousands(maxMessages)))
	}
	if left := w.out.Rows - w.end; left > 0 {
		notes = append(notes, english().fill("report.left_out.details", thousands(uint64(left)),
			w.nums[w.end], limit))
	}
	return notes
}

// static gives the calls of a small report for readers without scripts.
func (w *report) static() []staticCall {
	if len(w.nums) > staticCalls {
		return nil
	}
	var all []staticCall
	total := 0
	for _, num := range w.nums {
		c, texts, ok := w.Call(num)
		if total += len(c.Messages); !ok || total > staticLimit {
			break
		}
		f := w.flow(&c, texts)
		all = append(all, staticOf(&f))
	}
	return all
}

// staticOf draws a flow for readers without scripts.
func staticOf(f *Flow) staticCall {
	l := ladder.Build(f.Calls, f.Text, f.Ladder)
	opts := svg.Options{Times: f.Times, ID: fmt.Sprintf("s%d-", first(f.Calls))}
	s := staticCall{
		SVG: template.HTML(svg.Append(nil, &l, opts)), //nolint:gosec // svg escapes every text
	}
	for ci := range f.Calls {
		c := &f.Calls[ci]
		if ci == 0 {
			s.Media = staticMediaOf(&l, ci)
			s.Title = english().fill("call.title", c.Num) + " · " + Title(&c.Summary)
			s.Facts = Facts(c, &l.Calls[ci])
		}
		for i := range c.Messages {
			var b bytes.Buffer
			if raw := f.Text(ci, i); raw != nil {
				_ = text.RawMessage(&b, raw, text.MessageOptions{}) // a buffer takes all
			} else {
				b.WriteString(english().get("message.missing"))
			}
			m := &c.Messages[i]
			s.Messages = append(s.Messages, staticMessage{
				Head: fmt.Sprintf("%s · %s → %s · %s", label(m), m.Src, m.Dst, english().fill("call.frame", m.Seq)), Text: b.String(),
			})
		}
	}
	return s
}
