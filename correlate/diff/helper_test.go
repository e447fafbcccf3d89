package diff_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
	"sipscope/flowtest"
)

// texts keeps the messages' texts by frame, as a capture would.
type texts map[[2]uint64][]byte

// Event keeps a message's text.
func (t texts) Event(e *correlate.Event) error {
	if e.Message != nil {
		t[[2]uint64{e.Message.Seq, uint64(e.Message.Nth)}] = bytes.Clone(e.Message.SIP.Raw)
	}
	return nil
}

// archive is what a source held.
type archive struct {
	calls []correlate.Call
	texts texts
}

func read(tb testing.TB, source capture.Source) archive {
	tb.Helper()
	board := &correlate.Board{}
	a := archive{texts: make(texts)}
	err := correlate.Run(context.Background(), source, correlate.Config{Workers: 1, Board: board, Sink: a.texts})
	if err != nil && !errors.Is(err, capture.ErrDamaged) {
		tb.Fatal(err)
	}
	for _, num := range board.Numbers() {
		if c, ok := board.Call(num); ok {
			a.calls = append(a.calls, c)
		}
	}
	return a
}

// readFile reads a capture.
func readFile(tb testing.TB, path string) archive {
	tb.Helper()
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		if !errors.Is(err, capture.ErrFormat) || !strings.Contains(path, "shared") {
			tb.Fatal(err)
		}
		tb.Skip(err) // among captures of others are files of other formats
	}
	defer func() { _ = files.Close() }()
	return read(tb, files)
}

// flow is one side: the calls with these indices, or all.
func (a archive) flow(name string, indices ...int) diff.Flow {
	f := diff.Flow{Name: name, Calls: a.calls}
	if len(indices) > 0 {
		f.Calls = nil
		for _, i := range indices {
			f.Calls = append(f.Calls, a.calls[i])
		}
	}
	calls := f.Calls
	f.Text = func(call, message int) []byte {
		m := &calls[call].Messages[message]
		return a.texts[[2]uint64{m.Seq, uint64(m.Nth)}]
	}
	return f
}

// parsed reads a flow of the test language.
func parsed(tb testing.TB, text string) archive {
	tb.Helper()
	f, err := flowtest.Parse("test.flow", strings.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	packets, err := f.Packets()
	if err != nil {
		tb.Fatal(err)
	}
	return read(tb, flowtest.NewSource(packets, 256))
}

// flows are the texts of the project's flows by name.
func flows(tb testing.TB) map[string]string {
	tb.Helper()
	paths, err := filepath.Glob("../../testdata/flows/*.flow")
	if err != nil || len(paths) == 0 {
		tb.Fatal("no flows", err)
	}
	all := make(map[string]string)
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			tb.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(p), ".flow")] = string(text)
	}
	return all
}

// disguised gives an archive with everything renamed that any two calls differ in: identifiers wherever they stand,
// addresses, ports, nonces, sequence numbers, dates and times.
func (a archive) disguised(tb testing.TB) archive {
	tb.Helper()
	d := disguise{words: make(map[string]string)}
	for _, c := range a.calls {
		d.name(c.CallID)
	}
	for _, text := range a.texts {
		d.collect(text)
	}
	out := archive{texts: make(texts)}
	for k, text := range a.texts {
		out.texts[k] = d.text(string(text))
	}
	for _, c := range a.calls {
		out.calls = append(out.calls, d.call(c))
	}
	return out
}

type disguise struct {
	words    map[string]string
	replacer *strings.Replacer
}

// name makes up another name for an identifier.
func (d *disguise) name(word string) {
	if len(word) < 6 || d.words[word] != "" || strings.Trim(word, "0123456789") == "" {
		return
	}
	h := sha256.Sum256([]byte("other " + word))
	fresh := "x" + hex.EncodeToString(h[:])[:max(len(word), 8)-1-max(0, len(word)-60)]
	if strings.HasPrefix(word, "z9hG4bK") {
		fresh = "z9hG4bK" + fresh
	}
	d.words[word] = fresh
}

