package save

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode/sip"
	"sipscope/render/ladder"
	"sipscope/render/text"
)

// TestRoundTrip: the calls of a saved capture are those of the original.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(project("*.pcap*"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no captures in testdata", err)
	}
	for _, path := range paths {
		if name := filepath.Base(path); strings.HasPrefix(name, "tls") {
			continue // their calls' frames need what the connection began with, which belongs to no call
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			a := read(t, path)
			want := a.calls(t)
			for _, f := range []Format{Pcap, Pcapng} {
				out := filepath.Join(t.TempDir(), "out"+f.Ext())
				res, err := Run(t.Context(), a.job(out, f), nil)
				if f == Pcap && errors.Is(err, capture.ErrLinkType) {
					continue // told apart in TestLinkTypes
				}
				if err != nil {
					t.Fatal(err)
				}
				info, err := os.Stat(out)
				if err != nil || res.Bytes != info.Size() || res.Calls != len(want) || res.Path != out || res.Frames == 0 {
					t.Errorf("%+v, %v, %v", res, info, err)
				}
				if diff := cmp.Diff(want, read(t, out).calls(t)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", f, diff)
				}
			}
		})
	}
}

// save writes a job to memory.
func save(t *testing.T, job Job) string {
	t.Helper()
	var b bytes.Buffer
	res, err := Write(t.Context(), &b, job, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Bytes != int64(b.Len()) || res.Calls == 0 {
		t.Errorf("%d bytes written: %+v", b.Len(), res)
	}
	return b.String()
}

// TestText: every message, safe for a terminal, under a line that says where it comes from.
func TestText(t *testing.T) {
	t.Parallel()
	a := read(t, project("cancel.pcap"), project("hostile-names.pcap"))
	got := save(t, a.job("", Text))
	heads := 0
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "── frame ") {
			heads++
		}
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' }) {
			t.Fatalf("not safe: %q", line)
		}
	}
	want := 0
	for c := range Numbered(a.board, slices.Values(a.nums())) {
		want += len(c.Messages)
		for i := range c.Messages {
			raw, err := a.text(c, i)
			if err != nil {
				t.Fatal(err)
			}
			var m sip.Message
			if err := sip.Parse(raw, &m); err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			m0 := &c.Messages[i]
			fmt.Fprintf(&b, " · %s → %s · %s · message %d of call %d · %d bytes", m0.Src, m0.Dst, m0.Transport, i+1, c.Num, len(raw))
			if !strings.Contains(got, b.String()) {
				t.Errorf("no %q", b.String())
			}
			b.Reset()
			if err := text.RawMessage(&b, raw, text.MessageOptions{}); err != nil || !strings.Contains(got, b.String()) {
				t.Errorf("message %d of call %d is missing, %v", i+1, c.Num, err)
			}
		}
	}
	if heads != want {
		t.Errorf("%d messages, want %d", heads, want)
	}
	if !strings.HasPrefix(got, "── frame 1 · 2026-") {
		t.Errorf("begins with %.60q", got)
	}
}

