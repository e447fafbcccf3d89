package sip

import (
	"strings"
	"testing"
)

func TestHeaderTable(t *testing.T) {
	t.Parallel()
	compact := map[byte]HeaderID{}
	longest := 0
	for id := HeaderOther + 1; id < headers; id++ {
		name := id.String()
		longest = max(longest, len(name))
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := LookupHeader([]byte(spelling)); got != id {
				t.Errorf("LookupHeader(%q) = %d, want %d", spelling, got, id)
			}
			var m Message
			for _, blank := range []string{"", " ", " \t"} {
				if err := Parse([]byte("A b SIP/2.0\r\n"+spelling+blank+": some value\r\n\r\n"), &m); err != nil || m.Headers[0].ID != id {
					t.Errorf("%s%s: is parsed as %v", spelling, blank, m.Headers)
				}
			}
		}
		for _, wrong := range []string{name + "x", name[1:], "x" + name, strings.ReplaceAll(name, "-", "\r")} {
			if got := LookupHeader([]byte(wrong)); got == id && wrong != name {
				t.Errorf("LookupHeader(%q) = %d", wrong, got)
			}
		}
		if c := id.Compact(); c != 0 {
			if old := compact[c]; old != HeaderOther {
				t.Errorf("%c stands for %s and %s", c, old, id)
			}
			compact[c] = id
			for _, c := range []byte{c, c &^ 0x20} {
				if got := LookupHeader([]byte{c}); got != id {
					t.Errorf("LookupHeader(%c) = %s, want %s", c, got, id)
				}
			}
		}
	}
	if len(compact) != 20 || longest != maxHeaderName {
		t.Errorf("%d compact forms, want the 20 of the registry; longest name %d, want %d", len(compact), longest, maxHeaderName)
	}
	for _, name := range []string{"", "x-", "-", "z", "@", "[", "\xe1", "A\xcclow", strings.Repeat("a", 99)} {
		if got := LookupHeader([]byte(name)); got != HeaderOther {
			t.Errorf("LookupHeader(%q) = %s", name, got)
		}
	}
	if HeaderOther.String() != "" || headers.String() != "" || headers.Compact() != 0 {
		t.Error("what is no header has a name")
	}
}

func TestMethodTable(t *testing.T) {
	t.Parallel()
	for id := MethodUnknown + 1; id < methods; id++ {
		name := id.String()
		if got := LookupMethod([]byte(name)); got != id {
			t.Errorf("LookupMethod(%s) = %s", name, got)
		}
		for _, wrong := range []string{strings.ToLower(name), name + "X", name[1:], name[:len(name)-1]} {
			if got := LookupMethod([]byte(wrong)); got != MethodUnknown {
				t.Errorf("LookupMethod(%s) = %s", wrong, got)
			}
		}
	}
	for _, wrong := range []string{"", "REGIStER", "?", "\xff\xff\xff", "[[["} {
		if got := LookupMethod([]byte(wrong)); got != MethodUnknown {
			t.Errorf("LookupMethod(%q) = %s", wrong, got)
		}
	}
	if MethodID(200).String() == "" || MethodUnknown.String() != "?" {
		t.Error("an unknown method must have a text")
	}
}

func TestStatusTable(t *testing.T) {
	t.Parallel()
	for i, p := range phrases {
		if i > 0 && phrases[i-1].code >= p.code {
			t.Errorf("%d is out of order", p.code)
		}
		if got := ReasonPhrase(p.code); got != p.text || got == "" {
			t.Errorf("ReasonPhrase(%d) = %q, want %q", p.code, got, p.text)
		}
	}
	for _, code := range []int{-1, 0, 99, 101, 299, 699, 700} {
		if got := ReasonPhrase(code); got != "" {
			t.Errorf("ReasonPhrase(%d) = %q", code, got)
		}
	}
	for cause, want := range map[int]string{16: "normal call clearing", 17: "user busy", 127: "interworking, unspecified", 0: "", 128: "", -1: ""} {
		if got := Q850(cause); got != want {
			t.Errorf("Q850(%d) = %q, want %q", cause, got, want)
		}
	}
}
