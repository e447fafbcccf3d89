package many

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a table: it is kept in memory.
const (
	maxTable   = 64 << 20 // bytes
	maxColumns = 64
	maxValue   = 4096 // bytes
)

// ErrValues says that a table cannot be used.
var ErrValues = errors.New("unusable table of values")

// Values are rows of named values, one for a play. The nil Values has none.
type Values struct {
	names []string
	cells []string // row by row
}

// ReadValues reads CSV (RFC 4180): the first line names the columns, each further one is a play. The separator is a comma,
// or a semicolon where the first line has no comma. Lines that begin with # are comments. Names have letters, digits, "_",
// "-" and "."; values have no control characters, since they end in headers. The error wraps ErrValues and names the line.
func ReadValues(r io.Reader, name string) (*Values, error) {
	fail := func(line int, format string, args ...any) (*Values, error) {
		return nil, fmt.Errorf("%s:%d: %w: %w", name, line, ErrValues, fmt.Errorf(format, args...))
	}
	limited := &io.LimitedReader{R: r, N: maxTable + 1}
	in := bufio.NewReader(limited)
	head, _ := in.Peek(4096) // the reading below tells the error
	first, _, _ := strings.Cut(strings.TrimPrefix(string(head), "\ufeff"), "\n")
	if strings.HasPrefix(string(head), "\ufeff") {
		_, _ = in.Discard(len("\ufeff")) // it was peeked
	}
	rd := csv.NewReader(in)
	rd.Comment, rd.ReuseRecord, rd.TrimLeadingSpace = '#', true, true
	if !strings.Contains(first, ",") && strings.Contains(first, ";") {
		rd.Comma = ';'
	}
	names, err := rd.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return fail(1, "it is empty")
		}
		return fail(1, "%w", err)
	}
	v := &Values{}
	for _, n := range names {
		v.names = append(v.names, strings.Clone(strings.TrimSpace(n)))
	}
	if err := v.checkNames(); err != nil {
		return fail(1, "%w", err)
	}
	for {
		row, err := rd.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", name, ErrValues, err) // it names the line
		}
		line, _ := rd.FieldPos(0)
		if limited.N <= 0 {
			return fail(line, "more than %d MB", maxTable>>20)
		}
		if err := v.add(row); err != nil {
			return fail(line, "%w", err)
		}
	}
	if v.Len() == 0 {
		return fail(1, "no row follows the names")
	}
	return v, nil
}

// checkNames finds names that are none, or twice.
func (v *Values) checkNames() error {
	if len(v.names) > maxColumns {
		return fmt.Errorf("%d columns; %d at most", len(v.names), maxColumns)
	}
	seen := map[string]bool{}
	for _, n := range v.names {
		if n == "" || strings.Trim(n, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != "" {
			return fmt.Errorf("%.40q is no name of a column: it has other than letters, digits, _ . and -", n)
		}
		if seen[n] {
			return fmt.Errorf("two columns are called %s", n)
		}
		seen[n] = true
	}
	return nil
}

func (v *Values) add(row []string) error {
	for i, cell := range row {
		if len(cell) > maxValue {
			return fmt.Errorf("column %s has %d bytes; %d at most", v.names[i], len(cell), maxValue)
		}
		if strings.ContainsFunc(cell, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return fmt.Errorf("column %s has a control character", v.names[i])
		}
		v.cells = append(v.cells, strings.Clone(cell))
	}
	return nil
}

// Names are the columns.
func (v *Values) Names() []string {
	if v == nil {
		return nil
	}
	return v.names
}

// Len is the number of rows.
func (v *Values) Len() int {
	if v == nil || len(v.names) == 0 {
		return 0
	}
	return len(v.cells) / len(v.names)
}

// Row gives the row of play n, from 0 on; after the last row comes the first again. It is nil without values.
func (v *Values) Row(n uint64) map[string]string {
	rows := v.Len()
	if rows == 0 {
		return nil
	}
	at := int(n%uint64(rows)) * len(v.names) //nolint:gosec // G115: less than the rows.
	m := make(map[string]string, len(v.names))
	for i, name := range v.names {
		m[name] = v.cells[at+i]
	}
	return m
}
