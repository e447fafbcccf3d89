package svg_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/correlate"
	"sipscope/render/ladder"
	"sipscope/render/ladder/laddertest"
	"sipscope/render/svg"
	"sipscope/render/text"
)

func build(opts ladder.Options, made ...laddertest.Made) ladder.Ladder {
	calls := make([]correlate.Call, len(made))
	for i := range made {
		calls[i] = made[i].Call
	}
	return ladder.Build(calls, laddertest.Text(made...), opts)
}

// register is a registration that is challenged.
func register() laddertest.Made {
	m := laddertest.Call("alice@a.com", "alice@a.com", `
0 10.0.0.1:5060 > 10.0.0.2:5060 REGISTER ruri=sip:a.com
10 10.0.0.2:5060 > 10.0.0.1:5060 401 Unauthorized method=REGISTER tag=r
  WWW-Authenticate: Digest realm="a.com", nonce="1"
20 10.0.0.1:5060 > 10.0.0.2:5060 REGISTER cseq=2 ruri=sip:a.com
  Authorization: Digest username="alice", realm="a.com"
30 10.0.0.2:5060 > 10.0.0.1:5060 200 OK method=REGISTER cseq=2 tag=r
`)
	s := &m.Call.Summary
	s.Method, s.State, s.Code, s.Reason = "REGISTER", correlate.StateRegistered, 200, "OK"
	m.Call.Registration = &correlate.Registration{AOR: "sip:alice@a.com", Expires: 3600}
	return m
}

// twoTransports changes the transport on the way and has an SDP that does not fit beside its label.
func twoTransports() laddertest.Made {
	return laddertest.Call("alice@a.com", "bob@b.com", `
0 10.0.0.1:5060 > 10.0.0.2:5060 INVITE sdp tcp
1 10.0.0.2:5060 > 10.0.0.3:5060 INVITE sdp vias=2
2 10.0.0.3:5060 > 10.0.0.2:5060 488 Not Acceptable Here And A Reason Phrase Of Some Length tag=b sdp
3 10.0.0.2:5060 > 10.0.0.1:5060 488 Not Acceptable Here And A Reason Phrase Of Some Length tag=b sdp tcp
`)
}

// oneColumn is a participant alone.
func oneColumn() laddertest.Made {
	return laddertest.Call("a@127.0.0.1", "a@127.0.0.1", "0 127.0.0.1:5060 > 127.0.0.1:5060 OPTIONS sdp\n"+
		"1 127.0.0.1:5060 > 127.0.0.1:5060 200 OK method=OPTIONS tag=x\n")
}

type scene struct {
	name  string
	made  []laddertest.Made
	build ladder.Options
	draw  svg.Options
}

// scenes are the drawings that are kept in testdata.
func scenes() []scene {
	one := func(m laddertest.Made) []laddertest.Made { return []laddertest.Made{m} }
	accounted := "every packet accounted for (68 read: 54 SIP, 14 other)"
	return []scene{
		{name: "two-proxies", made: one(laddertest.TwoProxies()), build: ladder.Options{Source: "trace.pcap", Of: 3, Accounting: accounted}, draw: svg.Options{Standalone: true}},
		{name: "two-proxies-inline", made: one(laddertest.TwoProxies()), draw: svg.Options{ID: "c1-"}},
		{name: "two-proxies-folded", made: one(laddertest.TwoProxies()), build: ladder.Options{FoldHops: true}, draw: svg.Options{Times: text.TimesAbsolute}},
		{name: "two-proxies-unfolded", made: one(laddertest.TwoProxies()), build: ladder.Options{Unfold: true}, draw: svg.Options{Times: text.TimesRelative}},
		{name: "two-proxies-aliases", made: one(laddertest.TwoProxies()), build: ladder.Options{Aliases: map[string]string{"10.77.0.20": "edge <a&b>"}}},
		{name: "fork", made: one(laddertest.Fork())},
		{name: "register", made: one(register())},
		{name: "lossy", made: one(laddertest.Lossy()), build: ladder.Options{SDP: true}},
		{name: "ipv6", made: one(laddertest.Cancelled()), build: ladder.Options{SDP: true}},
		{name: "names", made: one(laddertest.Names()), draw: svg.Options{Standalone: true}},
		{name: "self", made: one(laddertest.Self())},
		{name: "self-by-ip", made: one(oneColumn()), build: ladder.Options{ByIP: true, SDP: true}},
		{name: "chain", made: one(laddertest.Chain())},
		{name: "media", made: one(laddertest.TwoProxies()), build: laddertest.Media()},
		{name: "legs", made: laddertest.TwoLegs(), draw: svg.Options{ID: "g1-"}},
		{name: "transports", made: one(twoTransports())},
		{name: "empty", draw: svg.Options{Standalone: true}},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, c := range scenes() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := build(c.build, c.made...)
			got := svg.Append(nil, &l, c.draw)
			p := readPicture(t, got)
			p.check(t)
			if (p.styles == 1) != c.draw.Standalone {
				t.Errorf("%d style sheets", p.styles)
			}
			golden(t, c.name, got)
		})
	}
}

