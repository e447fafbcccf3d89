package scenario

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
)

//go:embed flows/*.flow
var flows embed.FS

// Textbook gives the flows that come with the program, by figure and name: those of the textbook first, their variants
// after them.
func Textbook() ([]*Flow, error) {
	names, err := fs.Glob(flows, "flows/*.flow")
	if err != nil {
		return nil, err
	}
	all := make([]*Flow, 0, len(names))
	for _, name := range names {
		text, err := flows.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f, err := Parse(name, string(text))
		if err != nil {
			return nil, fmt.Errorf("embedded flow: %w", err)
		}
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(a, b *Flow) int {
		if (a.Variant == "") != (b.Variant == "") {
			return len(a.Variant) - len(b.Variant)
		}
		return byFigure(a.Figure, b.Figure)
	})
	return all, nil
}

// byFigure orders "1-2" before "1-12".
func byFigure(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}
