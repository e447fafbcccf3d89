package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sipscope/render/tui/term"
)

// themeOf chooses the theme: mono when NO_COLOR is set (https://no-color.org), else the one asked for; "auto" looks at
// COLORFGBG, in which many terminals say whether their background is light. colors changes single roles by name.
func themeOf(name string, colors map[string]string, env func(string) string) (*term.Theme, error) {
	if env == nil {
		env = func(string) string { return "" }
	}
	if name == "" || name == "auto" {
		name = "dark"
		if lightBackground(env("COLORFGBG")) {
			name = "light"
		}
	}
	if env("NO_COLOR") != "" {
		name, colors = "mono", nil
	}
	t, ok := term.NewTheme(name)
	if !ok {
		return nil, fmt.Errorf("theme: no theme is called %q: auto, %s", name, strings.Join(term.ThemeNames(), ", "))
	}
	roles := term.Roles()
	for role, style := range colors {
		i := slices.IndexFunc(roles, func(r term.Role) bool { return r.String() == role })
		if i < 0 {
			return nil, fmt.Errorf("colors.%s: nothing is called so (see: sipscope config --dump)", role)
		}
		if err := t.Set(roles[i], style); err != nil {
			return nil, fmt.Errorf("colors.%s: %w", role, err)
		}
	}
	return t, nil
}

// lightBackground reads "15;0" or "0;default;15": the last number is the background's place in the palette.
func lightBackground(v string) bool {
	n, err := strconv.Atoi(v[strings.LastIndexByte(v, ';')+1:])
	return err == nil && (n == 7 || n >= 9 && n <= 15)
}
