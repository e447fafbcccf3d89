package plan

import (
	"fmt"
	"slices"
	"strings"
)

// renumber gives the steps the numbers 1 to n in the order of the file, and what names steps the new numbers. What waited
// for a step that the file does not have waits for its other causes, or for what came last at its sender, and says so.
func (d *reader) renumber() error {
	now := make(map[int]int, len(d.ids)) // number in the file -> in the plan
	highest := 0
	for i, id := range d.ids {
		if id == 0 {
			continue
		}
		if first, ok := now[id]; ok {
			return d.stepf(i, "id %d is that of the step in line %d, too", id, d.lines["step"][first-1])
		}
		now[id] = i + 1
		highest = max(highest, id)
	}
	for i := range d.p.Steps {
		s := &d.p.Steps[i]
		s.ID = i + 1
		var gone []int
		after := s.After
		s.After = nil
		for _, id := range after {
			to, ok := now[id]
			switch {
			case ok && to < s.ID:
				s.After = append(s.After, to)
			case ok || id > highest || id == 0:
				return d.stepf(i, "step %d waits for step %d, which is not before it", s.ID, id)
			default:
				gone = append(gone, id)
			}
		}
		slices.Sort(s.After)
		s.After = slices.Compact(s.After)
		if len(gone) > 0 {
			d.gone(s, gone)
		}
	}
	for i := range d.p.Needs {
		d.p.Needs[i].Step = now[d.p.Needs[i].Step]
	}
	for i := range d.p.Media {
		d.p.Media[i].Step = now[d.p.Media[i].Step]
	}
	return nil
}

// stepf is an error about the step at index i.
func (d *reader) stepf(i int, format string, args ...any) error {
	return &FileError{Name: d.name, Line: d.lines["step"][i], Text: fmt.Sprintf(format, args...), Is: ErrPlan}
}

// gone notes that steps which s waited for were taken out.
func (d *reader) gone(s *Step, ids []int) {
	if len(s.After) == 0 {
		for i := s.ID - 2; i >= 0; i-- {
			if b := &d.p.Steps[i]; b.From == s.From || b.To == s.From {
				s.After = []int{b.ID}
				break
			}
		}
	}
	if len(d.p.Notes) < MaxSteps {
		d.p.Notes = append(d.p.Notes, fmt.Sprintf("step %d waited for %s, which the file no longer has", s.ID,
			"step "+strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ", "), "[]")))
	}
}

// nearest gives the candidate with the fewest edits from word, "" when none is near enough to be meant.
func nearest(word string, candidates []string) string {
	if len(word) > maxName {
		return ""
	}
	best, least := "", len(word)/3+2
	for _, c := range candidates {
		if n := edits(strings.ToLower(word), c); n < least && n < len(c) {
			best, least = c, n
		}
	}
	return best
}

// edits is Levenshtein's distance of two short words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
