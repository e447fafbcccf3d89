package plan

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"sipscope/element/transport"
)

// FileError says where in a YAML plan something is wrong. It wraps ErrPlan or ErrTooLarge.
type FileError struct {
	Name string
	Line int // 1-based, 0 unknown
	Text string
	Is   error
}

// Error is "call.yaml:12: step 3: no host is called "bob"".
func (e *FileError) Error() string {
	at := e.Name
	if e.Line > 0 {
		at += ":" + strconv.Itoa(e.Line)
	}
	return at + ": " + e.Text
}

// Unwrap gives ErrPlan or ErrTooLarge.
func (e *FileError) Unwrap() error { return e.Is }

// Read reads a plan that WriteYAML wrote and that a person may have edited; name is for errors, which are *FileError and
// name the line, or those of r. A key that it does not know is an error. Steps are numbered anew in the order of the file:
// one that was taken out is no longer waited for, and one that was put in may have any number that is free, or none.
func Read(r io.Reader, name string) (*Plan, error) {
	raw, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(raw) > MaxFile {
		return nil, &FileError{Name: name, Text: fmt.Sprintf("longer than %d bytes", MaxFile), Is: ErrTooLarge}
	}
	root, err := document(raw)
	if err != nil {
		return nil, &FileError{Name: name, Line: lineOf(err), Text: err.Error(), Is: ErrPlan}
	}
	d := reader{name: name, p: &Plan{}, lines: map[string][]int{}}
	if err := d.plan(root); err != nil {
		return nil, err
	}
	if err := d.renumber(); err != nil {
		return nil, err
	}
	if f := d.p.check(); f != nil {
		line := 0
		if lines := d.lines[f.part]; f.index < len(lines) {
			line = lines[f.index]
		}
		return nil, &FileError{Name: name, Line: line, Text: f.where() + f.text, Is: f.is}
	}
	return d.p, nil
}

// document parses the one document of a file.
func document(raw []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(strings.NewReader(string(raw)))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it is empty")
		}
		return nil, err
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one document")
	}
	if len(doc.Content) != 1 {
		return nil, errors.New("it is empty")
	}
	return doc.Content[0], nil
}

// lineOf finds the line in an error of the YAML library: "yaml: line 3: ...".
func lineOf(err error) int {
	_, rest, ok := strings.Cut(err.Error(), "line ")
	if !ok {
		return 0
	}
	digits, _, _ := strings.Cut(rest, ":")
	n, _ := strconv.Atoi(digits)
	return n
}

// reader reads one file.
type reader struct {
	name  string
	p     *Plan
	lines map[string][]int // where parts of the plan begin, by what a fault calls them
	ids   []int            // of the steps as the file has them, 0 for none
}

func (d *reader) failf(n *yaml.Node, format string, args ...any) error {
	return &FileError{Name: d.name, Line: n.Line, Text: fmt.Sprintf(format, args...), Is: ErrPlan}
}

// field is a key of a mapping and what reads its value.
type field struct {
	key  string
	read func(n *yaml.Node) error
}

// mapping reads a mapping by its keys.
func (d *reader) mapping(n *yaml.Node, what string, fields []field) error {
	if n.Kind != yaml.MappingNode {
		return d.failf(n, "%s is to be keys with values, not %s", what, kindName(n))
	}
	seen := make([]bool, len(fields))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := slices.IndexFunc(fields, func(f field) bool { return f.key == key.Value })
		if at < 0 || key.Kind != yaml.ScalarNode {
			return d.unknown(key, what, fields)
		}
		if seen[at] {
			return d.failf(key, "%s has %q twice", what, key.Value)
		}
		seen[at] = true
		if err := fields[at].read(value); err != nil {
			return err
		}
	}
	return nil
}

// unknown names the key that was probably meant.
func (d *reader) unknown(key *yaml.Node, what string, fields []field) error {
	keys := make([]string, 0, len(fields))
	for _, f := range fields {
		keys = append(keys, f.key)
	}
	name := clip(key.Value, maxName)
	if near := nearest(key.Value, keys); near != "" {
		return d.failf(key, "%s has no key %q; did you mean %q?", what, name, near)
	}
	return d.failf(key, "%s has no key %q; it may have %s", what, name, strings.Join(keys, ", "))
}