// golden compares with testdata/NAME.svg, an element a line so that a difference can be read.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".svg")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (UPDATE_GOLDEN=1 writes it)", err)
	}
	if bytes.Equal(want, got) {
		return
	}
	lines := func(b []byte) []string { return strings.SplitAfter(string(b), ">") }
	t.Errorf("%s (-want +got):\n%s", path, cmp.Diff(lines(want), lines(got)))
}

// TestParts: header and body together are the whole ladder without its texts above and below.
func TestParts(t *testing.T) {
	t.Parallel()
	for _, c := range scenes() {
		l := build(c.build, c.made...)
		whole := readPicture(t, svg.Append(nil, &l, c.draw))
		head := readPicture(t, svg.AppendHeader(nil, &l, c.draw))
		body := readPicture(t, svg.AppendBody(nil, &l, c.draw))
		body.check(t)
		if head.width != whole.width || body.width != whole.width {
			t.Errorf("%s: %d, %d and %d wide", c.name, whole.width, head.width, body.width)
		}
		if !cmp.Equal(head.lanes, body.lanes) || len(head.rows) > 0 || len(body.columns) > 0 || head.styles+body.styles > 0 {
			t.Errorf("%s: lifelines at %v and %v", c.name, head.lanes, body.lanes)
		}
		if len(whole.rows) != len(l.Rows) || len(body.rows) != len(l.Rows) || len(head.columns) != len(l.Columns) {
			t.Errorf("%s: %d rows, %d in the body; %d columns", c.name, len(whole.rows), len(body.rows), len(head.columns))
		}
		for i := range head.columns {
			if head.columns[i].x != head.lanes[i] {
				t.Errorf("%s: the name of column %d is at %d, its lifeline at %d", c.name, i, head.columns[i].x, head.lanes[i])
			}
		}
		for i := range body.rows {
			if body.rows[i].title != whole.rows[i].title || body.rows[i].h != whole.rows[i].h {
				t.Errorf("%s: row %d differs in the body", c.name, i)
			}
		}
	}
}

// TestWriteIsAppend: both draw the same, and an error of the writer comes back.
func TestWriteIsAppend(t *testing.T) {
	t.Parallel()
	for _, c := range append(scenes(), scene{name: "long", made: []laddertest.Made{long(600)}}) {
		l := build(c.build, c.made...)
		var b bytes.Buffer
		if err := svg.Write(&b, &l, c.draw); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), svg.Append(nil, &l, c.draw)) {
			t.Errorf("%s: Write and Append differ", c.name)
		}
		if got := svg.Append([]byte("before"), &l, c.draw); !bytes.HasPrefix(got, []byte("before<")) {
			t.Errorf("%s: Append writes over what was there", c.name)
		}
		if err := svg.Write(&failing{left: 1}, &l, c.draw); c.name == "long" && !errors.Is(err, errFull) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := svg.Write(&failing{}, &l, c.draw); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

var errFull = errors.New("full")

