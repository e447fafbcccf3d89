package plan_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sipscope/element/replay/plan"
)

// Captures that others made: whatever they hold, a plan of them is valid and complete, call by call and all at once.
func TestPlansOfOthers(t *testing.T) {
	t.Parallel()
	const root = "../../../../shared/pcaps"
	if _, err := os.Stat(root); err != nil {
		t.Skip("no captures of others: ", err)
	}
	made, none := 0, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.Ext(path), "cap") {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() > 1<<18 || testing.Short() && info.Size() > 1<<15 {
			return err
		}
		m, n := planAll(t, path)
		made += m
		none += n
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d plans, %d calls that give none", made, none)
	if made < 200 {
		t.Errorf("%d plans", made)
	}
}

// planAll makes plans of a capture: all calls, and each of the first ones.
func planAll(t *testing.T, path string) (made, none int) {
	t.Helper()
	r := load(t, path)
	try := func(r *recording, what string) {
		for name, o := range variants(r) {
			p, err := r.plan(t, o)
			switch {
			case errors.Is(err, plan.ErrNothing), errors.Is(err, plan.ErrTooLarge):
				none++
			case err != nil:
				t.Errorf("%s: %s %s: %v", path, what, name, err)
			default:
				made++
				invariants(t, name, r, p)
			}
			if t.Failed() {
				t.Fatalf("%s: %s %s", path, what, name)
			}
		}
	}
	try(r, "all")
	for i := range r.calls[:min(len(r.calls), 3)] {
		one := &recording{name: r.name, calls: r.calls[i : i+1], texts: map[[2]int][]byte{}}
		for j := range r.calls[i].Messages {
			one.texts[[2]int{0, j}] = r.texts[[2]int{i, j}]
		}
		try(one, r.calls[i].CallID)
	}
	return made, none
}
