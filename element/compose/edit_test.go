package compose_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// What a proxy does to a request (RFC 3261 16.6), byte for byte.
func TestEditProxy(t *testing.T) {
	t.Parallel()
	m := parse(t, invite)
	e := compose.NewEdit(m)
	via := compose.Via{
		Proto: "UDP", SentBy: netip.MustParseAddrPort("192.0.2.2:5060"), Branch: "z9hG4bK2d4790", RPort: true,
	}
	proxied(e, m, via.AppendTo(nil))
	got, err := e.Bytes([]byte("before "))
	if err != nil {
		t.Fatal(err)
	}
	want := "before " + strings.NewReplacer(
		"sip:bob@biloxi.example.com SIP/2.0\r\n", "sip:bob@192.0.2.4 SIP/2.0\r\n"+
			"Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK2d4790;rport\r\n",
		"Max-Forwards: 70", "Max-Forwards: 69",
		"Route: <sip:ss1.example.com;lr>\r\n", "",
		"Record-Route: <sip:ss2", "Record-Route: <sip:ss1.example.com;lr>\r\nRecord-Route: <sip:ss2",
	).Replace(invite)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const odd = "OPTIONS <sip:a@b>  SIP/2.0\n" +
	"junk before\n" +
	"vIa :  SIP/2.0/UDP a;x=\"1,2\" , SIP/2.0/TCP b ,\r\n SIP/2.0/TLS c  \r\n" +
	"Route: , \r\n" +
	"junk between\r\n" +
	"Route:<sip:a,b@c>,<sip:d>\r\n" +
	"l: 3\r\n" +
	"X: folded\n  value  \n\r\n" +
	"body and more"

func TestEdit(t *testing.T) {
	t.Parallel()
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(odd) }
	for _, c := range []struct {
		name string
		edit func(e *compose.Edit)
		want string
	}{
		{"nothing", func(*compose.Edit) {}, odd},
		{"URI", func(e *compose.Edit) { e.URI("tel:1") }, replace("<sip:a@b>  SIP", "tel:1  SIP")},
		{
			"URI twice", func(e *compose.Edit) { e.URI("tel:1"); e.URIBytes([]byte("tel:22")) },
			replace("<sip:a@b>  SIP", "tel:22  SIP"),
		},
		{
			"start line", func(e *compose.Edit) { e.URI("tel:1"); e.StartLine("any thing") },
			replace("OPTIONS <sip:a@b>  SIP/2.0", "any thing"),
		},
		{"Replace", func(e *compose.Edit) { e.Replace(0, "new") }, replace(
			"SIP/2.0/UDP a;x=\"1,2\" , SIP/2.0/TCP b ,\r\n SIP/2.0/TLS c", "new",
		)},
		{"Replace, folded", func(e *compose.Edit) { e.Replace(4, "") }, replace("folded\n  value", "")},
		{"Replace, junk behind", func(e *compose.Edit) { e.Replace(1, "y") }, replace("Route: , \r\n", "Route: y \r\n")},
		{"Remove, junk behind", func(e *compose.Edit) { e.Remove(1) }, replace("Route: , \r\n", "")},
		{
			"Remove and Replace keep their indices",
			func(e *compose.Edit) { e.Remove(0); e.Prepend(sip.HeaderVia, "v"); e.Replace(3, "9") },
			replace(
				"junk before\nvIa :  SIP/2.0/UDP a;x=\"1,2\" , SIP/2.0/TCP b ,\r\n SIP/2.0/TLS c  \r\n",
				"Via: v\njunk before\n", "l: 3", "l: 9",
			),
		},
		{"first Via", func(e *compose.Edit) { e.RemoveFirst(sip.HeaderVia) }, replace("SIP/2.0/UDP a;x=\"1,2\" , ", "")},
		{"two Vias", func(e *compose.Edit) {
			e.RemoveFirst(sip.HeaderVia)
			e.RemoveFirst(sip.HeaderVia)
		}, replace("SIP/2.0/UDP a;x=\"1,2\" , SIP/2.0/TCP b ,\r\n ", "")},
		{"three Vias", func(e *compose.Edit) {
			for range 3 {
				e.RemoveFirst(sip.HeaderVia)
			}
		}, replace("vIa :  SIP/2.0/UDP a;x=\"1,2\" , SIP/2.0/TCP b ,\r\n SIP/2.0/TLS c  \r\n", "")},
		{"first Route", func(e *compose.Edit) { e.RemoveFirst(sip.HeaderRoute) }, replace("<sip:a,b@c>,", "")},
		{
			"first Via changed", func(e *compose.Edit) { e.ReplaceFirst(sip.HeaderVia, "SIP/2.0/UDP z") },
			replace("SIP/2.0/UDP a;x=\"1,2\"", "SIP/2.0/UDP z"),
		},
		{
			"first Route changed twice",
			func(e *compose.Edit) {
				e.ReplaceFirst(sip.HeaderRoute, "<sip:long.example.com>")
				e.ReplaceFirstBytes(sip.HeaderRoute, []byte("<sip:z>"))
			},
			replace("<sip:a,b@c>", "<sip:z>"),
		},
		{"Prepend", func(e *compose.Edit) {
			e.Prepend(sip.HeaderRoute, "1")
			e.PrependBytes(sip.HeaderRoute, []byte("2"))
		}, replace("Route: , ", "Route: 2\nRoute: 1\nRoute: , ")},
		{
			"Prepend what is not there", func(e *compose.Edit) { e.Prepend(sip.HeaderRecordRoute, "r") },
			replace("c  \r\n", "c  \r\nRecord-Route: r\n"),
		},
		{
			"Prepend a Via", func(e *compose.Edit) { e.Prepend(sip.HeaderVia, "1"); e.Prepend(sip.HeaderVia, "2") },
			replace("junk before", "Via: 2\nVia: 1\njunk before"),
		},
		{
			"Append", func(e *compose.Edit) { e.Append(sip.HeaderRoute, "9"); e.Append(sip.HeaderSubject, "s") },
			replace("<sip:d>\r\n", "<sip:d>\r\nRoute: 9\n", "value  \n", "value  \nSubject: s\n"),
		},
		{
			"Add", func(e *compose.Edit) { e.Add(compose.Header{Name: "Y", Value: "y"}) },
			replace("value  \n", "value  \nY: y\n"),
		},
		{
			"Set", func(e *compose.Edit) { e.Set(sip.HeaderRoute, "r"); e.Set(sip.HeaderSubject, "s") },
			replace("Route: , ", "Route: r ", "Route:<sip:a,b@c>,<sip:d>\r\n", "", "value  \n", "value  \nSubject: s\n"),
		},
		{"RemoveAll", func(e *compose.Edit) { e.RemoveAll(sip.HeaderRoute) }, replace(
			"Route: , \r\n", "", "Route:<sip:a,b@c>,<sip:d>\r\n", "",
		)},
		{
			"Body", func(e *compose.Edit) { e.Body("text/plain", []byte("0123456789")) },
			replace("l: 3", "l: 10", "value  \n", "value  \nContent-Type: text/plain\n", "body and more", "0123456789"),
		},
		{
			"no Body", func(e *compose.Edit) { e.Body("text/plain", []byte("x")); e.Body("", nil) },
			replace("l: 3", "l: 0", "body and more", ""),
		},
		{"Frame", func(e *compose.Edit) { e.Frame() }, replace("body and more", "bod")},
		{
			"Frame after Body", func(e *compose.Edit) { e.Body("", []byte("xyz")); e.Frame() },
			replace("body and more", "xyz"),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := compose.NewEdit(parse(t, odd))
			c.edit(e)
			got, err := e.Bytes(nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A message that ends within its head is completed when it is changed, and only then.
func TestEditCut(t *testing.T) {
	t.Parallel()
	for cut, want := range map[string]string{
		"A sip:a SIP/2.0":                "A sip:b SIP/2.0\r\nX: y\r\n\r\n",
		"A sip:a SIP/2.0\n":              "A sip:b SIP/2.0\nX: y\n\n",
		"A sip:a SIP/2.0\r\n\r\n":        "A sip:b SIP/2.0\r\nX: y\r\n\r\n",
		"A sip:a SIP/2.0\r\nZ: 1":        "A sip:b SIP/2.0\r\nZ: 1\r\nX: y\r\n\r\n",
		"A sip:a SIP/2.0\r\nCSeq: 1":     "A sip:b SIP/2.0\r\nCSeq: 2\r\nX: y\r\n\r\n",
		"A sip:a SIP/2.0\n\r":            "A sip:b SIP/2.0\nX: y\n\n",
		"A sip:a SIP/2.0\r\nZ: 1\r":      "A sip:b SIP/2.0\r\nZ: 1\r\r\nX: y\r\n\r\n",
		"A sip:a SIP/2.0\r\nno":          "A sip:b SIP/2.0\r\nno\r\nX: y\r\n\r\n",
		"A sip:a SIP/2.0\r\n Z: 1\r\n\n": "A sip:b SIP/2.0\r\n Z: 1\r\nX: y\r\n\n",
		"A sip:a SIP/2.0\r\nZ: 1\n\r\nb": "A sip:b SIP/2.0\r\nZ: 1\nX: y\r\n\r\nb",
	} {
		e := compose.NewEdit(parse(t, cut))
		if got, err := e.Bytes(nil); err != nil || string(got) != cut {
			t.Errorf("%q without a change: %q, error %v", cut, got, err)
		}
		e.URI("sip:b")
		if strings.Contains(cut, "CSeq") {
			e.Set(sip.HeaderCSeq, "2")
		}
		e.Add(compose.Header{Name: "X", Value: "y"})
		if got, err := e.Bytes(nil); err != nil || string(got) != want {
			t.Errorf("%q: %q, error %v, want %q", cut, got, err, want)
		}
	}
}

// A header line before which nothing may be put, since it begins with a blank and would fold into it.
func TestEditBlankFirst(t *testing.T) {
	t.Parallel()
	e := compose.NewEdit(parse(t, "A sip:a SIP/2.0\r\n Via: evil\r\nVia: SIP/2.0/UDP a\r\n\r\n"))
	e.Prepend(sip.HeaderVia, "SIP/2.0/UDP own;branch=b")
	out, err := e.Bytes(nil)
	if err != nil {
		t.Fatal(err)
	}
	if m := parse(t, string(out)); m.Vias != 2 || string(m.Via.Branch.Of(m.Raw)) != "b" {
		t.Errorf("the own Via is not the top one of two:\n%q", out)
	}
}

// What goes to a stream must not be two messages there (RFC 3261 18.3).
func TestEditFrame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"right", "A sip:a SIP/2.0\r\nl:  1\r\n\r\nx", "A sip:a SIP/2.0\r\nl:  1\r\n\r\nx"},
		{"missing", "A sip:a SIP/2.0\r\n\r\nx", "A sip:a SIP/2.0\r\nContent-Length: 1\r\n\r\nx"},
		{"more follows", "A sip:a SIP/2.0\r\nl: 1\r\n\r\nxB sip:b SIP/2.0", "A sip:a SIP/2.0\r\nl: 1\r\n\r\nx"},
		{"less is there", "A sip:a SIP/2.0\r\nl: 9\r\n\r\nx", "A sip:a SIP/2.0\r\nl: 1\r\n\r\nx"},
		{"unreadable", "A sip:a SIP/2.0\r\nl: -1\r\n\r\nx", "A sip:a SIP/2.0\r\nl: 1\r\n\r\nx"},
		{"twice", "A sip:a SIP/2.0\r\nl: 1\r\nContent-Length: 0\r\n\r\nx", "A sip:a SIP/2.0\r\nl: 1\r\n\r\nx"},
		{"no end of the head", "A sip:a SIP/2.0\r\nl: 0", "A sip:a SIP/2.0\r\nl: 0\r\n\r\n"},
	} {
		e := compose.NewEdit(parse(t, c.in))
		e.Frame()
		if got, err := e.Bytes(nil); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, error %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestEditErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(e *compose.Edit)
		want error
	}{
		"value":             {func(e *compose.Edit) { e.Prepend(sip.HeaderVia, "a\r\nEvil: b") }, sip.ErrLineBreak},
		"lone CR":           {func(e *compose.Edit) { e.Append(sip.HeaderVia, "a\rb") }, sip.ErrLineBreak},
		"end":               {func(e *compose.Edit) { e.Replace(0, "a\n") }, sip.ErrLineBreak},
		"URI":               {func(e *compose.Edit) { e.URI("sip:a b") }, compose.ErrValue},
		"URI with a line":   {func(e *compose.Edit) { e.URI("sip:a\r\n") }, compose.ErrValue},
		"no URI":            {func(e *compose.Edit) { e.URI("") }, compose.ErrValue},
		"start line":        {func(e *compose.Edit) { e.StartLine("a\r\n b") }, sip.ErrLineBreak},
		"start line, empty": {func(e *compose.Edit) { e.StartLine("") }, sip.ErrLineBreak},
		"name":              {func(e *compose.Edit) { e.Add(compose.Header{Name: "a:"}) }, compose.ErrValue},
		"via":               {func(e *compose.Edit) { e.PrependBytes(sip.HeaderVia, []byte("SIP/2.0/UDP \n")) }, sip.ErrLineBreak},
		"gone":              {func(e *compose.Edit) { e.Remove(2); e.Replace(2, "x") }, compose.ErrMissing},
		"no header":         {func(e *compose.Edit) { e.Remove(-1) }, compose.ErrMissing},
		"the first counts":  {func(e *compose.Edit) { e.URI(""); e.StartLine("\n") }, compose.ErrValue},
	} {
		e := compose.NewEdit(parse(t, odd))
		c.edit(e)
		if got, err := e.Bytes([]byte("kept")); !errors.Is(err, c.want) || string(got) != "kept" {
			t.Errorf("%s: %q, error %v, want what was there and %v", name, got, err, c.want)
		}
		e.Reset(parse(t, odd))
		if got, err := e.Bytes(nil); err != nil || string(got) != odd {
			t.Errorf("%s: after Reset %q, error %v", name, got, err)
		}
	}
	e := compose.NewEdit(parse(t, "SIP/2.0 200 OK\r\n\r\n"))
	if e.URI("sip:a"); e.RemoveFirst(sip.HeaderVia) || e.ReplaceFirst(sip.HeaderVia, "x") {
		t.Error("a value that is not there was found")
	}
	if _, err := e.Bytes(nil); !errors.Is(err, compose.ErrKind) {
		t.Errorf("Request-URI of a response: error %v, want ErrKind", err)
	}
}
