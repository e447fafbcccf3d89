package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// config is what a user keeps in a file. The tags are the names there; SIPSCOPE_ and the names in upper case, joined by
// "_", are the environment variables.
type config struct {
	Theme   string        `toml:"theme" comment:"auto, dark, light or mono; NO_COLOR makes it mono"`
	ASCII   bool          `toml:"ascii" comment:"draw with nothing but ASCII"`
	KeyLog  string        `toml:"keylog" comment:"TLS key log that decrypts connections, as -k does; it need not be there yet"`
	Mouse   bool          `toml:"mouse" comment:"the mouse selects and scrolls in the program, not in the terminal"`
	List    configList    `toml:"list"`
	Ladder  configLadder  `toml:"ladder"`
	Message configMessage `toml:"message"`

	Aliases map[string]string `toml:"aliases" comment:"names of participants by address: \"10.0.0.1\" = \"proxy\", \"10.0.0.1:5080\" = \"gateway\""`
	Colors  map[string]string `toml:"colors" comment:"of single things, such as request = \"bold #00afff\", cursor = \"on color238\"; the names are below"`
	Keys    configKeys        `toml:"keys" comment:"keys by screen (all, list, ladder, message, compare, page): an array of keys replaces those of the table"`
}

type configList struct {
	Columns   []string       `toml:"columns" comment:"of the call list (see: sipscope help columns), header.NAME for any header; none fits them to the terminal"`
	Widths    map[string]int `toml:"widths" comment:"cells of columns, such as callid = 24"`
	Sort      string         `toml:"sort" comment:"column that sorts; -NAME turns the order round"`
	Follow    bool           `toml:"follow" comment:"stay on the newest call"`
	CallsOnly bool           `toml:"calls_only" comment:"only calls made with INVITE"`
	Methods   []string       `toml:"methods" comment:"only calls made with these; none for all"`
}

type configLadder struct {
	Times     string `toml:"times" comment:"delta, absolute or relative"`
	ColorBy   string `toml:"color_by" comment:"kind, call, transaction or dialog"`
	Names     bool   `toml:"names" comment:"columns have names, else addresses only"`
	SDP       bool   `toml:"sdp" comment:"session descriptions line by line"`
	ByIP      bool   `toml:"by_ip" comment:"one column an address, whatever its ports"`
	FoldHops  bool   `toml:"fold_hops" comment:"one arrow over the proxies that forward it"`
	Unfold    bool   `toml:"unfold" comment:"each retransmission in a row of its own"`
	Pane      bool   `toml:"pane" comment:"the message beside the ladder"`
	PaneWidth int    `toml:"pane_width" comment:"per cent of the screen"`
}

type configMessage struct {
	Parsed bool `toml:"parsed" comment:"as parsed, else as it was on the wire"`
	Syntax bool `toml:"syntax" comment:"colours inside of messages"`
	Wrap   bool `toml:"wrap" comment:"wrap long lines, else cut them"`
}

// configKeys is keys by screen and action.
type configKeys map[string]map[string][]string

func defaultConfig() config {
	s := term.DefaultSettings()
	return config{
		Theme: "auto", Mouse: s.Mouse,
		List: configList{Sort: "num", Columns: []string{}, Methods: []string{}, Widths: map[string]int{}},
		Ladder: configLadder{
			Times: s.Times, ColorBy: s.ColorBy, Names: s.Names, Pane: s.Pane, PaneWidth: s.PaneWidth,
		},
		Message: configMessage{Syntax: s.Syntax, Wrap: s.Wrap},
		Aliases: map[string]string{}, Colors: map[string]string{}, Keys: configKeys{},
	}
}

// settings gives the configuration in the words of the terminal UI.
func (c *config) settings() term.Settings {
	return term.Settings{
		Columns: c.List.Columns, Widths: c.List.Widths, Sort: c.List.Sort, Follow: c.List.Follow,
		CallsOnly: c.List.CallsOnly, Methods: c.List.Methods, Aliases: c.Aliases, Times: c.Ladder.Times,
		ColorBy: c.Ladder.ColorBy, Names: c.Ladder.Names, SDP: c.Ladder.SDP, ByIP: c.Ladder.ByIP,
		FoldHops: c.Ladder.FoldHops, Unfold: c.Ladder.Unfold, Pane: c.Ladder.Pane, PaneWidth: c.Ladder.PaneWidth,
		Parsed: c.Message.Parsed, Syntax: c.Message.Syntax, Wrap: c.Message.Wrap, Mouse: c.Mouse, ASCII: c.ASCII,
	}
}

