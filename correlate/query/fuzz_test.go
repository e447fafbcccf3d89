package query

import (
	"errors"
	"strings"
	"testing"

	"sipscope/correlate"
)

func FuzzCompile(f *testing.F) {
	for _, field := range Fields() {
		f.Add(field.Example)
	}
	for _, src := range []string{
		`alice`, `"Busy Here"`, `header.X-A-1 == "a" and pdd in 1ms..2s`, `text("a") or ip("10.0.0.0/8", "::1")`,
		`status = 4`,
		`1 < status < 5 < 6`, `from.user in ["a", 'b', "\u00e4"]`, `not !answered`, `a ? b : c`, `any([1], # > 0)`,
		"`raw`",
		`date("2024-01-01T00:00:00Z") < start`, `ua matches "(?i)^(a|b){2,3}$"`, `-1 < -+-cause`,
		`1 / 0 == messages / 0`, `$env`,
		`((((status))))==1`, `status in 1..2 in 3`, `len(lower(trim(upper(ua)))) > abs(-3)`,
		`0x10 < 1_0 and 1e3 > .5`, `:: text("a")`,
		`"a" in transports or "UDP" not in transport`, `src in ["", "1.2.3.4:5"] and dst != "::/0"`, `header.0!=""`, `x//y`, `/**/`,
		`b"x"`, `a;b`,
	} {
		f.Add(src)
	}
	known, unknown := call(), correlate.Summary{PDD: -1, Setup: -1, Duration: -1, Cause: -1}
	f.Fuzz(func(t *testing.T, src string) {
		q, err := Compile(src, Options{})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%T", err)
			}
			if e.Column < 0 || e.Column > len([]rune(e.Source)) || strings.Contains(e.Message, "\n") {
				t.Fatalf("%q: column %d: %q", src, e.Column, e.Message)
			}
			if strings.Contains(e.Message, "cannot be compiled") {
				t.Fatalf("%q: the library panics: %s", src, e.Message)
			}
			e.Caret()
			return
		}
		q.Bind(q.Headers())
		if len(q.Words()) > MaxWords {
			t.Fatalf("%q: %d words", src, len(q.Words()))
		}
		inverted, err := Compile(src, Options{Invert: true})
		if err != nil {
			t.Fatalf("%q compiles, inverted it does not: %v", src, err)
		}
		inverted.Bind(q.Headers())
		for _, s := range []*correlate.Summary{&known, &unknown} {
			if q.Match(s) == inverted.Match(s) && q.source != "" {
				t.Fatalf("%q fails to run", src)
			}
		}
	})
}