// failing fails after some writes.
type failing struct{ left int }

func (f *failing) Write(b []byte) (int, error) {
	if f.left == 0 {
		return 0, errFull
	}
	f.left--
	return len(b), nil
}

// long is a call of n requests.
func long(n int) laddertest.Made {
	var b strings.Builder
	for i := range n {
		b.WriteString(strconv.Itoa(i) + " 10.0.0.1:5060 > 10.0.0.2:5060 INFO cseq=" + strconv.Itoa(i+1) + "\n")
	}
	return laddertest.Call("alice@a.com", "bob@b.com", b.String())
}

var hostile = []string{
	`</script><script>alert(1)</script>`, `]]>`, `"' onload="alert(1)`, "a\x00b\x1b]0;x\x07c", "\u202eevil\u202c", "\xff\xfe\xc3(",
	`<!--`, `-->`, `&#x0;`, `&amp;`, "\ufffe\uffff", "\ufffd", "\u2028\u2029", "<?xml?>", "a\tb\r\nc", strings.Repeat("界", 90), "e\u0301\u0301\u0301\u0301\u0301\u0301",
	"\U000e0001\ue000", `{{.}} ${x} __f__`, "\u05d0\u05d1 \u0627\u0628", "👩\u200d👧", `javascript:alert(1)`, " ",
}

// hostileLadder has s everywhere.
func hostileLadder(s string) ladder.Ladder {
	row := func(k ladder.Kind, from, to int) ladder.Row {
		return ladder.Row{
			Kind: k, From: from, To: to, Label: s, SDP: s, Media: []string{s, s}, Notes: []string{s, s}, Method: s, Count: 3,
			Intervals: []int64{1, -5}, Hops: 2, Transport: s, Frame: 9, Messages: []int{4, 7}, Txn: -1, Dialog: 2, Status: 407,
		}
	}
	l := ladder.Ladder{
		Source: s, Of: 2, Transports: []string{s, s}, Totals: ladder.Totals{Accounting: s},
		Calls: []ladder.Title{
			{Num: 1, CallID: s, Method: s, From: s, To: s, EndedBy: s, Relation: s, PDD: -1}, {Num: 20, CallID: s, From: s},
		},
	}
	for range 3 {
		l.Columns = append(l.Columns, ladder.Column{Label: s, Address: s})
	}
	for k := range ladder.Kind(7) {
		for _, ends := range [][2]int{{0, 1}, {2, 0}, {1, 1}, {2, 2}, {-1, -1}, {0, 99}} {
			l.Rows = append(l.Rows, row(k, ends[0], ends[1]))
		}
	}
	return l
}

// TestHostile: whatever a packet says, the picture is XML of our elements and attributes, and says what the packet said
// in clean text.
func TestHostile(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		l := hostileLadder(s)
		for _, standalone := range []bool{false, true} {
			p := readPicture(t, svg.Append(nil, &l, svg.Options{Standalone: standalone, ID: s}))
			p.check(t)
			checkTexts(t, &l, &p)
		}
	}
}

// dense is a text without blanks: lines are broken at blanks, which are lost there.
func dense(s string) string { return strings.ReplaceAll(s, " ", "") }

// checkTexts compares the texts of a picture with those of its ladder.
func checkTexts(tb testing.TB, l *ladder.Ladder, p *picture) {
	tb.Helper()
	for i := range l.Columns {
		c, got := &l.Columns[i], &p.columns[i]
		label, address := text.Clean(c.Label), text.Clean(c.Address)
		want := label + ", " + address
		if c.Label == "" {
			want = address
		} else if c.Address == "" {
			want = label
		}
		if got.aria != want || got.title != want {
			tb.Fatalf("column %d is %q, want %q", i, got.aria, want)
		}
		if shown, whole := strings.CutSuffix(got.name, "…"); !strings.HasPrefix(want, shown) || !whole && got.name != label && got.name != address {
			tb.Fatalf("column %d is shown as %q, want %q", i, got.name, want)
		}
	}
	for i := range p.rows {
		checkRow(tb, &l.Rows[atoi(p.rows[i].attrs["data-row"])], &p.rows[i])
	}
	if a := text.Clean(l.Totals.Accounting); !strings.HasSuffix(dense(p.totals), dense(a)) {
		tb.Fatalf("the totals are %q", p.totals)
	}
	all := dense(strings.Join(p.titles, ""))
	for i := range l.Calls {
		c := &l.Calls[i]
		for _, s := range []string{c.CallID, c.From, c.To, c.EndedBy, c.Relation} {
			if !strings.Contains(all, dense(text.Clean(s))) {
				tb.Fatalf("no %q in %q", s, all)
			}
		}
	}
}

