package diff_test

import (
	"path/filepath"
	"testing"

	"sipscope/correlate/diff"
)

// recordings gives every capture of the project: the textbook flows and the scenarios of its own elements.
func recordings(t *testing.T, f func(t *testing.T, a archive)) {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/pcaps/*.pcap*")
	if err != nil || len(paths) < 50 {
		t.Fatal("no captures", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			f(t, readFile(t, path))
		})
	}
}

// Every call is the same as itself, and as itself with everything renamed that any two calls differ in.
func TestSame(t *testing.T) {
	t.Parallel()
	recordings(t, func(t *testing.T, a archive) {
		t.Helper()
		other := a.disguised(t)
		for i := range a.calls {
			if r := diff.Flows(a.flow("a", i), a.flow("b", i), diff.Rules{Strict: true}); r.Headline != "same" {
				t.Errorf("call %d and itself: %s", i, list(r))
			}
			if r := diff.Flows(a.flow("a", i), other.flow("b", i), diff.Rules{Strict: true}); r.Headline != "same" {
				t.Errorf("call %d and itself in disguise: %s", i, list(r))
			}
		}
		if len(a.calls) == 0 {
			return
		}
		if r := diff.Flows(other.flow("a"), a.flow("b"), diff.Rules{Strict: true}); r.Headline != "same" {
			t.Errorf("all calls and themselves in disguise: %s", list(r))
		}
	})
}
