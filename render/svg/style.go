package svg

import "strings"

// color is a colour of the style sheet.
type color struct{ name, light, dark string }

// colors are the custom properties without their prefix --ladder-, with what they are when a page does not set them.
// Every text has a contrast of 4.5 or more with its ground, light and dark.
func colors() []color {
	return []color{
		{"bg", "#ffffff", "#14181f"},
		{"fg", "#16202b", "#e3e8ee"},
		{"dim", "#566573", "#9aa8b8"},
		{"line", "#b4bec8", "#4a5667"},
		{"head", "#f4f6f8", "#1d232d"},
		{"hover", "#eef4fb", "#1f2a38"},
		{"chosen", "#fff3c4", "#4d4213"},
		{"focus", "#0b62b0", "#6cb2f5"},
		{"request", "#0b57a4", "#6cb2f5"},
		{"provisional", "#86560a", "#e0ae56"},
		{"success", "#1b7a39", "#63c884"},
		{"redirect", "#7a3fb0", "#c39bf0"},
		{"failure", "#b3261e", "#f0837b"},
		{"note", "#6d5200", "#d9bd6a"},
		{"gap", "#a3238e", "#ee8fdc"},
		{"stream", "#0f6b6b", "#5fc7c7"},
	}
}

// layout is the part of the style sheet that has no colours.
const layout = `.ladder{display:block;font:12px/1 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace}
.ladder text{white-space:pre;stroke:none}
.ladder .name,.ladder .title,.ladder .totals{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.ladder .name{font-size:13px;font-weight:600;text-anchor:middle}
.ladder .address{font-size:11px;text-anchor:middle}
.ladder .title{font-size:13px;font-weight:600}
.ladder .time{text-anchor:end}
.ladder .label{text-anchor:middle}
.ladder .side,.ladder .prose{text-anchor:start}
.ladder .over,.ladder .prose{paint-order:stroke;stroke-width:4px;stroke-linejoin:round}
.ladder .life,.ladder .foot{fill:none;stroke-width:1;shape-rendering:crispEdges}
.ladder .shaft{fill:none;stroke-width:1.3}
.ladder .response .shaft{stroke-dasharray:6 3}
.ladder .gap .shaft{stroke-width:2;stroke-linecap:round;stroke-dasharray:0 5}
.ladder .stream .shaft{stroke-width:1}
.ladder .dtmf .label{font-weight:600}
.ladder .state .label{font-weight:600}
.ladder .row.arrow{cursor:pointer}
.ladder .row:focus{outline:none}
.ladder .box{stroke-width:1}
.ladder .note .hit{fill-opacity:.7}
`

// rules are the colours of things: selector, property, and the name of a colour or another value.
func rules() [][3]string {
	return [][3]string{
		{".ladder", "color", "fg"},
		{".ladder .paper", "fill", "bg"},
		{".ladder text", "fill", "fg"},
		{".ladder .life,.ladder .foot,.ladder .box", "stroke", "line"},
		{".ladder .box", "fill", "head"},
		{".ladder .hit", "fill", "transparent"},
		{".ladder .note .hit", "fill", "bg"}, // lifelines are faint behind what may be long
		{".ladder .time,.ladder .call,.ladder .address,.ladder .callid,.ladder .totals", "fill", "dim"},
		{".ladder .request", "color", "request"},
		{".ladder .s1xx,.ladder .row.challenge", "color", "provisional"},
		{".ladder .s2xx", "color", "success"},
		{".ladder .s3xx", "color", "redirect"},
		{".ladder .s4xx,.ladder .s5xx,.ladder .s6xx", "color", "failure"},
		{".ladder .note", "color", "note"},
		{".ladder .gap", "color", "gap"},
		{".ladder .stream", "color", "stream"},
		{".ladder .label,.ladder .head", "fill", "currentColor"},
		{".ladder .shaft", "stroke", "currentColor"},
		{".ladder .sdp,.ladder .media,.ladder .margin", "fill", "dim"},
		{".ladder .over,.ladder .prose", "stroke", "bg"},
		{".ladder .same-dialog .hit,.ladder .same-txn .hit,.ladder .row:hover .hit", "fill", "hover"},
		{".ladder .same-dialog .over,.ladder .same-txn .over,.ladder .row:hover .over,.ladder .row:hover .prose", "stroke", "hover"},
		{".ladder .chosen .hit", "fill", "chosen"},
		{".ladder .chosen .over", "stroke", "chosen"},
		{".ladder .row:focus-visible .hit", "stroke", "focus"},
	}
}

// StyleSheet is the CSS for ladders inside a page. All colours can be set by custom properties of an element around them:
// --ladder-bg, --ladder-fg, --ladder-dim, --ladder-line (lifelines), --ladder-head (ground of names), --ladder-hover,
// --ladder-chosen, --ladder-focus, --ladder-request, --ladder-provisional, --ladder-success, --ladder-redirect,
// --ladder-failure, --ladder-note, --ladder-gap and --ladder-stream. Where they are not set, the colours follow color-scheme; a renderer
// that knows no custom properties takes the light ones.
//
// A page may give a row the classes same-txn, same-dialog and chosen.
func StyleSheet() string {
	var b strings.Builder
	all := colors()
	b.WriteString(layout)
	vars(&b, all, func(c *color) string { return "var(--ladder-" + c.name + "," + c.light + ")" })
	b.WriteString("@supports (color:light-dark(red,red)){")
	vars(&b, all, func(c *color) string {
		return "var(--ladder-" + c.name + ",light-dark(" + c.light + "," + c.dark + "))"
	})
	b.WriteString("}\n@media (forced-colors:active){")
	vars(&b, all, func(c *color) string {
		switch c.name {
		case "bg", "head", "hover", "chosen":
			return "Canvas"
		case "focus":
			return "Highlight"
		default:
			return "CanvasText"
		}
	})
	b.WriteString("}\n")
	for _, r := range rules() {
		b.WriteString(r[0] + "{")
		if c := colorOf(all, r[2]); c == nil {
			b.WriteString(r[1] + ":" + r[2])
		} else {
			b.WriteString(r[1] + ":" + c.light + ";" + r[1] + ":var(--l-" + c.name + ")")
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// vars sets the style sheet's own names of the colours.
func vars(b *strings.Builder, all []color, value func(c *color) string) {
	b.WriteString(".ladder{")
	for i := range all {
		b.WriteString("--l-" + all[i].name + ":" + value(&all[i]) + ";")
	}
	b.WriteString("}\n")
}

// colorOf finds a colour by its name; nil when the name is a value of CSS.
func colorOf(all []color, name string) *color {
	for i := range all {
		if all[i].name == name {
			return &all[i]
		}
	}
	return nil
}

// appendStandalone writes the style sheet of a file of its own. It has no custom properties: programs that draw SVG
// without being browsers do not know them.
func appendStandalone(dst []byte) []byte {
	all := colors()
	dst = append(dst, layout...)
	dst = appendRules(dst, all, func(c *color) string { return c.light })
	dst = append(dst, "@media (prefers-color-scheme:dark){\n"...)
	dst = appendRules(dst, all, func(c *color) string { return c.dark })
	return append(dst, "}\n"...)
}

func appendRules(dst []byte, all []color, value func(c *color) string) []byte {
	for _, r := range rules() {
		v := r[2]
		if c := colorOf(all, v); c != nil {
			v = value(c)
		}
		for _, s := range [...]string{r[0], "{", r[1], ":", v, "}\n"} {
			dst = append(dst, s...)
		}
	}
	return dst
}
