package tui

import (
	"time"

	"sipscope/render/tui/term"
)

// setting is one line of the settings menu.
type setting struct {
	name, help string
	get        func(s *term.Settings) *bool
}

func settingsTable() []setting {
	return []setting{
		{"calls only", "the list shows calls made with INVITE", func(s *term.Settings) *bool { return &s.CallsOnly }},
		{"follow", "stay on the newest call", func(s *term.Settings) *bool { return &s.Follow }},
		{"names", "participants have names, else addresses", func(s *term.Settings) *bool { return &s.Names }},
		{"by address", "one column an address, whatever its ports", func(s *term.Settings) *bool { return &s.ByIP }},
		{"SDP", "session descriptions line by line in ladders", func(s *term.Settings) *bool { return &s.SDP }},
		{"fold hops", "one arrow over the proxies that forward it", func(s *term.Settings) *bool { return &s.FoldHops }},
		{"unfold", "each retransmission in a row of its own", func(s *term.Settings) *bool { return &s.Unfold }},
		{"message pane", "the message beside the ladder", func(s *term.Settings) *bool { return &s.Pane }},
		{"parsed", "messages as parsed, not as on the wire", func(s *term.Settings) *bool { return &s.Parsed }},
		{"syntax", "colours inside of messages", func(s *term.Settings) *bool { return &s.Syntax }},
		{"wrap", "wrap long lines of messages", func(s *term.Settings) *bool { return &s.Wrap }},
		{"mouse", "the mouse selects and scrolls here, not in the terminal", func(s *term.Settings) *bool { return &s.Mouse }},
		{"ASCII", "draw with nothing but ASCII", func(s *term.Settings) *bool { return &s.ASCII }},
	}
}

// themePrefix begins the lines of the menu that choose a theme.
const themePrefix = "theme "

// choose opens the settings.
func (a *app) choose() {
	table := settingsTable()
	m := term.Menu{Title: "settings (a file keeps them: sipscope config --help)"}
	for i := range table {
		m.Items = append(m.Items, term.Item{Name: table[i].name, Help: table[i].help, Ticked: *table[i].get(&a.settings)})
	}
	for _, name := range term.ThemeNames() {
		m.Items = append(m.Items, term.Item{Name: themePrefix + name, Help: "colours", Ticked: a.theme.Name == name})
	}
	m.Done = func(items []term.Item, _ int) { a.apply(table, items) }
	a.Choose(m)
}

func (a *app) apply(table []setting, items []term.Item) {
	for i := range table {
		*table[i].get(&a.settings) = items[i].Ticked
	}
	was := a.theme.Name
	for _, it := range items[len(table):] {
		name := it.Name[len(themePrefix):]
		if it.Ticked && name != was { // the newly ticked one
			if t, err := themeOf(name, a.opts.Colors, nil); err == nil {
				a.theme = t.Adapt(a.screen.Colors())
			}
		}
	}
	if a.settings.Mouse {
		a.screen.EnableMouse(mouseFlags)
	} else {
		a.screen.DisableMouse()
	}
	for i := range a.views {
		a.views[i].view.Tick(time.Now())
	}
	a.dirty = true
}