// TestChosen: single messages, in the formats that can.
func TestChosen(t *testing.T) {
	t.Parallel()
	a := read(t, project("cancel.pcap"))
	second := func(_ *correlate.Call, message int) bool { return message == 1 }
	for _, f := range Formats() {
		job := a.job("", f)
		job.Messages = second
		var b bytes.Buffer
		_, err := Write(t.Context(), &b, job, nil)
		if !f.Messages() {
			if !errors.Is(err, ErrWhole) || b.Len() > 0 {
				t.Errorf("%s: %v, %d bytes", f, err, b.Len())
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if f == Text {
			if n := strings.Count(b.String(), "── frame "); n != 1 || !strings.Contains(b.String(), "message 2 of call 1") {
				t.Errorf("%d messages:\n%s", n, b.String())
			}
			continue
		}
		out := filepath.Join(t.TempDir(), "out")
		write(t, out, b.String())
		all, want := read(t, out).calls(t), a.calls(t)[0].Messages[1]
		if len(all) != 1 || len(all[0].Messages) != 1 || all[0].Messages[0].Text != want.Text {
			t.Errorf("%s: %+v, want %+v", f, all, want)
		}
	}
	job := a.job("", Text)
	job.Messages = func(*correlate.Call, int) bool { return false }
	for _, job.Format = range []Format{Text, Pcap, Pcapng} {
		if _, err := Write(t.Context(), io.Discard, job, nil); !errors.Is(err, ErrNothing) {
			t.Errorf("%s without any message: %v", job.Format, err)
		}
	}
}

// TestLadders: what is saved is what is drawn.
func TestLadders(t *testing.T) {
	t.Parallel()
	a := read(t, project("cancel.pcap"), project("fork.pcap"))
	var calls []correlate.Call
	for c := range Numbered(a.board, slices.Values(a.nums())) {
		calls = append(calls, *c)
	}
	draw := func(ascii bool, calls ...correlate.Call) string {
		var b bytes.Buffer
		l := ladder.Build(calls, func(call, message int) []byte {
			raw, err := a.text(&calls[call], message)
			if err != nil {
				t.Error(err)
			}
			return raw
		}, ladder.Options{Of: 2})
		if err := text.Ladder(&b, &l, text.Options{Width: DefaultWidth, ASCII: ascii}); err != nil {
			t.Error(err)
		}
		return b.String()
	}
	for _, f := range []Format{Ladder, LadderASCII} {
		job := a.job("", f)
		job.Ladder.Of = 2
		ascii := f == LadderASCII
		if diff := cmp.Diff(draw(ascii, calls[0])+"\n"+draw(ascii, calls[1]), save(t, job)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f, diff)
		}
		job.Together = true
		if diff := cmp.Diff(draw(ascii, calls...), save(t, job)); diff != "" {
			t.Errorf("%s together (-want +got):\n%s", f, diff)
		}
	}
	if got := save(t, a.job("", Mermaid)); strings.Count(got, "sequenceDiagram") != 1 {
		t.Errorf("mermaid:\n%s", got)
	}
}

// TestData: JSON, NDJSON and CSV hold every call.
func TestData(t *testing.T) {
	t.Parallel()
	a := read(t, project("cancel.pcap"), project("fork.pcap"), project("hostile-names.pcap"))
	want := []string{}
	for _, c := range a.calls(t) {
		want = append(want, c.CallID)
	}
	var doc struct {
		Calls []struct {
			Summary struct {
				CallID string `json:"call_id"`
			} `json:"summary"`
			Messages []json.RawMessage `json:"messages"`
		} `json:"calls"`
	}
	if err := json.Unmarshal([]byte(save(t, a.job("", JSON))), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Calls) != len(want) {
		t.Fatalf("%d calls, want %d", len(doc.Calls), len(want))
	}
	for i, c := range doc.Calls {
		if c.Summary.CallID != want[i] || len(c.Messages) == 0 {
			t.Errorf("call %d: %+v, want %s", i, c, want[i])
		}
	}
	got := []string{}
	for line := range strings.Lines(save(t, a.job("", NDJSON))) {
		var s struct {
			CallID string `json:"call_id"`
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		got = append(got, s.CallID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ndjson (-want +got):\n%s", diff)
	}
	rows, err := csv.NewReader(strings.NewReader(save(t, a.job("", CSV)))).ReadAll()
	if err != nil || len(rows) != len(want)+1 || rows[0][1] != "call_id" {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, row := range rows[1:] {
		if strings.TrimPrefix(row[1], "'") != want[i] { // the apostrophe keeps it from being a formula
			t.Errorf("csv row %d: %v, want %s", i, row, want[i])
		}
	}
}

// TestLinkTypes: a pcap file takes one link type, and the error says what takes several.
func TestLinkTypes(t *testing.T) {
	t.Parallel()
	a := read(t, project("cancel.pcap"), project("sll2.pcap"))
	dir := t.TempDir()
	_, err := Run(t.Context(), a.job(filepath.Join(dir, "out.pcap"), Pcap), nil)
	if !errors.Is(err, capture.ErrLinkType) || !strings.Contains(err.Error(), "pcapng") || !strings.Contains(err.Error(), "frame ") {
		t.Errorf("%v", err)
	}
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
	out := filepath.Join(dir, "out.pcapng")
	if _, err := Run(t.Context(), a.job(out, Pcapng), nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.calls(t), read(t, out).calls(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestComments: pcapng keeps what somebody wrote about a frame.
func TestComments(t *testing.T) {
	t.Parallel()
	a := read(t, project("cancel.pcap"))
	job := a.job("", Pcapng)
	job.Source.Comments = func(seq uint64) string { return fmt.Sprintf("frame %d", seq) }
	out := filepath.Join(t.TempDir(), "out")
	write(t, out, save(t, job))
	again := read(t, out)
	if got := again.files.Comments(3); got != "frame 3" {
		t.Errorf("%q", got)
	}
}

// TestFormats: names and endings lead back to the format.
func TestFormats(t *testing.T) {
	t.Parallel()
	if len(Formats()) != int(formats)-1 {
		t.Error(Formats())
	}
	for _, f := range Formats() {
		if got, ok := FormatOf("x" + f.Ext()); got != f || !ok {
			t.Errorf("%s is %s by its ending", f, got)
		}
		if got, ok := ParseFormat(f.String()); got != f || !ok || f.About() == "" {
			t.Errorf("%s is %s by its name", f, got)
		}
	}
	for path, want := range map[string]Format{
		"A.PCAP": Pcap, "a.b/c.PcapNG": Pcapng, "x.txt": Text, "x.mmd": Mermaid, "x.jsonl": NDJSON, "x.csv": CSV, "-": 0,
		"": 0, "pcap": 0, "x.pcap.gz": 0, "x.": 0, "x.svg": SVG, "x.HTM": HTML, "x.png": 0,
	} {
		if got, ok := FormatOf(path); got != want || ok != (want != 0) {
			t.Errorf("%q is %s, %v", path, got, ok)
		}
	}
	for _, f := range []Format{0, formats, 255} {
		if f.String() != "" || f.Ext() != "" || f.Messages() {
			t.Errorf("%d: %q", f, f)
		}
		if _, err := Write(t.Context(), io.Discard, Job{Format: f}, nil); !errors.Is(err, ErrFormat) {
			t.Errorf("%d: %v", f, err)
		}
	}
	if got, ok := ParseFormat(""); ok {
		t.Errorf("no name is %s", got)
	}
}

// TestRefused: jobs that cannot be done make no file.
func TestRefused(t *testing.T) {
	t.Parallel()
	a := read(t, project("cancel.pcap"))
	huge := correlate.Call{Messages: make([]correlate.Message, MaxTogether/2+1)}
	for _, c := range []struct {
		name   string
		format Format
		change func(j *Job)
		want   error
	}{
		{"no calls", Pcap, func(j *Job) { j.Calls = nil }, ErrNothing},
		{"empty pcap", Pcap, func(j *Job) { j.Calls = Numbered(a.board, slices.Values([]uint32{99})) }, ErrNothing},
		{"empty text", Text, func(j *Job) { j.Calls = Numbered(a.board, slices.Values([]uint32{})) }, ErrNothing},
		{"empty csv", CSV, func(j *Job) { j.Calls = Numbered(a.board, slices.Values([]uint32{})) }, ErrNothing},
		{"empty ladder", Ladder, func(j *Job) { j.Calls = Numbered(a.board, slices.Values([]uint32{})) }, ErrNothing},
		{"empty JSON", JSON, func(j *Job) { j.Calls = Numbered(a.board, slices.Values([]uint32{})) }, ErrNothing},
		{"no frames", Pcap, func(j *Job) { j.Source.Frames = nil }, capture.ErrNotKept},
		{"no texts", Text, func(j *Job) { j.Source.Text = nil }, capture.ErrNotKept},
		{"no file", Text, func(j *Job) { j.Path = "" }, os.ErrInvalid},
		{"too many", Mermaid, func(j *Job) { j.Calls = slices.Values([]*correlate.Call{&huge, &huge}) }, ErrTooMany},
		{"unreadable text", Text, func(j *Job) {
			j.Source.Text = func(*correlate.Call, int) ([]byte, error) { return nil, io.ErrNoProgress }
		}, io.ErrNoProgress},
		{"unreadable text of a ladder", Ladder, func(j *Job) {
			j.Source.Text = func(*correlate.Call, int) ([]byte, error) { return nil, io.ErrNoProgress }
		}, io.ErrNoProgress},
		{"no second pass", Pcap, func(j *Job) {
			j.Source.Frames = func() (Frames, error) { return nil, io.ErrNoProgress }
		}, io.ErrNoProgress},
		{"cut second pass", Pcap, func(j *Job) {
			begin := j.Source.Frames
			j.Source.Frames = func() (Frames, error) {
				f, err := begin()
				return &endless{Frames: f, left: 1, end: io.EOF}, err
			}
		}, io.ErrUnexpectedEOF},
		{"damaged second pass", Pcapng, func(j *Job) {
			begin := j.Source.Frames
			j.Source.Frames = func() (Frames, error) {
				f, err := begin()
				return &endless{Frames: f, end: capture.ErrDamaged}, err
			}
		}, capture.ErrDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			job := a.job(filepath.Join(dir, "out"), c.format)
			c.change(&job)
			res, err := Run(t.Context(), job, nil)
			if !errors.Is(err, c.want) || res != (Result{}) {
				t.Errorf("%+v, %v", res, err)
			}
			if job.Path != "" && !strings.HasPrefix(err.Error(), job.Path+": ") {
				t.Errorf("the error names no file: %v", err)
			}
			if got := names(t, dir); len(got) > 0 {
				t.Errorf("left behind: %v", got)
			}
		})
	}
}

// endless gives some batches of a packet that nobody wants, then an error.
type endless struct {
	Frames
	left int // batches; -1 for no end
	end  error
	each func()
}

func (e *endless) Next(ctx context.Context, b *capture.Batch) error {
	b.Release()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e.each != nil {
		e.each()
	}
	if e.left == 0 {
		return e.end
	}
	e.left--
	b.Packets = append(b.Packets, capture.Packet{})
	return nil
}

// TestCancelled: a save that is cancelled ends at once with the cause and leaves what was there.
func TestCancelled(t *testing.T) {
	t.Parallel()
	cause := errors.New("the user pressed Esc")
	a := read(t, project("cancel.pcap"), project("two-proxies.pcap"), project("fork.pcap"))
	for _, f := range Formats() {
		for _, force := range []bool{false, true} {
			t.Run(fmt.Sprint(f, force), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				dir := t.TempDir()
				job := a.job(filepath.Join(dir, "out"), f)
				if job.Force = force; force {
					write(t, job.Path, "precious")
				}
				asked := 0
				calls := job.Calls
				job.Calls = func(yield func(*correlate.Call) bool) {
					for c := range calls {
						if asked++; asked == 2 && f != Pcap {
							cancel(cause)
						}
						if !yield(c) {
							return
						}
					}
				}
				begin := job.Source.Frames
				job.Source.Frames = func() (Frames, error) {
					f, err := begin()
					return &endless{Frames: f, left: -1, each: func() { cancel(cause) }}, err
				}
				if _, err := Run(ctx, job, nil); !errors.Is(err, cause) {
					t.Errorf("%v", err)
				}
				if asked > 3 {
					t.Errorf("%d calls asked for", asked)
				}
				if force {
					if got := content(t, job.Path); got != "precious" {
						t.Errorf("%q", got)
					}
					os.Remove(job.Path)
				}
				if got := names(t, dir); len(got) > 0 {
					t.Errorf("left behind: %v", got)
				}
			})
		}
	}
}

// TestProgress: it only grows, and ends with all done.
func TestProgress(t *testing.T) {
	t.Parallel()
	a := read(t, project("two-proxies.pcap"))
	for _, f := range Formats() {
		job := a.job(filepath.Join(t.TempDir(), "out"), f)
		var c correlate.Call
		for first := range job.Calls {
			c = *first
		}
		if f != Mermaid && f != JSON && f != SVG && f != HTML { // those have a bound
			job.Total = 3 * reportCalls
			job.Calls = func(yield func(*correlate.Call) bool) {
				for range job.Total {
					if !yield(&c) {
						return
					}
				}
			}
		}
		if f == Text || f == Ladder || f == LadderASCII {
			c.Messages = c.Messages[:1] // some thousand drawings of one arrow
			c.Transactions, c.Dialogs = nil, nil
			c.Messages[0].Txn, c.Messages[0].Dialog = -1, -1
		}
		var last Progress
		n := 0
		res, err := Run(t.Context(), job, func(p Progress) {
			n++
			if p.Calls < last.Calls || p.Bytes < last.Bytes || p.Frames < last.Frames || p.Pass < last.Pass || last.Done {
				t.Errorf("%s: %+v after %+v", f, p, last)
			}
			if got := p.Percent(); got < 0 || got > 100 || got < last.Percent() && last.TotalFrames >= 0 && last.TotalCalls > 0 {
				t.Errorf("%s: %d %% after %d %%: %+v", f, got, last.Percent(), p)
			}
			last = p
		})
		if err != nil {
			t.Fatal(f, err)
		}
		if !last.Done || last.Percent() != 100 || last.Calls != job.Total || last.Bytes != res.Bytes ||
			last.Frames != last.TotalFrames || job.Total > 1 && n < 3 || n > 100 {
			t.Errorf("%s: %d reports, the last %+v, %+v", f, n, last, res)
		}
	}
	if got := (Progress{Calls: 3}).Percent(); got != -1 {
		t.Errorf("of an unknown number: %d %%", got)
	}
}

// TestWhileLoading: calls are saved while the capture is still read from a pipe. The race detector watches.
func TestWhileLoading(t *testing.T) {
	t.Parallel()
	data := content(t, project("two-proxies.pcap"))
	whole := read(t, project("two-proxies.pcap"))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/dev/fd/%d", r.Fd())
	files, err := capture.Open([]string{path}, capture.Options{Spool: true, SpoolDir: t.TempDir()})
	if err != nil {
		t.Skip("no /dev/fd here:", err)
	}
	defer files.Close()
	r.Close()
	a := &archive{files: files, board: &correlate.Board{}}
	done := make(chan error, 1)
	go func() { done <- correlate.Run(t.Context(), files, correlate.Config{Board: a.board}) }()
	saved := 0
	try := func() {
		for _, f := range []Format{Pcap, Text} {
			var b bytes.Buffer
			_, err := Write(t.Context(), &b, a.job("", f), nil)
			switch {
			case err == nil:
				saved++
			case !errors.Is(err, ErrNothing):
				t.Error(err)
			}
		}
	}
	for part := range slices.Chunk([]byte(data), 1500) {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		try()
	}
	for range 10_000 { // the pipe is still open: what was saved, was saved while loading
		if saved > 0 {
			break
		}
		time.Sleep(time.Millisecond)
		try()
	}
	w.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole.calls(t), a.calls(t)); diff != "" || saved == 0 {
		t.Errorf("%d saved (-want +got):\n%s", saved, diff)
	}
}