// items reads a list.
func (d *reader) items(n *yaml.Node, what string, limit int, read func(n *yaml.Node) error) error {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return d.failf(n, "%s is to be a list, not %s", what, kindName(n))
	}
	if len(n.Content) > limit {
		return &FileError{Name: d.name, Line: n.Line, Text: fmt.Sprintf("%d %s, at most %d", len(n.Content), what, limit), Is: ErrTooLarge}
	}
	for _, item := range n.Content {
		if err := read(item); err != nil {
			return err
		}
	}
	return nil
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	default:
		return strconv.Quote(clip(n.Value, maxName))
	}
}

func (d *reader) plan(root *yaml.Node) error {
	p := d.p
	found := ""
	err := d.mapping(root, "a plan", []field{
		{"plan", d.text(&found)},
		{"title", d.text(&p.Title)},
		{"source", d.text(&p.Source)},
		{"began", d.int64(&p.Began, -1<<63)},
		{"media-file", d.text(&p.MediaFile)},
		{"counts", d.counts},
		{"hosts", func(n *yaml.Node) error { return d.items(n, "hosts", MaxHosts, d.host) }},
		{"calls", func(n *yaml.Node) error { return d.items(n, "calls", maxCalls, d.call) }},
		{"steps", func(n *yaml.Node) error { return d.items(n, "steps", maxSteps, d.step) }},
		{"credentials", func(n *yaml.Node) error { return d.items(n, "credentials", MaxSteps, d.need) }},
		{"media", func(n *yaml.Node) error { return d.items(n, "streams", maxStreams, d.stream) }},
		{"notes", d.texts(&p.Notes)},
	})
	if err == nil && found != version {
		return d.failf(root, "it begins with \"plan: %s\" when it is one that this program reads", version)
	}
	return err
}

func (d *reader) counts(n *yaml.Node) error {
	var fields []field
	for _, f := range d.p.Counts.counted() {
		fields = append(fields, field{f.key, d.int(f.n)})
	}
	return d.mapping(n, "counts", fields)
}

func (d *reader) host(n *yaml.Node) error {
	d.lines["host"] = append(d.lines["host"], n.Line)
	h := Host{Proto: transport.UDP}
	err := d.mapping(n, "a host", []field{
		{"name", d.text(&h.Name)},
		{"part", func(n *yaml.Node) error {
			for p := Live; p <= Left; p++ {
				if n.Value == p.String() {
					h.Part = p
					return nil
				}
			}
			return d.failf(n, "part is live, played or left, not %s", kindName(n))
		}},
		{"why", d.text(&h.Why)},
		{"transport", d.proto(&h.Proto)},
		{"at", d.addresses(&h.At)},
		{"names", d.texts(&h.Names)},
		{"users", d.texts(&h.Users)},
		{"proxy", d.bool(&h.Proxy)},
	})
	d.p.Hosts = append(d.p.Hosts, h)
	return err
}

func (d *reader) call(n *yaml.Node) error {
	c := Call{}
	num := int64(0)
	err := d.mapping(n, "a call", []field{
		{"call-id", d.text(&c.CallID)},
		{"number", d.int64(&num, 0)},
		{"group", d.text(&c.Group)},
		{"relation", d.text(&c.Relation)},
		{"first", d.time(&c.First)},
	})
	if num > 1<<32-1 {
		return d.failf(n, "number %d is too large", num)
	}
	c.Num = uint32(num)
	d.p.Calls = append(d.p.Calls, c)
	return err
}

func (d *reader) need(n *yaml.Node) error {
	d.lines["credential"] = append(d.lines["credential"], n.Line)
	var need Need
	err := d.mapping(n, "a credential", []field{
		{"realm", d.text(&need.Realm)},
		{"user", d.text(&need.User)},
		{"host", d.text(&need.Host)},
		{"step", d.int(&need.Step)},
		{"verify", d.bool(&need.Verify)},
	})
	d.p.Needs = append(d.p.Needs, need)
	return err
}
