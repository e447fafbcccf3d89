package keymap

import (
	"strings"
	"testing"
)

func TestTableBindsNoKeyTwice(t *testing.T) {
	t.Parallel()
	m := &Map{bindings: table()}
	if err := m.index(); err != nil {
		t.Error(err)
	}
	seen := map[Action]bool{}
	for _, b := range table() {
		seen[b.Action] = true
		for _, k := range b.Keys {
			if got, err := ParseKey(k); err != nil || string(got) != k {
				t.Errorf("%s: key %q reads as %q, %v", b.Name, k, got, err)
			}
		}
		if b.Help == "" || b.Name == "" || len(b.Help) > 54 {
			t.Errorf("%v: no name, no help, or %d letters of help, which do not fit into 80 columns", b, len(b.Help))
		}
	}
	for a := None + 1; a < actions; a++ {
		if !seen[a] {
			t.Errorf("action %d is on no key", a)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	type keys = map[string]map[string][]string
	for _, tt := range []struct {
		name    string
		keys    keys
		scope   Scope
		key     Key
		want    Action
		wantErr string
	}{
		{"as it is", nil, List, "F7", Filter, ""},
		{"other key", keys{"list": {"filter": {"ctrl-w"}}}, List, "Ctrl-W", Filter, ""},
		{"the old one is free", keys{"list": {"filter": {"Ctrl-W"}}}, List, "F7", None, ""},
		{"in one scope only", keys{"list": {"open": {"l"}}}, Ladder, "Enter", Open, ""},
		{"everywhere", keys{"all": {"help": {"F12"}}}, Message, "F12", Help, ""},
		{"unbound", keys{"list": {"clear": {}}}, List, "F5", None, ""},
		{"twice", keys{"list": {"filter": {"p"}}}, List, "", None, "keys.list: p is bound to pause and to filter"},
		{"no such key", keys{"list": {"filter": {"F13"}}}, List, "", None, `keys.list.filter: no key is called "F13"`},
		{"no such name", keys{"list": {"flter": {"F7"}}}, List, "", None, `keys.list.flter: nothing is called "flter"`},
		{"no such scope", keys{"lists": {"filter": {"F7"}}}, List, "", None, "keys.lists: no such screen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := New(tt.keys)
			if tt.wantErr != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.wantErr) {
					t.Fatalf("error %v, want %s", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Lookup(tt.scope, tt.key); got != tt.want {
				t.Errorf("%s is bound to %d, want %d", tt.key, got, tt.want)
			}
		})
	}
}

// TestRowsShowEveryBinding holds that what the help shows is what the keys do.
func TestRowsShowEveryBinding(t *testing.T) {
	t.Parallel()
	m := Default()
	for _, s := range Scopes() {
		shown := 0
		for _, r := range m.Rows(s) {
			for _, k := range r.Bound {
				shown++
				if m.Lookup(s, k) != r.Action {
					t.Errorf("%s: help says %s does %s", s, k, r.Name)
				}
			}
		}
		if shown != len(m.byKey[s]) {
			t.Errorf("%s: %d keys bound, %d in the help", s, len(m.byKey[s]), shown)
		}
	}
}
