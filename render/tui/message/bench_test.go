package message

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"sipscope/correlate/compare"
	"sipscope/decode/sip"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// longHeader has a header line of 60 KiB, out of this piece again and again.
func longHeader(piece string) []byte {
	return []byte("INVITE sip:bob@b.example SIP/2.0\r\nP-Long: " + strings.Repeat(piece, 60<<10/len(piece)) + "\r\nContent-Length: 0\r\n\r\n")
}

// big messages: what is shown of them must not cost what they are long.
func big() map[string][]byte {
	return map[string][]byte{
		"60KiB-ascii":  longHeader("parameter=0123456789;"),
		"60KiB-wide":   longHeader("中文"),
		"60KiB-escape": longHeader("\x1b[2J"),
		"60KiB-one":    longHeader(";"),
		"5000-lines":   numbered(5000),
		"64-diags":     append([]byte("INVITE sip:a@b SIP/2.0\r\n"), bytes.Repeat([]byte("no colon here\r\n"), 4000)...),
	}
}

// BenchmarkDraw draws the middle of a big message: the second time, when it is laid out.
func BenchmarkDraw(b *testing.B) {
	for name, raw := range big() {
		for _, wrap := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/wrap=%t", name, wrap), func(b *testing.B) {
				p, _ := paneOf(raw, func(s *term.Settings) { s.Wrap = wrap })
				c := term.NewCanvas(termtest.NewScreen(b, 120, 40), termtest.Theme(), false)
				p.Search("0", false, false)
				p.Draw(c)
				p.Scroll(len(p.rows) / 2)
				p.Sideways(30_000)
				p.Draw(c)
				b.ReportAllocs()
				for b.Loop() {
					p.Draw(c)
				}
			})
		}
	}
}

// BenchmarkShow shows a big message and draws it for the first time.
func BenchmarkShow(b *testing.B) {
	for name, raw := range big() {
		for _, parsed := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/parsed=%t", name, parsed), func(b *testing.B) {
				p, _ := paneOf(nil, func(s *term.Settings) { s.Parsed = parsed })
				c := term.NewCanvas(termtest.NewScreen(b, 120, 40), termtest.Theme(), false)
				b.ReportAllocs()
				b.SetBytes(int64(len(raw)))
				for b.Loop() {
					p.Show(nil, "")
					p.Show(raw, "head")
					p.Draw(c)
				}
			})
		}
	}
}

// BenchmarkShowUsual is what moving the cursor over a ladder costs in its pane.
func BenchmarkShowUsual(b *testing.B) {
	p, _ := paneOf(nil, nil)
	c := term.NewCanvas(termtest.NewScreen(b, 50, 40), termtest.Theme(), false)
	texts := [][]byte{invite(), other()}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Show(texts[i%2], "head")
		p.Draw(c)
	}
}

// BenchmarkResize breaks a big message into rows of another width.
func BenchmarkResize(b *testing.B) {
	for name, raw := range big() {
		b.Run(name, func(b *testing.B) {
			p, _ := paneOf(raw, nil)
			p.prepare()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.layout(80 + i%20)
			}
		})
	}
}

// BenchmarkSearch looks for the next place in a long line.
func BenchmarkSearch(b *testing.B) {
	p, _ := paneOf(longHeader("Parameter=0123456789;"), nil)
	b.ReportAllocs()
	for b.Loop() {
		if !p.Search("eter=012", true, false) {
			p.restart(false)
		}
	}
}

// BenchmarkCompareDraw draws two big messages that are compared.
func BenchmarkCompareDraw(b *testing.B) {
	for name, raw := range big() {
		b.Run(name, func(b *testing.B) {
			v, _ := compareOf(raw, bytes.ReplaceAll(raw, []byte("value 4"), []byte("value five")))
			c := term.NewCanvas(termtest.NewScreen(b, 160, 40), termtest.Theme(), false)
			v.Draw(c)
			v.Do(keymap.Bottom)
			v.Draw(c)
			b.ReportAllocs()
			for b.Loop() {
				v.Draw(c)
			}
		})
	}
}

// BenchmarkCompareUsual compares two usual messages, which is done on the UI's goroutine.
func BenchmarkCompareUsual(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		comparison(invite(), other(), false, nil)
	}
}

// BenchmarkCompareLayout breaks a comparison into rows of another width.
func BenchmarkCompareLayout(b *testing.B) {
	var x, y sip.Message
	if sip.Parse(numbered(5000), &x) != nil || sip.Parse(longHeader("中文;"), &y) != nil {
		b.Fatal("no SIP")
	}
	r := compare.Messages(&x, &y, compare.Options{})
	v, _ := compareOf(invite(), invite())
	v.take(&r, "")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		v.layout(100+i%40, false)
	}
}
