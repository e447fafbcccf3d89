package keymap

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Key is a key as the terminal reports it: "a", "F5", "Ctrl-L", "PgUp", "Space". ParseKey gives it in this form.
type Key string

// named lists the keys that have a name, in the spelling of Key.
func named() []string {
	names := []string{
		"Up", "Down", "Left", "Right", "PgUp", "PgDn", "Home", "End", "Insert", "Delete", "Enter", "Esc", "Tab", "Backtab",
		"Backspace", "Space",
	}
	for i := 1; i <= 12; i++ {
		names = append(names, fmt.Sprintf("F%d", i))
	}
	return names
}

// ParseKey reads a key's name, whatever its case ("pgup", "ctrl-l"); one character is itself.
func ParseKey(s string) (Key, error) {
	if utf8.RuneCountInString(s) == 1 {
		if s == " " {
			return "Space", nil
		}
		if r, _ := utf8.DecodeRuneInString(s); r < 0x20 || r == 0x7f || r == utf8.RuneError {
			return "", fmt.Errorf("no key is called %q", s)
		}
		return Key(s), nil
	}
	for _, n := range named() {
		if strings.EqualFold(n, s) {
			return Key(n), nil
		}
	}
	if len(s) == 6 && strings.EqualFold(s[:5], "ctrl-") {
		if c := s[5] &^ 0x20; c >= 'A' && c <= 'Z' {
			return Key("Ctrl-" + string(rune(c))), nil
		}
	}
	return "", fmt.Errorf("no key is called %q: a character, F1 to F12, Ctrl-A to Ctrl-Z, or one of %s", s,
		strings.Join(named()[:16], ", "))
}

// Map binds keys to actions.
type Map struct {
	bindings []Binding
	byKey    map[Scope]map[Key]Action
}

// Default is the table as it is.
func Default() *Map {
	m := &Map{bindings: table()}
	_ = m.index() // a test holds that the table binds no key twice
	return m
}

// New is the default with other keys: by scope ("list", "all") and name ("filter") of the binding. The keys given
// replace those of the table in that scope. Errors name the scope and the name.
func New(keys map[string]map[string][]string) (*Map, error) {
	m := &Map{bindings: table()}
	for _, scope := range sortedKeys(keys) {
		for _, name := range sortedKeys(keys[scope]) {
			if err := m.rebind(scope, name, keys[scope][name]); err != nil {
				return nil, err
			}
		}
	}
	if err := m.index(); err != nil {
		return nil, err
	}
	return m, nil
}

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

func (m *Map) rebind(scope, name string, keys []string) error {
	where, err := parseScope(scope)
	if err != nil {
		return err
	}
	parsed := make([]string, len(keys))
	for i, k := range keys {
		key, err := ParseKey(k)
		if err != nil {
			return fmt.Errorf("keys.%s.%s: %w", scope, name, err)
		}
		parsed[i] = string(key)
	}
	var added *Binding
	for i := range m.bindings {
		b := &m.bindings[i]
		if b.Name != name || b.Scopes&where == 0 {
			continue
		}
		if added == nil {
			c := *b
			c.Scopes, c.Keys = 0, parsed
			added = &c
		}
		added.Scopes |= b.Scopes & where
		b.Scopes &^= where
	}
	if added == nil {
		return fmt.Errorf("keys.%s.%s: nothing is called %q there (see: sipscope config --dump)", scope, name, name)
	}
	m.bindings = append(m.bindings, *added)
	return nil
}

func parseScope(name string) (Scope, error) {
	if strings.EqualFold(name, Everywhere.String()) {
		return Everywhere, nil
	}
	for _, s := range Scopes() {
		if strings.EqualFold(name, s.String()) {
			return s, nil
		}
	}
	return 0, fmt.Errorf("keys.%s: no such screen: all, list, ladder, message, compare, diff, media or page", name)
}

// index builds byKey. A key that would do two things in a scope is an error.
func (m *Map) index() error {
	m.byKey = map[Scope]map[Key]Action{}
	for _, s := range Scopes() {
		keys := map[Key]Action{}
		for i := range m.bindings {
			b := &m.bindings[i]
			if b.Scopes&s == 0 {
				continue
			}
			for _, k := range b.Keys {
				if old, ok := keys[Key(k)]; ok && old != b.Action {
					return fmt.Errorf("keys.%s: %s is bound to %s and to %s", s, k, m.name(old), b.Name)
				}
				keys[Key(k)] = b.Action
			}
		}
		m.byKey[s] = keys
	}
	return nil
}

func (m *Map) name(a Action) string {
	for i := range m.bindings {
		if m.bindings[i].Action == a {
			return m.bindings[i].Name
		}
	}
	return "nothing"
}

// Lookup gives the action of a key in a scope, None for none.
func (m *Map) Lookup(s Scope, k Key) Action { return m.byKey[s][k] }

// Row is a line of the help: what an action is bound to in a scope.
type Row struct {
	Binding
	Bound []Key
}

// Rows lists the actions of a scope in the order of the table, each once, with all its keys.
func (m *Map) Rows(s Scope) []Row {
	var rows []Row
	at := map[Action]int{}
	for i := range m.bindings {
		b := &m.bindings[i]
		if b.Scopes&s == 0 {
			continue
		}
		n, ok := at[b.Action]
		if !ok {
			n = len(rows)
			at[b.Action] = n
			rows = append(rows, Row{Binding: *b})
		}
		if rows[n].Hint == "" {
			rows[n].Hint = b.Hint
		}
		for _, k := range b.Keys {
			rows[n].Bound = append(rows[n].Bound, Key(k))
		}
	}
	return rows
}