func checkRow(tb testing.TB, r *ladder.Row, got *readRow) {
	tb.Helper()
	label := text.Clean(r.Label)
	if !strings.HasPrefix(got.title, label) {
		tb.Fatalf("title %q of %q", got.title, label)
	}
	shown := got.label + got.prose
	if cut, is := strings.CutSuffix(shown, "…"); is && strings.HasPrefix(label, cut) {
		shown = label
	}
	if !strings.HasPrefix(dense(shown), dense(label)) {
		tb.Fatalf("label %q of %q", shown, label)
	}
	parts := append(append([]string{r.Label, r.SDP, r.RepeatNote()}, r.Notes...), r.Transport)
	for _, s := range append(parts, r.Media...) {
		if !strings.Contains(got.attrs["aria-label"], text.Clean(s)) {
			tb.Fatalf("no %q in %q", s, got.attrs["aria-label"])
		}
	}
	where := dense(got.margin + got.prose)
	for _, n := range append([]string{r.RepeatNote()}, r.Notes...) {
		if !strings.Contains(where, dense(text.Clean(n))) {
			tb.Fatalf("no note %q in %q", n, where)
		}
	}
	if got.prose == "" && len(got.media) != len(r.Media) {
		tb.Fatalf("media %q, want %q", got.media, r.Media)
	}
	for i := range got.media {
		if dense(got.media[i]) != dense(text.Clean(r.Media[i])) {
			tb.Fatalf("media %q, want %q", got.media[i], r.Media[i])
		}
	}
}

// TestRowAttributes: a page finds what it needs.
func TestRowAttributes(t *testing.T) {
	t.Parallel()
	l := ladder.Ladder{
		Calls:   []ladder.Title{{Num: 5, From: "a@a", To: "b@b"}, {Num: 12}},
		Columns: []ladder.Column{{Label: "alice", Address: "10.0.0.1"}, {Address: "10.0.0.2"}},
		Rows: []ladder.Row{
			{Kind: ladder.Arrow, Call: 1, From: 0, To: 1, Label: "INVITE", SDP: "sdp PCMU", Frame: 103, Messages: []int{4, 7}, Txn: 2, Dialog: 1, Count: 2, Intervals: []int64{5e8}, Hops: 3, Time: 1e9, Transport: "TCP", Notes: []string{"re-INVITE"}},
			{Kind: ladder.Arrow, From: 1, To: 0, Label: "407 Proxy", Response: true, Status: 407, Messages: []int{5}, Txn: -1, Dialog: -1, Retransmission: true},
			{Kind: ladder.Gap, From: 0, To: 1, Label: "9 bytes of the stream are missing", Txn: -1, Dialog: -1, Frame: 7},
			{Kind: ladder.Note, From: 1, To: 0, Label: "INVITE not captured", Txn: 3, Dialog: -1},
			{Kind: ladder.State, From: -1, To: -1, Label: "busy: 486", Status: 486, Txn: -1, Dialog: -1},
		},
	}
	p := readPicture(t, svg.AppendBody(nil, &l, svg.Options{ID: "C<1-"}))
	want := []map[string]string{
		{
			"class": "row arrow request", "id": "1-r0", "data-row": "0", "data-call": "1", "data-msgs": "4 7", "data-txn": "2", "data-dialog": "1",
			"data-frame": "103", "tabindex": "0", "role": "button",
			"aria-label": "00:00:01.000: INVITE ×2 (3 hops) sdp PCMU, from alice to 10.0.0.2, over TCP, frame 103; retransmitted after 500 ms · re-INVITE · over TCP",
		},
		{
			"class": "row arrow response retransmission s4xx challenge", "id": "1-r1", "data-row": "1", "data-call": "0", "data-msgs": "5", "tabindex": "0", "role": "button",
			"aria-label": "00:00:00.000: 407 Proxy, from 10.0.0.2 to alice",
		},
		{
			"class": "row gap", "id": "1-r2", "data-row": "2", "data-call": "0", "data-frame": "7", "role": "img",
			"aria-label": "00:00:00.000: 9 bytes of the stream are missing, from alice to 10.0.0.2, frame 7",
		},
		{"class": "row note", "id": "1-r3", "data-row": "3", "data-call": "0", "data-txn": "3", "role": "img", "aria-label": "INVITE not captured"},
		{"class": "row state s4xx", "id": "1-r4", "data-row": "4", "data-call": "0", "role": "img", "aria-label": "busy: 486"},
	}
	for i := range want {
		got := p.rows[i].attrs
		delete(got, "transform")
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("row %d (-want +got):\n%s", i, diff)
		}
	}
	if p.rows[0].call != "#12" || p.rows[1].call != "#5" || p.rows[4].call != "" {
		t.Errorf("calls %q %q %q", p.rows[0].call, p.rows[1].call, p.rows[4].call)
	}
	if want := "messages of call 5, a@a → b@b, unknown, call 12, unknown"; p.label != want {
		t.Errorf("the picture is %q, want %q", p.label, want)
	}
}