// loadConfig reads the file and the environment. A file that is not there is no error unless it was named.
func loadConfig(getenv func(string) string) (config, error) {
	c := defaultConfig()
	path, named := configPath(getenv)
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err = c.read(path, data); err != nil {
			return c, err
		}
	case named:
		return c, usagef("SIPSCOPE_CONFIG names it", "configuration: %w", err)
	case !errors.Is(err, fs.ErrNotExist):
		return c, usagef("SIPSCOPE_CONFIG can name another file", "configuration: %w", err)
	}
	if err := fromEnv(reflect.ValueOf(&c).Elem(), "SIPSCOPE", getenv); err != nil {
		return c, err
	}
	return c, c.check(func(key string) string { return where(path, data, key) })
}

// configPath is where the configuration is; named reports whether a variable says so.
func configPath(getenv func(string) string) (path string, named bool) {
	if p := getenv("SIPSCOPE_CONFIG"); p != "" {
		return p, true
	}
	dir := getenv("XDG_CONFIG_HOME")
	if dir == "" {
		dir = filepath.Join(getenv("HOME"), ".config")
	}
	return filepath.Join(dir, "sipscope", "config.toml"), false
}

// read takes a file over what is there. Errors name line and key.
func (c *config) read(path string, data []byte) error {
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(c)
	var strict *toml.StrictMissingError
	var bad *toml.DecodeError
	switch {
	case errors.As(err, &strict) && len(strict.Errors) > 0:
		e := &strict.Errors[0]
		row, _ := e.Position()
		return usagef("see: sipscope config --dump", "%s: line %d: nothing is called %s", path, row, strings.Join(e.Key(), "."))
	case errors.As(err, &bad):
		row, _ := bad.Position()
		key := strings.Join(bad.Key(), ".")
		if key != "" {
			key += ": "
		}
		return usagef("see: sipscope config --dump", "%s: line %d: %s%s", path, row, key,
			strings.TrimPrefix(bad.Error(), "toml: "))
	case err != nil:
		return usagef("see: sipscope config --dump", "%s: %w", path, err)
	}
	return nil
}

// check looks at what a file or a variable said. at says where a key stands.
func (c *config) check(at func(key string) string) error {
	fail := func(key, format string, args ...any) error {
		return usagef("see: sipscope config --dump", "%s%s: %s", at(key), key, fmt.Sprintf(format, args...))
	}
	for _, x := range []struct {
		key, value string
		known      []string
	}{
		{"theme", c.Theme, append([]string{"auto"}, term.ThemeNames()...)},
		{"ladder.times", c.Ladder.Times, []string{"delta", "absolute", "relative"}},
		{"ladder.color_by", c.Ladder.ColorBy, []string{"kind", "call", "transaction", "dialog"}},
	} {
		if oneOf(x.key, x.value, x.known...) != nil {
			return fail(x.key, "%q is none of %s", x.value, strings.Join(x.known, ", "))
		}
	}
	if w := c.Ladder.PaneWidth; w < 10 || w > 90 {
		return fail("ladder.pane_width", "%d is not between 10 and 90 per cent", w)
	}
	for name, style := range c.Colors {
		if _, err := term.ParseStyle(style); err != nil {
			return fail("colors."+name, "%v", err)
		}
		if !isRole(name) {
			return fail("colors."+name, "nothing is called so")
		}
	}
	if _, err := keymap.New(c.Keys); err != nil {
		key, text, _ := strings.Cut(err.Error(), ": ")
		return fail(key, "%s", text)
	}
	return nil
}

func isRole(name string) bool {
	for _, r := range term.Roles() {
		if r.String() == name {
			return true
		}
	}
	return false
}

