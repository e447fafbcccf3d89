package query

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFields(t *testing.T) {
	t.Parallel()
	s := call()
	seen := map[string]bool{}
	for _, f := range Fields() {
		for _, name := range append([]string{f.Name}, f.Aliases...) {
			if seen[name] {
				t.Errorf("%s occurs twice", name)
			}
			seen[name] = true
		}
		if f.Text == "" || f.Type == "" {
			t.Errorf("%s has no text or no type", f.Name)
		}
		if !strings.Contains(f.Example, f.Name) {
			t.Errorf("the example of %s does not use it: %s", f.Name, f.Example)
		}
		q := mustCompile(t, f.Example, Options{})
		if q.text != "" {
			t.Errorf("the example of %s is a text search: %s", f.Name, f.Example)
		}
		if got, inverted := q.Match(&s), mustCompile(t, f.Example, Options{Invert: true}).Match(&s); got == inverted {
			t.Errorf("the example of %s fails to run: %s", f.Name, f.Example)
		}
	}
}

// TestDocumentation keeps docs/filters.md and the fields together. UPDATE_GOLDEN=1 writes the table anew.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	const path, begin, end = "../../docs/filters.md", "<!-- fields: begin -->\n", "<!-- fields: end -->\n"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	head, rest, ok := strings.Cut(page, begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no lines %q and %q", path, begin, end)
	}
	var b strings.Builder
	b.WriteString("| field | type | what it is | example |\n|---|---|---|---|\n")
	for _, f := range Fields() {
		names := "`" + strings.Join(append([]string{f.Name}, f.Aliases...), "`, `") + "`"
		example := strings.ReplaceAll(f.Example, "|", `\|`)
		b.WriteString("| " + names + " | " + f.Type + " | " + f.Text + " | `" + example + "` |\n")
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(head+begin+b.String()+end+tail), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(b.String(), old); diff != "" {
		t.Errorf("%s: run UPDATE_GOLDEN=1 go test ./correlate/query (-want +got)\n%s", path, diff)
	}
}

// TestDocumentedFilters compiles every filter in the code blocks of docs/filters.md and of the help.
func TestDocumentedFilters(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, block := range strings.Split(string(data), "```") {
		lines := strings.Split(block, "\n")
		if i%2 == 0 || strings.TrimSpace(lines[0]) != "filter" {
			continue
		}
		for _, line := range lines[1:] {
			if src, _, _ := strings.Cut(line, "   "); src != "" {
				mustCompile(t, src, Options{})
				n++
			}
		}
	}
	_, expressions, _ := strings.Cut(Help(), "An expression compares fields:\n")
	expressions, _, _ = strings.Cut(expressions, "\n\n")
	for line := range strings.Lines(expressions) {
		if q := mustCompile(t, line, Options{}); q.program == nil {
			t.Errorf("help: %s is no expression", line)
		}
		n++
	}
	if n < 15 {
		t.Errorf("only %d filters found", n)
	}
	for _, name := range functionNames() {
		if !strings.Contains(Help(), name+"(") || !strings.Contains(string(data), name+"(") {
			t.Errorf("function %s is not documented", name)
		}
	}
}