// TestTimes: the left column is the text ladder's.
func TestTimes(t *testing.T) {
	t.Parallel()
	l := build(ladder.Options{}, laddertest.Lossy())
	for times, want := range map[text.Times][]string{
		text.TimesDelta:    {"", "12:00:01.000", "+900 ms", "+8.09 s", "+10 ms", "+300 ms", ""},
		text.TimesAbsolute: {"", "12:00:01.000000", "12:00:01.900000", "12:00:09.990000", "12:00:10.000000", "12:00:10.300000", ""},
		text.TimesRelative: {"", "0.000000", "0.900000", "8.990000", "9.000000", "9.300000", ""},
	} {
		p := readPicture(t, svg.AppendBody(nil, &l, svg.Options{Times: times}))
		var got []string
		for i := range p.rows {
			got = append(got, p.rows[i].time)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d (-want +got):\n%s", times, diff)
		}
	}
}

// TestLabels: where labels and session descriptions stand.
func TestLabels(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 80)
	l := ladder.Ladder{Columns: []ladder.Column{{Label: "a"}, {Label: "b"}, {Label: "c"}}}
	for _, r := range []ladder.Row{
		{From: 0, To: 1, Label: "INVITE", SDP: "sdp PCMU"},
		{From: 0, To: 1, Label: strings.Repeat("r", 28), SDP: "sdp PCMU"},
		{From: 2, To: 1, Label: long, SDP: long},
		{From: 2, To: 0, Label: "BYE"},
		{From: 1, To: 1, Label: "OPTIONS", SDP: long},
		{From: 2, To: 2, Label: long},
	} {
		r.Kind = ladder.Arrow
		l.Rows = append(l.Rows, r)
	}
	p := readPicture(t, svg.AppendBody(nil, &l, svg.Options{}))
	p.check(t)
	for i, want := range []struct {
		label, sdp string
		lines      int
	}{
		{"INVITE", "sdp PCMU", 1}, {strings.Repeat("r", 28), "sdp PCMU", 2}, {"x…", "x…", 2}, {"BYE", "", 1}, {"OPTIONS", "x…", 2}, {"x…", "", 1},
	} {
		got := &p.rows[i]
		lines := 0
		for _, s := range got.texts {
			if strings.HasPrefix(s.class, "label") {
				lines++
			}
		}
		same := func(got, want string) bool {
			short, cut := strings.CutSuffix(want, "…")
			return got == want || cut && strings.HasSuffix(got, "…") && strings.HasPrefix(got, short) && len(got) > 30
		}
		if !same(got.label, want.label) || !same(got.sdp, want.sdp) || lines != want.lines {
			t.Errorf("row %d: %q %q in %d lines", i, got.label, got.sdp, lines)
		}
	}
	for _, x := range p.rows[3].texts { // BYE goes left from c: its label stands before b
		if x.class == "label" && (x.x < p.lanes[1] || x.x > p.lanes[2]) {
			t.Errorf("BYE is at %d, lifelines at %v", x.x, p.lanes)
		}
	}
}