// collect names the identifiers of a message.
func (d *disguise) collect(text []byte) {
	var m sip.Message
	if sip.Parse(text, &m) != nil {
		return
	}
	for v := range m.AllVias() {
		d.name(string(v.Branch.Of(m.Raw)))
	}
	for _, a := range [...]sip.Address{m.From, m.To} {
		d.name(string(a.Tag.Of(m.Raw)))
	}
	for _, id := range [...]sip.HeaderID{sip.HeaderSIPETag, sip.HeaderSIPIfMatch} {
		v, _ := m.Value(id)
		d.name(string(v))
	}
	for _, id := range [...]sip.HeaderID{
		sip.HeaderWWWAuthenticate, sip.HeaderProxyAuthenticate, sip.HeaderAuthorization, sip.HeaderProxyAuthorization,
	} {
		for v := range m.Values(id) {
			c, _ := sip.ParseCredentials(v)
			for _, word := range [][]byte{c.Nonce, c.CNonce, c.Opaque, c.Response} {
				d.name(string(word))
			}
		}
	}
}

var (
	address4 = regexp.MustCompile(`\b(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\b(:\d+)?`)
	address6 = regexp.MustCompile(`\b([0-9a-fA-F]{2,4}:[0-9a-fA-F:]*[0-9a-fA-F]|::1)\b`)
	header   = regexp.MustCompile(`(?i)^(CSeq|RSeq|RAck|Date|Timestamp|User-Agent|Server|Content-Length|l)\s*:\s*(.*?)(\r?\n)$`)
	origin   = regexp.MustCompile(`^o=(\S+) (\d+) (\d+) (.*)$`)
	medium   = regexp.MustCompile(`^m=(\w+) (\d+) (.*)$`)
	number   = regexp.MustCompile(`\d+`)
)

// text is a message in disguise.
func (d *disguise) text(text string) []byte {
	if d.replacer == nil {
		var list []string
		for _, word := range slices.SortedFunc(maps.Keys(d.words), func(x, y string) int { return len(y) - len(x) }) {
			list = append(list, word, d.words[word], url.QueryEscape(word), url.QueryEscape(d.words[word]))
		}
		d.replacer = strings.NewReplacer(list...)
	}
	var m sip.Message
	length := -1
	if sip.Parse([]byte(text), &m) == nil && m.ContentLength == int64(m.Body.Len) {
		length = int(m.Body.Len)
	}
	text = d.replacer.Replace(text)
	var out []byte
	head := true
	body := 0
	for line := range strings.Lines(text) {
		if head && strings.TrimRight(line, "\r\n") == "" {
			head = false
			out = append(out, line...)
			body = len(out)
			continue
		}
		if head {
			line = d.headerLine(line)
		} else {
			line = d.bodyLine(line)
		}
		out = append(out, line...)
	}
	if length >= 0 && body > 0 {
		re := regexp.MustCompile(`(?im)^(Content-Length|l)(\s*:\s*)\d+`)
		head := re.ReplaceAll(out[:body], []byte("${1}${2}"+strconv.Itoa(len(out)-body)))
		out = append(slices.Clone(head), out[body:]...)
	}
	return out
}

func plus(t string, n int) string {
	return number.ReplaceAllStringFunc(t, func(v string) string {
		k, _ := strconv.Atoi(v)
		return strconv.Itoa((k + n) & 0x7fffffff)
	})
}

func (d *disguise) headerLine(line string) string {
	if m := header.FindStringSubmatch(line); m != nil {
		switch strings.ToLower(m[1]) {
		case "cseq":
			return "CSeq: " + plus(m[2], 1000) + m[3]
		case "rseq":
			return "RSeq: " + plus(m[2], 77) + m[3]
		case "rack":
			return "RAck: " + plus(m[2], 33) + m[3]
		case "date":
			return "Date: Fri, 01 Jan 2027 00:00:00 GMT" + m[3]
		default:
			return line
		}
	}
	return d.addresses(line)
}

