package text

import "io"

// Color is the colour or weight of a cell, or what a piece of a message is.
type Color = style

// Colors.
const (
	Plain   = plain
	Bold    = bold
	Dim     = dim
	Red     = red
	Green   = green
	Yellow  = yellow
	Magenta = magenta
	Cyan    = cyan
)

// What pieces of a message are, for themes.
const (
	Request     = request     // a request line that cannot be told apart
	Provisional = provisional // status and reason of a 1xx, 401 or 407
	Success     = success     // of a 2xx
	Redirect    = redirect    // of a 3xx
	Failure     = failure     // of a 4xx, 5xx or 6xx
	HeaderName  = headerName
	Method      = method
	URI         = uri // also sent-by of a Via and the addresses of a session description
	Parameter   = parameter
	Identity    = identity // what tells calls and transactions apart: Call-ID, tag, branch
	Number      = number
	BodyName    = bodyName    // the letter of an SDP line, or its name
	DiagWarning = diagWarning // a departure from the grammar
	DiagError   = diagError
)

// TableColumn is a column of a Table.
type TableColumn struct {
	Title string
	Right bool // align to the right: numbers
	Min   int  // cells that a narrow terminal may shrink it to; 0 never shrinks it
	Max   int  // cells that it takes at most on a terminal; 0 for no bound
	// Color gives a cell's colour from its text; nil for none.
	Color func(cell string) Color
}

// Table gathers rows and prints them aligned. Cells may hold text of the wire: Add cleans them.
type Table struct {
	Columns []TableColumn
	rows    [][]string
	widths  []int
}

// TableOptions say how a Table is printed.
type TableOptions struct {
	Width    int // cells of the terminal; 0 cuts nothing
	ASCII    bool
	Color    bool
	NoHeader bool
}

// between separates columns.
const between = 2

// Add appends a row. Missing cells are empty; cells beyond the columns are dropped.
func (t *Table) Add(cells ...string) {
	if t.widths == nil {
		t.widths = make([]int, len(t.Columns))
		for i := range t.Columns {
			t.widths[i] = Width(Clean(t.Columns[i].Title))
		}
	}
	row := make([]string, len(t.Columns))
	for i := range min(len(cells), len(row)) {
		row[i] = Clean(cells[i])
		t.widths[i] = max(t.widths[i], Width(row[i]))
	}
	t.rows = append(t.rows, row)
}

// Len is the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// Write prints the header and the rows. With a width, wide columns are cut with an ellipsis until the table fits, the
// widest first.
func (t *Table) Write(w io.Writer, opts TableOptions) error {
	p := printer{t: t, opts: opts, ell: glyphsOf(opts.ASCII).ell, w: w}
	p.measure()
	if !opts.NoHeader {
		cells := make([]string, len(t.Columns))
		for i := range t.Columns {
			cells[i] = Clean(t.Columns[i].Title)
		}
		p.row(cells, true)
	}
	for _, r := range t.rows {
		p.row(r, false)
		if len(p.buf) >= flushSize {
			p.flush()
		}
		if p.err != nil {
			return p.err
		}
	}
	p.flush()
	return p.err
}

// printer is a table on its way to w.
type printer struct {
	t      *Table
	opts   TableOptions
	ell    string
	w      io.Writer
	widths []int
	line   line
	buf    []byte
	err    error
}

// measure finds the width of each column: what its cells need, at most Max, and with all shrinkable columns lowered to
// one level when the sum is too wide.
func (p *printer) measure() {
	p.widths = make([]int, len(p.t.Columns))
	for i := range p.t.Columns {
		c := &p.t.Columns[i]
		p.widths[i] = Width(Clean(c.Title))
		if p.t.widths != nil {
			p.widths[i] = p.t.widths[i]
		}
		if p.opts.ASCII {
			p.widths[i] = p.asciiWidth(i)
		}
		if p.opts.Width > 0 && c.Max > 0 {
			p.widths[i] = min(p.widths[i], c.Max)
		}
	}
	if p.opts.Width <= 0 || p.total(unlimited) <= p.opts.Width {
		return
	}
	lo, hi := 0, p.opts.Width // the highest level that fits
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if p.total(mid) <= p.opts.Width {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	for i := range p.widths {
		p.widths[i] = p.at(i, lo)
	}
}

func (p *printer) asciiWidth(col int) int {
	w := Width(CleanASCII(p.t.Columns[col].Title))
	for _, r := range p.t.rows {
		w = max(w, Width(CleanASCII(r[col])))
	}
	return w
}

// at is the width of a column when the shrinkable ones have a level.
func (p *printer) at(col, level int) int {
	w, least := p.widths[col], p.t.Columns[col].Min
	if least <= 0 {
		return w
	}
	return min(w, max(level, least))
}

func (p *printer) total(level int) int {
	sum := 0
	for i := range p.widths {
		if i > 0 {
			sum += between
		}
		sum += p.at(i, level)
	}
	return sum
}

func (p *printer) row(cells []string, head bool) {
	l := &p.line
	l.cells, l.limit = l.cells[:0], p.opts.Width
	x := 0
	for i, s := range cells {
		if p.opts.ASCII {
			s = CleanASCII(s)
		}
		st := bold
		if !head {
			st = plain
			if f := p.t.Columns[i].Color; f != nil {
				st = f(s)
			}
		}
		w := p.widths[i]
		if p.opts.Width > 0 {
			w = min(w, p.opts.Width-x) // no room even for what never shrinks: the line ends here
			s = cut(s, w, p.ell)
		}
		at := x
		if p.t.Columns[i].Right {
			at += max(w-Width(s), 0)
		}
		l.put(at, s, st)
		x += w + between
		if p.opts.Width > 0 && x >= p.opts.Width {
			break
		}
	}
	p.buf = l.appendTo(p.buf, p.opts.Color)
}

func (p *printer) flush() {
	if p.err == nil && len(p.buf) > 0 {
		_, p.err = p.w.Write(p.buf)
	}
	p.buf = p.buf[:0]
}