// TestCrowd: many participants make the picture wider, many rows higher, and neither takes long.
func TestCrowd(t *testing.T) {
	t.Parallel()
	const columns, rows = 100, 70_000
	l := ladder.Ladder{Calls: []ladder.Title{{Num: 1}}}
	for i := range columns {
		l.Columns = append(l.Columns, ladder.Column{Label: "p" + strconv.Itoa(i), Address: "10.0.0." + strconv.Itoa(i)})
	}
	for i := range rows {
		l.Rows = append(l.Rows, ladder.Row{
			Kind: ladder.Arrow, From: i % columns, To: i * 7 % columns, Label: strings.Repeat("w", i%60), Time: int64(i), SincePrev: 1,
			Messages: []int{i}, Notes: []string{strings.Repeat("note ", i%30)},
		})
	}
	start := time.Now()
	b := svg.Append(nil, &l, svg.Options{})
	took := time.Since(start)
	if took > 10*time.Second { // 0.2 s on the machine that it was written on
		t.Errorf("%v for %d rows", took, rows)
	}
	if n := bytes.Count(b, []byte(`<g class="row `)); n != rows {
		t.Errorf("%d rows", n)
	}
	if each := len(b) / rows; each > 2000 {
		t.Errorf("%d bytes a row", each)
	}
	few := l
	few.Rows = l.Rows[:500]
	p := readPicture(t, svg.Append(nil, &few, svg.Options{}))
	p.check(t)
}

// TestLongTexts: a text of the wire makes the picture wider and higher within bounds.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	for _, s := range []string{strings.Repeat("x", 5000), strings.Repeat("word ", 1000), strings.Repeat("界", 2000)} {
		l := hostileLadder(s)
		p := readPicture(t, svg.Append(nil, &l, svg.Options{}))
		p.check(t)
		if p.width > 2400 {
			t.Errorf("%d wide", p.width)
		}
	}
}

// TestAllocations: a report draws 10,000 ladders.
func TestAllocations(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of all goroutines
	l := usual()
	var b []byte
	if got := testing.AllocsPerRun(100, func() { b = svg.Append(b[:0], l, svg.Options{ID: "c1-"}) }); got > 80 {
		t.Errorf("%.0f allocations", got)
	}
}

// usual is a ladder of 13 rows.
func usual() *ladder.Ladder {
	l := build(ladder.Options{}, laddertest.TwoProxies())
	l.Rows = append(l.Rows[:12], l.Rows[len(l.Rows)-1])
	return &l
}

func BenchmarkAppend(b *testing.B) {
	l := usual()
	buf := svg.Append(nil, l, svg.Options{ID: "c1-"})
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = svg.Append(buf[:0], l, svg.Options{ID: "c1-"})
	}
}

func BenchmarkParts(b *testing.B) {
	l := usual()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = svg.AppendBody(svg.AppendHeader(buf[:0], l, svg.Options{}), l, svg.Options{})
	}
}