func (d *disguise) bodyLine(line string) string {
	if strings.HasPrefix(line, "s=") {
		return line // versions look like addresses
	}
	if m := origin.FindStringSubmatch(line); m != nil {
		return "o=someone " + m[2] + "77 " + m[3] + "9 " + d.addresses(m[4]) + "\r\n"
	}
	if m := medium.FindStringSubmatch(line); m != nil {
		port := m[2]
		if port != "0" {
			port = plus(port, 22)
		}
		return "m=" + m[1] + " " + port + " " + strings.TrimSuffix(m[3], "\r") + "\r\n"
	}
	return d.addresses(line)
}

func (d *disguise) addresses(line string) string {
	line = address4.ReplaceAllStringFunc(line, func(t string) string {
		m := address4.FindStringSubmatch(t)
		a, err := netip.ParseAddr(m[1])
		if err != nil || a.IsUnspecified() {
			return t
		}
		n := 0
		if m[2] != "" {
			n, _ = strconv.Atoi(m[2][1:])
		}
		e := endpoint(frame.FromAddrPort(netip.AddrPortFrom(a, uint16(n))))
		if m[2] == "" {
			return e.Host()
		}
		return e.String()
	})
	return address6.ReplaceAllStringFunc(line, func(t string) string {
		a, err := netip.ParseAddr(t)
		if err != nil {
			return t
		}
		return endpoint(frame.FromAddrPort(netip.AddrPortFrom(a, 0))).Host()
	})
}

// endpoint is an address in disguise: 10.0.1.10 becomes 172.20.101.11, and so on.
func endpoint(e frame.Endpoint) frame.Endpoint {
	out := e
	if e.V4 {
		b := e.Addr().As4()
		out = frame.FromAddrPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 20 ^ b[1], b[2] + 100, b[3] + 1}), e.Port))
	} else {
		out.Lo ^= 0x7700
	}
	if e.Port != 5060 && e.Port != 0 {
		out.Port = e.Port + 11
	}
	return out
}

func (d *disguise) call(c correlate.Call) correlate.Call {
	first := c.First
	at := func(t int64) int64 { return first + int64(3*time.Hour) + (t-first)*21/20 }
	if w := d.words[c.CallID]; w != "" {
		c.CallID = w
	}
	c.Messages = slices.Clone(c.Messages)
	for i := range c.Messages {
		m := &c.Messages[i]
		m.Src, m.Dst, m.Time, m.CSeq = endpoint(m.Src), endpoint(m.Dst), at(m.Time), m.CSeq+1000
	}
	c.Transactions = slices.Clone(c.Transactions)
	for i := range c.Transactions {
		t := &c.Transactions[i]
		t.Src, t.Dst, t.CSeq = endpoint(t.Src), endpoint(t.Dst), t.CSeq+1000
	}
	return c
}

// list writes a result for a person who looks at a failed test.
func list(r *diff.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Verdict, r.Headline)
	for i := range r.Who {
		fmt.Fprintf(&b, "  who %d %s %v %v\n", i, r.Who[i].Name, r.Who[i].A, r.Who[i].B)
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		label := func(f *diff.Flow, ref diff.Ref) string {
			if !ref.Valid() {
				return "-"
			}
			m := &f.Calls[ref.Call].Messages[ref.Message]
			return fmt.Sprintf("%d.%d %s %d", ref.Call, ref.Message, m.Method, m.Status)
		}
		fmt.Fprintf(&b, "%3d %d>%d %-22s %-22s %s\n", i, row.From, row.To, label(&r.A, row.A), label(&r.B, row.B), row.Verdict)
		for _, d := range row.Differences {
			fmt.Fprintf(&b, "       %s %s: %s\n", d.Verdict, d.Where, d.Text)
		}
	}
	return b.String()
}