// where says in which line of the file a key stands: "config.toml: line 3: ", or nothing when the file does not have it.
func where(path string, data []byte, key string) string {
	table, last := "", key
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		table, last = key[:i], key[i+1:]
	}
	now, n := "", 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			now = strings.Trim(name, "[] ")
			if strings.EqualFold(now, key) {
				return fmt.Sprintf("%s: line %d: ", path, n)
			}
			continue
		}
		name, _, ok := strings.Cut(line, "=")
		if ok && strings.Trim(strings.TrimSpace(name), `"`) == last && strings.EqualFold(now, table) {
			return fmt.Sprintf("%s: line %d: ", path, n)
		}
	}
	return ""
}

// fromEnv takes the variables over what is there: texts as they are, 1/0/true/false, numbers, lists with commas.
func fromEnv(v reflect.Value, prefix string, getenv func(string) string) error {
	for i := range v.NumField() {
		f, field := v.Type().Field(i), v.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if name == "" {
			name = f.Name
		}
		name = prefix + "_" + strings.ToUpper(name)
		if field.Kind() == reflect.Struct {
			if err := fromEnv(field, name, getenv); err != nil {
				return err
			}
			continue
		}
		text := getenv(name)
		if text == "" {
			continue
		}
		if err := setFromText(field, text); err != nil {
			return usagef("", "%s=%q: %w", name, text, err)
		}
	}
	return nil
}

func setFromText(field reflect.Value, text string) error {
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
	case reflect.Bool:
		on, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("1 or 0 expected")
		}
		field.SetBool(on)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("a number expected")
		}
		field.SetInt(int64(n))
	case reflect.Slice:
		field.Set(reflect.ValueOf(strings.Split(text, ",")))
	default:
		return errors.New("this one can be set in the file only")
	}
	return nil
}

// newConfig is "sipscope config".
func newConfig(std stdio) *cobra.Command {
	var dump bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "The configuration file: where it is, and what holds",
		Long: `The terminal UI, and the names of participants in ladders, can be set in a file in TOML:
$XDG_CONFIG_HOME/sipscope/config.toml or ~/.config/sipscope/config.toml, or what SIPSCOPE_CONFIG names.

Environment variables go over the file: SIPSCOPE_THEME=light, SIPSCOPE_ASCII=1, SIPSCOPE_LIST_SORT=-start,
SIPSCOPE_LIST_COLUMNS=num,from,to,state. Flags go over both.`,
		Example: `  sipscope config                               where the file is
  sipscope config --dump                        what holds now, with comments and all keys
  sipscope config --dump > ~/.config/sipscope/config.toml`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			path, _ := configPath(os.Getenv)
			if !dump {
				state := "is there"
				if _, err := os.Stat(path); err != nil {
					state = "is not there: sipscope config --dump prints what it may hold"
				}
				_, err := fmt.Fprintf(std.out, "%s %s\n", path, state)
				return err
			}
			c, err := loadConfig(os.Getenv)
			if err != nil {
				return err
			}
			return c.dump(std)
		},
	}
	cmd.Flags().BoolVar(&dump, "dump", false, "print the configuration that holds, as a file that can be used")
	return cmd
}

// dump writes what holds, and below it, commented out, everything that can be named.
func (c *config) dump(std stdio) error {
	var b bytes.Buffer
	enc := toml.NewEncoder(&b)
	enc.SetArraysMultiline(false)
	if err := enc.Encode(c); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	keys, err := keymap.New(c.Keys)
	if err != nil {
		return err
	}
	b.WriteString("\n# Keys as they are. A line without its #, below a head such as [keys.list], changes one.\n")
	for _, s := range keymap.Scopes() {
		fmt.Fprintf(&b, "# [keys.%s]\n", s)
		for _, r := range keys.Rows(s) {
			quoted := make([]string, len(r.Bound))
			for i, k := range r.Bound {
				quoted[i] = strconv.Quote(string(k))
			}
			fmt.Fprintf(&b, "# %s = [%s] # %s\n", r.Name, strings.Join(quoted, ", "), r.Help)
		}
	}
	b.WriteString("\n# Names for [colors]:")
	for i, r := range term.Roles() {
		if i%10 == 0 {
			b.WriteString("\n#")
		}
		b.WriteString(" " + r.String())
	}
	b.WriteString("\n")
	_, err = std.out.Write(b.Bytes())
	return err
}
