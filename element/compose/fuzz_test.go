package compose_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// pair is a header as it stands in a message.
type pair struct{ name, value string }

func pairs(m *sip.Message) []pair {
	var list []pair
	for _, h := range m.Headers {
		list = append(list, pair{string(h.Name.Of(m.Raw)), string(h.Value.Of(m.Raw))})
	}
	return list
}

// parts are the start line, the headers and the body: all but blanks around values.
func parts(text []byte) []pair {
	var m sip.Message
	if sip.Parse(text, &m) != nil {
		return nil
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return append(pairs(&m), pair{line, string(text[m.Head:])})
}

func values(m *sip.Message, id sip.HeaderID) []string {
	var list []string
	for v := range m.List(id) {
		list = append(list, string(v))
	}
	return list
}

func seed(f *testing.F, add func(text string)) {
	f.Helper()
	for _, text := range []string{
		invite, odd, "A sip:a SIP/2.0", "A sip:a SIP/2.0\r\nVia: \"\r\n,\",<,>;rport\n\n", "SIP/2.0 100 \nVia: ,,a\r\n\r\n",
		"A sip:a SIP/2.0\r\n Via: x\r\nv: SIP / 2.0 / UDP a : 1 ; rport = 2 ; received\r\n\r\n", "A <sip:a SIP/2.0\n\n",
		"A sip:a SIP/2.0\r\nTo: \"a\r\n b\" <sip:a>;x=\";tag=1\r\nCSeq: 1 A\r\nVia: a\rb\r\n\r\n",
	} {
		add(text)
	}
}

// ids are what the operations of a fuzzer are about.
var ids = [...]sip.HeaderID{
	sip.HeaderVia, sip.HeaderRoute, sip.HeaderRecordRoute, sip.HeaderMaxForwards, sip.HeaderContact, sip.HeaderTo,
}

// apply does one operation that a byte names.
func apply(e *compose.Edit, op byte, value string) {
	id := ids[int(op>>4)%len(ids)]
	switch op & 15 {
	case 0:
		e.URI(value)
	case 1:
		e.RemoveFirst(id)
	case 2:
		e.ReplaceFirst(id, value)
	case 3:
		e.Prepend(id, value)
	case 4:
		e.Append(id, value)
	case 5:
		e.Set(id, value)
	case 6:
		e.RemoveAll(id)
	case 7:
		e.Body("", []byte(value))
	default:
		via := compose.Via{Proto: "UDP", Host: "own.example", Branch: "z9hG4bKown"}
		e.PrependBytes(sip.HeaderVia, via.AppendTo(nil))
	}
}

// FuzzEdit: without a change the bytes are the same; changes made by one Edit are those made one by one, by an Edit of
// the result each; and no header appears or changes that was not asked for.
func FuzzEdit(f *testing.F) {
	seed(f, func(text string) {
		f.Add([]byte(text), []byte{0, 1, 2, 3, 4, 5, 6, 7, 8}, "<sip:v>")
		f.Add([]byte(text), []byte("7uuu"), " ")
		f.Add([]byte(text), []byte{17, 17, 35, 37, 17, 6, 23}, "a,\r\n \"b")
	})
	f.Fuzz(func(t *testing.T, raw, ops []byte, value string) {
		var m sip.Message
		if sip.Parse(raw, &m) != nil {
			t.Skip()
		}
		e := compose.NewEdit(&m)
		if same, err := e.Bytes(nil); err != nil || !bytes.Equal(same, raw) {
			t.Fatalf("%q without a change: %q, error %v", raw, same, err)
		}
		forwarded(t, e, &m)
		e.Reset(&m)
		step := raw
		for _, op := range ops[:min(len(ops), 8)] {
			apply(e, op, value)
			before := new(sip.Message)
			if sip.Parse(step, before) != nil {
				t.Fatalf("%q is no message any more", step)
			}
			one := compose.NewEdit(before)
			apply(one, op, value)
			out, err := one.Bytes(nil)
			all, errAll := e.Bytes(nil)
			if (err == nil) != (errAll == nil) || err == nil && !slices.Equal(parts(out), parts(all)) {
				t.Fatalf("op %d on %q:\none by one %q, error %v\nat once   %q, error %v", op, step, out, err, all, errAll)
			}
			if err != nil {
				return
			}
			after := new(sip.Message)
			if sip.Parse(out, after) != nil {
				t.Fatalf("op %d on %q makes %q", op, step, out)
			}
			verify(t, op, before, after)
			step = out
		}
	})
}

// verify compares the headers before and after one operation.
func verify(t *testing.T, op byte, before, after *sip.Message) {
	t.Helper()
	id := ids[int(op>>4)%len(ids)]
	was, is := pairs(before), pairs(after)
	touched := id
	switch op & 15 {
	case 0:
		if !slices.Equal(was, is) {
			t.Fatalf("a new Request-URI changes headers: %q, were %q", is, was)
		}
		return
	case 1:
		if a, b := values(before, id), values(after, id); len(a) > 0 && !slices.Equal(a[1:], b) {
			t.Fatalf("the first value removed: %q, were %q", b, a)
		}
	case 3, 4:
		if len(is) != len(was)+1 {
			t.Fatalf("one header more: %q, were %q", is, was)
		}
	case 7:
		if string(after.Body.Of(after.Raw)) != string(after.Raw[after.Head:]) {
			t.Fatalf("body %q of %q", after.Body.Of(after.Raw), after.Raw)
		}
		touched = sip.HeaderContentLength
	case 2, 5, 6:
	default:
		touched = sip.HeaderVia
		if string(after.Via.Branch.Of(after.Raw)) != "z9hG4bKown" || len(is) != len(was)+1 {
			t.Fatalf("the own Via is not on top: %q", after.Raw)
		}
	}
	other := func(m *sip.Message) (list []pair) {
		for i, h := range m.Headers {
			if h.ID != touched && (op&15 != 7 || h.ID != sip.HeaderContentType) {
				list = append(list, pairs(m)[i])
			}
		}
		return list
	}
	if a, b := other(before), other(after); !slices.Equal(a, b) {
		t.Fatalf("op %d changes other headers: %q, were %q", op, b, a)
	}
}

// FuzzResponse: a response has the Vias of its request in their order, its identity, no header that nobody asked for,
// and says where its request came from.
func FuzzResponse(f *testing.F) {
	seed(f, func(text string) { f.Add([]byte(text), uint16(200), "tag", "X", "value") })
	src := netip.MustParseAddrPort("192.0.2.77:7777")
	f.Fuzz(func(t *testing.T, raw []byte, status uint16, tag, name, value string) {
		var m, r sip.Message
		if sip.Parse(raw, &m) != nil || !m.Request || sip.LookupHeader([]byte(name)) != sip.HeaderOther {
			t.Skip()
		}
		out, err := compose.Response(nil, &m, src, &compose.Reply{
			Status: int(status), ToTag: tag, RecordRoute: true, Headers: []compose.Header{{Name: name, Value: value}},
		})
		if err != nil {
			return
		}
		if err := sip.Parse(out, &r); err != nil || r.Request || r.Status != status || int(r.Head) != len(out) {
			t.Fatalf("%q: error %v", out, err)
		}
		if m.Vias < 1000 && r.Vias != m.Vias {
			t.Fatalf("%d Vias, want %d:\n%q\n%q", r.Vias, m.Vias, raw, out)
		}
		via, top := sip.HeaderVia, ""
		if len(values(&m, via)) > 0 {
			top = values(&r, via)[0]
		}
		if !m.Via.SentBy.Empty() && m.Via.HasRPort &&
			(r.Via.RPort != 7777 || string(r.Via.Received.Of(out)) != "192.0.2.77") {
			t.Fatalf("Via %q of %q", top, raw)
		}
		count := func(m *sip.Message, id sip.HeaderID) (n int) {
			for _, h := range m.Headers {
				if h.ID == id {
					n++
				}
			}
			return n
		}
		want := count(&m, sip.HeaderRecordRoute) + 2
		for _, id := range [...]sip.HeaderID{sip.HeaderFrom, sip.HeaderTo, sip.HeaderCallID, sip.HeaderCSeq} {
			want += min(1, count(&m, id))
		}
		if status == 100 {
			want += min(1, count(&m, sip.HeaderTimestamp))
		}
		vias := 0
		for _, h := range m.Headers {
			if one := (sip.Message{Raw: m.Raw, Headers: []sip.Header{h}}); h.ID == via && len(values(&one, via)) > 0 {
				vias++
			}
		}
		if len(r.Headers) != want+vias {
			t.Fatalf("%d headers, want %d:\n%q\n%q", len(r.Headers), want+vias, raw, out)
		}
		if got, want := r.CallID.Of(out), compose.AppendUnfolded(nil, m.CallID.Of(raw)); !bytes.Equal(got, want) {
			t.Fatalf("Call-ID %q, want %q", got, want)
		}
	})
}
