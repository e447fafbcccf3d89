package output

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// namer gives the names of files, one after the other. See the package comment.
type namer struct {
	pattern string
	zone    *time.Location
	at      int64  // time of the file's first packet, nanoseconds since 1970-01-01 UTC
	last    string // the name given last, without a number
	number  int    // and its number; 1 has none
	fresh   bool   // the name without a number is free again
}

// check tells what is wrong with a pattern.
func (n *namer) check() error {
	for rest := n.pattern; ; {
		_, after, ok := strings.Cut(rest, "%")
		if !ok {
			return nil
		}
		if after == "" || !strings.Contains("YmdHMSs%", after[:1]) {
			return fmt.Errorf("%%%.1s in the name: %%Y %%m %%d %%H %%M %%S %%s %%%% are known", after)
		}
		rest = after[1:]
	}
}

// timed tells whether names depend on the time.
func (n *namer) timed() bool {
	return strings.Contains(strings.ReplaceAll(n.pattern, "%%", ""), "%")
}

// again says that the file of the name without a number was moved away.
func (n *namer) again() { n.fresh = true }

// next gives the next name to try.
func (n *namer) next() string {
	base := n.expand()
	if base != n.last {
		n.last, n.number, n.fresh = base, 1, false
		return base
	}
	if n.fresh {
		n.fresh = false
		return base
	}
	n.number++
	dir, name := filepath.Split(base)
	ext := filepath.Ext(name)
	if ext == ".zst" {
		ext = filepath.Ext(strings.TrimSuffix(name, ext)) + ext
	}
	return fmt.Sprintf("%s%s-%06d%s", dir, strings.TrimSuffix(name, ext), n.number, ext)
}

// expand fills the time in.
func (n *namer) expand() string {
	if !strings.Contains(n.pattern, "%") {
		return n.pattern
	}
	at := time.Unix(0, n.at).UTC()
	if n.zone != nil {
		at = at.In(n.zone)
	}
	var b strings.Builder
	for i := 0; i < len(n.pattern); i++ {
		if n.pattern[i] != '%' || i+1 == len(n.pattern) {
			b.WriteByte(n.pattern[i])
			continue
		}
		i++
		b.WriteString(field(at, n.pattern[i]))
	}
	return b.String()
}

// field is what stands for a letter of a pattern, as strftime(3) has it.
func field(at time.Time, letter byte) string {
	var layout string
	switch letter {
	case 'Y':
		layout = "2006"
	case 'm':
		layout = "01"
	case 'd':
		layout = "02"
	case 'H':
		layout = "15"
	case 'M':
		layout = "04"
	case 'S':
		layout = "05"
	case 's':
		return strconv.FormatInt(at.Unix(), 10)
	default:
		return string(letter)
	}
	return at.Format(layout)
}
