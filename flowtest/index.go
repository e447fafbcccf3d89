package flowtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// indexHead begins the table of captures in a README.
const indexHead = "| capture | made from | frames | bytes | shows |\n|---|---|---|---|---|\n"

// IndexRow is the flow's line in the table of captures: frames and bytes are those of its file.
func IndexRow(f *Flow, frames, bytes int) string {
	title := strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(f.Title)
	return fmt.Sprintf("| `%s` | `%s.flow` | %d | %d | %s |\n", f.FileName(), f.Name, frames, bytes, title)
}

// Index puts rows, by file name, into the table of captures in a README: new ones take the place of those with the same
// name, and all are in order of name. What stands around the table stays. A README without table gets one at its end.
func Index(readme []byte, rows map[string]string) []byte {
	before, rest, found := strings.Cut(string(readme), indexHead)
	all := maps.Clone(rows)
	for found && strings.HasPrefix(rest, "| `") {
		line, more, _ := strings.Cut(rest, "\n")
		rest = more
		name, _, _ := strings.Cut(line[len("| `"):], "`")
		if _, ok := all[name]; !ok {
			all[name] = line + "\n"
		}
	}
	var b strings.Builder
	b.WriteString(before)
	if !found && before != "" && !strings.HasSuffix(before, "\n\n") {
		b.WriteString("\n")
	}
	b.WriteString(indexHead)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.WriteString(all[name])
	}
	b.WriteString(rest)
	return []byte(b.String())
}
