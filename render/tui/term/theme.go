package term

import (
	"fmt"
	"strings"

	"github.com/gdamore/tcell/v2"
)

// Role is what a piece of text is. A theme says how it looks.
type Role uint8

// Roles.
const (
	Normal Role = iota
	Dim
	Bold
	Bar      // the title line and the bar of keys
	BarKey   // a key in that bar
	Status   // the status line
	Head     // heads of tables, names of participants
	HeadSort // the head of the column that sorts
	Border
	Cursor  // the line where the cursor is; as an overlay
	Marked  // what is selected; as an overlay
	Found   // what a search found; as an overlay
	Peer    // what belongs to the line of the cursor; as an overlay
	Field   // an input field
	Error   // an error message
	Warning // a remark that wants attention
	Good    // answered, completed
	Bad     // failed
	Neutral // busy, cancelled, challenged
	Request
	Provisional // 1xx, and challenges
	Success     // 2xx
	Redirect    // 3xx
	Failure     // 4xx, 5xx, 6xx
	Time
	Note    // the margin of a ladder
	GapLine // what the capture does not have
	MediaLine
	HeaderName
	Method
	URI
	Parameter
	Identity // Call-ID, tag, branch
	Number
	BodyName // the letter of an SDP line
	Diag
	Added   // compare: only in the second
	Removed // compare: only in the first
	Changed // compare: in both, different
	Series0 // the first of SeriesCount colours that tell things apart

	SeriesCount = 7
	roles       = Series0 + SeriesCount
)

// Series gives the role of the n-th thing of a kind: calls, transactions, dialogs.
func Series(n int) Role {
	if n < 0 {
		return Normal
	}
	return Series0 + Role(n%SeriesCount)
}

// roleNames are the names in the configuration file.
func roleNames() [Series0]string {
	return [...]string{
		"normal", "dim", "bold", "bar", "bar_key", "status", "head", "head_sort", "border", "cursor", "marked", "found",
		"peer", "field", "error", "warning", "good", "bad", "neutral", "request", "provisional", "success", "redirect",
		"failure", "time", "note", "gap", "media", "header_name", "method", "uri", "parameter", "identity", "number", "body_name",
		"diag", "added", "removed", "changed",
	}
}

// String is the role's name in the configuration file: "bar_key", "series3".
func (r Role) String() string {
	if r < Series0 {
		return roleNames()[r]
	}
	return fmt.Sprintf("series%d", r-Series0)
}

// Roles lists all roles.
func Roles() []Role {
	all := make([]Role, roles)
	for i := range all {
		all[i] = Role(i)
	}
	return all
}

// Theme says how each role looks. The zero value draws everything plainly; Dark, Light and Mono make real ones.
type Theme struct {
	Name   string
	styles [roles]tcell.Style
}

// Style gives the style of a role.
func (t *Theme) Style(r Role) tcell.Style {
	if r < roles {
		return t.styles[r]
	}
	return tcell.StyleDefault
}

// Set changes a role by a description such as "yellow", "bold #ff8800 on black", "reverse". Colours are names of W3C,
// #rrggbb, color0 to color255, or default.
func (t *Theme) Set(r Role, description string) error {
	st, err := ParseStyle(description)
	if err != nil {
		return err
	}
	if r >= roles {
		return fmt.Errorf("no such role: %d", r)
	}
	t.styles[r] = st
	return nil
}

// ParseStyle reads a description of a style; see Theme.Set.
func ParseStyle(description string) (tcell.Style, error) {
	st := tcell.StyleDefault
	on := false
	for word := range strings.FieldsSeq(strings.ToLower(description)) {
		switch word {
		case "bold":
			st = st.Bold(true)
		case "dim":
			st = st.Dim(true)
		case "reverse":
			st = st.Reverse(true)
		case "underline":
			st = st.Underline(true)
		case "italic":
			st = st.Italic(true)
		case "on":
			on = true
		default:
			c, err := parseColor(word)
			if err != nil {
				return st, err
			}
			if on {
				st = st.Background(c)
			} else {
				st = st.Foreground(c)
			}
		}
	}
	return st, nil
}

func parseColor(word string) (tcell.Color, error) {
	if word == "default" {
		return tcell.ColorDefault, nil
	}
	var n int
	if _, err := fmt.Sscanf(word, "color%d", &n); err == nil && n >= 0 && n < 256 {
		return tcell.PaletteColor(n), nil
	}
	if c := tcell.GetColor(word); c != tcell.ColorDefault {
		return c, nil
	}
	return 0, fmt.Errorf("no colour or attribute is called %q: a name such as teal, #rrggbb, color0 to color255, default, "+
		"bold, dim, reverse, underline or italic", word)
}