// TestStyleSheet: every class of a picture that has a look has a rule, and every colour can be set.
func TestStyleSheet(t *testing.T) {
	t.Parallel()
	css := svg.StyleSheet()
	for _, c := range []string{
		"bg", "fg", "dim", "line", "head", "hover", "chosen", "focus", "request", "provisional", "success", "redirect", "failure", "note", "gap",
	} {
		if strings.Count(css, "var(--ladder-"+c+",#") != 1 || strings.Count(css, "var(--ladder-"+c+",light-dark(#") != 1 {
			t.Errorf("--ladder-%s cannot be set", c)
		}
		if !strings.Contains(css, "var(--l-"+c+")") {
			t.Errorf("--ladder-%s is used by no rule", c)
		}
	}
	l := hostileLadder("x")
	alone := string(svg.Append(nil, &l, svg.Options{Standalone: true}))
	_, sheet, _ := strings.Cut(alone, "<style>")
	sheet, picture, _ := strings.Cut(sheet, "</style>")
	if strings.ContainsAny(css+sheet, "<&") || strings.Contains(css+sheet, "url(") || strings.Contains(css+sheet, "@import") {
		t.Error("the style sheet is not for every place")
	}
	if strings.Contains(sheet, "var(") || !strings.Contains(sheet, "prefers-color-scheme:dark") {
		t.Error("a file of its own has no colours")
	}
	for _, class := range regexp.MustCompile(`class="([^"]+)"`).FindAllStringSubmatch(picture, -1) {
		for c := range strings.FieldsSeq(class[1]) {
			switch c {
			case "column", "response", "arrow", "self", "row", "retransmission":
				continue
			}
			if !regexp.MustCompile(`\.` + c + `\b`).MatchString(sheet) {
				t.Errorf("no rule for %s", c)
			}
		}
	}
}

// FuzzAppend draws ladders of any texts and ends.
func FuzzAppend(f *testing.F) {
	for i, s := range hostile {
		f.Add(s, hostile[(i+5)%len(hostile)], hostile[(i+11)%len(hostile)], uint8(i*5), uint64(i)*0x9e3779b97f4a7c15)
	}
	f.Fuzz(func(t *testing.T, name, label, note string, columns uint8, seed uint64) {
		const most = 4 << 10
		if len(name)+len(label)+len(note) > most {
			return
		}
		l := ladder.Ladder{Calls: []ladder.Title{{Num: uint32(seed), CallID: note, From: name, To: label}}, Source: name}
		n := int(columns) % 70
		for i := range n {
			l.Columns = append(l.Columns, ladder.Column{Label: name[:len(name)*i/n], Address: label[:len(label)*i/n]})
		}
		for i := range 12 {
			bits := seed >> (i * 5)
			l.Rows = append(l.Rows, ladder.Row{
				Kind: ladder.Kind(bits % 6), From: int(bits%uint64(n+2)) - 1, To: int(bits/4%uint64(n+2)) - 1, Call: int(bits % 3),
				Label: label, SDP: note[:len(note)/2], Notes: []string{note, label}, Count: i, Status: uint16(bits % 900), Hops: int(bits % 3),
				Time: int64(bits), SincePrev: int64(seed), Media: []string{name}, Txn: int(bits%5) - 1, Dialog: -1, Response: bits%2 == 0,
			})
		}
		if seed%2 == 0 {
			l.Calls = append(l.Calls, ladder.Title{Num: 7})
		}
		opts := svg.Options{Standalone: seed%3 == 0, Times: text.Times(seed % 4), ID: name}
		p := readPicture(t, svg.Append(nil, &l, opts))
		p.check(t)
		checkTexts(t, &l, &p)
		readPicture(t, svg.AppendHeader(nil, &l, opts))
		body := readPicture(t, svg.AppendBody(nil, &l, opts))
		body.check(t)
	})
}

// A terse picture is the same without ids and tips.
func TestTerse(t *testing.T) {
	t.Parallel()
	rows := regexp.MustCompile(`(?s)(<g class="row [^>]*?)" id="[^"]*("[^>]*>)<title>.*?</title>`)
	l := usual()
	whole, terse := string(svg.Append(nil, l, svg.Options{})), string(svg.Append(nil, l, svg.Options{Terse: true}))
	if got := rows.ReplaceAllString(whole, "$1$2"); got != terse || len(terse) >= len(whole) {
		t.Errorf("a terse picture differs in more than ids and tips (-want +got):\n%s", cmp.Diff(got, terse))
	}
}
