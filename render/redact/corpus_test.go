package redact_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/sip"
	"sipscope/flowtest"
	"sipscope/render/ladder"
	"sipscope/render/redact"
)

// corpus is a capture as the pipeline reads it.
type corpus struct {
	calls []correlate.Call
	texts [][][]byte
}

// own and others are where captures lie.
const (
	own    = "../../testdata/pcaps"
	others = "../../../shared/pcaps"
)

// read runs a capture through the pipeline.
func read(path string) (*corpus, error) {
	files, err := capture.Open([]string{path}, capture.Options{Spool: true})
	if err != nil {
		return nil, err
	}
	defer func() { _ = files.Close() }()
	board := &correlate.Board{}
	err = correlate.Run(context.Background(), files, correlate.Config{
		Board: board, Headers: []string{"From", "X-Account-ID", "User-Agent", "Subject"},
	})
	if err != nil && !errors.Is(err, capture.ErrDamaged) {
		return nil, err
	}
	c := &corpus{}
	for _, num := range board.Numbers() {
		call, ok := board.Call(num)
		if !ok {
			continue
		}
		texts := make([][]byte, len(call.Messages))
		for i := range texts {
			if texts[i], err = decode.ReadText(files, call.Messages[i].Pieces); err != nil {
				return nil, err
			}
		}
		c.calls, c.texts = append(c.calls, call), append(c.texts, texts)
	}
	return c, nil
}

// redactor learns all of a corpus.
func (c *corpus) redactor() *redact.Redactor {
	r := redact.New()
	r.Columns([]string{"From", "X-Account-ID", "User-Agent", "Subject"})
	for i := range c.calls {
		r.Learn(&c.calls[i], func(m int) []byte { return c.texts[i][m] })
	}
	return r
}

func (c *corpus) redacted(r *redact.Redactor) *corpus {
	out := &corpus{}
	for i := range c.calls {
		out.calls = append(out.calls, r.Call(&c.calls[i]))
		texts := make([][]byte, len(c.texts[i]))
		for m := range texts {
			texts[m] = r.Text(c.texts[i][m])
		}
		out.texts = append(out.texts, texts)
	}
	return out
}

// captures calls f for each capture.
func captures(t *testing.T, f func(t *testing.T, c *corpus)) {
	t.Helper()
	paths, err := filepath.Glob(own + "/*.pcap*")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures of our own: %v", err)
	}
	if _, err := os.Stat(others); err != nil {
		t.Log("no captures of others at ../shared/pcaps beside this checkout: only our own are read")
	} else {
		err := filepath.WalkDir(others, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && strings.Contains(filepath.Base(path), ".") &&
				!strings.HasSuffix(path, ".json") && !strings.HasSuffix(path, ".md") {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range paths {
		c, err := read(path)
		if err != nil || len(c.calls) == 0 {
			continue // no capture, or none with SIP in the clear
		}
		t.Run(strings.TrimPrefix(filepath.ToSlash(path), "../../"), func(t *testing.T) {
			t.Parallel()
			f(t, c)
		})
	}
}

func parse(t *testing.T, raw []byte) *sip.Message {
	t.Helper()
	m := &sip.Message{}
	if err := sip.Parse(raw, m); err != nil {
		t.Fatalf("%v: %q", err, raw[:min(len(raw), 200)])
	}
	return m
}

// codes lists the departures of a message, but for those of the characters of a name: pseudonyms have none.
func codes(m *sip.Message) []string {
	var out []string
	for _, d := range m.Diags {
		if d.Code != sip.DiagControl && d.Code != sip.DiagDisplay {
			out = append(out, d.Code.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// control: a control character that separated two words may have gone with one of them.
func control(m *sip.Message) bool {
	return slices.ContainsFunc(m.Diags, func(d sip.Diag) bool { return d.Code == sip.DiagControl })
}

// keyOf is what identifies a message, as text.
func keyOf(m *sip.Message) [4]string {
	k, d := m.TxnKey(), m.DialogKey()
	return [4]string{
		fmt.Sprintf("%s|%s|%s|%d|%d|%v", k.Branch.Of(m.Raw), k.SentBy.Of(m.Raw), k.Method.Of(m.Raw), k.MethodID, k.CSeq, k.RFC3261) +
			"|" + string(k.FromTag.Of(m.Raw)),
		string(d.CallID.Of(m.Raw)),
		string(m.From.Tag.Of(m.Raw)) + "|" + string(m.To.Tag.Of(m.Raw)),
		string(m.Method.Of(m.Raw)) + "|" + string(m.URI.Of(m.Raw)) + "|" + string(m.Reason.Of(m.Raw)),
	}
}

// TestStructure: a redacted message has the same headers and the same departures, and keys are equal if, and only if,
// they were before.
func TestStructure(t *testing.T) {
	t.Parallel()
	captures(t, func(t *testing.T, c *corpus) {
		t.Helper()
		red := c.redacted(c.redactor())
		var to, from [4]map[string]string
		for i := range to {
			to[i], from[i] = map[string]string{}, map[string]string{}
		}
		for i := range c.texts {
			for j, raw := range c.texts[i] {
				a, b := parse(t, raw), parse(t, red.texts[i][j])
				var ids, redIDs []sip.HeaderID
				for _, h := range a.Headers {
					ids = append(ids, h.ID)
				}
				for _, h := range b.Headers {
					redIDs = append(redIDs, h.ID)
				}
				if !slices.Equal(ids, redIDs) {
					t.Fatalf("headers %v, were %v\n%q\n%q", redIDs, ids, raw, b.Raw)
				}
				if got, want := codes(b), codes(a); !slices.Equal(got, want) && !control(a) {
					t.Errorf("diags %v, were %v\n%q\n%q", got, want, a.Raw, b.Raw)
				}
				if a.ContentLength-int64(a.Body.Len) != b.ContentLength-int64(b.Body.Len) && a.ContentLength >= 0 {
					t.Errorf("Content-Length %d of %d, was %d of %d", b.ContentLength, b.Body.Len, a.ContentLength, a.Body.Len)
				}
				ka, kb := keyOf(a), keyOf(b)
				for n := range ka {
					if x, ok := to[n][ka[n]]; ok && x != kb[n] {
						t.Errorf("%q became %q and %q", ka[n], x, kb[n])
					}
					if x, ok := from[n][kb[n]]; ok && x != ka[n] {
						t.Errorf("%q and %q became %q", x, ka[n], kb[n])
					}
					to[n][ka[n]], from[n][kb[n]] = kb[n], ka[n]
				}
			}
		}
	})
}

type sent struct {
	m    *correlate.Message
	text []byte
}

// TestFrames writes each capture anew with redacted texts and reads it again: the same calls in the same states with the
// same ladders.
func TestFrames(t *testing.T) {
	t.Parallel()
	captures(t, func(t *testing.T, c *corpus) {
		t.Helper()
		r := c.redactor()
		red := c.redacted(r)
		plain, again := c.replay(t), red.replay(t)
		if len(again.calls) != len(plain.calls) {
			t.Fatalf("%d calls, want %d", len(again.calls), len(plain.calls))
		}
		for i := range plain.calls {
			same(t, r, plain, again, i)
		}
	})
}

// replay writes the messages of a corpus as frames, and reads them.
func (c *corpus) replay(t *testing.T) *corpus {
	t.Helper()
	var all []sent
	for i := range c.calls {
		for j := range c.calls[i].Messages {
			all = append(all, sent{&c.calls[i].Messages[j], c.texts[i][j]})
		}
	}
	slices.SortStableFunc(all, func(a, b sent) int {
		if a.m.Seq != b.m.Seq {
			return int(int64(a.m.Seq) - int64(b.m.Seq))
		}
		return int(a.m.Nth) - int(b.m.Nth)
	})
	var f redact.Framer
	var packets []capture.Packet
	var image bytes.Buffer
	for _, s := range all {
		frames, err := f.Frames(s.m, s.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range frames {
			packets = append(packets, capture.Packet{
				Seq: uint64(len(packets) + 1), Time: s.m.Time, Data: data, WireLen: uint32(len(data)), Link: capture.LinkEthernet,
				Loc: capture.Loc{Off: int64(image.Len())},
			})
			image.Write(data)
		}
	}
	board := &correlate.Board{}
	err := correlate.Run(context.Background(), flowtest.NewSource(packets, 64), correlate.Config{Board: board})
	if err != nil {
		t.Fatal(err)
	}
	out := &corpus{}
	for _, num := range board.Numbers() {
		call, _ := board.Call(num)
		texts := make([][]byte, len(call.Messages))
		for i := range call.Messages {
			if texts[i], err = decode.ReadText(reader(image.Bytes()), call.Messages[i].Pieces); err != nil {
				t.Fatal(err)
			}
		}
		out.calls, out.texts = append(out.calls, call), append(out.texts, texts)
	}
	return out
}

type reader []byte

func (r reader) ReadAt(loc capture.Loc, p []byte) error {
	copy(p, r[loc.Off:])
	return nil
}

func same(t *testing.T, r *redact.Redactor, plain, again *corpus, i int) {
	t.Helper()
	a, b := &plain.calls[i], &again.calls[i]
	if len(plain.texts[i]) > 0 && control(parse(t, plain.texts[i][0])) {
		return // what a fuzzer made of a URI may be read in another way without the control characters
	}
	want, got := r.Summary(&a.Summary), b.Summary
	want.Rev, got.Rev = 0, 0
	want.Columns, got.Columns = nil, nil
	if got.Diags > want.Diags {
		t.Errorf("call %d: %d diags, were %d", a.Num, got.Diags, want.Diags)
	}
	want.Diags, got.Diags = 0, 0 // a pseudonym may be right where its original was not
	want.Evidence, got.Evidence = correlate.Evidence{}, correlate.Evidence{}
	if len(a.UserAgent) > 120 || len(a.Server) > 120 {
		want.UserAgent, got.UserAgent, want.Server, got.Server = "", "", "", ""
	}
	if x, y := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); x != y {
		t.Errorf("call %d:\n%s, want\n%s", a.Num, x, y)
	}
	wantCall := r.Call(a)
	if x, y := fmt.Sprintf("%+v", b.Transactions), fmt.Sprintf("%+v", wantCall.Transactions); x != y {
		t.Errorf("call %d: transactions\n%s, want\n%s", a.Num, x, y)
	}
	if x, y := fmt.Sprintf("%+v", b.Dialogs), fmt.Sprintf("%+v", wantCall.Dialogs); x != y {
		t.Errorf("call %d: dialogs\n%s, want\n%s", a.Num, x, y)
	}
	if x, y := fmt.Sprintf("%+v", b.Registration), fmt.Sprintf("%+v", wantCall.Registration); (a.Registration == nil) != (b.Registration == nil) {
		t.Errorf("call %d: registration\n%s, want\n%s", a.Num, x, y)
	}
	la := ladder.Build(plain.calls[i:i+1], func(_, m int) []byte { return plain.texts[i][m] }, ladder.Options{})
	lb := ladder.Build(again.calls[i:i+1], func(_, m int) []byte { return again.texts[i][m] }, ladder.Options{})
	if len(la.Columns) != len(lb.Columns) || len(la.Rows) != len(lb.Rows) {
		t.Fatalf("call %d: %d columns and %d rows, want %d and %d", a.Num, len(lb.Columns), len(lb.Rows), len(la.Columns), len(la.Rows))
	}
	for n := range la.Rows {
		x, y := &lb.Rows[n], &la.Rows[n]
		if x.Kind != y.Kind || x.From != y.From || x.To != y.To || x.Count != y.Count || x.Status != y.Status ||
			x.Kind == ladder.Arrow && x.Label != r.Name(redact.Method, y.Label) && x.Status == 0 && x.Label != y.Label ||
			(x.SDP == "") != (y.SDP == "") {
			t.Errorf("call %d: row %d %+v, want %+v", a.Num, n, *x, *y)
		}
	}
}
